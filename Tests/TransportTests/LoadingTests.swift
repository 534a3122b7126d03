import CCurl
import Foundation
import Testing
import Transport

@Suite struct LoadingTests {
  // `CommandTests` check that the program itself maps no libcurl until then: this bundle links the simulator, whose
  // HTTP library loads one.
  @Test func `libcurl is loaded by the first send, and not before`() async {
    await #expect(processExitsWith: .success) {
      let transport = CurlTransport()
      // A request that is refused before sending loads nothing either.
      let evil = HTTPRequest(.get, try Endpoint("http://127.0.0.1:1/"), headers: [("A", "\n")])
      _ = try await failure(transport, evil)
      #expect(throws: TransportError.self) { try Endpoint("http://example.com/") }
      #expect(!ccurl_is_loaded())
      _ = try await failure(transport, try get("http://127.0.0.1:1/"))
      #expect(ccurl_is_loaded())
    }
  }

  // In its own process: OpenSSL accepts another allocator only before its first use.
  @Test func `everything that libcurl and openssl free is wiped`() async {
    await #expect(processExitsWith: .success) {
      #expect(Int(ccurl_load()) == CCURL_READY)
      let all = CCURL_WIPES_CURL | CCURL_WIPES_TLS | CCURL_CLEANSES_TLS_RECORDS
      #expect(Int(ccurl_protections()) == all)
    }
  }

  @Test func `a proxy from the environment is used for other hosts, and never for loopback`() async {
    await #expect(processExitsWith: .success) {
      let proxy = try ScriptedServer { connection in
        if connection.read() != nil { connection.answer("", status: "403 Forbidden") }
      }
      let server = try ScriptedServer { connection in
        if connection.read() != nil { connection.answer("direct") }
      }
      for name in ["https_proxy", "http_proxy", "all_proxy"] { setenv(name, proxy.url(), 1) }
      unsetenv("no_proxy")
      let transport = CurlTransport()
      #expect(try await transport.send(try get(server.url())).text == "direct")
      #expect(proxy.requests.count == 0)
      let request = HTTPRequest(
        .post, try Endpoint("https://no-such-host.invalid/a?b"),
        secretHeaders: [.init(name: "Authorization", value: try secret("t0ken"))])
      let error = try await failure(transport, request)
      #expect(error.code == .cannotConnect && !error.mayHaveActed, "\(error)")
      let seen = try #require(proxy.requests.all.first)
      #expect(seen.line == "CONNECT no-such-host.invalid:443 HTTP/1.1")
      #expect(!seen.head.contains("t0ken"))
      let direct = CurlTransport(TransportConfiguration(usesEnvironmentProxy: false))
      _ = try await failure(direct, request)
      #expect(proxy.requests.count == 1)
    }
  }
}
