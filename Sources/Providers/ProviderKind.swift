package import Rotation
package import Transport
package import Vault

/// A kind of provider that Relatch knows: what it is, how its settings are checked, and how a provider is made for a
/// run.
package protocol ProviderKind: CredentialProvider {
  static var descriptor: ProviderDescriptor { get }

  /// Fails with `ProviderError.configuration` unless `settings` could work. Sends no request.
  static func check(_ settings: [String: String]) throws(ProviderError)

  /// Whether a credential with `settings` may administer itself. Sends no request.
  static func mayAdministerItself(_ settings: [String: String]) -> Bool

  /// What `settings` say happens to the old pair, for any administrator; nil if they do not say. Sends no request.
  static func replacement(by settings: [String: String]) -> Replacement?

  /// Whether a run may see and end pairs of other credentials in the same place (`placeSettings`).
  static var sharesPlaces: Bool { get }

  /// The settings that name the client at its server, the one that says most first.
  static var clientSettings: [String] { get }

  /// What those of them that are absent stand for; nothing for a setting that is then left open.
  static var clientDefaults: [String: String] { get }

  /// Where a pair with `settings` is accepted, as far as they say: the same pair there is one pair, whatever its kind.
  static func pairPlace(_ settings: [String: String]) -> PairPlace

  /// Examines each step of the guide for `subject`, a credential of this kind. Sends no request that changes anything,
  /// and never fails: a step that cannot be examined becomes a line that says so.
  static func examine(_ subject: ChecklistSubject) async -> Checklist

  /// A page that the server shows to everybody, for checking whether it can be reached; nil if none is known.
  static func publicPage(_ settings: [String: String]) throws(ProviderError) -> Endpoint?

  /// Steps that only this kind has, and what the checklist says of each once the provider could be observed.
  static var ownSteps: [(step: ChecklistStep, done: String)] { get }

  /// This kind's own advice on how to fix a step, for steps where it is better than the errors' own.
  static var fixes: [ChecklistStep: String] { get }

  /// A provider for one run of one credential. Fails like `check`, and also if a setting that rotation needs is missing,
  /// or if the administrator is on another server (but see `ServerComparer`).
  init(settings: [String: String], admin: AdminAccess, transport: any HTTPTransport) throws(ProviderError)
}

/// A kind whose initializer accepts an administrator on another server, because it does much without one: what shows the
/// administrator's token compares the servers first.
package protocol ServerComparer: ProviderKind {
  /// Fails with `configuration` if the administrator `name`, whose settings are `admin`, is on another server than the
  /// one of `settings`. Sends no request.
  static func requireSameServer(
    _ settings: [String: String], as admin: [String: String], of name: String) throws(ProviderError)
}

/// Settings that name where a pair is tried, if that is not where it is made.
private let tokenEndpointSettings: Set<String> = ["login-url", "token-url"]

/// Settings that name a server where a pair is accepted.
private let serverSettings = ["login-url", "registration-url", "token-url", "url"]

extension ProviderKind {
  /// Whether a pair that was made with the settings of `former` may be unknown where those of `present` try it. Naming
  /// a place or a token endpoint for the first time moves nothing.
  package static func moves(_ former: Credential, to present: Credential) -> Bool {
    var former = former
    // Another path of a program is mostly another version of it.
    let places = placeSettings.union(tokenEndpointSettings).subtracting(["program"])
    let named = descriptor.canRotate(former.settings) ? tokenEndpointSettings : places
    for key in named where former.settings[key] == nil { former.settings[key] = present.settings[key] }
    return former.place(by: places) != present.place(by: places)
  }

  package static var placeSettings: Set<String> { Set(descriptor.settings.filter { !$0.isOfUse }.map(\.key)) }
  package var placeSettings: Set<String>? { Self.placeSettings }
  package static var sharesPlaces: Bool { true }

  package static var clientDefaults: [String: String] { [:] }

  package static func pairPlace(_ settings: [String: String]) -> PairPlace {
    pairPlace(settings, servers: serverSettings.compactMap { settings[$0] }, family: descriptor.id)
  }

  /// The same with other `servers`, of which those that are no addresses are kept as they are.
  /// `namesClient` is false if several clients may have the same settings.
  static func pairPlace(
    _ settings: [String: String], servers: [String], family: String, namesClient: Bool = true
  ) -> PairPlace {
    let isRotated = descriptor.canRotate(settings)
    let client = clientSettings.map { settings[$0] ?? clientDefaults[$0] }.prefix { $0 != nil }.compactMap(\.self)
    return PairPlace(
      servers: servers.map { (try? Endpoint($0))?.host ?? $0 }, family: family,
      client: Array(client), isWhole: namesClient && client.count == clientSettings.count, isRotated: isRotated,
      isCrowded: isRotated && !sharesPlaces)
  }

  package static func mayAdministerItself(_ settings: [String: String]) -> Bool { true }

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

/// The kind called `id`. Throws `ProviderError.configuration`, which names the kinds that exist.
package func providerKind(_ id: String) throws(ProviderError) -> any ProviderKind.Type {
  guard let kind = providerKinds.first(where: { $0.descriptor.id == id }) else {
    let known = providerKinds.map { $0.descriptor.id }.joined(separator: ", ")
    throw ProviderError(
      .configuration, "there is no provider \(Name.printable(id))", hint: "name one of \(known)")
  }
  return kind
}
