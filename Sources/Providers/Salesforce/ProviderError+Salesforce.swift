import OAuth
import Rotation

// What Salesforce's token endpoint answers, and what that means. Sources: help.salesforce.com, "OAuth 2.0 Flow Errors"
// (xcloud.remoteaccess_oauth_flow_errors), and answers that working clients have recorded. If there are two readings
// (one `error` with two meanings, or two with one), both are listed.
extension ProviderError {
  /// One row: which `error`, which words in its description, what they mean, and which step of the guide is then
  /// missing.
  private struct Meaning {
    let errors: [String]
    let words: String?
    let code: Code
    let step: ChecklistStep
    let text: String
    let hint: String?

    init(
      errors: [String], words: String?, code: Code, step: ChecklistStep, text: String, hint: String? = nil
    ) {
      self.errors = errors
      self.words = words
      self.code = code
      self.step = step
      self.text = text
      self.hint = hint
    }
  }

  private static let flowHint =
    "Setup, External Client App Manager, the app: enable the Client Credentials Flow in Policies and in Settings"
  private static let approvalHint = "assign the app's permission set or profile to the Run As user"
  private static let loginHint = "see the user's Login History in Setup, which says why"

  private static let meanings: [Meaning] = [
    Meaning(
      errors: ["invalid_grant"], words: "client credentials user", code: .configuration, step: .user,
      text: "no Run As user is set",
      hint: "Setup, External Client App Manager, the app, Policies: set Run As to a user name (not an e-mail address)"),
    Meaning(
      errors: ["invalid_grant", "invalid_request"], words: "not supported on this domain", code: .configuration,
      step: .url, text: "this host does not grant client credentials",
      hint: "use the My Domain, as in https://example.my.salesforce.com (Setup, My Domain)"),
    Meaning(
      errors: ["invalid_grant", "unsupported_grant_type", "unauthorized_client"], words: "flow", code: .configuration,
      step: .flow, text: "the client credentials flow is off", hint: flowHint),
    Meaning(
      errors: ["unsupported_grant_type", "unauthorized_client"], words: nil, code: .configuration, step: .flow,
      text: "the client credentials flow is off", hint: flowHint),
    Meaning(
      errors: ["invalid_grant"], words: "ip restricted", code: .principal, step: .login,
      text: "the Run As user may not log in from this address or at this hour",
      hint: "relax the app's IP policy, or add this address to the user's profile"),
    Meaning(
      errors: ["invalid_grant"], words: "login hours", code: .principal, step: .login,
      text: "the Run As user may not log in from this address or at this hour",
      hint: "extend the login hours of the user's profile"),
    Meaning(
      errors: ["invalid_grant"], words: "authentication failure", code: .malformed, step: .login,
      text: "the Run As user may not log in", hint: loginHint),
    Meaning(
      errors: ["invalid_app_access", "invalid_grant"], words: "approved", code: .configuration, step: .approved,
      text: "the Run As user is not approved to use the app", hint: approvalHint),
    Meaning(
      errors: ["invalid_app_access"], words: nil, code: .configuration, step: .approved,
      text: "the Run As user is not approved to use the app", hint: approvalHint),
    Meaning(
      errors: ["NO_ACCESS", "access_denied"], words: nil, code: .malformed, step: .approved,
      text: "the Run As user may not use the app", hint: approvalHint),
    Meaning(
      errors: ["inactive_user"], words: nil, code: .principal, step: .user, text: "the Run As user is inactive",
      hint: "activate the user, or set another Run As user"),
    Meaning(
      errors: ["inactive_org"], words: nil, code: .principal, step: .org,
      text: "the org is locked, closed or suspended"),
    Meaning(
      errors: ["invalid_scope"], words: nil, code: .configuration, step: .scopes,
      text: "the app's scopes are not accepted",
      hint: "select the scopes the integration needs (api) in the app's OAuth settings"),
    Meaning(errors: ["rate_limit_exceeded"], words: nil, code: .limited, step: .limits, text: "too many logins"),
    Meaning(errors: [], words: "login rate exceeded", code: .limited, step: .limits, text: "too many logins"),
    Meaning(errors: [], words: "maximum logins exceeded", code: .limited, step: .limits, text: "too many logins"),
    Meaning(errors: [], words: "number of logins exceeded", code: .limited, step: .limits, text: "too many logins"),
    Meaning(
      errors: [], words: "is not installed in this org", code: .configuration, step: .app,
      text: "the app is not installed in this org",
      hint: "install the External Client App, or use the My Domain of the org that has it"),
    Meaning(
      errors: [], words: "https required", code: .malformed, step: .tls,
      text: "the request reached the org without TLS",
      hint: "remove what ends the encrypted connection between here and the org"),
    Meaning(
      errors: ["server_error", "temporarily_unavailable", "unknown_error"], words: nil, code: .unreachable,
      step: .host, text: "the token endpoint is in trouble"),
    Meaning(
      errors: ["invalid_client_id"], words: nil, code: .refused, step: .pair, text: "the client identifier is refused"),
    Meaning(
      errors: ["invalid_client"], words: "identifier", code: .refused, step: .pair,
      text: "the client identifier is refused"),
    Meaning(errors: ["invalid_client"], words: nil, code: .refused, step: .pair, text: "the client secret is refused"),
    // Errors of other flows. The app, or something on the way to it, takes this flow for another.
    Meaning(
      errors: [
        "invalid_assertion_type", "unsupported_response_type", "redirect_uri_mismatch", "redirect_uri_missing",
        "immediate_unsuccessful", "authorization_pending", "slow_down",
      ], words: nil, code: .malformed, step: .flow, text: "it answers like another flow's endpoint", hint: flowHint),
    Meaning(
      errors: ["invalid_grant"], words: "expired access/refresh token", code: .malformed, step: .flow,
      text: "it answers like another flow's endpoint", hint: flowHint),
  ]

