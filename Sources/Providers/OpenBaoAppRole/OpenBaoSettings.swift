import OAuth
import Rotation
import Transport
import Vault

/// The checked settings of one AppRole.
struct OpenBaoSettings: Sendable {
  let server: Endpoint
  /// Where the AppRole method is mounted.
  let mount: String
  /// Nil for a credential that is only used.
  let role: String?
  let namespace: String?

  static let descriptor = ProviderDescriptor(
    id: "openbao-approle",
    summary: "Secret-ids of an AppRole of OpenBao, or of Vault",
    settings: [
      .init("url", "the server, as in https://bao.example:8200"),
      .init("role", "the role's name", isRequiredToRotate: true),
      .init("mount", "where the AppRole method is mounted; approle if absent"),
      .init("namespace", "the namespace, where there are several"),
    ],
    life: .init(
      [.overlap], secretsAtOnce: nil, changesClientID: false,
      oldPair: "until it is destroyed or its time to live is over",
      lostAnswer:
        "a secret-id is marked with the credential's identifier when it is made: one whose answer was lost is found by that mark and destroyed, and another is made"
    ),
    administrator:
      "another AppRole, or itself, whose policy lets it update secret-id, secret-id/lookup, secret-id-accessor/lookup and secret-id-accessor/destroy below the role, and list its secret-ids",
    documents: [
      .init("OpenBao API, AppRole", "https://openbao.org/api-docs/auth/approle/"),
      .init("OpenBao, AppRole auth method", "https://openbao.org/docs/auth/approle/"),
    ])

  init(_ settings: [String: String]) throws(ProviderError) {
    try Self.descriptor.checkKeys(settings)
    server = try Endpoint(setting: "url", of: settings)
    guard server.url.hasSuffix("://\(server.host)") || server.url.hasSuffix("://\(server.host)/") else {
      throw ProviderError(.configuration, "setting url has a path, expected only the server")
    }
    mount = try Self.path(settings["mount"] ?? "approle", "mount")
    role = try settings["role"].map { text throws(ProviderError) in try Self.path(text, "role") }
    namespace = try settings["namespace"].map { text throws(ProviderError) in try Self.path(text, "namespace") }
  }

  /// Checks a setting that becomes part of a path or of a header.
  private static func path(_ text: String, _ key: String) throws(ProviderError) -> String {
    do { try Name.check(text, "setting \(key)") } catch {
      throw ProviderError(.configuration, "\(error)")
    }
    return text
  }

  func endpoint(_ path: String) throws(ProviderError) -> Endpoint {
    do { return try server.at("/v1/auth/\(mount)/\(path)") } catch { throw ProviderError(error) }
  }

  var headers: [(name: String, value: String)] { namespace.map { [("X-Vault-Namespace", $0)] } ?? [] }
}
