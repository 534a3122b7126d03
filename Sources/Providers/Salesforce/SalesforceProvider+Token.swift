import OAuth
package import Rotation
import Sodium
package import Transport
package import Vault

extension SalesforceProvider: TokenIssuer {
  package static func token(
    for pair: Pair, settings: [String: String], over transport: any HTTPTransport
  ) async throws(ProviderError) -> IssuedToken {
    IssuedToken(try await token(for: pair, at: SalesforceSettings(settings).domain, over: transport))
  }

  /// A fresh answer of the token endpoint of `domain`.
  static func token(
    for pair: Pair, at domain: Endpoint, over transport: any HTTPTransport
  ) async throws(ProviderError) -> TokenAnswer {
    do {
      let request = try TokenRequest(clientID: pair.clientID, clientSecret: pair.clientSecret, by: .body)
      return try await TokenEndpoint(domain.at(tokenPath), over: transport).grant(request)
    } catch let error as OAuthError {
      throw ProviderError(error, host: domain.host)
    } catch {
      throw ProviderError(.malformed, "the token request could not be made")
    }
  }
}