  /// Classifies a token endpoint's failure.
  init(_ error: OAuthError, host: String) {
    switch error.code {
    case .transport:
      guard let transport = error.transport else { fallthrough }
      self.init(transport)
    case .malformed:
      self.init(
        .malformed, "token endpoint of \(host): \(error)",
        hint: "something between here and the org may be answering instead", status: error.status, step: .url)
    case .answered:
      self.init(answered: error, host: host)
    }
  }

  private init(answered error: OAuthError, host: String) {
    let status = error.status ?? 0
    let found = Self.meanings.first { meaning in
      let isError = meaning.errors.isEmpty || meaning.errors.contains(error.error ?? "")
      return isError && meaning.words.map(error.errorDescription.contains) != false
    }
    if let found, status < 500 && status != 429 || found.code == .unreachable || found.code == .limited {
      self.init(
        found.code, "token endpoint of \(host): \(found.text) (HTTP \(status)\(Self.shown(error)))",
        hint: found.hint, status: status, retryAfter: error.retryAfter, step: found.step)
    } else if status == 429 {
      self.init(
        .limited, "token endpoint of \(host): too many requests (HTTP 429)", status: status,
        retryAfter: error.retryAfter, step: .limits)
    } else if status >= 500 {
      self.init(
        .unreachable, "token endpoint of \(host): in trouble or under maintenance (HTTP \(status))",
        hint: "see status.salesforce.com for incidents and maintenance", status: status, retryAfter: error.retryAfter,
        step: .host)
    } else {
      self.init(
        .malformed,
        "token endpoint of \(host): HTTP \(status) without an error that is known",
        hint: error.error == "invalid_grant" ? Self.loginHint : "check that url is the org's My Domain",
        status: status, retryAfter: error.retryAfter, step: error.error == "invalid_grant" ? .login : .url)
    }
  }

  /// The server's `error` if it is one of those listed here. No other is printed: an echoed secret could look like any
  /// word.
  private static func shown(_ error: OAuthError) -> String {
    guard let word = error.error, meanings.contains(where: { $0.errors.contains(word) }) else { return "" }
    return " " + word
  }
}
