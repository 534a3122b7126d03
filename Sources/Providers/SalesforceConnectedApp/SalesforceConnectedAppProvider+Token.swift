package import Rotation
package import Transport
package import Vault

extension SalesforceConnectedAppProvider: TokenIssuer {
  package static func token(
    for pair: Pair, settings: [String: String], over transport: any HTTPTransport
  ) async throws(ProviderError) -> IssuedToken {
    IssuedToken(try await SalesforceConnectedAppSettings(settings).domain.token(pair, over: transport))
  }
}
