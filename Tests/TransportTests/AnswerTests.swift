import Foundation
import Sodium
import Testing
import Transport

@Suite struct AnswerTests {
  let transport = CurlTransport()

  /// A server that reads each request and then runs `script`.
  private func serving(_ script: @escaping @Sendable (Connection) -> Void) throws -> ScriptedServer {
    try ScriptedServer { connection in
      if connection.read() != nil { script(connection) }
    }
  }

  @Test(arguments: ["200 OK", "204 No Content", "400 Bad Request", "401 Unauthorized", "429 Slow Down", "503 Later"])
  func `every status is an answer`(_ status: String) async throws {
    let server = try serving { $0.answer("", status: status) }
    let response = try await transport.send(try get(server.url()))
    #expect("\(response.status)" == status.prefix(3))
    #expect(response.body.secret.count == 0)
  }

  @Test func `known headers are kept in any case, others are not`() async throws {
    let headers = "CONTENT-TYPE:  application/json \r\nretry-after: 7\r\nDate: now\u{1B}[2J\r\nSet-Cookie: s3cret\r\n"
    let server = try serving { $0.answer("{}", headers: headers) }
    let response = try await transport.send(try get(server.url()))
    #expect(response.header("Content-Type") == "application/json")
    #expect(response.header("Retry-After") == "7")
    #expect(response.header("date") == "now[2J")
    #expect(response.header("set-cookie") == nil)
  }

