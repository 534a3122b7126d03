package import Sodium

/// One request: where, what, how much patience, and whether it may be repeated.
package struct HTTPRequest: Sendable {
  package enum Method: String, Sendable {
    case get = "GET"
    case post = "POST"
    case put = "PUT"
    case patch = "PATCH"
    case delete = "DELETE"
  }

  /// A header whose value stays in guarded memory until it is sent: `prefix` (not secret, as in `Bearer `), then `value`.
  package struct SecretHeader: Sendable {
    package let name: String
    package let prefix: String
    package let value: SharedSecret

    package init(name: String, prefix: String = "", value: SharedSecret) {
      self.name = name
      self.prefix = prefix
      self.value = value
    }
  }

  package enum Body: Sendable {
    case none
    case bytes([UInt8], contentType: String)
    /// Sent from the guarded pages themselves.
    case secret(SharedSecret, contentType: String)
  }

  /// How long to wait and how much to accept.
  package struct Limits: Sendable {
    /// To a ready connection: name, TCP and TLS.
    package var connecting: Duration
    /// To the end of the answer, connecting included.
    package var total: Duration
    /// The largest answer body, in bytes.
    package var answer: Int

    package init(connecting: Duration = .seconds(10), total: Duration = .seconds(30), answer: Int = 1 << 20) {
      self.connecting = connecting
      self.total = total
      self.answer = answer
    }
  }

  package let method: Method
  package let endpoint: Endpoint
  package var headers: [(name: String, value: String)]
  package var secretHeaders: [SecretHeader]
  package var body: Body
  package var limits: Limits
  /// Whether sending it twice may do harm. If so it is sent at most once: a connection that dies under it makes it `lost`,
  /// where another request would quietly be sent again on a new connection.
  package var isMutating: Bool
  /// Whether it goes out on a connection that is made for it: where several servers share a name, another one may answer.
  package var needsNewConnection = false
  /// The connections that it is one of the few to use; nil for those that are open to all.
  var connections: OwnConnections?

  /// A request that counts as mutating unless it is a `get`, or the caller knows better.
  package init(
    _ method: Method, _ endpoint: Endpoint, headers: [(name: String, value: String)] = [],
    secretHeaders: [SecretHeader] = [], body: Body = .none, limits: Limits = Limits(), isMutating: Bool? = nil
  ) {
    self.method = method
    self.endpoint = endpoint
    self.headers = headers
    self.secretHeaders = secretHeaders
    self.body = body
    self.limits = limits
    self.isMutating = isMutating ?? (method != .get)
  }
}
