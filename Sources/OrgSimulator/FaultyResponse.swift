import FlyingFox
import FlyingSocks
import FoundationEssentials

/// Turns the org's answers into HTTP responses, intact or spoilt by a fault.
enum FaultyResponse {
  static func make(_ reception: Reception) async throws -> HTTPResponse {
    let answer = reception.answer
    guard let fault = reception.fault else { return plain(answer ?? .noContent) }
    switch fault.kind {
    case .dropBefore, .dropAfter: return HTTPResponse(webSocket: DroppedConnection())
    case .truncated: return truncated(answer ?? .noContent)
    case .slow:
      try await Task.sleep(for: .seconds(fault.seconds))
      return plain(answer ?? .noContent)
    case .tooManyRequests:
      var refusal = OrgAnswer.error(429, "REQUEST_LIMIT_EXCEEDED", "Too many requests")
      refusal.headers["Retry-After"] = String(Int(fault.seconds.rounded(.up)))
      return plain(refusal)
    case .sessionEnded: return plain(.error(401, "INVALID_SESSION_ID", "Session expired or invalid"))
    case .serverError: return plain(.error(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred"))
    case .unavailable: return plain(.error(503, "SERVER_UNAVAILABLE", "Server too busy"))
    case .maintenancePage: return plain(page(503, "We are down for maintenance"))
    case .garbage: return plain(OrgAnswer(status: 200, body: Data("{\"access_token\": \u{FFFD}<<\u{0}".utf8)))
    case .htmlPage: return plain(page(200, "Login"))
    case .wrongTypes: return plain(.json(wrongTypes))
    case .huge: return endless(fault.bytes)
    case .empty: return plain(OrgAnswer(status: 200))
    }
  }

  static func plain(_ answer: OrgAnswer) -> HTTPResponse {
    HTTPResponse(statusCode: status(answer.status), headers: headers(of: answer), body: answer.body)
  }

  /// Promises the body's length, at least 64 bytes, but sends only half the body.
  private static func truncated(_ answer: OrgAnswer) -> HTTPResponse {
    let promised = max(answer.body.count, 64)
    let body = BrokenBody(prefix: Array(answer.body.prefix(answer.body.count / 2)), padding: 0)
    return HTTPResponse(
      statusCode: status(answer.status == 204 ? 200 : answer.status), headers: headers(of: answer),
      body: HTTPBodySequence(from: body, count: promised))
  }

  private static func endless(_ bytes: Int) -> HTTPResponse {
    let prefix = Array("{\"access_token\":\"".utf8)
    let body = BrokenBody(prefix: prefix, padding: max(0, bytes - prefix.count))
    return HTTPResponse(
      statusCode: .ok, headers: [.contentType: "application/json"],
      body: HTTPBodySequence(from: body, count: prefix.count + max(0, bytes - prefix.count), suggestedBufferSize: 65536)
    )
  }

  private static let wrongTypes: JSONNode = [
    "access_token": 7, "token_type": [], "issued_at": ["ms": 1], "id": false, "key": 1, "secret": .null,
    "state": 3, "apps": "none", "consumers": ["id": 1], "stagedCredentials": "none",
  ]

  private static func page(_ status: Int, _ text: String) -> OrgAnswer {
    OrgAnswer(
      status: status, contentType: "text/html;charset=UTF-8",
      body: Data("<!DOCTYPE html><html><head><title>\(text)</title></head><body><h1>\(text)</h1></body></html>".utf8))
  }

  private static func headers(of answer: OrgAnswer) -> HTTPHeaders {
    var headers = HTTPHeaders()
    headers[.contentType] = answer.contentType
    for (name, value) in answer.headers { headers[HTTPHeader(name)] = value }
    return headers
  }

  private static func status(_ code: Int) -> HTTPStatusCode {
    let phrases = [
      200: "OK", 201: "Created", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
      404: "Not Found", 405: "Method Not Allowed", 429: "Too Many Requests", 500: "Internal Server Error",
      503: "Service Unavailable",
    ]
    return HTTPStatusCode(code, phrase: phrases[code] ?? "Status")
  }
}

/// Closes the connection before the first byte: FlyingFox writes the head of an upgrade only once its frames exist.
private struct DroppedConnection: WSHandler {
  func makeFrames(
    for client: AsyncThrowingStream<WSFrame, any Error>
  ) async throws -> AsyncStream<WSFrame> {
    throw SocketError.disconnected
  }
}

/// A body of some bytes, then padding, then a failure, at which FlyingFox closes the connection.
private struct BrokenBody: AsyncBufferedSequence {
  typealias Element = UInt8

  let prefix: [UInt8]
  let padding: Int

  func makeAsyncIterator() -> Iterator { Iterator(prefix: prefix, padding: padding) }

  struct Iterator: AsyncBufferedIteratorProtocol {
    var prefix: [UInt8]
    var padding: Int

    mutating func next() async throws -> UInt8? {
      try await nextBuffer(suggested: 1)?.first
    }

    mutating func nextBuffer(suggested count: Int) async throws -> [UInt8]? {
      if !prefix.isEmpty {
        let chunk = Array(prefix.prefix(count))
        prefix.removeFirst(chunk.count)
        return chunk
      }
      guard padding > 0 else { throw SocketError.disconnected }
      let chunk = [UInt8](repeating: UInt8(ascii: "A"), count: Swift.min(count, padding))
      padding -= chunk.count
      return chunk
    }
  }
}
