import Providers
import Rotation
import Sodium
import Synchronization
import Vault

@testable import Transport

/// Answers by method and path, and keeps the requests.
final class RoutedTransport: HTTPTransport {
  struct Answer: Sendable {
    var status = 200
    var body = ""
    var headers: [String: String] = [:]
  }

  private let route: @Sendable (_ method: String, _ path: String) -> Answer
  private let sent = Mutex<[String]>([])

  /// Answers token requests itself, and the rest, below the app, with `route`.
  init(_ route: @escaping @Sendable (_ method: String, _ path: String) -> Answer) { self.route = route }

  /// Gives every request the same answer, including token requests.
  convenience init(always answer: Answer) { self.init { _, _ in answer } }

  static let base = "https://example.my.salesforce.com/services/data/v65.0/apps/oauth/credentials/"
  static let token = Answer(body: #"{"access_token":"t","token_type":"Bearer"}"#)

  var calls: [String] { sent.withLock { $0 } }

  func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
    let path = request.endpoint.url.replacing(Self.base, with: "")
    sent.withLock { $0.append("\(request.method.rawValue) \(path)") }
    let answer = route(request.method.rawValue, path)
    return HTTPResponse(status: answer.status, headers: answer.headers, body: try guarded(Array(answer.body.utf8)))
  }
}

/// Fails the first change that it sent, although it acted, as libcurl does when the connection dies under a request and
/// no channel can be agreed on the connection that replaces it.
final class LateHandshake: HTTPTransport {
  private let transport: any HTTPTransport
  private let hasFailed = Mutex(false)

  init(over transport: any HTTPTransport) { self.transport = transport }

  func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
    let response = try await transport.send(request)
    let isForToken = if case .secret(_, "application/x-www-form-urlencoded") = request.body { true } else { false }
    guard request.method != .get, !isForToken,
      hasFailed.withLock({ hasFailed in
        defer { hasFailed = true }
        return !hasFailed
      })
    else { return response }
    throw TransportError(.tls, host: request.endpoint.host, "no channel", curlCode: 35, mayHaveActed: true)
  }
}

private func guarded(_ bytes: [UInt8]) throws(TransportError) -> SharedSecret {
  do { return SharedSecret(try SecretBytes(copying: bytes.span.bytes)) } catch {
    throw TransportError(.outOfResources, host: "", "no guarded memory")
  }
}

let echo = "5ECRET0123456789abcdef0123456789abcdef0123456789abcdef0123456789"
let settings = ["url": "https://example.my.salesforce.com", "app": "0xI000000000001"]

func pair(_ id: String, _ secret: String = echo) throws -> Pair {
  let (id, secret) = (Array(id.utf8), Array(secret.utf8))
  return Pair(
    clientID: try SecretBytes(copying: id.span.bytes), clientSecret: try SecretBytes(copying: secret.span.bytes))
}

/// What a vault knows that has only one pair, the active one.
func known(_ id: String) throws -> KnownPairs { KnownPairs([.init(try pair(id), in: .active)], mark: "relatch-0") }

func provider(_ transport: RoutedTransport, _ more: [String: String] = [:]) throws -> SalesforceProvider {
  try SalesforceProvider(
    settings: settings.merging(more) { $1 },
    admin: AdminAccess(name: "admin", settings: settings) { try pair("admin-id", "admin-secret") },
    transport: transport)
}

func text(_ secret: SharedSecret?) -> String? {
  secret.map { $0.secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
}

/// The error that `body` throws, if it is a provider's error.
func failure(_ body: () async throws -> Void) async -> ProviderError? {
  do {
    try await body()
    return nil
  } catch { return error as? ProviderError }
}
