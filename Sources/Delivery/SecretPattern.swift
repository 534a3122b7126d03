import Glibc
import Sodium

/// One secret in one form, to be found in a program's output or in a file.
struct SecretPattern: Sendable {
  enum Form: Hashable, Sendable {
    /// Bytes as they are, or escaped as in URLs, JSON, pages and shells, even several times over.
    case text
    /// The same, with either alphabet of base64.
    case base64
    /// Two hexadecimal digits a byte, each pair with an optional `0x` or `\x`, and up to two separators between bytes.
    case hexadecimal
  }

  enum Finding: Hashable {
    case none
    /// The text ended before the secret did; this many of its bytes were there.
    case partial(Int)
    /// The secret takes this many bytes of the text.
    case match(Int)
  }

  let form: Form
  /// The bytes to be found, in this form's alphabet.
  let secret: SharedSecret
  /// Whether an occurrence can begin with this byte.
  let firstBytes: [Bool]

  private init(_ secret: SharedSecret, _ form: Form) {
    self.secret = secret
    self.form = form
    firstBytes = secret.secret.withUnsafeBytes { bytes in
      (UInt8.min...UInt8.max).map { candidate in
        guard let first = bytes.first else { return false }
        switch form {
        case .text, .base64:
          return Self.isSame(first, candidate, form) || candidate == UInt8(ascii: "%")
            || candidate == UInt8(ascii: "\\") || candidate == UInt8(ascii: "&")
            || (first == 0x20 && candidate == UInt8(ascii: "+"))
        case .hexadecimal:
          return Self.digit(candidate) == first >> 4 || candidate == UInt8(ascii: "\\")
            || candidate == UInt8(ascii: "0")
        }
      }
    }
  }

  /// All forms of a secret. A secret of fewer than four bytes has only the first: what would be left of it in the
  /// others occurs in every text.
  static func patterns(of secret: borrowing SecretBytes) throws -> [SecretPattern] {
    let whole = SharedSecret(try secret.clone())
    var patterns = [SecretPattern(whole, .text)]
    guard secret.count >= 4 else { return patterns }
    patterns.append(SecretPattern(whole, .hexadecimal))
    let reversed = try SecretBytes(capacity: secret.count) { output in
      secret.withUnsafeBytes { for byte in $0.reversed() { output.append(byte) } }
    }
    patterns.append(SecretPattern(SharedSecret(reversed), .text))
    patterns += try base64Patterns(of: secret)
    // As in OAuth's Basic authentication of clients (RFC 6749 §2.3.1): each part is encoded before both are.
    let isEncoded = secret.withUnsafeBytes { !$0.allSatisfy { isLetterOrDigit($0) || kept($0, "-._~") } }
    guard isEncoded else { return patterns }
    let encoded = try percentEncoded(secret, keeping: "-._~", hasPlus: false)
    patterns += try base64Patterns(of: encoded)
    for encoder in otherEncoders where secret.withUnsafeBytes({ $0.contains { kept($0, encoder.matters) } }) {
      let encoded = try percentEncoded(secret, keeping: encoder.kept, hasPlus: encoder.hasPlus)
      patterns += try base64Patterns(of: encoded)
    }
    return patterns
  }

