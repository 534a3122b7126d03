import Audit

/// One message for a syslog daemon (RFC 5424), rendered without knowing where it goes.
struct SyslogMessage {
  let severity: Severity
  let time: Timestamp
  let host: String
  let process: Int32
  /// What happened, in one word: MSGID.
  let event: String
  /// Structured data, in this order. Relatch chooses the names; the values may come from anywhere.
  let parameters: [(name: String, value: String)]
  /// For people.
  let text: String

  /// `authpriv`: of interest to those who guard access.
  private static let facility = 10
  /// Every receiver must take 480 octets and should take 2048 (RFC 5426 §3.2).
  static let maximumLength = 2048

  /// The datagram: at most `longest` bytes, cut between two characters.
  var bytes: [UInt8] {
    let header =
      "<\(Self.facility * 8 + severity.rawValue)>1 \(time) \(Self.word(host, 255)) relatch \(process)"
      + " \(Self.word(event, 32))"
    // 32473 is the number reserved for documentation (RFC 5612): Relatch has none of its own.
    let elements = parameters.map { " \($0.name)=\"\(Self.escaped($0.value))\"" }.joined()
    // §6.4: text in UTF-8 begins with a byte order mark. ASCII needs none, and most logs show it as rubbish.
    let shown = Diagnostics.printable(text)
    let mark = shown.utf8.allSatisfy { $0 < 0x80 } ? "" : "\u{FEFF}"
    var bytes = Array("\(header) [relatch@32473\(elements)] \(mark)\(shown)".utf8)
    if bytes.count > Self.maximumLength {
      var end = Self.maximumLength
      while end > 0, bytes[end] & 0xC0 == 0x80 { end -= 1 }
      bytes.removeSubrange(end...)
    }
    return bytes
  }

  /// §6.3.3: these three are escaped. Control characters are allowed there, but are written out as well.
  private static func escaped(_ value: String) -> String {
    Diagnostics.printable(value).escaped(["\"": "\\\"", "\\": "\\\\", "]": "\\]"])
  }

  /// A field of the header: printable ASCII without spaces, `-` if nothing is left.
  private static func word(_ text: String, _ longest: Int) -> String {
    let word = String(decoding: text.utf8.filter { (33...126).contains($0) }.prefix(longest), as: UTF8.self)
    return word.isEmpty ? "-" : word
  }
}
