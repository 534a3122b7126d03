import OAuth
package import Rotation
package import Transport
package import Vault

/// External Client Apps on a Cloudaware domain. The org is a Salesforce org, so its calls are those of that provider.
/// Specific to Cloudaware are the host, the scopes, and what an integration must be able to read.
package struct CloudawareProvider: SalesforceKind, PrimaryReader, AdministratorGranter {
  package static let descriptor = CloudawareSettings.descriptor

  private let settings: CloudawareSettings
  private let salesforce: SalesforceProvider
  private let transport: any HTTPTransport

  package static var clientSettings: [String] { ["app", "consumer"] }

  package static func pairPlace(_ settings: [String: String]) -> PairPlace {
    SalesforceSettings.pairPlace(settings, of: Self.self)
  }

  package static func check(_ settings: [String: String]) throws(ProviderError) { _ = try CloudawareSettings(settings) }

  package static func domain(of settings: [String: String]) throws(ProviderError) -> Endpoint {
    try CloudawareSettings(settings).domain
  }

  package init(
    settings: [String: String], admin: AdminAccess, transport: any HTTPTransport
  ) throws(ProviderError) {
    self.settings = try CloudawareSettings(settings)
    self.transport = transport
    salesforce = try SalesforceProvider(settings: self.settings.salesforce, admin: admin, transport: transport)
  }

  // MARK: - The External Client App

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

  package func grant(_ pair: Pair, overNewConnection: Bool) async throws(ProviderError) -> GrantEvidence {
    try await salesforce.grant(pair, overNewConnection: overNewConnection)
  }

  package func grant(administrator pair: Pair) async throws(ProviderError) {
    try await salesforce.grant(administrator: pair)
  }

  package func administer(with pair: Pair) async { await salesforce.administer(with: pair) }

  package func readPrimary(_ observation: Observation) async throws(ProviderError) -> ObservedPair {
    try await named { () async throws(ProviderError) in try await salesforce.readPrimary(observation) }
  }

  /// Adds to the hint who can provide what is missing: the org is Cloudaware's, and its customers do not set
  /// permissions in it.
  private func named<Answer>(_ call: () async throws(ProviderError) -> Answer) async throws(ProviderError) -> Answer {
    do { return try await call() } catch {
      guard error.code == .notPermitted || error.code == .configuration, let hint = error.hint, error.local == nil,
        error.status == 403
      else { throw error }
      throw ProviderError(
        error.code, error.description,
        hint: hint + "; Cloudaware's guides do not ask for it: ask your technical account manager",
        status: error.status,
        step: error.step)
    }
  }

  // MARK: - Specific to Cloudaware

  /// Checks a fresh grant, its scopes, and one read with its token. Nothing that was read is kept.
  package func validate(_ pair: Pair) async throws(ProviderError) -> GrantEvidence {
    let answer = try await settings.domain.token(pair, over: transport)
    let remarks = try checkScopes(answer.text("scope"))
    let probe = try await settings.read(with: answer.accessToken, over: transport)
    return GrantEvidence(answer, under: pair, probe: probe, remarks: remarks)
  }

  /// Throws `configuration` if a required scope is missing. What cannot be determined becomes a remark.
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
    // The guide asks for this scope. This grant gives no refresh token, and is reported to leave the scope out.
    guard scopes.isDisjoint(with: ["refresh_token", "offline_access", "full"]) else { return [] }
    return [
      "the token of \(host) does not name the scope refresh_token, which the guide asks for; client credentials need none,"
        + " and the org may leave it out: see \(place)"
    ]
  }
}
