import Foundation
import Testing
import Transport

/// nginx with TLS and HTTP/2 on a loopback port; it echoes a request's method, path and authorization.
final class NginxServer: Sendable {
  let bench: TLSBench
  private let program: Program
  let origin: Endpoint

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
    let probe = CurlTransport(TransportConfiguration(caFile: bench.authority))
    for _ in 1...500 {
      if (try? await probe.send(HTTPRequest(.get, try origin.at("/ready")))) != nil { break }
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  /// The lines of nginx's log that name `path`.
  func log(_ path: String) throws -> [String] {
    try String(contentsOfFile: bench.path("access.log"), encoding: .utf8).split(separator: "\n").map(String.init)
      .filter { $0.contains(" \(path)") }
  }
}
