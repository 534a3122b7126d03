package import Foundation
import Glibc

/// A plain HTTP/1.1 client for tests, with a connection for each request, and only to 127.0.0.1.
///
/// Foundation's client loads libcurl into the process, and sends a request again when its connection drops: with it, no
/// test could tell what our own transport loads and sends.
package struct LoopbackClient: Sendable {
  package struct Answer: Sendable {
    package let status: Int
    /// Names in lower case.
    package let headers: [String: String]
    package let body: Data
  }

  /// Nothing came back, or less than was announced.
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  private let port: UInt16

  /// `base` is `http://127.0.0.1:PORT`.
  package init(_ base: String) throws {
    guard let port = base.split(separator: ":").last.flatMap({ UInt16($0) }) else {
      throw Failure(description: "\(base) has no port")
    }
    self.port = port
  }

  /// Sends one request and reads its whole answer, on a thread of its own.
  package func send(
    _ method: String, _ path: String, body: Data? = nil, headers: [String: String] = [:], seconds: Int = 20
  ) async throws -> Answer {
    var head = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n"
    for (name, value) in headers { head += "\(name): \(value)\r\n" }
    if let body { head += "Content-Length: \(body.count)\r\n" }
    let request = Data((head + "\r\n").utf8) + (body ?? Data())
    let port = port
    let received: Data = try await withCheckedThrowingContinuation { continuation in
      DispatchQueue.global().async {
        continuation.resume(with: Result { try Self.exchange(request, port: port, seconds: seconds) })
      }
    }
    return try Self.parse(received, isHead: method == "HEAD")
  }

  private static func exchange(_ request: Data, port: UInt16, seconds: Int) throws -> Data {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw Failure(description: "no socket: errno \(errno)") }
    defer { close(descriptor) }
    var patience = timeval(tv_sec: seconds, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let status = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else { throw Failure(description: "cannot connect: errno \(errno)") }
    var sent = 0
    while sent < request.count {
      let count = request.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress?.advanced(by: sent), $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw Failure(description: "cannot send: errno \(errno)") }
      sent += count
    }
    var received = Data()
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      guard count >= 0 else { throw Failure(description: "cannot read: errno \(errno)") }
      if count == 0 { return received }
      received += buffer[..<count]
    }
  }

  private static func parse(_ received: Data, isHead: Bool) throws -> Answer {
    guard let end = received.range(of: Data("\r\n\r\n".utf8)) else {
      throw Failure(description: "\(received.count) bytes, and no end of a header")
    }
    let lines = String(decoding: received[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
    guard let status = lines[0].split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
      throw Failure(description: "no status line")
    }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
    }
    var body = Data(received[end.upperBound...])
    if headers["transfer-encoding"]?.lowercased() == "chunked" { body = try dechunked(body) }
    if let length = headers["content-length"].flatMap({ Int($0) }), !isHead, body.count < length {
      throw Failure(description: "\(body.count) bytes of \(length)")
    }
    return Answer(status: status, headers: headers, body: body)
  }

  private static func dechunked(_ body: Data) throws -> Data {
    var rest = body
    var whole = Data()
    while let end = rest.range(of: Data("\r\n".utf8)),
      let size = Int(String(decoding: rest[rest.startIndex..<end.lowerBound], as: UTF8.self), radix: 16)
    {
      if size == 0 { return whole }
      guard rest.endIndex - end.upperBound >= size + 2 else { break }
      whole += rest[end.upperBound..<end.upperBound + size]
      rest = Data(rest[(end.upperBound + size + 2)...])
    }
    throw Failure(description: "a chunk is cut off")
  }
}
