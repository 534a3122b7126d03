import Foundation
import Testing
import Transport

/// libcurl automatically resends when a reused connection dies; these servers act, hang up, and count.
@Suite struct SendOnceTests {
  let transport = CurlTransport()

  /// Answers the first request of each connection; on the second it acts, and closes without an answer.
  private func actingAndHangingUp() throws -> ScriptedServer {
    try ScriptedServer { connection in
      guard connection.read() != nil else { return }
      connection.answer("warm")
      _ = connection.read()
      if connection.number > 1 { connection.answer("late") }
    }
  }

  @Test(arguments: [HTTPRequest.Method.post, .patch, .put, .delete])
  func `a mutating request on a connection that dies is sent once, and lost`(_ method: HTTPRequest.Method) async throws
  {
    let server = try actingAndHangingUp()
    #expect(try await transport.send(try get(server.url("/warm"))).text == "warm")
    let error = try await failure(transport, HTTPRequest(method, try Endpoint(server.url("/act"))))
    #expect(error.code == .lost && error.mayHaveActed && error.isTransient, "\(error)")
    // The connection of a resend would be open by now, and its request would follow at once.
    usleep(100_000)
    #expect(server.requests.all.map(\.line).filter { $0.contains("/act") }.count == 1)
    #expect(server.requests.count == 2)
  }

  @Test(.enabled(if: Program.python != nil && Program.openssl != nil, "needs python3 and openssl"))
  func `a request that acted may have acted, though the next connection is no tls`() async throws {
    let acting = try await HangingUpServer()
    let server = try ScriptedServer { connection in
      // libcurl opens the second connection to replace the first, before it asks whether it may send again.
      guard connection.number == 1 else { return connection.answer("no tls") }
      connection.relay(to: acting.port)
    }
    let transport = CurlTransport(TransportConfiguration(caFile: acting.bench.authority))
    let origin = try Endpoint("https://127.0.0.1:\(server.port)/")
    _ = try await transport.send(HTTPRequest(.get, try origin.at("/warm")))
    let error = try await failure(transport, HTTPRequest(.post, try origin.at("/act")))
    #expect(error.code == .tls && error.mayHaveActed, "\(error)")
    #expect(server.connections.count == 2 && acting.acts == 1)
  }

  @Test func `with a body too`() async throws {
    let server = try actingAndHangingUp()
    #expect(try await transport.send(try get(server.url("/warm"))).text == "warm")
    let body = try secret(String(repeating: "s", count: 200_000))
    let request = HTTPRequest(.post, try Endpoint(server.url("/act")), body: .secret(body, contentType: "text/plain"))
    #expect(try await failure(transport, request).code == .lost)
    usleep(100_000)
    #expect(server.requests.count == 2)
  }

  @Test(arguments: [HTTPRequest.Method.get, .post])
  func `a request that may be repeated is, unasked`(_ method: HTTPRequest.Method) async throws {
    let server = try actingAndHangingUp()
    #expect(try await transport.send(try get(server.url("/warm"))).text == "warm")
    let look = HTTPRequest(method, try Endpoint(server.url("/look")), isMutating: false)
    #expect(try await transport.send(look).text == "warm")
    #expect(server.requests.all.map(\.line).filter { $0.contains("/look") }.count == 2)
  }

  @Test func `a connection closed while idle is noticed before sending`() async throws {
    let server = try ScriptedServer { connection in
      if connection.read() != nil { connection.answer("bye") }
    }
    for _ in 1...3 {
      let response = try await transport.send(HTTPRequest(.post, try Endpoint(server.url())))
      #expect(response.text == "bye")
      usleep(50_000)
    }
    #expect(server.requests.count == 3 && server.connections.count == 3)
  }

  @Test func `a request that needs a new connection gets one, and leaves it to the next`() async throws {
    let server = try ScriptedServer { connection in
      while connection.read() != nil { connection.answer("\(connection.number)") }
    }
    var request = HTTPRequest(.post, try Endpoint(server.url()))
    var answers: [String] = []
    for needsNew in [false, true, true, false] {
      request.needsNewConnection = needsNew
      answers.append(try await transport.send(request).text)
    }
    #expect(answers.prefix(3) == ["1", "2", "3"] && server.connections.count == 3)
  }

  @Test func `what follows a request on a new connection stays on that, and others stay off it`() async throws {
    let server = try ScriptedServer { connection in
      while connection.read() != nil { connection.answer("\(connection.number)") }
    }
    let elsewhere = try ScriptedServer { connection in
      while connection.read() != nil { connection.answer("elsewhere \(connection.number)") }
    }
    let steady = SteadyTransport(transport)
    var request = HTTPRequest(.post, try Endpoint(server.url()))
    let other = HTTPRequest(.post, try Endpoint(elsewhere.url()))
    var answers: [String] = []
    for needsNew in [false, true, false, false, true, false] {
      request.needsNewConnection = needsNew
      answers.append(try await steady.send(request).text)
      request.needsNewConnection = false
      answers.append(try await transport.send(request).text)
      _ = try await steady.send(other)
    }
    #expect(answers == ["1", "1", "2", "1", "2", "1", "2", "1", "3", "1", "3", "1"])
    #expect(server.connections.count == 3 && elsewhere.connections.count == 1)
  }

  @Test func `what follows a request on a new connection that has closed is on another new one`() async throws {
    let server = try ScriptedServer { connection in
      while connection.read() != nil {
        connection.answer("\(connection.number)")
        guard connection.number == 1 else { return }
      }
    }
    let steady = SteadyTransport(transport)
    var request = HTTPRequest(.post, try Endpoint(server.url()))
    var answers: [String] = []
    for needsNew in [false, true, false, false] {
      request.needsNewConnection = needsNew
      answers.append(try await steady.send(request).text)
      usleep(50_000)
    }
    #expect(answers == ["1", "2", "3", "4"])
  }

  @Test func `mutating requests share connections`() async throws {
    let server = try ScriptedServer { connection in
      while connection.read() != nil { connection.answer("ok") }
    }
    for _ in 1...20 { _ = try await transport.send(HTTPRequest(.post, try Endpoint(server.url()))) }
    #expect(server.requests.count == 20 && server.connections.count == 1)
  }
}
