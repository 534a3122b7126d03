package import Sodium

/// A whole answer. Its body is always treated as secret, because token answers are.
package struct HTTPResponse: Sendable {
  package let status: Int
  package let body: SharedSecret
  private let headers: [String: String]

  init(status: Int, headers: [String: String], body: SharedSecret) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// The value of one of the few headers that are kept: `content-length`, `content-type`, `date`, `retry-after`. Case
  /// does not matter.
  package func header(_ name: String) -> String? { headers[name.lowercased()] }

  /// How long the server asks to wait (RFC 9110 §10.2.3), but at most a year; nil unless it says so in seconds.
  package var retryAfter: Duration? {
    header("retry-after").flatMap { Int64($0) }.map { .seconds(min(max(0, $0), 365 * 86_400)) }
  }
}
