import Foundation
import Testing
import Transport

/// Answers each GET over TLS and keeps the connection; acts on a POST and closes the connection without an answer.
final class HangingUpServer: Sendable {
  let bench: TLSBench
  let port: Int
  private let program: Program

  init() async throws {
    bench = try TLSBench()
    port = try freePort()
    program = try Program(
      Program.python,
      ["-c", Self.script, "\(port)", bench.path("server.pem"), bench.path("server.key"), bench.path("acts")])
    let probe = CurlTransport(TransportConfiguration(caFile: bench.authority))
    for _ in 1...500 {
      if (try? await probe.send(HTTPRequest(.get, try Endpoint("https://127.0.0.1:\(port)/")))) != nil { break }
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  /// How often the server has acted.
  var acts: Int { (try? Data(contentsOf: URL(filePath: bench.path("acts"))).count) ?? 0 }

  private static let script = """
    import http.server, ssl, sys
    port, certificate, key, acts = sys.argv[1:]
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_GET(self):
            self.send_response(204)
            self.end_headers()
        def do_POST(self):
            with open(acts, "a") as file: file.write("x")
            self.close_connection = True
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()
    """
}
