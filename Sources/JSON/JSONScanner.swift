/// A strict reader of RFC 8259 over raw bytes. It copies only member names, and trusts nothing.
struct JSONScanner {
  static let maximumDepth = 32

  private var position = 0
  private let end: Int

  init(end: Int) { self.end = end }

  mutating func document(in bytes: RawSpan) throws(JSONError) -> JSONNode {
    skipSpace(bytes)
    let root = try value(bytes, depth: 0)
    skipSpace(bytes)
    guard position == end else { throw malformed("nothing after the value") }
    return root
  }

  private func peek(_ bytes: RawSpan) -> UInt8? {
    position < end ? bytes.unsafeLoad(fromByteOffset: position, as: UInt8.self) : nil
  }

  private func malformed(_ expected: String) -> JSONError {
    JSONError(
      .malformed, position < end ? "at byte \(position): expected \(expected)" : "cut off: expected \(expected)")
  }

  private mutating func skipSpace(_ bytes: RawSpan) {
    while let byte = peek(bytes), byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
  }

  private mutating func take(_ byte: UInt8, _ name: String, _ bytes: RawSpan) throws(JSONError) {
    guard peek(bytes) == byte else { throw malformed(name) }
    position += 1
  }

  private mutating func value(_ bytes: RawSpan, depth: Int) throws(JSONError) -> JSONNode {
    guard depth < Self.maximumDepth else { throw malformed("at most \(Self.maximumDepth) levels") }
    switch peek(bytes) {
    case UInt8(ascii: "{"): return try object(bytes, depth: depth)
    case UInt8(ascii: "["): return try array(bytes, depth: depth)
    case UInt8(ascii: "\""): return .string(try string(bytes))
    case UInt8(ascii: "t"): return try literal("true", .bool(true), bytes)
    case UInt8(ascii: "f"): return try literal("false", .bool(false), bytes)
    case UInt8(ascii: "n"): return try literal("null", .null, bytes)
    case let byte? where byte == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte):
      return .number(try number(bytes))
    default: throw malformed("a value")
    }
  }

  private mutating func literal(_ word: StaticString, _ node: JSONNode, _ bytes: RawSpan) throws(JSONError) -> JSONNode
  {
    for byte in word.description.utf8 { try take(byte, word.description, bytes) }
    return node
  }

  private mutating func object(_ bytes: RawSpan, depth: Int) throws(JSONError) -> JSONNode {
    position += 1
    var members: [(name: String, value: JSONNode)] = []
    var names = Names()
    skipSpace(bytes)
    if peek(bytes) == UInt8(ascii: "}") {
      position += 1
      return .object([])
    }
    while true {
      skipSpace(bytes)
      guard peek(bytes) == UInt8(ascii: "\"") else { throw malformed("a member name") }
      let name = try JSONNode.string(string(bytes)).text(in: bytes)
      // Swift compares canonically equivalent names as equal, so this also refuses names that only look alike.
      guard names.insert(name) else { throw malformed("each member once") }
      skipSpace(bytes)
      try take(UInt8(ascii: ":"), "':'", bytes)
      skipSpace(bytes)
      members.append((name, try value(bytes, depth: depth + 1)))
      skipSpace(bytes)
      if peek(bytes) == UInt8(ascii: ",") {
        position += 1
        continue
      }
      try take(UInt8(ascii: "}"), "',' or '}'", bytes)
      return .object(members)
    }
  }

  private mutating func array(_ bytes: RawSpan, depth: Int) throws(JSONError) -> JSONNode {
    position += 1
    var elements: [JSONNode] = []
    skipSpace(bytes)
    if peek(bytes) == UInt8(ascii: "]") {
      position += 1
      return .array([])
    }
    while true {
      skipSpace(bytes)
      elements.append(try value(bytes, depth: depth + 1))
      skipSpace(bytes)
      if peek(bytes) == UInt8(ascii: ",") {
        position += 1
        continue
      }
      try take(UInt8(ascii: "]"), "',' or ']'", bytes)
      return .array(elements)
    }
  }

  /// RFC 8259 §6: an optional minus, no leading zero, optional fraction and exponent.
  private mutating func number(_ bytes: RawSpan) throws(JSONError) -> Range<Int> {
    let start = position
    if peek(bytes) == UInt8(ascii: "-") { position += 1 }
    if peek(bytes) == UInt8(ascii: "0") { position += 1 } else { try digits(bytes) }
    if peek(bytes) == UInt8(ascii: ".") {
      position += 1
      try digits(bytes)
    }
    if let byte = peek(bytes), byte | 0x20 == UInt8(ascii: "e") {
      position += 1
      if let sign = peek(bytes), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position += 1 }
      try digits(bytes)
    }
    return start..<position
  }

  private mutating func digits(_ bytes: RawSpan) throws(JSONError) {
    let start = position
    while let byte = peek(bytes), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
    guard position > start else { throw malformed("a digit") }
  }

  /// Checks one string up to its closing quote, escapes and UTF-8 included, and returns the range between the quotes.
  private mutating func string(_ bytes: RawSpan) throws(JSONError) -> Range<Int> {
    position += 1
    let start = position
    var hasEscape = false
    while let byte = peek(bytes) {
      switch byte {
      case UInt8(ascii: "\""):
        let range = start..<position
        if hasEscape { try Self.unescape(range, in: bytes) { _ in } }
        position += 1
        return range
      case UInt8(ascii: "\\"):
        hasEscape = true
        position += 2
      case 0x00...0x1F:
        throw malformed("no control character in a string")
      case 0x20...0x7F:
        position += 1
      default:
        position += try utf8Length(bytes)
      }
    }
    position = min(position, end)
    throw malformed("'\"'")
  }

  /// The length of the well-formed UTF-8 sequence (Unicode table 3-7) that begins here.
  private func utf8Length(_ bytes: RawSpan) throws(JSONError) -> Int {
    func byte(_ offset: Int) -> UInt8 {
      position + offset < end ? bytes.unsafeLoad(fromByteOffset: position + offset, as: UInt8.self) : 0
    }
    func isTail(_ offset: Int) -> Bool { byte(offset) & 0xC0 == 0x80 }
    let first = byte(0)
    let second = byte(1)
    switch first {
    case 0xC2...0xDF where isTail(1):
      return 2
    case 0xE0...0xEF
    where isTail(1) && isTail(2) && !(first == 0xE0 && second < 0xA0) && !(first == 0xED && second > 0x9F):
      return 3
    case 0xF0...0xF4
    where isTail(1) && isTail(2) && isTail(3) && !(first == 0xF0 && second < 0x90) && !(first == 0xF4 && second > 0x8F):
      return 4
    default:
      throw malformed("UTF-8")
    }
  }

  /// Resolves the escapes of a scanned string. Lone surrogates are refused: they have no UTF-8.
  static func unescape(_ range: Range<Int>, in bytes: RawSpan, _ append: (UInt8) -> Void) throws(JSONError) {
    // A node read from another text must not reach outside this one.
    guard range.upperBound <= bytes.byteCount else { throw JSONError(.malformed, "a string lies outside the text") }
    var index = range.lowerBound
    func malformed() -> JSONError { JSONError(.malformed, "at byte \(index): expected an escape of RFC 8259") }
    func byte(_ offset: Int) -> UInt8 { bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self) }
    func hexWord(at start: Int) throws(JSONError) -> UInt32 {
      guard start + 4 <= range.upperBound else { throw malformed() }
      var word: UInt32 = 0
      for offset in start..<start + 4 {
        switch byte(offset) {
        case let digit where (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit):
          word = word << 4 | UInt32(digit - 48)
        case let letter where (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(letter | 0x20):
          word = word << 4 | UInt32((letter | 0x20) - 87)
        default: throw malformed()
        }
      }
      return word
    }
    while index < range.upperBound {
      guard byte(index) == UInt8(ascii: "\\") else {
        append(byte(index))
        index += 1
        continue
      }
      guard index + 1 < range.upperBound else { throw malformed() }
      let escape = byte(index + 1)
      switch escape {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): append(escape)
      case UInt8(ascii: "b"): append(0x08)
      case UInt8(ascii: "f"): append(0x0C)
      case UInt8(ascii: "n"): append(0x0A)
      case UInt8(ascii: "r"): append(0x0D)
      case UInt8(ascii: "t"): append(0x09)
      case UInt8(ascii: "u"):
        var scalar = try hexWord(at: index + 2)
        if (0xD800...0xDBFF).contains(scalar) {
          guard index + 12 <= range.upperBound, byte(index + 6) == UInt8(ascii: "\\"),
            byte(index + 7) == UInt8(ascii: "u")
          else { throw malformed() }
          let low = try hexWord(at: index + 8)
          guard (0xDC00...0xDFFF).contains(low) else { throw malformed() }
          scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
          index += 6
        }
        guard let unicode = Unicode.Scalar(scalar) else { throw malformed() }
        for unit in UTF8.encode(unicode) ?? UTF8.encodedReplacementCharacter { append(unit) }
        index += 4
      default: throw malformed()
      }
      index += 2
    }
  }
}

/// The names of one object so far. Most objects have few, and comparing a few is faster than hashing.
private struct Names {
  private static let maximumCompared = 24

  private var few: [String] = []
  private var many: Set<String> = []

  /// Whether `name` is new.
  mutating func insert(_ name: String) -> Bool {
    if few.count < Self.maximumCompared {
      guard !few.contains(name) else { return false }
      few.append(name)
      return true
    }
    if many.isEmpty { many = Set(few) }
    return many.insert(name).inserted
  }
}
