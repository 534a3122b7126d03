import Foundation
import Glibc

/// An HTTP/1.1 server on a loopback port that does what a script says, byte by byte, right or wrong.
final class ScriptedServer: Sendable {
  let port: Int
  let requests = Tally<Received>()
  let connections = Tally<Int>()
  private let listener: Int32
  private let ended = DispatchSemaphore(value: 0)

  /// Runs `script` on a thread for each connection, and closes the connection when it returns.
  init(_ script: @escaping @Sendable (Connection) -> Void) throws {
    // Must be closed in programs that other tests start: otherwise closing one here would not hang up.
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var yes: Int32 = 1
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        bind(listener, pointer, size) | listen(listener, 512) | getsockname(listener, pointer, &size)
      }
    }
    guard status == 0 else { throw POSIXError(.EADDRNOTAVAIL) }
    self.listener = listener
    port = Int(UInt16(bigEndian: address.sin_port))
    let (requests, connections, ended) = (requests, connections, ended)
    Thread.detachNewThread {
      defer {
        close(listener)
        ended.signal()
      }
      while true {
        let socket = accept(listener, nil, nil)
        // A client that gave up before it was accepted does not end the server.
        if socket < 0 && [ECONNABORTED, EINTR, EPROTO].contains(errno) { continue }
        guard socket >= 0 else { return }
        _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
        let connection = Connection(socket: socket, number: connections.add(Int(socket)), requests: requests)
        Thread.detachNewThread {
          script(connection)
          connection.close()
        }
      }
    }
  }

  /// Returns when nobody listens any more.
  ///
  /// The accepting thread is the one that closes. If it were closed here, the next server could get the descriptor's
  /// number before the thread calls `accept`, which would then take that server's connections and answer them with this
  /// one's script.
  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    ended.wait()
  }

  func url(_ target: String = "/") -> String { "http://127.0.0.1:\(port)\(target)" }
}

/// One request as it came in.
struct Received: Sendable {
  let head: String
  let body: [UInt8]

  var line: String { head.components(separatedBy: "\r\n")[0] }

  func header(_ name: String) -> String? {
    for line in head.components(separatedBy: "\r\n").dropFirst() where line.lowercased().hasPrefix(name + ":") {
      return line.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)
    }
    return nil
  }
}

final class Connection: Sendable {
  /// 1 for the server's first connection.
  let number: Int
  private let socket: Int32
  private let requests: Tally<Received>

  init(socket: Int32, number: Int, requests: Tally<Received>) {
    self.socket = socket
    self.number = number
    self.requests = requests
  }

  /// The next request, or nil if the client has hung up.
  func read() -> Received? {
    var bytes: [UInt8] = []
    while true {
      if let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) {
        let head = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
        let size = Received(head: head, body: []).header("content-length").flatMap { Int($0) } ?? 0
        if bytes.count >= end.upperBound + size {
          let received = Received(head: head, body: Array(bytes[end.upperBound...].prefix(size)))
          requests.add(received)
          return received
        }
      }
      var piece = [UInt8](repeating: 0, count: 16_384)
      let count = recv(socket, &piece, piece.count, 0)
      guard count > 0 else { return nil }
      bytes += piece.prefix(count)
    }
  }

  /// False if the client has hung up.
  @discardableResult
  func write(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        send(socket, buffer.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }

  func answer(_ body: String, status: String = "200 OK", headers: String = "") {
    write("HTTP/1.1 \(status)\r\n\(headers)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
  }

  /// Makes closing send a reset.
  func resetOnClose() {
    var now = linger(l_onoff: 1, l_linger: 0)
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
  }

  /// Forwards what arrives to the server at `port`, and its answers back, until either end hangs up.
  func relay(to port: Int) {
    let server = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { Glibc.close(server) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    address.sin_port = UInt16(port).bigEndian
    let status = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else { return }
    while true {
      var ends = [
        pollfd(fd: socket, events: Int16(POLLIN), revents: 0), pollfd(fd: server, events: Int16(POLLIN), revents: 0),
      ]
      guard poll(&ends, 2, -1) > 0 else { return }
      for (index, end) in ends.enumerated() where end.revents != 0 {
        var piece = [UInt8](repeating: 0, count: 16_384)
        let count = recv(end.fd, &piece, piece.count, 0)
        guard count > 0, send(ends[1 - index].fd, piece, count, Int32(MSG_NOSIGNAL)) == count else { return }
      }
    }
  }

  func close() { Glibc.close(socket) }
}

/// What several threads have seen, in order.
final class Tally<Element: Sendable>: @unchecked Sendable {
  private let lock = NSLock()
  private var elements: [Element] = []

  var all: [Element] { lock.withLock { elements } }
  var count: Int { all.count }

  /// Adds an element, and returns how many there are now.
  @discardableResult
  func add(_ element: Element) -> Int {
    lock.withLock {
      elements.append(element)
      return elements.count
    }
  }
}
