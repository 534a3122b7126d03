import OAuth
import Rotation

extension ProviderError {
  /// Classifies a token endpoint's failure by RFC 6749 §5.2, and by the answers of servers that do not follow it: to a
  /// wrong secret they answer 400, 401, 403 or 404, with an error or an empty body. So one refusal by itself proves
  /// nothing. It proves something if another pair is accepted at the same place at the same time.
  init(grant error: OAuthError, host: String) {
    switch error.code {
    case .transport:
      guard let transport = error.transport else { fallthrough }
      self.init(transport)
    case .malformed:
      self.init(
        .malformed, "token endpoint of \(host): \(error)",
        hint: "\(Self.addressHint); something between here and the server may be answering instead",
        status: error.status, step: .settings)
    case .answered:
      let status = error.status ?? 0
      let (code, step, meaning, hint) = Self.meaning(of: error.error, status: status)
      let word = error.error.map { Self.standard.contains($0) ? " \($0)" : "" } ?? ""
      self.init(
        code, "token endpoint of \(host): \(meaning) (HTTP \(status)\(word))", hint: hint, status: status,
        retryAfter: error.retryAfter, step: step)
    }
  }

  private static let addressHint = "check the settings that form the address of the token endpoint: `relatch show NAME`"

  /// The error codes that RFC 6749 and RFC 9449 define. No other is printed: an echoed secret could look like any word.
  private static let standard: Set<String> = [
    "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
    "invalid_scope", "access_denied", "server_error", "temporarily_unavailable", "invalid_dpop_proof", "use_dpop_nonce",
  ]

  private static func meaning(of error: String?, status: Int) -> (Code, ChecklistStep, String, hint: String?) {
    if status == 429 { return (.limited, .limits, "too many requests", nil) }
    if status >= 500 || ["server_error", "temporarily_unavailable"].contains(error) {
      return (.unreachable, .host, "in trouble", nil)
    }
    switch error {
    case "invalid_client", "invalid_grant": return (.refused, .pair, "the pair is refused", nil)
    case "unsupported_grant_type":
      return (.configuration, .flow, "it does not grant client credentials", "enable that grant at the server")
    case "invalid_scope":
      return (
        .configuration, .scopes, "the scope is not accepted", "set a scope that the client may have: setting scope"
      )
    case "invalid_dpop_proof", "use_dpop_nonce":
      return (
        .configuration, .flow,
        "it grants this client only tokens that are bound to a key (DPoP), which Relatch does not ask for",
        "turn proof of possession (DPoP) off for this client at the server"
      )
    // Some servers answer this to a wrong secret, and then with 401.
    case "unauthorized_client" where status != 401:
      return (.configuration, .flow, "the client may not use client credentials", "allow it that grant at the server")
    default:
      switch status {
      case 401, 403: return (.refused, .pair, "the pair is refused", nil)
      // Some servers answer this for a client that is gone, and all of them for a wrong path.
      case 404:
        return (
          .refused, .settings, "the pair is refused, or there is no token endpoint at this address",
          "compare the settings that form the address, such as url, with the server's; then check"
            + " whether the client was deleted"
        )
      case 400:
        return (
          .configuration, .scopes, "it does not accept the request", "check the settings scope and authentication"
        )
      default: return (.malformed, .settings, "an answer that no specification defines", addressHint)
      }
    }
  }
}
