import Foundation
import Loopback
import Testing

/// glewlwyd, an OAuth server in C, with dynamic registration and its management. Debian has it.
final class GlewlwydServer: Sendable {
  static let program = ServerProcess.program("/usr/bin/glewlwyd")
  static let schema = "/usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz"
  static var isInstalled: Bool { program != nil && FileManager.default.fileExists(atPath: schema) }

  let process: ServerProcess
  var url: String { process.url }

  init() async throws {
    let program = try #require(Self.program)
    process = try ServerProcess { folder, port in
      let configuration = """
        port=\(port)
        bind_address="127.0.0.1"
        external_url="http://127.0.0.1:\(port)"
        login_url="login.html"
        api_prefix="api"
        static_files_path="\(folder.path)"
        log_mode="console"
        log_level="WARNING"
        cookie_domain=""
        cookie_secure=0
        session_expiration=86400
        session_key="SESSION"
        admin_scope="g_admin"
        profile_scope="g_profile"
        user_module_path="/usr/lib/glewlwyd/user"
        user_middleware_module_path="/usr/lib/glewlwyd/user_middleware"
        client_module_path="/usr/lib/glewlwyd/client"
        user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
        plugin_module_path="/usr/lib/glewlwyd/plugin"
        hash_algorithm="SHA512"
        database = { type = "sqlite3"; path = "\(folder.path)/db"; };
        """
      try Data(configuration.utf8).write(to: folder.appendingPathComponent("conf"))
      let prepared = "zcat \(Self.schema) | sqlite3 \(folder.path)/db && exec \(program) -c \(folder.path)/conf"
      return ["/bin/sh", "-c", prepared]
    }
    try await process.ready("/api/")
    let client = try LoopbackClient(url)
    let json = ["Content-Type": "application/json"]
    let login = try await client.send(
      "POST", "/api/auth/", body: Data(#"{"username":"admin","password":"password"}"#.utf8), headers: json)
    let cookie = try #require(login.headers["set-cookie"]?.split(separator: ";").first, "\(process.log.suffix(500))")
    let admin = json.merging(["Cookie": String(cookie)]) { $1 }
    let scope = #"{"name":"api","display_name":"api","description":"api","password_required":false,"scheme":{}}"#
    let plugin: [String: Any] = [
      "module": "oidc", "name": "oidc", "display_name": "oidc", "enabled": true,
      "parameters": [
        "iss": url, "jwt-type": "sha", "jwt-key-size": "256", "key": "0123456789abcdef0123456789abcdef",
        "code-duration": 600, "refresh-token-duration": 3600, "access-token-duration": 3600, "allow-non-oidc": true,
        "auth-type-client-enabled": true, "auth-type-code-enabled": true, "auth-type-implicit-enabled": false,
        "auth-type-password-enabled": false, "auth-type-refresh-enabled": true, "register-client-allowed": true,
        "register-client-auth-scope": [String](), "register-client-credentials-scope": ["api"],
        "register-client-management-allowed": true, "register-default-properties": [String: String](),
      ],
    ]
    let scoped = try await client.send("POST", "/api/scope/", body: Data(scope.utf8), headers: admin)
    let plugged = try await client.send(
      "POST", "/api/mod/plugin/", body: JSONSerialization.data(withJSONObject: plugin), headers: admin)
    #expect(scoped.status == 200 && plugged.status == 200)
  }

  /// Registers a new client, and returns the answer.
  func register(_ method: String) async throws -> [String: Any] {
    try await registered(
      at: url, "/api/oidc/register",
      [
        "client_name": "crm", "redirect_uris": ["https://crm.example/cb"], "token_endpoint_auth_method": method,
        "grant_types": ["client_credentials"], "response_types": ["token"],
      ])
  }
}

/// nanoidp, a small OAuth server in Python. It registers, shows and deletes clients, but does not change them.
final class NanoidpServer: Sendable {
  static let folder = ServerProcess.pythonServers.appending(path: "nanoidp")
  static let python = ServerProcess.onPath("python3")
  static var isInstalled: Bool { python != nil && FileManager.default.fileExists(atPath: folder.path + "/nanoidp") }

  let process: ServerProcess
  var url: String { process.url }

  init() async throws {
    let python = try #require(Self.python)
    process = try ServerProcess(environment: ["PYTHONPATH": Self.folder.path]) { folder, port in
      let settings = """
        config_version: 1
        server: {host: "127.0.0.1", port: \(port)}
        oauth:
          issuer: "http://127.0.0.1:\(port)"
          audience: "api"
          dynamic_registration: {enabled: true, max_clients: 1000}
          clients:
            - {client_id: "demo-client", client_secret: "demo-secret"}
        """
      try Data(settings.utf8).write(to: folder.appendingPathComponent("settings.yaml"))
      try Data("users: {}\n".utf8).write(to: folder.appendingPathComponent("users.yaml"))
      return [python, "-m", "nanoidp", "--config", folder.path, "--host", "127.0.0.1", "--port", "\(port)"]
    }
    try await process.ready("/")
  }

  func register(_ method: String) async throws -> [String: Any] {
    try await registered(
      at: url, "/register",
      [
        "client_name": "crm", "redirect_uris": ["https://crm.example/cb"], "token_endpoint_auth_method": method,
        "grant_types": ["client_credentials"],
      ])
  }
}

/// The answer of a registration endpoint.
private func registered(at url: String, _ path: String, _ metadata: [String: Any]) async throws -> [String: Any] {
  let answer = try await LoopbackClient(url).send(
    "POST", path, body: JSONSerialization.data(withJSONObject: metadata),
    headers: ["Content-Type": "application/json"])
  #expect((200..<300).contains(answer.status), "\(String(decoding: answer.body, as: UTF8.self))")
  return try #require(JSONSerialization.jsonObject(with: answer.body) as? [String: Any])
}
