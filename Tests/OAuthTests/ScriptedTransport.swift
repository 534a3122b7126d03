import Sodium
import Synchronization

@testable import Transport

/// Gives every request the same answer, and keeps the requests.
final class ScriptedTransport: HTTPTransport {
  private let status: Int
  private let headers: [String: String]
  private let body: [UInt8]
  private let sent = Mutex<[HTTPRequest]>([])

  init(_ body: String, status: Int = 200, headers: [String: String] = [:]) {
    self.status = status
    self.headers = headers
    self.body = Array(body.utf8)
  }

  var requests: [HTTPRequest] { sent.withLock { $0 } }

  func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
    sent.withLock { $0.append(request) }
    return HTTPResponse(status: status, headers: headers, body: try guarded(body))
  }
}

private func guarded(_ bytes: [UInt8]) throws(TransportError) -> SharedSecret {
  do { return SharedSecret(try SecretBytes(copying: bytes.span.bytes)) } catch {
    throw TransportError(.outOfResources, host: "", "no guarded memory")
  }
}

func secret(_ text: String) throws -> SecretBytes {
  let bytes = Array(text.utf8)
  return try SecretBytes(copying: bytes.span.bytes)
}

func text(_ secret: SharedSecret) -> String { secret.secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
