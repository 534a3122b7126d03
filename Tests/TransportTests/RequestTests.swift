import Sodium
import Testing
import Transport

@Suite struct RequestTests {
  let transport = CurlTransport()

  /// What the server receives of `request`.
  private func received(
    _ method: HTTPRequest.Method, _ change: (inout HTTPRequest) throws -> Void
  ) async throws -> Received {
    let server = try ScriptedServer { connection in
      while connection.read() != nil { connection.answer("ok") }
    }
    var request = HTTPRequest(method, try Endpoint(server.url("/a/b?c=d%2F")))
    try change(&request)
    #expect(try await transport.send(request).text == "ok")
    return try #require(server.requests.all.first)
  }

  @Test func `get sends its headers, public and secret, and no more`() async throws {
    let seen = try await received(.get) {
      $0.headers = [("Accept", "application/json"), ("X-Empty", "")]
      $0.secretHeaders = [.init(name: "Authorization", prefix: "Bearer ", value: try secret("t0ken"))]
    }
    #expect(seen.line == "GET /a/b?c=d%2F HTTP/1.1")
    let names = seen.head.split(separator: "\r\n").dropFirst().map { $0.prefix { $0 != ":" }.lowercased() }
    #expect(Set(names) == ["host", "user-agent", "accept", "x-empty", "authorization"])
    #expect(seen.header("authorization") == "Bearer t0ken")
    #expect(seen.header("user-agent") == "relatch")
    #expect(seen.header("x-empty") == "")
  }

  @Test(arguments: [HTTPRequest.Method.post, .put, .patch])
  func `no body is said outright`(_ method: HTTPRequest.Method) async throws {
    let seen = try await received(method) { _ in }
    #expect(seen.line.hasPrefix(method.rawValue + " "))
    #expect(seen.header("content-length") == "0")
    #expect(seen.header("content-type") == nil)
  }

  @Test func `delete without a body has no length`() async throws {
    let seen = try await received(.delete) { _ in }
    #expect(seen.line == "DELETE /a/b?c=d%2F HTTP/1.1")
    #expect(seen.header("content-length") == nil)
  }

  @Test(arguments: [HTTPRequest.Method.post, .put, .patch, .delete, .get])
  func `a secret body arrives whole`(_ method: HTTPRequest.Method) async throws {
    // Neither a zero byte inside nor a size beyond one packet may end it early.
    let text = "grant\0type=" + String(repeating: "s", count: 100_000)
    let seen = try await received(method) { $0.body = .secret(try secret(text), contentType: "application/x-test") }
    #expect(seen.line.hasPrefix(method.rawValue + " "))
    #expect(seen.body == Array(text.utf8))
    #expect(seen.header("content-type") == "application/x-test")
    #expect(seen.header("expect") == nil)
  }

  @Test func `a public body arrives whole, an empty one as empty`() async throws {
    let body = Array("{\"a\":1}".utf8)
    let seen = try await received(.post) { $0.body = .bytes(body, contentType: "application/json") }
    #expect(seen.body == body && seen.header("content-type") == "application/json")
    let empty = try await received(.post) { $0.body = .bytes([], contentType: "text/plain") }
    #expect(empty.header("content-length") == "0")
    let nothing = try await received(.post) { $0.body = .secret(try secret(""), contentType: "text/plain") }
    #expect(nothing.header("content-length") == "0")
  }

  @Test(arguments: [
    ("X-A", "b\r\nX-Evil: c"), ("X-A", "b\0"), ("X-A", "bé"), ("X A", "b"), ("", "b"), ("X-A:", "b"), ("Host", "b"),
    ("Content-Length", "3"), ("transfer-encoding", "chunked"), ("Cookie", "a=b"), ("Expect", "100-continue"),
  ])
  func `a header that could break out or contradict is refused`(_ name: String, _ value: String) async throws {
    let endpoint = try Endpoint("http://127.0.0.1:1/")
    let open = try await failure(transport, HTTPRequest(.get, endpoint, headers: [(name, value)]))
    #expect(open.code == .invalidRequest && !open.mayHaveActed)
    let hidden = HTTPRequest.SecretHeader(name: name, value: try secret(value))
    #expect(try await failure(transport, HTTPRequest(.get, endpoint, secretHeaders: [hidden])).code == .invalidRequest)
    let prefixed = HTTPRequest.SecretHeader(name: name, prefix: value, value: try secret("x"))
    let second = HTTPRequest(.get, endpoint, secretHeaders: [prefixed])
    #expect(try await failure(transport, second).code == .invalidRequest)
  }

  @Test func `a content type cannot break out either`() async throws {
    let request = HTTPRequest(.post, try Endpoint("http://127.0.0.1:1/"), body: .bytes([], contentType: "a\r\nb: c"))
    #expect(try await failure(transport, request).code == .invalidRequest)
  }
}
