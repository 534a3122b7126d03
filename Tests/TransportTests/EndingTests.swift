import Foundation
import Testing
import Transport

/// How transfers end when nobody answers: refused, timed out, cancelled, shut down.
@Suite struct EndingTests {
  let transport = CurlTransport()

  /// Reads requests and says nothing until the client hangs up.
  private func silent() throws -> ScriptedServer {
    try ScriptedServer { connection in
      while connection.read() != nil {}
    }
  }

  @Test func `a refused connection cannot have acted`() async throws {
    let port = try freePort()
    let error = try await failure(transport, HTTPRequest(.post, try Endpoint("http://127.0.0.1:\(port)/x?y")))
    #expect(error.code == .cannotConnect && !error.mayHaveActed && error.isTransient)
    #expect(error.description == "post to 127.0.0.1:\(port): connection refused or unreachable, nothing was sent")
    #expect(error.host == "127.0.0.1:\(port)" && error.curlCode == 7)
  }

  @Test func `an unknown name cannot have acted`() async throws {
    var request = HTTPRequest(.post, try Endpoint("https://no-such-host.invalid/"))
    request.limits.connecting = .seconds(5)
    let error = try await failure(CurlTransport(TransportConfiguration(usesEnvironmentProxy: false)), request)
    #expect(error.code == .cannotConnect && !error.mayHaveActed, "\(error)")
  }

  @Test func `no answer in time is lost`() async throws {
    let server = try silent()
    var request = HTTPRequest(.post, try Endpoint(server.url()))
    request.limits.total = .milliseconds(200)
    let error = try await failure(transport, request)
    #expect(error.code == .lost && error.mayHaveActed && error.curlCode == 28, "\(error)")
  }

  @Test func `a handshake that never comes cannot have acted`() async throws {
    let server = try ScriptedServer { _ in sleep(2) }
    var request = HTTPRequest(.post, try Endpoint("https://127.0.0.1:\(server.port)/"))
    request.limits.connecting = .milliseconds(200)
    let error = try await failure(transport, request)
    #expect(error.code == .cannotConnect && !error.mayHaveActed && error.isTransient, "\(error)")
  }

  @Test func `cancelling the task ends the transfer promptly`() async throws {
    let server = try silent()
    let request = HTTPRequest(.post, try Endpoint(server.url()))
    let task = Task { try await failure(transport, request) }
    while server.requests.count == 0 { await Task.yield() }
    let start = ContinuousClock.now
    task.cancel()
    let error = try await task.value
    #expect(error.code == .cancelled && error.mayHaveActed, "\(error)")
    // This bounds how long it may hang; it measures nothing. The request's own limit is 30 s.
    #expect(ContinuousClock.now - start < .seconds(5))
  }

  @Test func `a cancellation before the start sends nothing`() async throws {
    let server = try silent()
    let request = HTTPRequest(.post, try Endpoint(server.url()))
    let error = try await Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try await failure(transport, request)
    }.value
    #expect(error.code == .cancelled && !error.mayHaveActed)
    #expect(server.connections.count == 0)
  }

  @Test func `a storm of cancellations leaves nobody waiting`() async throws {
    let server = try ScriptedServer { connection in
      while connection.read() != nil {
        usleep(2000)
        connection.answer("ok")
      }
    }
    let endpoint = try Endpoint(server.url())
    for _ in 1...5 {
      let tasks = (0..<100).map { _ in Task { try await transport.send(HTTPRequest(.get, endpoint)).status } }
      for (index, task) in tasks.enumerated() where index % 2 == 0 {
        if index % 4 == 0 { await Task.yield() }
        task.cancel()
      }
      for (index, task) in tasks.enumerated() {
        switch await task.result {
        case .success(let status): #expect(status == 200)
        case .failure(let error):
          #expect(index % 2 == 0 && (error as? TransportError)?.code == .cancelled, "request \(index): \(error)")
        }
      }
    }
  }

  @Test func `a server of these tests that ends takes no connection of the next one`() async throws {
    for _ in 1...200 { _ = try silent() }
    let server = try ScriptedServer { connection in
      while connection.read() != nil { connection.answer("ok") }
    }
    let endpoint = try Endpoint(server.url())
    for _ in 1...20 {
      // A new connection each time: an old server's thread would take some of them.
      let request = HTTPRequest(.get, endpoint, limits: HTTPRequest.Limits(total: .seconds(5)))
      #expect(try await CurlTransport().send(request).status == 200)
    }
  }

  @Test func `200 requests at once are all answered, each its own`() async throws {
    let server = try ScriptedServer { connection in
      while let request = connection.read() {
        usleep(20_000)
        connection.answer(request.line)
      }
    }
    let transport = transport
    try await withThrowingTaskGroup(of: (Int, String).self) { group in
      for index in 0..<200 {
        let request = HTTPRequest(.post, try Endpoint(server.url("/\(index)")))
        group.addTask { (index, try await transport.send(request).text) }
      }
      for try await (index, text) in group { #expect(text == "POST /\(index) HTTP/1.1") }
    }
    #expect(server.requests.count == 200)
  }

  @Test func `shutdown cancels what is under way, and what comes later`() async throws {
    let server = try silent()
    let request = HTTPRequest(.post, try Endpoint(server.url()))
    let task = Task { try await failure(transport, request) }
    while server.requests.count == 0 { await Task.yield() }
    await transport.shutdown()
    let error = try await task.value
    #expect(error.code == .cancelled && error.mayHaveActed)
    let late = try await failure(transport, request)
    #expect(late.code == .cancelled && !late.mayHaveActed)
    await transport.shutdown()
  }

  @Test func `shutdown of a transport that never sent returns at once`() async { await CurlTransport().shutdown() }
}
