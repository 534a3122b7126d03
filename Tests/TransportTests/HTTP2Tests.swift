import Foundation
import Testing
import Transport

/// Against nginx, which speaks HTTP/2 and writes down every request it took.
@Suite(.enabled(if: Program.nginx != nil && Program.openssl != nil, "needs the nginx and openssl programs"))
struct HTTP2Tests {
  private let bench: TLSBench
  private let program: Program
  private let origin: Endpoint
  private let transport: CurlTransport

  init() async throws {
    bench = try TLSBench()
    let port = try freePort()
    let configuration = """
      daemon off; master_process off; pid \(bench.path("pid")); error_log \(bench.path("error.log"));
      events { worker_connections 1024; }
      http {
        log_format one '$server_protocol $request_method $uri $connection'; access_log \(bench.path("access.log")) one;
        client_body_temp_path \(bench.path("body")); proxy_temp_path \(bench.path("proxy"));
        fastcgi_temp_path \(bench.path("fastcgi")); uwsgi_temp_path \(bench.path("uwsgi"));
        scgi_temp_path \(bench.path("scgi")); keepalive_requests 1000;
        server {
          listen 127.0.0.1:\(port) ssl http2;
          ssl_certificate \(bench.path("server.pem")); ssl_certificate_key \(bench.path("server.key"));
          location / { return 200 "$request_method $uri $http_authorization"; }
          location /drop { return 444; }
        }
      }
      """
    try Data(configuration.utf8).write(to: bench.directory.appendingPathComponent("nginx.conf"))
    program = try Program(Program.nginx, ["-p", bench.directory.path, "-c", bench.path("nginx.conf")])
    origin = try Endpoint("https://127.0.0.1:\(port)/")
    transport = CurlTransport(TransportConfiguration(caFile: bench.authority))
    for _ in 1...500 {
      if (try? await transport.send(HTTPRequest(.get, try origin.at("/ready")))) != nil { break }
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  /// The lines of nginx's log that name `path`.
  private func log(_ path: String) throws -> [String] {
    try String(contentsOfFile: bench.path("access.log"), encoding: .utf8).split(separator: "\n").map(String.init)
      .filter { $0.contains(" \(path)") }
  }

  @Test func `200 requests at once share one connection`() async throws {
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
    let lines = try log("/item")
    #expect(lines.count == 200 && lines.allSatisfy { $0.hasPrefix("HTTP/2.0 ") })
    #expect(Set(lines.map { $0.split(separator: " ").last }).count == 1)
  }

  @Test func `a mutating request on a connection that dies is sent once, and lost`() async throws {
    let error = try await failure(transport, HTTPRequest(.post, try origin.at("/drop")))
    #expect(error.code == .lost && error.mayHaveActed, "\(error)")
    try await Task.sleep(for: .milliseconds(100))
    #expect(try log("/drop").count == 1)
  }
}
