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

  /// The value of one of the few headers that are kept: `content-length`, `content-type`, `date`, `retry-after`,
  /// `x-rate-limit-reset`, `x-ratelimit-reset`. Case does not matter.
  package func header(_ name: String) -> String? { headers[name.lowercased()] }

  /// How long the server asks to wait (RFC 9110 §10.2.3), but at most a year; nil unless it says so in seconds.
  ///
  /// A 429 without that header may say when requests are counted anew instead, as Okta's and Auth0's do. That is a
  /// moment by the server's clock, so it is compared with the answer's own date, and says nothing without one.
  package var retryAfter: Duration? {
    let wait = if let text = header("retry-after") { Int64(text).map { max(0, $0) } } else { untilReset }
    return wait.map { .seconds(min($0, 365 * 86_400)) }
  }

  /// The seconds until then, and at least one.
  private var untilReset: Int64? {
    guard status == 429, let text = header("x-rate-limit-reset") ?? header("x-ratelimit-reset"),
      let reset = Int64(text), (0...Self.latest).contains(reset), let date = header("date").flatMap(HTTPDate.init)
    else { return nil }
    return max(1, reset - date.seconds)
  }

  /// The end of the year 9999, in seconds since 1970.
  private static let latest: Int64 = 253_402_300_799
}
