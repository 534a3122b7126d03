/// The failure of a request: what was attempted at which host, what was found, and whether the server may have acted.
/// Never a URL's path or query, a header, a body, or any text from the server.
package struct TransportError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What kind of failure this is. Equality and callers' branches look only at this.
  package enum Code: Sendable {
    /// The URL is malformed, contains a user name, or would send secrets in clear text.
    case insecureURL
    /// The request has a malformed header, one that would break out of its line, or one that only the transport may
    /// set.
    case invalidRequest
    /// libcurl is not installed, is incomplete or too old, would not start, or refused an option.
    case libraryMissing
    /// There was no thread, handle, descriptor or memory left.
    case outOfResources
    /// The server was not reached: no such name, refused, or timed out.
    case cannotConnect
    /// The server was reached, but no trusted channel could be agreed with it.
    case tls
    /// The request was sent, perhaps only in part, and its answer did not arrive whole.
    case lost
    /// The answer is larger than the request allows.
    case answerTooLarge
    /// The caller cancelled, or the transport was shut down.
    case cancelled
    /// What came back is not HTTP, or abuses it.
    case protocolViolation
  }

  package let code: Code
  /// The server's name and port, as in the URL; empty if the URL has none that is safe to print.
  package let host: String
  /// libcurl's own number for the failure, if it came from there.
  package let curlCode: Int?
  /// False only if it is certain that no byte of the request reached the server.
  package let mayHaveActed: Bool
  /// Whether the same request may succeed later without any change.
  package let isTransient: Bool
  package let description: String

  init(
    _ code: Code, host: String, _ description: String, curlCode: Int? = nil, mayHaveActed: Bool = false,
    isTransient: Bool? = nil
  ) {
    self.code = code
    self.host = host
    self.curlCode = curlCode
    self.mayHaveActed = mayHaveActed
    self.isTransient = isTransient ?? code.isUsuallyTransient
    self.description = description
  }

  package static func == (left: Self, right: Self) -> Bool { left.code == right.code }
}

extension TransportError.Code {
  var isUsuallyTransient: Bool {
    switch self {
    case .cannotConnect, .lost, .outOfResources: true
    case .insecureURL, .invalidRequest, .libraryMissing, .tls, .answerTooLarge, .cancelled, .protocolViolation: false
    }
  }
}
