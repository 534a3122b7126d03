import OAuth
package import Rotation
import Sodium
package import Transport
package import Vault

/// External Client Apps on a Cloudaware domain. The org is Salesforce's, and so are its calls: they are that provider's.
/// What is Cloudaware's is which host, which scopes, and what an integration must be able to read.
package struct CloudawareProvider: ProviderKind, PrimaryReader {
  package static let descriptor = CloudawareSettings.descriptor

  private let settings: CloudawareSettings
  private let salesforce: SalesforceProvider
  private let transport: any HTTPTransport

  package static func check(_ settings: [String: String]) throws(ProviderError) { _ = try CloudawareSettings(settings) }

  package init(
    settings: [String: String], admin: AdminAccess, transport: any HTTPTransport
  ) throws(ProviderError) {
    self.settings = try CloudawareSettings(settings)
    self.transport = transport
    salesforce = try SalesforceProvider(settings: self.settings.salesforce, admin: admin, transport: transport)
  }

  // MARK: - An External Client App's

  package func observe(known: KnownPairs) async throws(ProviderError) -> Observation {
    try await named { () async throws(ProviderError) in try await salesforce.observe(known: known) }
  }

  package func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    try await named { () async throws(ProviderError) in try await salesforce.stage(observation) }
  }

  package func promote(handle: String, _ observation: Observation) async throws(ProviderError) {
    try await named { () async throws(ProviderError) in try await salesforce.promote(handle: handle, observation) }
  }

  package func delete(handle: String, _ observation: Observation) async throws(ProviderError) {
    try await salesforce.delete(handle: handle, observation)
  }

  package func grant(_ pair: Pair) async throws(ProviderError) -> GrantEvidence { try await salesforce.grant(pair) }

  package func administer(with pair: Pair) async { await salesforce.administer(with: pair) }

  package func readPrimary(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    try await named { () async throws(ProviderError) in try await salesforce.readPrimary(observation) }
  }

  /// Who can give what is missing: the org is Cloudaware's, and its customers do not set permissions in it.
  private func named<Answer>(_ call: () async throws(ProviderError) -> Answer) async throws(ProviderError) -> Answer {
    do { return try await call() } catch {
      guard error.code == .notPermitted || error.code == .configuration, let hint = error.hint, error.local == nil,
        error.status == 403
      else { throw error }
      throw ProviderError(
        error.code, error.description,
        hint: hint + "; Cloudaware's guides do not ask for it: ask your technical account manager", status: error.status
      )
    }
  }

  // MARK: - Cloudaware's

  /// A fresh grant, its scopes, and one read with its token. Of what is read nothing is kept.
  package func validate(_ pair: Pair) async throws(ProviderError) -> GrantEvidence {
    let answer = try await settings.domain.token(pair, over: transport)
    let remarks = try checkScopes(answer.text("scope"))
    var probe: Int?
    if let object = settings.probe { probe = try await read(object, answer.accessToken) }
    return GrantEvidence(answer, under: pair, probe: probe, remarks: remarks)
  }

  /// Throws `configuration` if a scope is missing that no call could do without; what cannot be told is a remark.
  private func checkScopes(_ text: String?) throws(ProviderError) -> [String] {
    let host = settings.domain.host
    let place = "External Client App Manager, the app, Settings, OAuth Settings: select it under OAuth Scopes"
    guard let text else { return ["\(host) does not name the scopes of its token: check that the app has api"] }
    let scopes = Set(text.split(separator: " ").map { $0.lowercased() })
    func require(_ scope: String) throws(ProviderError) {
      guard !scopes.contains(scope), !scopes.contains("full") else { return }
      throw ProviderError(.configuration, "the token of \(host) lacks the scope \(scope)", hint: place)
    }
    try require("api")
    if settings.usesAnalytics { try require("wave_api") }
    // The guide asks for it. This grant gives no refresh token, and is reported to leave the scope out.
    guard scopes.isDisjoint(with: ["refresh_token", "offline_access", "full"]) else { return [] }
    return [
      "the token of \(host) does not name the scope refresh_token, which the guide asks for; client credentials need none,"
        + " and the org may leave it out: see \(place)"
    ]
  }

  /// `GET …/query?q=SELECT Id FROM object LIMIT 1`: at most one identifier is sent, and not looked at. Returns the status.
  private func read(_ object: String, _ token: SharedSecret) async throws(ProviderError) -> Int {
    let domain = settings.domain
    let path = "/services/data/v\(settings.apiVersion)/query?q=SELECT+Id+FROM+\(object)+LIMIT+1"
    let response: HTTPResponse
    do {
      response = try await transport.send(
        HTTPRequest(
          .get, domain.at(path), headers: [("Accept", "application/json")],
          secretHeaders: [.init(name: "Authorization", prefix: "Bearer ", value: token)]))
    } catch {
      throw ProviderError(error)
    }
    let status = response.status
    let (code, _) = SalesforceClient.words(of: response)
    let attempt = "\(domain.host): reading \(object) with the new token"
    let missing =
      "give the Run As user of the app Read on \(object) (profile or permission set), and on its namespace's package"
    switch status {
    case 200..<300: return status
    case 401:
      throw ProviderError(
        .notPermitted, "\(attempt) is refused: the token is not accepted (HTTP 401)",
        hint: "give the app the scope api, and its Run As user the permission API Enabled", status: status)
    case 403 where code == "REQUEST_LIMIT_EXCEEDED", 429:
      throw ProviderError(
        .limited, "\(attempt): too many requests", status: status, retryAfter: response.retryAfter)
    case 403 where code.hasPrefix("API_"):
      throw ProviderError(
        .notPermitted, "\(attempt) is refused: the user may not use the API (HTTP 403)",
        hint: "give the Run As user of the app the permission API Enabled", status: status)
    case 400 where code == "INVALID_TYPE", 403:
      throw ProviderError(
        .notPermitted, "\(attempt) is refused: the Run As user cannot see that object (HTTP \(status))",
        hint: "\(missing); or correct setting probe if the object has another name", status: status)
    case 500...:
      throw ProviderError(
        .unreachable, "\(attempt): in trouble or under maintenance (HTTP \(status))", status: status,
        retryAfter: response.retryAfter)
    default:
      throw ProviderError(
        .configuration, "\(attempt) is answered with HTTP \(status)",
        hint: "check setting probe: an object's API name, as in CA10__CaAwsInstance__c", status: status)
    }
  }
}
