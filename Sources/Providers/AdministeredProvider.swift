import OAuth
import Rotation
import Vault

/// A provider that is driven with an administering client's token, and whose pairs are granted tokens by one endpoint.
protocol AdministeredProvider: ProviderKind, AdministratorGranter {
  /// Where the credential's own pairs are granted tokens.
  var credentials: ClientCredentials { get }
  var call: AdministeredCall { get }
}

extension AdministeredProvider {
  package func grant(_ pair: Pair, overNewConnection: Bool) async throws(ProviderError) -> GrantEvidence {
    try await credentials.grant(pair, over: call.http.transport, overNewConnection: overNewConnection)
  }

  package func grant(administrator pair: Pair) async throws(ProviderError) {
    try await call.grant(administrator: pair, besides: credentials)
  }

  package func administer(with pair: Pair) async { await call.admin.session.end() }
}
