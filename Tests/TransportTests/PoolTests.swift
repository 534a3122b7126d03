import Foundation
import Testing
import Transport

/// How requests share connections, against nginx, which offers HTTP/2 and logs every request it took.
@Suite(.enabled(if: Program.nginx != nil && Program.openssl != nil, "needs the nginx and openssl programs"))
struct PoolTests {
  private let nginx: NginxServer
  private let transport: CurlTransport
  private var origin: Endpoint { nginx.origin }

  init() async throws {
    nginx = try await NginxServer()
    transport = CurlTransport(TransportConfiguration(caFile: nginx.bench.authority))
  }

  /// Sends 200 requests at once to `path` and below; each must get its own answer.
  private func send200(_ path: String) async throws {
    let (transport, origin) = (transport, origin)
    let token = try secret("t0ken")
    try await withThrowingTaskGroup(of: (Int, String).self) { group in
      for index in 0..<200 {
        let header = HTTPRequest.SecretHeader(name: "Authorization", prefix: "Bearer ", value: token)
        let request = HTTPRequest(.post, try origin.at("\(path)/\(index)"), secretHeaders: [header])
        group.addTask { (index, try await transport.send(request).text) }
      }
      for try await (index, text) in group { #expect(text == "POST \(path)/\(index) Bearer t0ken") }
    }
  }

  /// nginx's numbers of the connections on which requests to `path` arrived.
  private func connections(_ path: String) throws -> Set<Substring> {
    Set(try nginx.log(path).compactMap { $0.split(separator: " ").last })
  }

  @Test func `1000 requests, 200 at a time, share 200 connections at most`() async throws {
    for round in 1...5 { try await send200("/round\(round)") }
    #expect(try nginx.log("/round").count == 1000)
    #expect(try connections("/round").count <= 200)
  }

  @Test func `many that need new connections over tls at once have each to themselves, and the next request on it`()
    async throws
  {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<50 {
        let steady = SteadyTransport(transport)
        let origin = origin
        group.addTask {
          for (step, needsNew) in [true, false, true, false].enumerated() {
            var request = HTTPRequest(.post, try origin.at("/steady/\(index)/\(step / 2)/"))
            request.needsNewConnection = needsNew
            #expect(try await steady.send(request).status == 200)
          }
        }
      }
      try await group.waitForAll()
    }
    var all: Set<Substring> = []
    for round in (0..<50).flatMap({ ["/steady/\($0)/0/", "/steady/\($0)/1/"] }) {
      let used = try connections(round)
      #expect(try nginx.log(round).count == 2 && used.count == 1)
      all.formUnion(used)
    }
    #expect(all.count == 100)
  }

  @Test func `http 2 is not used even where the server offers it`() async throws {
    try await send200("/item")
    let lines = try nginx.log("/item")
    #expect(lines.count == 200 && lines.allSatisfy { $0.hasPrefix("HTTP/1.1 POST ") })
  }

  @Test func `cancelling half of 200 requests over tls harms no other`() async throws {
    let transport = transport
    for round in 1...5 {
      let tasks = try (0..<200).map { index in
        let request = HTTPRequest(.get, try origin.at("/storm/\(round)/\(index)"))
        return Task { try await transport.send(request).text }
      }
      for (index, task) in tasks.enumerated() where index % 2 == 0 {
        if index % 4 == 0 { await Task.yield() }
        task.cancel()
      }
      for (index, task) in tasks.enumerated() {
        switch await task.result {
        case .success(let text): #expect(text == "GET /storm/\(round)/\(index) ")
        case .failure(let error):
          #expect(index % 2 == 0 && (error as? TransportError)?.code == .cancelled, "request \(index): \(error)")
        }
      }
    }
  }

  @Test func `a mutating request on a connection that dies is sent once, and lost`() async throws {
    let error = try await failure(transport, HTTPRequest(.post, try origin.at("/drop")))
    #expect(error.code == .lost && error.mayHaveActed, "\(error)")
    try await Task.sleep(for: .milliseconds(100))
    #expect(try nginx.log("/drop").count == 1)
  }
}
