import Foundation
import Testing
import Transport

/// Against nginx, which speaks HTTP/2 and writes down every request it took.
@Suite(.enabled(if: Program.nginx != nil && Program.openssl != nil, "needs the nginx and openssl programs"))
struct HTTP2Tests {
  private let nginx: NginxServer
  private let transport: CurlTransport
  private var origin: Endpoint { nginx.origin }

  init() async throws {
    nginx = try await NginxServer()
    transport = CurlTransport(TransportConfiguration(caFile: nginx.bench.authority))
  }

  @Test func `200 requests at once share connections`() async throws {
    let (transport, origin) = (transport, origin)
    let token = try secret("t0ken")
    try await withThrowingTaskGroup(of: (Int, String).self) { group in
      for index in 0..<200 {
        let header = HTTPRequest.SecretHeader(name: "Authorization", prefix: "Bearer ", value: token)
        let request = HTTPRequest(.post, try origin.at("/item/\(index)"), secretHeaders: [header])
        group.addTask { (index, try await transport.send(request).text) }
      }
      for try await (index, text) in group { #expect(text == "POST /item/\(index) Bearer t0ken") }
    }
    let lines = try nginx.log("/item")
    #expect(lines.count == 200 && lines.allSatisfy { $0.hasPrefix("HTTP/2.0 ") })
    // One is usual; libcurl opens more where it finds the first one full before the second is ready.
    #expect(Set(lines.map { $0.split(separator: " ").last }).count < 100)
  }

  @Test func `a mutating request on a connection that dies is sent once, and lost`() async throws {
    let error = try await failure(transport, HTTPRequest(.post, try origin.at("/drop")))
    #expect(error.code == .lost && error.mayHaveActed, "\(error)")
    try await Task.sleep(for: .milliseconds(100))
    #expect(try nginx.log("/drop").count == 1)
  }
}
