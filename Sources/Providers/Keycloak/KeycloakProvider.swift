import JSON
import OAuth
package import Rotation
import Sodium
package import Transport
package import Vault

/// The secret of a Keycloak client, which is replaced by a new one. If the realm has the secret rotation policy, the
/// old one continues as the rotated secret for the time that the policy sets. Otherwise it is refused from the next
/// request on.
package struct KeycloakProvider: AdministeredProvider, PrimaryReader, TokenIssuer {
  package static let descriptor = ProviderDescriptor(
    id: "keycloak", summary: "Confidential clients of a Keycloak realm: client-secret of the Admin REST API",
    settings: [
      .init("url", "the server, as in https://sso.example"),
      .init("realm", "the realm's name"),
      .init(
        "client", "the client's own identifier in the realm, a UUID: not its client_id", isRequiredToRotate: true),
      .init("base-path", "what is before /realms and /admin, such as /auth on older servers; nothing if absent"),
      ClientCredentials.scopeSetting,
    ],
    life: .init(
      [.cutOver], secretsAtOnce: 2, changesClientID: false,
      oldPair:
        "until it is deleted, or the time that the realm's secret rotation policy gives it is over; without that policy, only until the new one is made",
      lostAnswer: "the client's secret is read again, and so is the rotated one"),
    administrator: "a client of the same realm whose service account has the role manage-clients of realm-management",
    documents: [
      .init(
        "Keycloak Admin REST API, Clients", "https://www.keycloak.org/docs-api/latest/rest-api/index.html#_clients"),
      .init(
        "Keycloak Server Administration, Client secret rotation",
        "https://www.keycloak.org/docs/latest/server_admin/index.html#_secret_rotation"),
    ])

  private let server: Endpoint
  private let secretPath: String
  let credentials: ClientCredentials
  let call: AdministeredCall

  package var replacement: Replacement { .cutOver }

  package static func mayAdministerItself(_ settings: [String: String]) -> Bool { false }

  package static var clientSettings: [String] { ["realm", "client", "base-path"] }
  package static var clientDefaults: [String: String] { ["base-path": ""] }

  package static func check(_ settings: [String: String]) throws(ProviderError) {
    try descriptor.checkKeys(settings)
    _ = try place(settings)
    _ = try pathSetting("client", of: settings)
  }

  /// The server, the path before `/realms`, and the realm.
  private static func place(
    _ settings: [String: String]
  ) throws(ProviderError) -> (server: Endpoint, base: String, realm: String) {
    let server = try Endpoint(serverSetting: "url", of: settings)
    guard let realm = try pathSetting("realm", of: settings) else {
      throw ProviderError(.configuration, "setting realm is missing", hint: "give it: realm=…")
    }
    let base = settings["base-path"] ?? ""
    guard base.isEmpty || base.hasPrefix("/") && !base.hasSuffix("/") else {
      throw ProviderError(.configuration, "setting base-path: expected the form /auth")
    }
    _ = try server.path("\(base)/realms")
    return (server, base, realm)
  }

  package init(
    settings: [String: String], admin: AdminAccess, transport: any HTTPTransport
  ) throws(ProviderError) {
    try Self.check(settings)
    let place = try Self.place(settings)
    let client = try Self.descriptor.needed("client", pathSetting("client", of: settings))
    server = place.server
    secretPath = "\(place.base)/admin/realms/\(place.realm)/clients/\(client)/client-secret"
    credentials = try Self.credentials(settings)
    // With a rotation policy the old secret continues, but whether the realm has one cannot be seen beforehand.
    try admin.requireAnother()
    try server.requireSameServer(as: Self.place(admin.settings).server, admin.name)
    call = AdministeredCall(
      admin: admin, credentials: try Self.credentials(admin.settings), http: ManagementCall(transport: transport))
  }

  private static func credentials(_ settings: [String: String]) throws(ProviderError) -> ClientCredentials {
    let place = try place(settings)
    return ClientCredentials(
      endpoint: try place.server.path("\(place.base)/realms/\(place.realm)/protocol/openid-connect/token"),
      authentication: .body, scope: settings["scope"])
  }

  package func observe(known: KnownPairs) async throws(ProviderError) -> Observation {
    let answer = try await call.send(.get, server.path(secretPath))
    guard let secret = answer.secret(try answer.json(mayHaveActed: false)["value"]) else {
      throw ProviderError(
        .configuration, "the realm does not show the client's secret to the administrator",
        hint: "make the client confidential, and give the administrator the role manage-clients")
    }
    var one = OneSecret(consumer: server.host, current: secret)
    do {
      let rotated = try await call.send(.get, server.path("\(secretPath)/rotated"))
      if rotated.status != 204, let value = rotated.secret(try rotated.json(mayHaveActed: false)["value"]) {
        one.replaced = (value, "rotated", nil)
      }
    } catch  where error.code == .notFound || error.status == 400 {
      // There is no rotated secret, or the server does not rotate secrets.
    }
    return try one.observation(known)
  }

  package func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    let answer = try await call.send(.post, server.path(secretPath), .json("{}"))
    guard let secret = answer.secret(try answer.json(mayHaveActed: true)["value"]) else {
      throw ProviderError(
        .malformed, "the answer to making a secret shows no secret", mayHaveActed: true, status: answer.status)
    }
    return OneSecret.made(secret, inPlaceOf: observation.primary)
  }

  package func promote(handle: String, _ observation: Observation) async throws(ProviderError) {}

  package func delete(handle: String, _ observation: Observation) async throws(ProviderError) {
    guard handle == "rotated", let seen = observation.others.first(where: { $0.handle == handle })?.clientSecret else {
      throw ProviderError(.configuration, "only the rotated secret can be deleted")
    }
    // `rotated` names a slot: a rotation by somebody else may have put another secret there, perhaps the active one.
    let answer = try await call.send(.get, server.path("\(secretPath)/rotated"))
    guard let rotated = answer.secret(try answer.json(mayHaveActed: false)["value"]),
      rotated.secret.isEqual(to: seen.secret)
    else {
      throw ProviderError(.notFound, "the rotated secret is not the one that was seen a moment ago: nothing is deleted")
    }
    _ = try await call.send(.delete, server.path("\(secretPath)/rotated"))
  }

  package static func token(
    for pair: Pair, settings: [String: String], over transport: any HTTPTransport
  ) async throws(ProviderError) -> IssuedToken {
    try await credentials(settings).issue(pair, over: transport)
  }

  package func readPrimary(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    observation.primary
  }
}
