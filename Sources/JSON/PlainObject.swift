/// A quick answer for the common case: is this text a canonical object (RFC 8785) of plain ASCII, without escapes?
///
/// It allocates nothing, which verifying a million log entries requires. A yes agrees with `JSONValue`'s reader; a no
/// only means that the full reader must decide.
package enum PlainObject {
  /// Nesting beyond this is left to the full reader, whose limit is higher.
  private static let maximumDepth = 8

  /// Whether `bytes` is certainly a canonical object. Calls `visit` with the place of each member's name and value,
  /// strings without their quotes; if the answer is no, what `visit` received means nothing.
  package static func isCanonical(
    _ bytes: borrowing Span<UInt8>, _ visit: (_ name: Range<Int>, _ value: Range<Int>) -> Void
  ) -> Bool {
    guard bytes.count > 0, bytes[0] == UInt8(ascii: "{"), let end = object(bytes, from: 0, depth: 0, visit) else {
      return false
    }
    return end == bytes.count
  }

  // Each function takes the place where its value begins, and returns the place after it; nil if the value is not
  // plain.

  private static func object(
    _ bytes: borrowing Span<UInt8>, from start: Int, depth: Int, _ visit: (Range<Int>, Range<Int>) -> Void
  ) -> Int? {
    var position = start + 1
    if position < bytes.count, bytes[position] == UInt8(ascii: "}") { return position + 1 }
    var last: Range<Int>?
    while position < bytes.count, bytes[position] == UInt8(ascii: "\"") {
      guard let colon = string(bytes, from: position), colon < bytes.count, bytes[colon] == UInt8(ascii: ":") else {
        return nil
      }
      let name = position + 1..<colon - 1
      // Strictly ascending: sorted, and no name twice. In ASCII the order of bytes is that of UTF-16.
      if let last, !bytes.precedes(last, name) { return nil }
      last = name
      guard let end = value(bytes, from: colon + 1, depth: depth + 1), end < bytes.count else { return nil }
      visit(name, bytes[colon + 1] == UInt8(ascii: "\"") ? colon + 2..<end - 1 : colon + 1..<end)
      position = end + 1
      if bytes[end] == UInt8(ascii: "}") { return position }
      guard bytes[end] == UInt8(ascii: ",") else { return nil }
    }
    return nil
  }

  private static func array(_ bytes: borrowing Span<UInt8>, from start: Int, depth: Int) -> Int? {
    var position = start + 1
    if position < bytes.count, bytes[position] == UInt8(ascii: "]") { return position + 1 }
    while let end = value(bytes, from: position, depth: depth + 1), end < bytes.count {
      position = end + 1
      if bytes[end] == UInt8(ascii: "]") { return position }
      guard bytes[end] == UInt8(ascii: ",") else { return nil }
    }
    return nil
  }

  static func value(_ bytes: borrowing Span<UInt8>, from start: Int, depth: Int) -> Int? {
    guard start < bytes.count, depth < maximumDepth else { return nil }
    switch bytes[start] {
    case UInt8(ascii: "\""): return string(bytes, from: start)
    case UInt8(ascii: "{"): return object(bytes, from: start, depth: depth) { _, _ in }
    case UInt8(ascii: "["): return array(bytes, from: start, depth: depth)
    case UInt8(ascii: "t"): return literal(bytes, from: start, "true")
    case UInt8(ascii: "f"): return literal(bytes, from: start, "false")
    case UInt8(ascii: "n"): return literal(bytes, from: start, "null")
    default: return integer(bytes, from: start)
    }
  }

  private static func string(_ bytes: borrowing Span<UInt8>, from start: Int) -> Int? {
    let end = bytes.endOfPlainText(from: start + 1)
    return end < bytes.count && bytes[end] == UInt8(ascii: "\"") ? end + 1 : nil
  }

  /// At most 15 digits, all of which are exact; no leading zero, no negative zero.
  private static func integer(_ bytes: borrowing Span<UInt8>, from start: Int) -> Int? {
    let digits = bytes[start] == UInt8(ascii: "-") ? start + 1 : start
    var position = digits
    while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) { position += 1 }
    guard (1...15).contains(position - digits), bytes[digits] != UInt8(ascii: "0") || position - start == 1 else {
      return nil
    }
    return position
  }

  private static func literal(_ bytes: borrowing Span<UInt8>, from start: Int, _ word: StaticString) -> Int? {
    guard start + word.utf8CodeUnitCount <= bytes.count else { return nil }
    for (offset, byte) in word.description.utf8.enumerated() where bytes[start + offset] != byte { return nil }
    return start + word.utf8CodeUnitCount
  }
}
