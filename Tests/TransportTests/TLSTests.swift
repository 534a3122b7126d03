import Foundation
import Testing
import Transport

/// Against `openssl s_server`, which answers with a page about the connection.
@Suite(.enabled(if: Program.openssl != nil, "needs the openssl program"))
struct TLSTests {
  private let bench: TLSBench

  init() throws { bench = try TLSBench() }

  private struct Server {
    let program: Program
    let endpoint: Endpoint
  }

  private func serve(_ certificate: String, host: String = "127.0.0.1", _ options: String...) async throws -> Server {
    let port = try freePort()
    let program = try Program(
      Program.openssl,
      [
        "s_server", "-quiet", "-www", "-accept", "127.0.0.1:\(port)", "-cert", bench.path("\(certificate).pem"), "-key",
        bench.path("\(certificate).key"),
      ] + options)
    // Ready when the port no longer refuses connections: the probe is in the clear, and the server drops it.
    let probe = CurlTransport()
    for _ in 1...500 {
      let error = try await failure(probe, try get("http://127.0.0.1:\(port)/"))
      if error.code != .cannotConnect { break }
      try await Task.sleep(for: .milliseconds(10))
    }
    return Server(program: program, endpoint: try Endpoint("https://\(host):\(port)/"))
  }

  private func trusting(_ authority: String = "ca") -> CurlTransport {
    CurlTransport(TransportConfiguration(caFile: bench.path("\(authority).pem")))
  }

  private func expectRefusal(
    _ transport: CurlTransport, _ server: Server, curlCode: Int, _ words: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let error = try await failure(transport, HTTPRequest(.post, server.endpoint))
    #expect(error.code == .tls && !error.mayHaveActed, "\(error)", sourceLocation: sourceLocation)
    #expect(error.curlCode == curlCode, "\(error)", sourceLocation: sourceLocation)
    #expect(error.description.contains(words), "\(error)", sourceLocation: sourceLocation)
    #expect(error.description.hasSuffix("nothing was sent"), sourceLocation: sourceLocation)
  }

  @Test func `the keys of connections are left in no file, though the environment names one`() async throws {
    let server = try await serve("server")
    await #expect(processExitsWith: .success) {
      [url = server.endpoint.url as String, authority = bench.authority as String] in
      let file = authority + ".keys"
      setenv("SSLKEYLOGFILE", file, 1)
      let transport = CurlTransport(TransportConfiguration(caFile: authority))
      let response = try await transport.send(HTTPRequest(.get, try Endpoint(url)))
      #expect(response.status == 200)
      #expect(!FileManager.default.fileExists(atPath: file))
    }
  }

  @Test(arguments: [["-tls1_2"], ["-tls1_3"]])
  func `a certificate of the given authority is trusted`(_ version: [String]) async throws {
    let server = try await serve("server", version[0])
    let response = try await trusting().send(HTTPRequest(.get, server.endpoint))
    #expect(response.status == 200 && response.text.contains("TLSv1."))
  }

  @Test func `an unknown authority is refused`() async throws {
    let server = try await serve("server")
    try await expectRefusal(CurlTransport(), server, curlCode: 60, "unable to get local issuer certificate")
    try bench.makeAuthority("other")
    try await expectRefusal(trusting("other"), server, curlCode: 60, "certificate not trusted")
  }

  @Test func `another host's certificate is refused`() async throws {
    try bench.makeCertificate("elsewhere", authority: "ca", name: "DNS:elsewhere.example")
    let server = try await serve("elsewhere")
    try await expectRefusal(trusting(), server, curlCode: 60, "it is for another host")
    let named = try await serve("server", host: "localhost")
    try await expectRefusal(trusting(), named, curlCode: 60, "it is for another host")
  }

  @Test func `an expired certificate is refused`() async throws {
    try bench.makeCertificate("expired", authority: "ca", name: "IP:127.0.0.1", days: "-1")
    try await expectRefusal(trusting(), try await serve("expired"), curlCode: 60, "certificate has expired")
  }

  @Test func `tls 1.1 is refused`() async throws {
    let server = try await serve("server", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    try await expectRefusal(trusting(), server, curlCode: 35, "expected tls 1.2 or later")
  }

  @Test func `an authority file that is not there is an error, never a fallback`() async throws {
    let server = try await serve("server")
    try await expectRefusal(trusting("absent"), server, curlCode: 77, "cannot be read")
  }

  @Test func `a server without tls is refused`() async throws {
    let server = try ScriptedServer { connection in
      _ = connection.read()
    }
    var request = HTTPRequest(.post, try Endpoint("https://127.0.0.1:\(server.port)/"))
    request.limits.connecting = .milliseconds(300)
    let error = try await failure(trusting(), request)
    #expect(!error.mayHaveActed && (error.code == .tls || error.code == .cannotConnect), "\(error)")
    #expect(server.requests.count == 0)
  }
}
