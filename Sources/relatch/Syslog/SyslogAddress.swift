import Glibc
import Vault

/// Where syslog messages go: `/dev/log` or another socket by its path, or `udp://ADDRESS:PORT`.
enum SyslogAddress: Hashable, Sendable {
  case socket(path: String)
  case udp(host: String, port: String)

  /// Reads the forms above; `udp://[::1]` for IPv6, and port 514 if none is given. Throws a usage failure.
  ///
  /// A host must be a numeric address: a name would have to be looked up, and a lookup may hang when the network does.
  init(_ text: String) throws(Failure) {
    if text.hasPrefix("/"), text.utf8.count < 108, !text.utf8.contains(0) {
      self = .socket(path: text)
      return
    }
    guard text.hasPrefix("udp://"), let (host, port) = Self.split(text.dropFirst(6)),
      let number = UInt16(port), number > 0, Self.resolve(host: host, port: port, { _ in true }) == true
    else {
      throw Failure(
        .usage, "--syslog \(Diagnostics.printable(text)): expected the path of a socket, or udp://ADDRESS:PORT",
        hint: "write it as in /dev/log, udp://127.0.0.1:514 or udp://[::1]:514; host names are not looked up")
    }
    self = .udp(host: host, port: port)
  }

  private static func split(_ authority: Substring) -> (host: String, port: String)? {
    if authority.first == "[" {
      let parts = authority.dropFirst().split(separator: "]", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, parts[1].isEmpty || parts[1].first == ":" else { return nil }
      return (String(parts[0]), parts[1].isEmpty ? "514" : String(parts[1].dropFirst()))
    }
    let parts = authority.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard (1...2).contains(parts.count) else { return nil }
    return (parts[0], parts.count == 2 ? parts[1] : "514")
  }

  /// A socket that sends to this address without ever waiting, or errno.
  func connected() -> Result<Int32, SyslogError> {
    switch self {
    case .socket(let path):
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
      return withUnsafePointer(to: address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          Self.connect(AF_UNIX, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
    case .udp(let host, let port):
      return Self.resolve(host: host, port: port) { information in
        Self.connect(information.ai_family, information.ai_addr, information.ai_addrlen)
      } ?? .failure(SyslogError(number: EADDRNOTAVAIL))
    }
  }

  private static func connect(
    _ family: Int32, _ address: UnsafePointer<sockaddr>?, _ length: socklen_t
  ) -> Result<Int32, SyslogError> {
    let kind = Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = Glibc.socket(family, kind, 0)
    guard descriptor >= 0 else { return .failure(SyslogError(number: errno)) }
    guard Glibc.connect(descriptor, address, length) == 0 else {
      let error = SyslogError(number: errno)
      close(descriptor)
      return .failure(error)
    }
    return .success(descriptor)
  }

  /// What `body` makes of the numeric address; nil if it is not one.
  private static func resolve<Result>(host: String, port: String, _ body: (addrinfo) -> Result) -> Result? {
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
    hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, port, &hints, &list) == 0, let first = list else { return nil }
    defer { freeaddrinfo(first) }
    return body(first.pointee)
  }
}

/// Why a message did not go out.
struct SyslogError: Error, Hashable, CustomStringConvertible {
  /// The kernel's errno.
  let number: Int32

  var description: String { Errno.text(number) }
}
