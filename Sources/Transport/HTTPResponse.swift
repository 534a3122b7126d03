package import Sodium

/// A whole answer. Its body is always treated as secret: token answers are.
package struct HTTPResponse: Sendable {
  package let status: Int
  package let body: SharedSecret
  private let headers: [String: String]

  init(status: Int, headers: [String: String], body: SharedSecret) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// The value of one of the few headers that are kept: `content-type`, `date`, `retry-after`. Case does not matter.
  package func header(_ name: String) -> String? { headers[name.lowercased()] }
}
