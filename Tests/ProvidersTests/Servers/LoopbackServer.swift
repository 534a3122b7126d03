import Foundation
import Glibc
import Loopback
import Synchronization
import Testing

/// An HTTP/1.1 server on loopback that answers with a function, and loses what it is told to lose. It takes a
/// connection for each request, unless it keeps them.
final class LoopbackServer: Sendable {
  struct Request: Sendable {
    let method: String
    let target: String
    /// Names in lower case.
    let headers: [String: String]
    let body: Data
    /// 1 for the requests of the server's first connection.
    var connection = 0

    var path: String { String(target.prefix { $0 != "?" }) }
    /// Whether it changes something: a request for a token does not.
    var isChange: Bool {
      method != "GET" && !["/token", "/login", "/lookup"].contains { path.hasSuffix($0) }
    }
    var text: String { String(decoding: body, as: UTF8.self) }
    /// The members of a JSON body.
    var json: [String: Any] { (try? JSONSerialization.jsonObject(with: body)) as? [String: Any] ?? [:] }
    /// The members of a form.
    var form: [String: String] { Self.form(of: text) }

    static func form(of text: String) -> [String: String] {
      var members: [String: String] = [:]
      for part in text.split(separator: "&") {
        let (name, value) = (part.prefix { $0 != "=" }, part.drop { $0 != "=" }.dropFirst())
        members[String(name)] = value.replacing("+", with: " ").removingPercentEncoding
      }
      return members
    }
  }

  struct Answer: Sendable {
    var status = 200
    var headers: [String: String] = ["Content-Type": "application/json"]
    var body = Data()

    static func json(_ status: Int = 200, _ value: Any) -> Answer {
      Answer(status: status, body: (try? JSONSerialization.data(withJSONObject: value)) ?? Data())
    }

    static func empty(_ status: Int) -> Answer { Answer(status: status, headers: [:]) }
  }

  /// What happens to one request.
  enum Loss: Sendable, CaseIterable {
    /// The connection closes before the request was acted on.
    case before
    /// The same, but after it.
    case after
    /// It was acted on, and the answer is a gateway's page.
    case page
    /// It was not acted on, and the server says that it is in trouble.
    case trouble
  }

  private struct State {
    var requests: [Request] = []
    var losses: [Int: Loss] = [:]
    var isOpen = true
    var connections = 0
  }

  let port: UInt16
  private let listener: Int32
  private let state = Mutex(State())
  private let keepsConnections: Bool
  private let handle: @Sendable (Request) -> Answer

  var url: String { "http://127.0.0.1:\(port)" }
  var requests: [Request] { state.withLock { $0.requests } }

  init(keepsConnections: Bool = false, _ handle: @escaping @Sendable (Request) -> Answer) throws {
    self.keepsConnections = keepsConnections
    self.handle = handle
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let listener = listener
    let status = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(listener, address, size) == 0 && listen(listener, 64) == 0 && getsockname(listener, address, &size) == 0
      }
    }
    try #require(status, "no port: errno \(errno)")
    port = UInt16(bigEndian: address.sin_port)
    Thread.detachNewThread { [self] in accept() }
  }

  /// Forwards every request unchanged to the server at `base`.
  convenience init(before base: String) throws {
    try self.init { request in
      let done = DispatchSemaphore(value: 0)
      let answer = Mutex(Answer.empty(502))
      Task.detached {
        defer { done.signal() }
        var headers = request.headers.filter { !["host", "connection", "content-length"].contains($0.key) }
        headers["accept"] = "application/json"
        guard
          let got = try? await LoopbackClient(base).send(
            request.method, request.target, body: request.body.isEmpty ? nil : request.body, headers: headers)
        else { return }
        let type = got.headers["content-type"].map { ["Content-Type": $0] } ?? [:]
        answer.withLock { $0 = Answer(status: got.status, headers: type, body: got.body) }
      }
      done.wait()
      return answer.withLock { $0 }
    }
  }

  func stop() {
    state.withLock { $0.isOpen = false }
    shutdown(listener, Int32(SHUT_RDWR))
  }

  func forget() {
    state.withLock { state in
      state.requests = []
      state.losses = [:]
    }
  }

  /// Loses request `number`, counted from 1 since `forget`.
  func lose(_ number: Int, _ loss: Loss) { state.withLock { $0.losses[number] = loss } }

  private func accept() {
    while true {
      let connection = Glibc.accept(listener, nil, nil)
      guard connection >= 0, state.withLock({ $0.isOpen }) else { break }
      Thread.detachNewThread { [self] in
        let number = state.withLock { state in
          state.connections += 1
          return state.connections
        }
        while serve(connection, number), keepsConnections {}
        close(connection)
      }
    }
    close(listener)
  }

  /// Returns whether there was a request and it was answered.
  private func serve(_ connection: Int32, _ number: Int) -> Bool {
    guard var request = Self.read(connection) else { return false }
    request.connection = number
    let received = request
    let loss = state.withLock { state in
      state.requests.append(received)
      return state.losses[state.requests.count]
    }
    switch loss {
    case .before: return false
    case .trouble: write(.empty(503), connection)
    case .after:
      _ = handle(received)
      return false
    case .page:
      _ = handle(received)
      let page = Answer(status: 200, headers: ["Content-Type": "text/html"], body: Data("<html>hello</html>".utf8))
      write(page, connection)
    case nil: write(handle(received), connection)
    }
    return true
  }

  private static func read(_ connection: Int32) -> Request? {
    var received = Data()
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      if let end = received.range(of: Data("\r\n\r\n".utf8)) {
        let lines = String(decoding: received[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
          guard let colon = line.firstIndex(of: ":") else { continue }
          headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
        let length = headers["content-length"].flatMap { Int($0) } ?? 0
        let words = lines[0].split(separator: " ")
        if received.endIndex - end.upperBound >= length, words.count == 3 {
          return Request(
            method: String(words[0]), target: String(words[1]), headers: headers,
            body: Data(received[end.upperBound..<end.upperBound + length]))
        }
      }
      let count = Glibc.read(connection, &buffer, buffer.count)
      guard count > 0 else { return nil }
      received += buffer[..<count]
    }
  }

  private func write(_ answer: Answer, _ connection: Int32) {
    var head = "HTTP/1.1 \(answer.status) X\r\nContent-Length: \(answer.body.count)\r\n"
    if !keepsConnections { head += "Connection: close\r\n" }
    for (name, value) in answer.headers { head += "\(name): \(value)\r\n" }
    var rest = Data((head + "\r\n").utf8) + answer.body
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard count > 0 else { return }
      rest = Data(rest.dropFirst(count))
    }
  }
}
