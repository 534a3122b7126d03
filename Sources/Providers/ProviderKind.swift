package import Rotation
package import Transport
import Vault

/// A kind of provider that Relatch knows: what it is, how its settings are checked, and how one is made for a run.
package protocol ProviderKind: CredentialProvider {
  static var descriptor: ProviderDescriptor { get }

  /// Fails with `ProviderError.configuration` unless `settings` could work. Asks nobody.
  static func check(_ settings: [String: String]) throws(ProviderError)

  /// Whether a credential with `settings` may be the one that administers itself. Asks nobody.
  static func mayAdministerItself(_ settings: [String: String]) -> Bool

  /// What becomes of the old pair by `settings`, whoever administers; nil if they do not say. Asks nobody.
  static func replacement(by settings: [String: String]) -> Replacement?

  /// Fails with `configuration` where a run would refuse, before anything is asked, to show the token of the administrator `name`, who
  /// has `admin`, to the server of `settings`. Asks nobody.
  static func requireSameServer(
    _ settings: [String: String], as admin: [String: String], of name: String) throws(ProviderError)

  /// Looks at each step of the guide of `subject`, a credential of this kind. Asks for nothing that changes anything, and fails
  /// with nothing: what cannot be looked at is a line that cannot be told.
  static func examine(_ subject: ChecklistSubject) async -> Checklist

  /// A page of the server that it shows to everybody, to see whether it is reached; nil if there is none that is known.
  static func openPage(_ settings: [String: String]) throws(ProviderError) -> Endpoint?

  /// Steps that only this kind has, and what is told of each once the provider has shown what it has.
  static var ownSteps: [(step: ChecklistStep, done: String)] { get }

  /// This kind's own words for what mends a step, where they are better than those of the errors that tell it.
  static var mends: [ChecklistStep: String] { get }

  /// A provider for one run of one credential. Fails like `check`, and if a setting that rotation needs is missing.
  init(settings: [String: String], admin: AdminAccess, transport: any HTTPTransport) throws(ProviderError)
}

/// Settings that say how a pair is used, proved or asked for: whatever they are, it is the same pair.
private let settingsOfUse: Set<String> = [
  "analytics", "api-version", "audience", "authentication", "client-url", "consumer", "keeps-token", "login-url",
  "mode", "probe", "replacement", "scope", "time-limit", "token-url",
]

extension ProviderKind {
  package static var placeSettings: Set<String> { Set(descriptor.settings.map(\.key)).subtracting(settingsOfUse) }
  package var placeSettings: Set<String>? { Self.placeSettings }

  package static func mayAdministerItself(_ settings: [String: String]) -> Bool { true }

  /// Most say so as they are made.
  package static func requireSameServer(
    _ settings: [String: String], as admin: [String: String], of name: String
  ) throws(ProviderError) {}

  package static func replacement(by settings: [String: String]) -> Replacement? {
    let replacements = descriptor.life.replacements
    return replacements.count == 1 ? replacements.first : nil
  }
}

/// The registry: one array.
package let providerKinds: [any ProviderKind.Type] = [
  SalesforceProvider.self, CloudawareProvider.self, SalesforceConnectedAppProvider.self, OAuthRegistrationProvider.self,
  OpenBaoAppRoleProvider.self, KeycloakProvider.self, Auth0Provider.self, EntraProvider.self, OktaProvider.self,
  CommandProvider.self,
]

/// The kind `id`. Throws `ProviderError.configuration` naming those there are.
package func providerKind(_ id: String) throws(ProviderError) -> any ProviderKind.Type {
  guard let kind = providerKinds.first(where: { $0.descriptor.id == id }) else {
    let known = providerKinds.map { $0.descriptor.id }.joined(separator: ", ")
    throw ProviderError(
      .configuration, "there is no provider \(Name.printable(id))", hint: "the providers are \(known)")
  }
  return kind
}
