import Sodium

/// One secret in one form, to be found in what a program says.
struct SecretPattern: Sendable {
  enum Form: Hashable, Sendable {
    /// Bytes as they are, or escaped as in URLs, JSON and shells.
    case text
    /// The same, with either alphabet of base64.
    case base64
    /// Two digits a byte, whatever stands between the bytes.
    case hexadecimal
  }

  enum Finding: Hashable {
    case none
    /// The text ended before the secret did; so many of its bytes were there.
    case partial(Int)
    /// The secret takes so many bytes of the text.
    case match(Int)
  }

  let form: Form
  private let secret: SharedSecret
  /// Whether an occurrence can begin with this byte.
  let beginnings: [Bool]

  private init(_ secret: SharedSecret, _ form: Form) {
    self.secret = secret
    self.form = form
    beginnings = secret.secret.withUnsafeBytes { bytes in
      (UInt8.min...UInt8.max).map { candidate in
        guard let first = bytes.first else { return false }
        switch form {
        case .text, .base64:
          return Self.isSame(first, candidate, form) || candidate == UInt8(ascii: "%")
            || candidate == UInt8(ascii: "\\") || (first == 0x20 && candidate == UInt8(ascii: "+"))
        case .hexadecimal:
          return Self.digit(candidate) == first >> 4 || candidate == UInt8(ascii: "\\")
            || candidate == UInt8(ascii: "0")
        }
      }
    }
  }

  /// All forms of a secret. Too short ones have only the first: what is left of them in the others is in every text.
  static func patterns(of secret: borrowing SecretBytes) throws -> [SecretPattern] {
    let whole = SharedSecret(try secret.clone())
    var patterns = [SecretPattern(whole, .text)]
    guard secret.count >= 4 else { return patterns }
    patterns.append(SecretPattern(whole, .hexadecimal))
    let reversed = try SecretBytes(capacity: secret.count) { output in
      secret.withUnsafeBytes { for byte in $0.reversed() { output.append(byte) } }
    }
    patterns.append(SecretPattern(SharedSecret(reversed), .text))
    for shift in 0...2 {
      let inner = try base64(of: secret, after: shift)
      if inner.count >= 4 { patterns.append(SecretPattern(SharedSecret(inner), .base64)) }
    }
    return patterns
  }

  /// The characters of base64 that `secret` alone decides where `shift` bytes stand before it.
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

  /// What stands in `text` at `start`.
  func find(in text: UnsafeRawBufferPointer, at start: Int) -> Finding {
    secret.secret.withUnsafeBytes { secret in
      form == .hexadecimal
        ? Self.findHexadecimal(secret, text, start) : Self.findText(secret, text, start, form)
    }
  }

  // MARK: - Text

  /// How many ways through a text are tried before it is taken for an occurrence: only texts made to confuse have so many.
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
      // Tried last: line breaks that a program put into what it said.
      if index > 0, isBreak(text[position]), !(isBreak(text[position - 1]) && isBreak(text[position - 2])) {
        open.append((index, position + 1))
      }
      switch escape(of: wanted, in: text, at: position) {
      case .match(let count): open.append((index + 1, position + count))
      case .partial: furthest = max(furthest ?? 0, index)
      case .none: break
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

  /// Whether `byte` stands at `position` as `%2F`, `\/`, `\x2f`, `\u002f` or `\057`.
  private static func escape(of byte: UInt8, in text: UnsafeRawBufferPointer, at position: Int) -> Finding {
    let rest = text[position...]
    guard let first = rest.first, first == UInt8(ascii: "%") || first == UInt8(ascii: "\\") else { return .none }
    guard rest.count > 1 else { return .partial(0) }
    if first == UInt8(ascii: "%") { return number(byte, rest, from: 1, count: 2, radix: 16) }
    switch rest[position + 1] {
    case byte: return .match(2)
    case UInt8(ascii: "x"): return number(byte, rest, from: 2, count: 2, radix: 16)
    case UInt8(ascii: "u"): return number(byte, rest, from: 2, count: 4, radix: 16)
    case UInt8(ascii: "0")...UInt8(ascii: "3"): return number(byte, rest, from: 1, count: 3, radix: 8)
    default: return .none
    }
  }

  private static func number(
    _ byte: UInt8, _ rest: Slice<UnsafeRawBufferPointer>, from start: Int, count: Int, radix: Int
  ) -> Finding {
    var value = 0
    for place in rest.dropFirst(start).prefix(count) {
      guard let digit = digit(place), digit < radix else { return .none }
      value = value * radix + Int(digit)
    }
    guard rest.count >= start + count else { return .partial(0) }
    return value == Int(byte) ? .match(start + count) : .none
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - 48
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - 87
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - 55
    default: nil
    }
  }

  // MARK: - Hexadecimal

  private static func findHexadecimal(
    _ secret: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer, _ start: Int
  ) -> Finding {
    var position = start
    for (index, byte) in secret.enumerated() {
      if index > 0 {
        let separators = text[position...].prefix(2).prefix { " :-,\n\r".utf8.contains($0) }
        position += separators.count
      }
      if position + 1 < text.count, text[position + 1] | 0x20 == UInt8(ascii: "x"),
        text[position] == UInt8(ascii: "\\") || text[position] == UInt8(ascii: "0")
      {
        position += 2
      }
      guard position + 1 < text.count else {
        // The one digit that is there may be one of ours.
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
