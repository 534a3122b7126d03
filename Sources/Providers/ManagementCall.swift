import Audit
import JSON
import OAuth
import Rotation
import Sodium
import Transport

/// Requests to a provider's management interface, and what an answer means unless the provider says otherwise.
struct ManagementCall: Sendable {
  let transport: any HTTPTransport

  struct Answer: Sendable {
    let status: Int
    let body: SharedSecret
    let retryAfter: Duration?
    /// The server's time when it answered, if it said so.
    let date: Timestamp?

    /// Fails, by the status alone, unless it is one of the 200s. `isMutating` says whether the request was to change
    /// anything.
    func requireSuccess(at host: String, isMutating: Bool) throws(ProviderError) {
      guard !(200..<300).contains(status) else { return }
      throw ProviderError(status: status, host: host, isMutating: isMutating, retryAfter: retryAfter)
    }

    /// Whether there is anything to read.
    var isEmpty: Bool { body.secret.count == 0 }

    /// The JSON of the answer. Throws `malformed` with `mayHaveActed`: a server that answers nonsense may have acted.
    func json(mayHaveActed: Bool) throws(ProviderError) -> JSONNode {
      do { return try body.secret.withBytes { try JSONNode(reading: $0) } } catch {
        throw ProviderError(
          .malformed, "the answer (HTTP \(status)) is not the expected JSON", mayHaveActed: mayHaveActed,
          status: status)
      }
    }

    /// A member that is not secret; nil if it is absent or not a string.
    func text(_ node: JSONNode?) -> String? { body.text(node) }

    /// A member that is secret; nil if it is absent, empty or not a string.
    func secret(_ node: JSONNode?) -> SharedSecret? {
      guard let node, node.capacity > 0, let value = try? body.string(node) else { return nil }
      return SharedSecret(value)
    }

    /// A whole number; nil if it is absent or anything else.
    func integer(_ node: JSONNode?) -> Int? { body.integer(node) }
  }

  /// What is sent.
  enum Body: Sendable {
    case none
    case json(String)
    case secret(SharedSecret)
    case form(SharedSecret)

    /// A JSON object of secrets, written straight into guarded memory.
    static func secrets(_ members: [(name: String, value: SharedSecret)]) throws(ProviderError) -> Body {
      let capacity = members.reduce(2) { $0 + $1.name.utf8.count + 6 + 2 * $1.value.secret.count }
      do {
        let document = try SecretBytes(capacity: capacity) { output in
          func append(_ text: String) { for byte in text.utf8 { output.append(byte) } }
          for (index, member) in members.enumerated() {
            append(index == 0 ? "{\"" : ",\"")
            append("\(member.name)\":\"")
            // No part of a pair has control characters (`Pair.check`).
            member.value.secret.withUnsafeBytes { bytes in
              for byte in bytes {
                if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { output.append(UInt8(ascii: "\\")) }
                output.append(byte)
              }
            }
            append("\"")
          }
          append("}")
        }
        return .secret(SharedSecret(document))
      } catch { throw ProviderError(.malformed, "there is no memory for a request") }
    }
  }

  /// Sends a request. Throws a `ProviderError` for a status outside the 200s.
  func send(
    _ method: HTTPRequest.Method, _ endpoint: Endpoint, token: SharedSecret?, prefix: String = "Bearer ",
    body: Body = .none
  ) async throws(ProviderError) -> Answer {
    let answer = try await ask(method, endpoint, token: token, prefix: prefix, body: body)
    try answer.requireSuccess(at: endpoint.host, isMutating: method != .get)
    return answer
  }

  /// Sends a request with `token` in `header` after `prefix`, or without a token. Returns an answer of any status.
  func ask(
    _ method: HTTPRequest.Method, _ endpoint: Endpoint, token: SharedSecret? = nil, header: String = "Authorization",
    prefix: String = "Bearer ", headers: [(name: String, value: String)] = [], body: Body = .none,
    isMutating: Bool? = nil, overNewConnection: Bool = false
  ) async throws(ProviderError) -> Answer {
    let content: HTTPRequest.Body =
      switch body {
      case .none: .none
      case .json(let text): .bytes(Array(text.utf8), contentType: "application/json")
      case .secret(let document): .secret(document, contentType: "application/json")
      case .form(let document): .secret(document, contentType: "application/x-www-form-urlencoded")
      }
    let response: HTTPResponse
    do {
      var request = HTTPRequest(
        method, endpoint, headers: [("Accept", "application/json")] + headers,
        secretHeaders: token.map { [.init(name: header, prefix: prefix, value: $0)] } ?? [], body: content,
        isMutating: isMutating)
      request.needsNewConnection = overNewConnection
      response = try await transport.send(request)
    } catch {
      throw ProviderError(error)
    }
    return Answer(
      status: response.status, body: response.body, retryAfter: response.retryAfter,
      date: response.header("date").flatMap { Timestamp(httpDate: $0) })
  }
}

extension ProviderError {
  /// Classifies an answer outside the 200s only by its status (RFC 9110 §15). Nothing that the server wrote is
  /// repeated.
  init(status: Int, host: String, isMutating: Bool, retryAfter: Duration?) {
    switch status {
    case 400, 422:
      self.init(.configuration, "\(host) does not accept the request (HTTP \(status))", status: status, step: .app)
    case 401:
      self.init(.notPermitted, "\(host) does not accept the administrator's token", status: status, step: .admin)
    case 403:
      self.init(.notPermitted, "\(host) does not let the administrator do this", status: status, step: .permissions)
    case 404, 410:
      self.init(.notFound, "\(host) does not have what was asked for (HTTP \(status))", status: status, step: .app)
    case 405, 501: self.init(.configuration, "\(host) does not offer this (HTTP \(status))", status: status, step: .app)
    case 409: self.init(.occupied, "\(host) reports a conflict with its state (HTTP 409)", status: status)
    case 429:
      self.init(.limited, "\(host): too many requests", status: status, retryAfter: retryAfter, step: .limits)
    case 500...:
      // A gateway may answer for a server that has acted.
      self.init(
        .unreachable, "\(host) is in trouble (HTTP \(status))", mayHaveActed: isMutating, status: status,
        retryAfter: retryAfter, step: .host)
    default:
      self.init(.malformed, "\(host) answered with HTTP \(status)", mayHaveActed: isMutating, status: status)
    }
  }
}
