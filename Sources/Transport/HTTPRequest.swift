package import Sodium

/// One request: where it goes, what it sends, how long it waits, and whether it may be repeated.
package struct HTTPRequest: Sendable {
  package enum Method: String, Sendable {
    case get = "GET"
    case post = "POST"
    case put = "PUT"
    case patch = "PATCH"
    case delete = "DELETE"
  }

  /// A header whose value stays in guarded memory until it is sent: `prefix` (not secret, such as `Bearer `), then
  /// `value`.
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
    /// Sent directly from the guarded pages.
    case secret(SharedSecret, contentType: String)
  }

  /// How long to wait and how much to accept.
  package struct Limits: Sendable {
    /// Until the connection is ready: name look-up, TCP and TLS.
    package var connecting: Duration
    /// Until the end of the answer, including connecting.
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
  /// Whether sending it twice may do harm. If so it is sent at most once, and fails as `lost` if its connection dies.
  /// Another request may then quietly be sent again on a new connection.
  package var isMutating: Bool
  /// Whether it goes out on a connection made for it. If several servers share a name, another one may then answer.
  package var needsNewConnection = false
  /// The connections reserved for this request and a few others; nil for the transport's common ones.
  var connections: OwnConnections?

  /// A request that counts as mutating unless it is a `get`, or `isMutating` says otherwise.
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
