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

  /// How long the server asks to wait, in seconds or until a date (RFC 9110 §10.2.3), but at most a year; nil if it does
  /// not say.
  ///
  /// A 429 without that header may say when requests are counted anew instead, as Okta's and Auth0's do. Both are moments
  /// by the server's clock, so they are compared with the answer's own date, and say nothing without one.
  package var retryAfter: Duration? {
    let wait =
      if let text = header("retry-after") {
        Int64(text) ?? HTTPDate(text).flatMap { until in date.map { until.seconds - $0.seconds } }
      } else { untilReset }
    return wait.map { .seconds(min(max(0, $0), 365 * 86_400)) }
  }

  private var date: HTTPDate? { header("date").flatMap(HTTPDate.init) }

  /// The seconds until then, and at least one.
  private var untilReset: Int64? {
    guard status == 429, let text = header("x-rate-limit-reset") ?? header("x-ratelimit-reset"),
      let reset = Int64(text), (0...Self.latest).contains(reset), let date
    else { return nil }
    return max(1, reset - date.seconds)
  }

  /// The end of the year 9999, in seconds since 1970.
  private static let latest: Int64 = 253_402_300_799
}
