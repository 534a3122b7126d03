import JSON
import OAuth
package import Rotation
import Sodium
package import Transport
package import Vault

/// The secret of an Auth0 application. Making a new one ends the old one. Anyone who may read client keys can see the
/// current one.
package struct Auth0Provider: AdministeredProvider, PrimaryReader, TokenIssuer {
  package static let descriptor = ProviderDescriptor(
    id: "auth0", summary: "Applications of an Auth0 tenant: rotate-secret of the Management API",
    settings: [
      .init("url", "the tenant's own domain and not a custom one, as in https://example.eu.auth0.com"),
      .init(
        "audience",
        "the identifier of the API that tokens are requested for, for which the application is authorized; the Management API if absent",
        isOfUse: true),
      .init("client", "the application's client identifier, as the tenant's pages show it", isRequiredToRotate: true),
    ],
    life: .init(
      [.cutOver], secretsAtOnce: 1, changesClientID: false, oldPair: "only until the new one is made",
      lostAnswer:
        "the application is read again: an administrator that may not see its secret there is refused before anything is changed"
    ),
    administrator:
      "a machine-to-machine application with the Management API's scopes read:clients, read:client_keys and update:client_keys",
    documents: [
      .init(
        "Auth0 Management API, Rotate a client secret",
        "https://auth0.com/docs/api/management/v2/clients/post-rotate-secret"),
      .init("Auth0 Management API, Get a client", "https://auth0.com/docs/api/management/v2/clients/get-clients-by-id"),
      .init(
        "Auth0, Client Credentials Flow",
        "https://auth0.com/docs/get-started/authentication-and-authorization-flow/client-credentials-flow"),
    ])

  private let tenant: Endpoint
  private let client: String
  let credentials: ClientCredentials
  let call: AdministeredCall

  package var replacement: Replacement { .cutOver }

  package static func mayAdministerItself(_ settings: [String: String]) -> Bool { false }

  package static var clientSettings: [String] { ["client"] }

  package static func check(_ settings: [String: String]) throws(ProviderError) {
    try descriptor.checkKeys(settings)
    _ = try Endpoint(serverSetting: "url", of: settings)
    _ = try pathSetting("client", of: settings)
  }

  package init(
    settings: [String: String], admin: AdminAccess, transport: any HTTPTransport
  ) throws(ProviderError) {
    try Self.check(settings)
    tenant = try Endpoint(serverSetting: "url", of: settings)
    client = try Self.descriptor.needed("client", pathSetting("client", of: settings))
    try admin.requireAnother()
    let server = try Endpoint(serverSetting: "url", of: admin.settings)
    try tenant.requireSameServer(as: server, admin.name)
    credentials = try Self.credentials(settings, tenant, settings["audience"])
    call = AdministeredCall(
      admin: admin,
      credentials: try Self.credentials(
        settings, tenant, nil, fix: "authorize the administrator's application for the Management API"),
      http: ManagementCall(transport: transport))
  }

  private static func credentials(
    _ settings: [String: String], _ tenant: Endpoint, _ audience: String?,
    fix: String = "authorize the application for that API, or set audience to the identifier of one that it may use"
  ) throws(ProviderError) -> ClientCredentials {
    let api = if let audience { audience } else { try tenant.path("/api/v2/").url }
    var credentials = ClientCredentials(
      endpoint: try tenant.path("/oauth/token"), authentication: .body, scope: nil, parameters: [("audience", api)])
    // To a wrong secret it answers 401.
    credentials.meaning = { error in
      let refusal = ProviderError(grant: error, host: tenant.host)
      guard refusal.code == .refused, refusal.status == 403 else { return nil }
      return ProviderError(
        .configuration,
        "token endpoint of \(tenant.host): the application may get no tokens for the audience \(Name.printable(api)) (HTTP 403)",
        hint: "\(fix); url must be the tenant's own domain, not a custom one", status: 403, step: .flow)
    }
    return credentials
  }

  package func observe(known: KnownPairs) async throws(ProviderError) -> Observation {
    let answer = try await call.send(
      .get, tenant.path("/api/v2/clients/\(client)?fields=client_id,client_secret&include_fields=true"))
    let node = try answer.json(mayHaveActed: false)
    guard let id = answer.secret(node["client_id"]), known.all.allSatisfy({ id.secret.isEqual(to: $0.pair.clientID) })
    else {
      throw ProviderError(
        .configuration, "this pair does not belong to the application that setting client names",
        hint: "correct setting client")
    }
    guard let secret = answer.secret(node["client_secret"]) else {
      throw ProviderError(
        .configuration,
        "the tenant does not show the application's secret to the administrator: a new secret ends the"
          + " old one, and would be lost if its answer were lost",
        hint: "give the administering application the scope read:client_keys")
    }
    return try OneSecret(consumer: client, current: secret).observation(known)
  }

  package func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    let answer = try await call.send(.post, tenant.path("/api/v2/clients/\(client)/rotate-secret"), .json("{}"))
    guard let secret = answer.secret(try answer.json(mayHaveActed: true)["client_secret"]) else {
      throw ProviderError(
        .malformed, "the answer to rotate-secret shows no secret", mayHaveActed: true, status: answer.status)
    }
    return OneSecret.made(secret, inPlaceOf: observation.primary)
  }

  package func promote(handle: String, _ observation: Observation) async throws(ProviderError) {}

  package func delete(handle: String, _ observation: Observation) async throws(ProviderError) {
    throw ProviderError(.configuration, "an application has only one secret: there is no other to delete")
  }

  package static func token(
    for pair: Pair, settings: [String: String], over transport: any HTTPTransport
  ) async throws(ProviderError) -> IssuedToken {
    try await credentials(settings, Endpoint(serverSetting: "url", of: settings), settings["audience"])
      .issue(pair, over: transport)
  }

  package func readPrimary(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    observation.primary
  }
}
