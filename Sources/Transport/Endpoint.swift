/// The URL of a request, checked before any name is looked up: `https`, or `http` but only to this machine.
///
/// Stricter than RFC 3986 wherever two readers of one URL might disagree: no user name, no fragment, no dot segments,
/// printable ASCII only. libcurl is told to use the path unchanged, so what was checked here is what is sent.
package struct Endpoint: Hashable, Sendable {
  /// The whole URL.
  package let url: String
  /// The server's name or address, with its port if one is given. Errors may print it.
  package let host: String
  /// Whether the server is this machine, by a literal address or the name `localhost`.
  package let isLoopback: Bool
  /// Whether the connection is encrypted.
  package let isEncrypted: Bool

  /// Throws `insecureURL` unless `url` is absolute, well formed, and `https` (or `http` to this machine).
  package init(_ url: String) throws(TransportError) {
    let (scheme, rest) = try Self.splitScheme(url)
    let authority = rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
    let (name, port) = try Self.splitAuthority(authority)
    let host = port.isEmpty ? name : "\(name):\(port)"
    let isLoopback = Self.isLoopback(name)
    guard scheme == "https" || isLoopback else {
      throw .insecureURL("url for \(host) has scheme http, expected https (http is for loopback addresses only)", host)
    }
    try Self.checkTarget(rest.dropFirst(authority.count), host: host)
    self.url = url
    self.host = host
    self.isLoopback = isLoopback
    isEncrypted = scheme == "https"
  }

  /// The same server and scheme with another path (which starts with `/`) and query.
  package func at(_ target: String) throws(TransportError) -> Endpoint {
    guard target.utf8.first == UInt8(ascii: "/") else {
      throw .insecureURL("path for \(host) does not start with a slash", host)
    }
    return try Endpoint("\(isEncrypted ? "https" : "http")://\(host)\(target)")
  }

  private static func splitScheme(_ url: String) throws(TransportError) -> (String, ArraySlice<UInt8>) {
    let bytes = Array(url.utf8)
    guard bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw .insecureURL("url has a space, a control character or a letter outside ascii, expected printable ascii")
    }
    for scheme in ["https", "http"] {
      let opening = "\(scheme)://".utf8
      guard bytes.count > opening.count, zip(bytes, opening).allSatisfy({ lowercased($0) == $1 }) else { continue }
      return (scheme, bytes[opening.count...])
    }
    throw .insecureURL("url does not start with https://")
  }

  private static func splitAuthority(_ authority: ArraySlice<UInt8>) throws(TransportError) -> (String, String) {
    guard !authority.contains(UInt8(ascii: "@")) else {
      throw .insecureURL("url holds a user name or password, expected none")
    }
    let isBracketed = authority.first == UInt8(ascii: "[")
    let end =
      isBracketed
      ? authority.firstIndex(of: UInt8(ascii: "]")).map { $0 + 1 }
      : authority.firstIndex(of: UInt8(ascii: ":")) ?? authority.endIndex
    guard let end else { throw .insecureURL("url's host opens a bracket and does not close it") }
    let name = authority[..<end]
    let inner = isBracketed ? name.dropFirst().dropLast() : name
    guard !inner.isEmpty, inner.count <= 253, inner.allSatisfy({ isHostByte($0, inBrackets: isBracketed) }) else {
      throw .insecureURL("url's host is empty, too long or not a name or address")
    }
    var port = authority[end...]
    if let colon = port.popFirst() {
      // A colon must be followed by a port: "host:" means different things to different readers.
      let number = port.count <= 5 && port.allSatisfy(isDigit) ? Int(String(decoding: port, as: UTF8.self)) : nil
      guard colon == UInt8(ascii: ":"), let number, (1...65_535).contains(number) else {
        throw .insecureURL("url's port is malformed, expected 1 to 65535")
      }
    }
    return (String(decoding: name, as: UTF8.self), String(decoding: port, as: UTF8.self))
  }

  private static func checkTarget(_ target: ArraySlice<UInt8>, host: String) throws(TransportError) {
    guard !target.contains(where: { #"#\"<>^`{|}"#.utf8.contains($0) }) else {
      throw .insecureURL("url for \(host) has a fragment or a character that must be percent-encoded", host)
    }
    let path = target.prefix { $0 != UInt8(ascii: "?") }
    for segment in path.split(separator: UInt8(ascii: "/"))
    where segment.elementsEqual(".".utf8) || segment.elementsEqual("..".utf8) {
      throw .insecureURL("url for \(host) has a dot segment in its path", host)
    }
  }

  /// Judges by what is written, never by what a name resolves to. libcurl itself maps `localhost` to loopback.
  private static func isLoopback(_ name: String) -> Bool {
    if name == "[::1]" || name.utf8.elementsEqual("localhost".utf8, by: { lowercased($0) == $1 }) { return true }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    let isDottedQuad = parts.count == 4 && parts.allSatisfy { isDecimalByte($0) }
    return isDottedQuad && parts.first == "127"
  }

  private static func isDecimalByte(_ text: Substring) -> Bool {
    // No leading zeros: "010" is 8 to some readers and 10 to others.
    text.utf8.allSatisfy(isDigit) && UInt8(text) != nil && (text == "0" || text.utf8.first != UInt8(ascii: "0"))
  }

  private static func isHostByte(_ byte: UInt8, inBrackets: Bool) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."): true
    case UInt8(ascii: ":"): inBrackets
    case UInt8(ascii: "-"), UInt8(ascii: "_"): !inBrackets
    default:
      (UInt8(ascii: "a")...UInt8(ascii: inBrackets ? "f" : "z")).contains(lowercased(byte))
    }
  }
}

private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

/// ASCII letters in lower case, other bytes as they are.
func lowercased(_ byte: UInt8) -> UInt8 {
  (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
}

extension TransportError {
  fileprivate static func insecureURL(_ description: String, _ host: String = "") -> TransportError {
    TransportError(.insecureURL, host: host, description)
  }
}
