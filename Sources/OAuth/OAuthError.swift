package import Transport

/// A token endpoint that did not grant. What the server wrote is kept for sorting, and never printed.
package struct OAuthError: Error, Sendable, CustomStringConvertible {
  package enum Code: Hashable, Sendable {
    /// The server answered with an error of its own (RFC 6749 §5.2, or the server's words).
    case answered
    /// The answer is no token answer at all.
    case malformed
    /// There was no answer.
    case transport(TransportError.Code)
  }

  package let code: Code
  package let status: Int?
  /// The server's `error` member; only letters, digits, `_`, `-` and `.`, at most 64.
  package let error: String?
  /// The server's `error_description`, lower-case. For comparison with known texts, never for printing.
  package let errorDescription: String
  package let retryAfter: Duration?
  package let transport: TransportError?
  package let description: String

  init(status: Int, error: String?, errorDescription: String, retryAfter: Duration?) {
    code = .answered
    self.status = status
    self.error = error
    self.errorDescription = errorDescription
    self.retryAfter = retryAfter
    transport = nil
    // Printed only if a specification knows it: an echoed secret could look like any other word.
    description =
      "token grant refused with HTTP \(status)\(error.flatMap { Self.standard.contains($0) ? " " + $0 : nil } ?? "")"
  }

  /// RFC 6749 §5.2 and §4.1.2.1.
  private static let standard: Set<String> = [
    "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
    "invalid_scope", "access_denied", "server_error", "temporarily_unavailable",
  ]

  init(malformed reason: String, status: Int) {
    code = .malformed
    self.status = status
    error = nil
    errorDescription = ""
    retryAfter = nil
    transport = nil
    description = "the answer (HTTP \(status)) is no token answer: \(reason)"
  }

  init(_ transport: TransportError) {
    code = .transport(transport.code)
    status = nil
    error = nil
    errorDescription = ""
    retryAfter = nil
    self.transport = transport
    description = transport.description
  }
}
