package import Transport

/// Why a token endpoint granted no token. The server's words are kept to classify the failure. Of them only an error
/// code that the specification defines is printed.
package struct OAuthError: Error, Sendable, CustomStringConvertible {
  package enum Code: Hashable, Sendable {
    /// The server answered with an error (RFC 6749 §5.2, or one of its own).
    case answered
    /// The answer is not a valid token answer.
    case malformed
    /// There was no answer.
    case transport(TransportError.Code)
  }

  package let code: Code
  package let status: Int?
  /// The server's `error` member: at most 64 characters, only letters, digits, `_`, `-` and `.`.
  package let error: String?
  /// The first 512 characters of the server's `error_description`, in lower case. For comparison with known texts,
  /// never for printing.
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
    // Printed only if the specification defines it: an echoed secret could look like any other word.
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
    description = "the answer (HTTP \(status)) is not a token answer: \(reason)"
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
