package import Rotation
package import Sodium
package import Transport
package import Vault

/// A kind of provider whose pairs get tokens from a Salesforce org, however they are rotated: the org at the My Domain
/// in their settings.
package protocol SalesforceKind: TokenRevoker, ServerComparer {
  /// The My Domain that `settings` name. Fails with `ProviderError.configuration` if they cannot work.
  static func domain(of settings: [String: String]) throws(ProviderError) -> Endpoint
}

extension SalesforceKind {
  package static func publicPage(_ settings: [String: String]) throws(ProviderError) -> Endpoint? {
    try domain(of: settings)
  }

  package static func requireSameServer(
    _ settings: [String: String], as admin: [String: String], of name: String
  ) throws(ProviderError) {
    try domain(of: settings).requireSameServer(as: SalesforceSettings.domain(of: admin), name)
  }

  package static func token(
    for pair: Pair, settings: [String: String], over transport: any HTTPTransport
  ) async throws(ProviderError) -> IssuedToken {
    IssuedToken(try await domain(of: settings).token(pair, over: transport))
  }

  package static func revoke(
    _ token: SharedSecret, settings: [String: String], over transport: any HTTPTransport
  ) async throws(ProviderError) {
    try await domain(of: settings).revoke(token, over: transport)
  }
}

/// A provider of one credential of that kind, whose pairs are tried at the token endpoint of its org.
protocol SalesforceGranter: SalesforceKind, AdministratorGranter {
  var domain: Endpoint { get }
  var admin: AdminAccess { get }
  var transport: any HTTPTransport { get }
}

extension SalesforceGranter {
  package func grant(_ pair: Pair, overNewConnection: Bool) async throws(ProviderError) -> GrantEvidence {
    GrantEvidence(try await domain.token(pair, over: transport, overNewConnection: overNewConnection), under: pair)
  }

  package func grant(administrator pair: Pair) async throws(ProviderError) {
    let adminDomain = try SalesforceSettings.domain(of: admin.settings)
    try domain.requireSameServer(as: adminDomain, admin.name)
    _ = try await adminDomain.token(pair, over: transport)
  }
}
