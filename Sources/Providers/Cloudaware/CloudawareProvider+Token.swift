package import Rotation
package import Transport
package import Vault

extension CloudawareProvider: TokenIssuer {
  package static func token(
    for pair: Pair, settings: [String: String], over transport: any HTTPTransport
  ) async throws(ProviderError) -> IssuedToken {
    IssuedToken(try await CloudawareSettings(settings).domain.token(pair, over: transport))
  }
}
