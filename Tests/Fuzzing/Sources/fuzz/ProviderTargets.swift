import Audit
import Dispatch
import JSON
import Rotation
import Sodium
import Synchronization
import Vault

@testable import OAuth
@testable import Providers
@testable import Transport

let providerTargets = [
  FuzzTarget("token-answer", seeds: { tokens }) { input in
    if let answer = try? TokenAnswer(status: 200, body: guarded(input)) {
      require(answer.accessToken.secret.count > 0, "a token of no bytes")
      _ = (answer.text("signature"), answer.text("issued_at"), answer.text("id"))
    }
    guard let status = input.first else { return }
    let answer = Answer(status: Int(status) + 200, body: Array(input.dropFirst()))
    _ = wait { try? await provider(answering: answer, token: answer).grant(pair) }
    _ = wait { try? await provider(answering: answer, token: Answer(status: 200, body: input)).grant(pair) }
  },
  FuzzTarget("staged-answer", seeds: { staged }) { input in
    guard let status = input.first else { return }
    let bytes = Array(input.dropFirst())
    let body = try guarded(bytes)
    if let node = try? body.secret.withBytes({ try JSONNode(reading: $0) }) {
      _ = try? WireCredentials.all(in: node, body)
      if let sets = try? WireCredentials.list("stagedcredentials", in: node, body) {
        require(sets.allSatisfy { $0.id != nil }, "a set without a name")
      }
    }
    let answer = Answer(status: statuses[Int(status) % statuses.count], body: bytes)
    let provider = try provider(answering: answer, token: token)
    wait {
      guard let seen = try? await provider.observe(known: KnownPairs([.init(pair, in: .active)], mark: "relatch-0"))
      else { return }
      require(seen.others.allSatisfy { !$0.handle.contains("/") }, "a handle that is a path")
      _ = try? await provider.stage(seen)
      try? await provider.promote(handle: "889000000000001", seen)
      try? await provider.delete(handle: "889000000000001", seen)
    }
  },
  FuzzTarget("answer-head", seeds: { heads }) { input in
    var head = AnswerHead()
    for line in input.split(separator: 0x0A, omittingEmptySubsequences: false) {
      guard (Array(line) + [0x0A]).withUnsafeBytes({ head.append($0) }) else { break }
    }
    require(head.contentLength ?? 0 >= 0, "a size below 0")
    let values = head.headers.values
    require(values.allSatisfy { $0.utf8.allSatisfy { (0x20...0x7E).contains($0) } }, "a header that steers a terminal")
    let response = HTTPResponse(status: 429, headers: head.headers, body: try guarded([0]))
    require(response.retryAfter ?? .zero >= .zero, "to be asked before now")
    if let date = response.header("date"), let moment = Timestamp(httpDate: date) {
      require(Timestamp(moment.description) == moment, "a moment that is written otherwise than read")
    }
    let text = String(decoding: input, as: UTF8.self)
    _ = (Timestamp(httpDate: text), Timestamp(salesforce: text))
  },
  FuzzTarget("endpoint", seeds: { urls }) { input in
    let text = String(decoding: input, as: UTF8.self)
    let endpoint = try Endpoint(text)
    require(Array(endpoint.url.utf8) == input, "a URL with a second spelling")
    require(endpoint.isEncrypted || endpoint.isLoopback, "a URL in the clear")
    let there = try? endpoint.at("/services/data")
    require(there?.host == endpoint.host, "another host")
    _ = try SalesforceSettings(["url": text, "app": "0xI000000000001"])
  },
]

private let pair = made {
  Pair(
    clientID: try SecretBytes(copying: Array("primary".utf8).span.bytes),
    clientSecret: try SecretBytes(copying: Array("5ECRET".utf8).span.bytes))
}
private let settings = ["url": "https://example.my.salesforce.com", "app": "0xI000000000001"]
private let token = Answer(status: 200, body: Array(#"{"access_token":"t","token_type":"Bearer"}"#.utf8))
private let statuses = [200, 201, 204, 400, 401, 403, 404, 409, 410, 429, 500, 503]
private let set =
  #"{"id":"889000000000001","key":"new","secret":"s","state":"Active","expirationDate":"2026-12-21T09:20:00Z"}"#
private let tokens = [
  #"{"access_token":"t","token_type":"Bearer","issued_at":"1795252800000","id":"https://x/id/1/2","signature":"AAAA"}"#,
  #"{"error":"invalid_grant","error_description":"no client credentials user enabled"}"#,
  #"{"error":"invalid_client","error_description":"invalid client credentials"}"#,
].flatMap { text -> [[UInt8]] in
  let bytes = Array(text.utf8)
  return [bytes, [200] + bytes, [0] + bytes]
}
private let staged: [[UInt8]] =
  [
    #"{"stagedCredentials":[\#(set)],"url":"/x","consumers":[{"id":"888000000000001","key":"primary"}]}"#,
    #"{"consumers":[{"id":"888000000000001","key":"primary"}]}"#, #"[\#(set)]"#, set,
    #"{"stagedCredentials":[{"credentials":\#(set)}]}"#,
    #"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#,
  ].flatMap { text -> [[UInt8]] in
    let bytes = Array(text.utf8)
    return [[0] + bytes, [6] + bytes]
  }
private let heads = [
  "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 17\r\nRetry-After: 120\r\n\r\n",
  "HTTP/2 429\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\nx-rate-limit-reset: 784111827\r\n\r\n",
  "HTTP/2 100\r\n\r\nHTTP/2 503\r\ncontent-type:  text/html \r\n\r\n", "Sun, 06 Nov 1994 08:49:37 GMT",
  "2026-12-21T09:20:00.000+0000",
].map { Array($0.utf8) }
private let urls = [
  "https://example.my.salesforce.com", "http://127.0.0.1:8080", "http://[::1]:80/x?y=1", "HTTPS://LOCALHOST",
].map { Array($0.utf8) }

private struct Answer: Sendable {
  let status: Int
  let body: [UInt8]
}

/// Gives the same answer to everything except a request for a token.
private struct OneAnswer: HTTPTransport {
  let answer: Answer
  let token: Answer

  func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
    let answer = request.endpoint.url.hasSuffix("/token") ? token : answer
    do { return HTTPResponse(status: answer.status, headers: [:], body: try guarded(answer.body)) } catch {
      throw TransportError(.outOfResources, host: "", "no guarded memory")
    }
  }
}

private func provider(answering answer: Answer, token: Answer) throws -> SalesforceProvider {
  try SalesforceProvider(
    settings: settings, admin: AdminAccess(name: "admin", settings: settings) { pair },
    transport: OneAnswer(answer: answer, token: token))
}

/// The result of `body`, for a caller that is not a task.
func wait<Result: Sendable>(_ body: @escaping @Sendable () async -> Result) -> Result? {
  let result = Box<Result>()
  let end = DispatchSemaphore(value: 0)
  Task {
    let found = await body()
    result.value.withLock { $0 = found }
    end.signal()
  }
  end.wait()
  return result.value.withLock { $0 }
}

private final class Box<Value: Sendable>: Sendable {
  let value = Mutex<Value?>(nil)
}