  @Test(arguments: [
    ("429 Slow Down", "X-Rate-Limit-Reset: 784111827\r\n", 50),
    ("429 Slow Down", "x-ratelimit-reset: 784111827\r\n", 50),
    ("429 Slow Down", "X-RateLimit-Reset: 784111777\r\n", 1), ("429 Slow Down", "X-Rate-Limit-Reset: 60\r\n", 1),
    ("429 Slow Down", "X-Rate-Limit-Reset: 818671777\r\n", 31_536_000),
    ("429 Slow Down", "X-Rate-Limit-Reset: 784111827\r\nRetry-After: 7\r\n", 7),
    ("429 Slow Down", "X-Rate-Limit-Reset: 784111827\r\nRetry-After: 0\r\n", 0),
    ("429 Slow Down", "X-Rate-Limit-Reset: 784111827\r\nRetry-After: soon\r\n", nil),
    ("503 Later", "Retry-After: Sun, 06 Nov 1994 10:49:37 GMT\r\n", 7200),
    ("503 Later", "Retry-After: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 0),
    ("503 Later", "Retry-After: Sun, 06 Nov 2094 08:49:37 GMT\r\n", 31_536_000),
    ("503 Later", "Retry-After: Sun, 06 Nov 1994 10:49:37 CET\r\n", nil),
    ("503 Later", "X-Rate-Limit-Reset: 784111827\r\n", nil), ("200 OK", "X-Rate-Limit-Reset: 784111827\r\n", nil),
    ("429 Slow Down", "X-Rate-Limit-Reset: soon\r\n", nil), ("429 Slow Down", "X-Rate-Limit-Reset: \r\n", nil),
    ("429 Slow Down", "X-Rate-Limit-Reset: -9223372036854775808\r\n", nil),
    ("429 Slow Down", "X-Rate-Limit-Reset: 9223372036854775807\r\n", nil),
    ("429 Slow Down", "X-Rate-Limit-Reset: 784111827000\r\n", nil), ("429 Slow Down", "", nil),
  ])
  func `an answer that names a moment asks to wait until then, by its own date`(
    _ status: String, _ headers: String, _ seconds: Int?
  ) async throws {
    let server = try serving {
      $0.answer("", status: status, headers: "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" + headers)
    }
    #expect(try await transport.send(try get(server.url())).retryAfter == seconds.map { .seconds($0) })
  }

  @Test(arguments: [
    ("Date: Tue, 29 Feb 2000 00:00:00 GMT\r\n", 40), ("Date: Mon, 28 Feb 2000 23:59:59 GMT\r\n", 41), ("", nil),
    ("Date: now\r\n", nil), ("Date: Tue, 29 Feb 2001 00:00:00 GMT\r\n", nil),
    ("Date: Mon, 28 Feb 2000 24:00:00 GMT\r\n", nil), ("Date: Mon, 28 Feb 2000 23:59:60 GMT\r\n", nil),
    ("Date: Tue, 29 Feb 2000 00:00:00 CET\r\n", nil), ("Date: Tue, 29 Feb 2000 0:00:00 GMT\r\n", nil),
    ("Date: Tuesday, 29-Feb-00 00:00:00 GMT\r\n", nil), ("Date: Tue, 2x Feb 2000 00:00:00 GMT\r\n", nil),
    ("Date: Tue, 29 Feb  2000 00:00:00 GMT\r\n", nil), ("Date: Tue, 29 Feb +200 00:00:00 GMT\r\n", nil),
  ])
  func `the moment of a reset says nothing without a date in the form that servers send`(
    _ date: String, _ seconds: Int?
  ) async throws {
    let server = try serving { $0.answer("", status: "429 Slow", headers: date + "X-Rate-Limit-Reset: 951782440\r\n") }
    #expect(try await transport.send(try get(server.url())).retryAfter == seconds.map { .seconds($0) })
  }

  @Test func `a redirect is an answer, and is not followed`() async throws {
    let other = try serving { $0.answer("stolen") }
    let target = other.url()
    let server = try serving { $0.answer("", status: "302 Found", headers: "Location: \(target)\r\n") }
    var request = try get(server.url())
    request.secretHeaders = [.init(name: "Authorization", value: try secret("t0ken"))]
    #expect(try await transport.send(request).status == 302)
    #expect(other.connections.count == 0)
  }

  @Test func `chunks are joined`() async throws {
    let server = try serving { connection in
      connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
      for piece in ["he", "llo ", String(repeating: "x", count: 20_000)] {
        connection.write("\(String(piece.utf8.count, radix: 16))\r\n\(piece)\r\n")
        usleep(10_000)
      }
      connection.write("0\r\n\r\n")
    }
    let text = try await transport.send(try get(server.url())).text
    #expect(text == "hello " + String(repeating: "x", count: 20_000))
  }

  @Test func `an early hint is not the answer`() async throws {
    let server = try serving { connection in
      connection.write("HTTP/1.1 103 Early Hints\r\nContent-Type: wrong\r\n\r\n")
      connection.answer("yes")
    }
    let response = try await transport.send(try get(server.url()))
    #expect(response.status == 200 && response.text == "yes" && response.header("content-type") == nil)
  }

  @Test(arguments: [
    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this", "HTTP/1.1 200 OK\r\nContent-Le",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "",
  ])
  func `an answer cut short is lost`(_ answer: String) async throws {
    let server = try serving { $0.write(answer) }
    let error = try await failure(transport, HTTPRequest(.post, try Endpoint(server.url())))
    #expect(error.code == .lost && error.mayHaveActed && error.isTransient, "\(error)")
    #expect(error.description.hasPrefix("post to 127.0.0.1:\(server.port): "))
    #expect(error.description.hasSuffix(", the request may have been acted on"))
  }

  @Test func `a reset after the request is lost`() async throws {
    let server = try serving { $0.resetOnClose() }
    let error = try await failure(transport, HTTPRequest(.post, try Endpoint(server.url())))
    #expect(error.code == .lost && error.mayHaveActed, "\(error)")
  }

  @Test(arguments: [
    "SSH-2.0-OpenSSH\r\n", "hello\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  ])
  func `what is not http is a violation or lost, and may have been acted on`(_ answer: String) async throws {
    let server = try serving { $0.write(answer) }
    let error = try await failure(transport, HTTPRequest(.post, try Endpoint(server.url())))
    #expect(error.code == .protocolViolation || error.code == .lost, "\(error)")
    #expect(error.mayHaveActed)
    #expect(!error.description.contains("SSH") && !error.description.contains("hello"))
  }

  @Test(arguments: [1, 70_000])
  func `headers without end are a violation`(_ size: Int) async throws {
    let server = try serving { connection in
      connection.write("HTTP/1.1 200 OK\r\n")
      let line = "X-Filler: " + String(repeating: "x", count: size) + "\r\n"
      while connection.write(line) {}
    }
    let error = try await failure(transport, try get(server.url()))
    #expect(error.code == .protocolViolation && error.mayHaveActed, "\(error)")
  }

  @Test func `one endless header line is a violation`() async throws {
    let server = try serving { connection in
      connection.write("HTTP/1.1 200 OK\r\nX-Filler: ")
      while connection.write(String(repeating: "x", count: 16_384)) {}
    }
    #expect(try await failure(transport, try get(server.url())).code == .protocolViolation)
  }

  @Test(arguments: [true, false])
  func `a body over the limit is refused, announced or not`(_ isAnnounced: Bool) async throws {
    let server = try serving { connection in
      connection.write("HTTP/1.1 200 OK\r\n\(isAnnounced ? "Content-Length: 9000000\r\n" : "")\r\n")
      while connection.write(String(repeating: "x", count: 16_384)) {}
    }
    let error = try await failure(transport, HTTPRequest(.post, try Endpoint(server.url())))
    #expect(error.code == .answerTooLarge && error.mayHaveActed && !error.isTransient, "\(error)")
    #expect(error.description.contains("expected at most 1048576 bytes"))
  }

  @Test func `a body of exactly the limit is taken`() async throws {
    let server = try serving { $0.answer(String(repeating: "x", count: 5000)) }
    var request = try get(server.url())
    request.limits.answer = 5000
    #expect(try await transport.send(request).body.secret.count == 5000)
    request.limits.answer = 4999
    #expect(try await failure(transport, request).code == .answerTooLarge)
  }

  @Test func `a compressed answer is not unpacked`() async throws {
    let server = try serving { $0.answer("raw", headers: "Content-Encoding: gzip\r\n") }
    #expect(try await transport.send(try get(server.url())).text == "raw")
    #expect(server.requests.all.first?.header("accept-encoding") == nil)
  }
}