  /// Encoders that differ from RFC 3986: the characters other than letters and digits that they keep, whether they
  /// write a plus for a space, and the characters that show the difference. They are Python's `quote`, `quote_plus`,
  /// forms of browsers and Java, `encodeURIComponent`.
  private static let otherEncoders: [(kept: String, hasPlus: Bool, matters: String)] = [
    ("-._~/", false, "/"), ("-._~", true, " "), ("-._*", true, "~*"), ("-._~!*'()", false, "!*'()"),
  ]

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 65...90, 97...122: true
    default: false
    }
  }

  private static func kept(_ byte: UInt8, _ characters: String) -> Bool { characters.utf8.contains(byte) }

  private static func percentEncoded(
    _ secret: borrowing SecretBytes, keeping characters: String, hasPlus: Bool
  ) throws -> SecretBytes {
    let digits = Array("0123456789ABCDEF".utf8)
    return try SecretBytes(capacity: 3 * secret.count) { output in
      secret.withUnsafeBytes { bytes in
        for byte in bytes {
          if isLetterOrDigit(byte) || kept(byte, characters) {
            output.append(byte)
          } else if hasPlus, byte == 0x20 {
            output.append(UInt8(ascii: "+"))
          } else {
            output.append(UInt8(ascii: "%"))
            output.append(digits[Int(byte >> 4)])
            output.append(digits[Int(byte & 15)])
          }
        }
      }
    }
  }

  private static func base64Patterns(of secret: borrowing SecretBytes) throws -> [SecretPattern] {
    var patterns: [SecretPattern] = []
    for shift in 0...2 {
      let inner = try base64(of: secret, after: shift)
      if inner.count >= 4 { patterns.append(SecretPattern(SharedSecret(inner), .base64)) }
    }
    return patterns
  }

  /// The base64 characters that depend only on `secret` if `shift` bytes precede it.
  private static func base64(of secret: borrowing SecretBytes, after shift: Int) throws -> SecretBytes {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    // The first character that begins inside the secret, and the first that reaches beyond its end.
    let first = (shift * 8 + 5) / 6
    let end = (shift + secret.count) * 8 / 6
    return try SecretBytes(capacity: end - first) { output in
      secret.withUnsafeBytes { bytes in
        for character in first..<end {
          let bit = character * 6 - shift * 8
          let high = UInt16(bytes[bit / 8]) << 8
          let low = bit / 8 + 1 < bytes.count ? UInt16(bytes[bit / 8 + 1]) : 0
          output.append(alphabet[Int((high | low) >> UInt16(10 - bit % 8) & 0x3F)])
        }
      }
    }
  }

  /// Whether the secret stands in `text` at `start`.
  func find(in text: UnsafeRawBufferPointer, at start: Int) -> Finding {
    secret.secret.withUnsafeBytes { secret in
      form == .hexadecimal
        ? Self.findHexadecimal(secret, text, start) : Self.findText(secret, text, start, form)
    }
  }

  /// Whether the secret stands in `text` without an escape or a line break: quicker than trying `find` everywhere.
  func isPlainly(in text: UnsafeRawBufferPointer) -> Bool {
    secret.secret.withUnsafeBytes { secret in
      guard form != .hexadecimal, let first = secret.first, let pattern = secret.baseAddress else { return false }
      var rest = text[...]
      while rest.count >= secret.count, let start = UnsafeRawBufferPointer(rebasing: rest).baseAddress {
        guard let match = memchr(start, Int32(first), rest.count - secret.count + 1) else { return false }
        if memcmp(match, pattern, secret.count) == 0 { return true }
        rest = rest.dropFirst(UnsafeRawPointer(match) - start + 1)
      }
      return false
    }
  }

  // MARK: - Text

  /// How many ways through a text are tried before it counts as an occurrence: only texts made to confuse have so many.
  private static let patience = 1_000

  private static func findText(
    _ secret: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer, _ start: Int, _ form: Form
  ) -> Finding {
    var open = [(index: 0, position: start)]
    var steps = 0
    var furthest: Int?
    while let (index, position) = open.popLast() {
      if index == secret.count { return .match(position - start) }
      guard position < text.count else {
        furthest = max(furthest ?? 0, index)
        continue
      }
      steps += 1
      if steps > patience + secret.count { return .match(position - start) }
      let wanted = secret[index]
      // Tried last: line breaks that a program inserted into its output.
      if index > 0, isBreak(text[position]), !(isBreak(text[position - 1]) && isBreak(text[position - 2])) {
        open.append((index, position + 1))
      }
      if beginsEscape(text[position]) {
        escapes(of: secret, at: index, in: UnsafeRawBufferPointer(rebasing: text[position...])) { taken, finding in
          switch finding {
          case .match(let count): open.append((index + taken, position + count))
          case .partial: furthest = max(furthest ?? 0, index)
          case .none: break
          }
        }
      }
      if isSame(wanted, text[position], form) || (wanted == 0x20 && text[position] == UInt8(ascii: "+")) {
        open.append((index + 1, position + 1))
      }
    }
    return furthest.map { .partial($0) } ?? .none
  }

  private static func isSame(_ wanted: UInt8, _ found: UInt8, _ form: Form) -> Bool {
    if wanted == found { return true }
    guard form == .base64 else { return false }
    return wanted == UInt8(ascii: "+") && found == UInt8(ascii: "-")
      || wanted == UInt8(ascii: "/") && found == UInt8(ascii: "_")
  }

  private static func isBreak(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }

  // MARK: - Escapes

  /// How many levels of escaping are recognised: a URL in a URL, JSON in JSON.
  static let maximumEscapeLevels = 3

  private static func beginsEscape(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "%"), UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "&"): true
    default: false
    }
  }

  /// Calls `found` for each way in which the bytes of `secret` at `index` may be escaped at the beginning of `text`,
  /// with how many bytes of the secret and of the text that takes.
  private static func escapes(
    of secret: UnsafeRawBufferPointer, at index: Int, in text: UnsafeRawBufferPointer, _ found: (Int, Finding) -> Void
  ) {
    switch text.first {
    case UInt8(ascii: "%"):
      // %2F, %252F, %25252F
      for time in 0..<maximumEscapeLevels {
        guard time == 0 || text.dropFirst(2 * time - 1).starts(with: "25".utf8) else { return }
        found(1, number(Int(secret[index]), text, from: 1 + 2 * time, count: 2, radix: 16))
      }
    case UInt8(ascii: "\\"):
      let most = 1 << maximumEscapeLevels
      for run in 1...text.prefix(most).prefix(while: { $0 == UInt8(ascii: "\\") }).count {
        backslashed(secret, index, text, after: run, found)
      }
    case UInt8(ascii: "'") where secret[index] == UInt8(ascii: "'"):
      // A shell has no single quote within single quotes: they are closed before it and opened again after it.
      found(1, literal(#"'\''"#, text))
      found(1, literal(#"'"'"'"#, text))
    case UInt8(ascii: "&"):
      let (count, value) = character(in: secret, at: index)
      found(count, entity(value, text))
      if let name = entities[secret[index]] { found(1, literal(name, text)) }
    default: break
    }
  }

  /// The same for `\/`, `\x2f`, `\u002f` and `\057`, with `run` backslashes instead of one.
  private static func backslashed(
    _ secret: UnsafeRawBufferPointer, _ index: Int, _ text: UnsafeRawBufferPointer, after run: Int,
    _ found: (Int, Finding) -> Void
  ) {
    guard run < text.count else { return found(1, .partial(0)) }
    let byte = Int(secret[index])
    if text[run] == secret[index] { found(1, .match(run + 1)) }
    switch text[run] {
    case UInt8(ascii: "x"): found(1, number(byte, text, from: run + 1, count: 2, radix: 16))
    case UInt8(ascii: "0")...UInt8(ascii: "3"): found(1, number(byte, text, from: run, count: 3, radix: 8))
    case UInt8(ascii: "u"):
      found(1, number(byte, text, from: run + 1, count: 4, radix: 16))
      let (count, value) = character(in: secret, at: index)
      guard value >= 0x80 else { return }
      guard value > 0xFFFF else { return found(count, number(value, text, from: run + 1, count: 4, radix: 16)) }
      let high = number(0xD800 + (value - 0x10000) >> 10, text, from: run + 1, count: 4, radix: 16)
      guard case .match(let end) = high else { return found(count, high) }
      let next = UnsafeRawBufferPointer(rebasing: text[end...])
      let begins = literal(String(repeating: "\\", count: run) + "u", next)
      guard case .match(let start) = begins else { return found(count, begins) }
      let low = number(0xDC00 + (value - 0x10000) & 0x3FF, next, from: start, count: 4, radix: 16)
      guard case .match(let rest) = low else { return found(count, low) }
      found(count, .match(end + rest))
    default: break
    }
  }

  static let entities: [UInt8: String] = [
    UInt8(ascii: "&"): "&amp;", UInt8(ascii: "<"): "&lt;", UInt8(ascii: ">"): "&gt;", UInt8(ascii: "\""): "&quot;",
    UInt8(ascii: "'"): "&apos;",
  ]

  /// `&#47;` or `&#x2f;`
  private static func entity(_ value: Int, _ text: UnsafeRawBufferPointer) -> Finding {
    let begins = literal("&#", text)
    guard case .match(var position) = begins else { return begins }
    var radix = 10
    if position < text.count, text[position] | 0x20 == UInt8(ascii: "x") { (radix, position) = (16, position + 1) }
    let digits = text[position...].prefix(7).prefix { digit($0).map { $0 < radix } == true }
    position += digits.count
    guard position < text.count else { return .partial(0) }
    let found = digits.reduce(0) { $0 * radix + Int(digit($1) ?? 0) }
    return text[position] == UInt8(ascii: ";") && !digits.isEmpty && found == value ? .match(position + 1) : .none
  }

  /// The UTF-8 character that begins at `index`, and how many bytes it has; the byte itself if none does.
  private static func character(in secret: UnsafeRawBufferPointer, at index: Int) -> (count: Int, value: Int) {
    let first = Int(secret[index])
    let count = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1
    guard count > 1, index + count <= secret.count else { return (1, first) }
    var value = first & (0x7F >> count)
    for byte in secret[index + 1..<index + count] {
      guard byte & 0xC0 == 0x80 else { return (1, first) }
      value = value << 6 | Int(byte & 0x3F)
    }
    return (count, value)
  }

  private static func literal(_ words: String, _ text: UnsafeRawBufferPointer) -> Finding {
    guard text.starts(with: words.utf8) else {
      return text.count < words.utf8.count && words.utf8.starts(with: text) ? .partial(0) : .none
    }
    return .match(words.utf8.count)
  }

  private static func number(
    _ wanted: Int, _ text: UnsafeRawBufferPointer, from start: Int, count: Int, radix: Int
  ) -> Finding {
    var value = 0
    for place in text.dropFirst(start).prefix(count) {
      guard let digit = digit(place), digit < radix else { return .none }
      value = value * radix + Int(digit)
    }
    guard text.count >= start + count else { return .partial(0) }
    return value == wanted ? .match(start + count) : .none
  }

  static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - 48
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - 87
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - 55
    default: nil
    }
  }

  // MARK: - Hexadecimal

  static func separatesHexadecimal(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x20, UInt8(ascii: ":"), UInt8(ascii: "-"), UInt8(ascii: ","), 0x0A, 0x0D: true
    default: false
    }
  }

  private static func findHexadecimal(
    _ secret: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer, _ start: Int
  ) -> Finding {
    var position = start
    for (index, byte) in secret.enumerated() {
      if index > 0 {
        let separators = text[position...].prefix(2).prefix(while: separatesHexadecimal)
        position += separators.count
      }
      if position + 1 < text.count, text[position + 1] | 0x20 == UInt8(ascii: "x"),
        text[position] == UInt8(ascii: "\\") || text[position] == UInt8(ascii: "0")
      {
        position += 2
      }
      guard position + 1 < text.count else {
        // The single digit at the end may be one of ours.
        guard position < text.count else { return .partial(index) }
        let last = text[position]
        return digit(last) == byte >> 4 || last == UInt8(ascii: "\\") || last == UInt8(ascii: "0")
          ? .partial(index) : .none
      }
      guard let high = digit(text[position]), let low = digit(text[position + 1]), high << 4 | low == byte else {
        return .none
      }
      position += 2
    }
    return .match(position - start)
  }
}
