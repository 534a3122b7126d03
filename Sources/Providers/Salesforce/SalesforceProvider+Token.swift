import OAuth
package import Rotation
package import Sodium
package import Transport
package import Vault

extension SalesforceProvider: TokenRevoker {
  package static func token(
    for pair: Pair, settings: [String: String], over transport: any HTTPTransport
  ) async throws(ProviderError) -> IssuedToken {
    IssuedToken(try await SalesforceSettings(settings).domain.token(pair, over: transport))
  }

  package static func revoke(
    _ token: SharedSecret, settings: [String: String], over transport: any HTTPTransport
  ) async throws(ProviderError) {
    try await SalesforceSettings(settings).domain.revoke(token, over: transport)
  }
}
