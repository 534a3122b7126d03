import JSON
import OAuth
package import Rotation
package import Sodium
package import Transport
package import Vault

/// A kind of provider whose pairs are granted bearer tokens that may be given to somebody else.
package protocol TokenIssuer: ProviderKind {
  /// Throws `configuration` if a credential with `settings` has no token endpoint. Sends no request.
  static func requireTokens(_ settings: [String: String]) throws(ProviderError)

  /// A fresh token for `pair`. `settings` are those of its credential, which need not be rotated by Relatch.
  static func token(
    for pair: Pair, settings: [String: String], over transport: any HTTPTransport
  ) async throws(ProviderError) -> IssuedToken
}

extension TokenIssuer {
  package static func requireTokens(_ settings: [String: String]) throws(ProviderError) {
    let key = "token-url"
    guard settings[key] == nil, descriptor.settings.contains(where: { $0.key == key }) else { return }
    throw ProviderError(
      .configuration, "setting \(key) is missing: \(descriptor.id) gives out no tokens without it",
      hint: "set it: `relatch settings NAME \(key)=https://…`", step: .settings)
  }

  /// Whether tokens can be requested for a credential with `settings`.
  package static func givesTokens(_ settings: [String: String]) -> Bool {
    do { try requireTokens(settings) } catch { return false }
    return true
  }
}

/// A kind that can end such a token before it expires.
package protocol TokenRevoker: TokenIssuer {
  /// Ends `token`, whose credential has `settings`. Succeeds also if it has already ended.
  static func revoke(
    _ token: SharedSecret, settings: [String: String], over transport: any HTTPTransport
  ) async throws(ProviderError)
}

extension ClientCredentials {
  /// A fresh token for `pair` that may be released.
  func issue(_ pair: Pair, over transport: any HTTPTransport) async throws(ProviderError) -> IssuedToken {
    IssuedToken(try await token(pair, over: transport))
  }
}

/// A token that may be released.
package struct IssuedToken: Sendable {
  package let token: SharedSecret
  /// How long it is valid; nil if the provider does not say, or says more than a year.
  package let lifetime: Duration?

  init(_ answer: TokenAnswer) {
    token = answer.accessToken
    // RFC 6749 §5.1: recommended, and in seconds.
    let seconds: Int? = answer.body.secret.withBytes { bytes in
      guard let node = answer.members["expires_in"], case .integer(let seconds)? = try? JSONValue(node, in: bytes)
      else {
        return nil
      }
      return seconds
    }
    lifetime = seconds.flatMap { (0...31_536_000).contains($0) ? .seconds($0) : nil }
  }
}
