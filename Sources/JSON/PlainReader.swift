/// Reads canonical JSON (RFC 8785) of plain ASCII without escapes in one pass: nothing is read twice, copied or
/// allocated, which reading a hundred thousand records and a million log entries requires.
///
/// The caller asks for what must come next. A text read to its end in this way is canonical, because there is no other
/// way to write it: no spaces, members in ascending order, none twice, each value in its one form. For this, the caller
/// must ask for the names of one object in ascending order. Anything else throws `NotPlain`, which only means that the
/// full reader must decide.
package struct PlainReader {
  /// This text is not in the plainest form, or not what the caller asked for; it may still be canonical and valid.
  package struct NotPlain: Error {
    package init() {}
  }

  /// The place of a value: its range, a string's without the quotes, and whether it is a string.
  package struct Place: Sendable {
    package let range: Range<Int>
    package let isString: Bool
  }

  private var position = 0

  /// A reader at the beginning of a text.
  package init() {}

  // MARK: - Objects

  /// Takes the beginning of an object.
  package mutating func beginObject(_ bytes: borrowing Span<UInt8>) throws(NotPlain) {
    try take(UInt8(ascii: "{"), bytes)
  }

  /// Takes the next member's name if it is `name`, and returns whether it was. Its value comes next.
  package mutating func takes(_ name: StaticString, _ bytes: borrowing Span<UInt8>) -> Bool {
    let count = name.utf8CodeUnitCount
    // Before a member comes the comma after the previous one, or nothing.
    let start = isAtFirst(bytes) ? position : position + 1
    guard start + count + 3 <= bytes.count, start == position || bytes[position] == UInt8(ascii: ","),
      bytes[start] == UInt8(ascii: "\""), bytes[start + count + 1] == UInt8(ascii: "\""),
      bytes[start + count + 2] == UInt8(ascii: ":"), bytes.holds(name, at: start + 1)
    else { return false }
    position = start + count + 3
    return true
  }

  /// Takes the name of the next member, whatever it is, given the range of the previous member's name, `last`. If there
  /// is none, takes the end of the object and returns nil.
  package mutating func name(after last: Range<Int>?, _ bytes: borrowing Span<UInt8>) throws(NotPlain) -> Range<Int>? {
    guard position < bytes.count else { throw NotPlain() }
    if bytes[position] == UInt8(ascii: "}") {
      position += 1
      return nil
    }
    if last != nil { try take(UInt8(ascii: ","), bytes) }
    let name = try string(bytes)
    // In ASCII the order of bytes is that of UTF-16.
    if let last, !bytes.precedes(last, name) { throw NotPlain() }
    try take(UInt8(ascii: ":"), bytes)
    return name
  }

  /// Takes the end of an object.
  package mutating func endObject(_ bytes: borrowing Span<UInt8>) throws(NotPlain) {
    try take(UInt8(ascii: "}"), bytes)
  }

  /// Whether the next member is the first: no value ends in `{`.
  private func isAtFirst(_ bytes: borrowing Span<UInt8>) -> Bool {
    position > 0 && position <= bytes.count && bytes[position - 1] == UInt8(ascii: "{")
  }

  // MARK: - Arrays

  /// Takes the beginning of an array.
  package mutating func beginArray(_ bytes: borrowing Span<UInt8>) throws(NotPlain) {
    try take(UInt8(ascii: "["), bytes)
  }

  /// Goes to the next element. If there is none, takes the end of the array and returns false.
  package mutating func element(isFirst: Bool, _ bytes: borrowing Span<UInt8>) throws(NotPlain) -> Bool {
    guard position < bytes.count else { throw NotPlain() }
    if bytes[position] == UInt8(ascii: "]") {
      position += 1
      return false
    }
    if !isFirst { try take(UInt8(ascii: ","), bytes) }
    return true
  }

  // MARK: - Values

  /// Takes a string, and returns its range without the quotes.
  package mutating func string(_ bytes: borrowing Span<UInt8>) throws(NotPlain) -> Range<Int> {
    try take(UInt8(ascii: "\""), bytes)
    let start = position
    position = bytes.endOfPlainText(from: start)
    try take(UInt8(ascii: "\""), bytes)
    return start..<position - 1
  }

  /// Takes an integer from 0 of at most 15 digits, all of which are exact.
  package mutating func count(_ bytes: borrowing Span<UInt8>) throws(NotPlain) -> Int {
    let start = position
    var value = 0
    while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) {
      guard position - start < 15 else { throw NotPlain() }
      value = 10 * value + Int(bytes[position] - UInt8(ascii: "0"))
      position += 1
    }
    guard position > start, bytes[start] != UInt8(ascii: "0") || position - start == 1 else { throw NotPlain() }
    return value
  }

  /// Takes any value.
  package mutating func value(_ bytes: borrowing Span<UInt8>) throws(NotPlain) -> Place {
    guard position < bytes.count else { throw NotPlain() }
    if bytes[position] == UInt8(ascii: "\"") { return Place(range: try string(bytes), isString: true) }
    guard let end = PlainObject.value(bytes, from: position, depth: 1) else { throw NotPlain() }
    defer { position = end }
    return Place(range: position..<end, isString: false)
  }

  /// Throws unless the whole text was read.
  package func finish(_ bytes: borrowing Span<UInt8>) throws(NotPlain) {
    guard position == bytes.count else { throw NotPlain() }
  }

  private mutating func take(_ byte: UInt8, _ bytes: borrowing Span<UInt8>) throws(NotPlain) {
    guard position < bytes.count, bytes[position] == byte else { throw NotPlain() }
    position += 1
  }
}

extension PlainReader {
  /// Takes the next member, which must be a string named `name`.
  package mutating func string(_ name: StaticString, _ bytes: borrowing Span<UInt8>) throws(NotPlain) -> Range<Int> {
    guard takes(name, bytes) else { throw NotPlain() }
    return try string(bytes)
  }

  /// Takes the next member if it is named `name`; it must then be a string. Returns nil if it has another name.
  package mutating func optionalString(
    _ name: StaticString, _ bytes: borrowing Span<UInt8>
  ) throws(NotPlain) -> Range<Int>? {
    guard takes(name, bytes) else { return nil }
    return try string(bytes)
  }

  /// Takes the next member, which must be an integer named `name`.
  package mutating func count(_ name: StaticString, _ bytes: borrowing Span<UInt8>) throws(NotPlain) -> Int {
    guard takes(name, bytes) else { throw NotPlain() }
    return try count(bytes)
  }

  /// Takes the next member if it is named `name`; it must then be an integer. Returns nil if it has another name.
  package mutating func optionalCount(_ name: StaticString, _ bytes: borrowing Span<UInt8>) throws(NotPlain) -> Int? {
    guard takes(name, bytes) else { return nil }
    return try count(bytes)
  }
}

extension Span<UInt8> {
  /// Whether the bytes from `start` on begin with `text`.
  package borrowing func holds(_ text: StaticString, at start: Int) -> Bool {
    let size = text.utf8CodeUnitCount
    guard start >= 0, start <= count, size <= count - start else { return false }
    return withUnsafeBytes { areEqual($0, from: start, UnsafeRawBufferPointer(start: text.utf8Start, count: size)) }
  }

  /// Whether the bytes at `range` are `text`.
  package borrowing func equals(_ text: StaticString, at range: Range<Int>) -> Bool {
    range.count == text.utf8CodeUnitCount && holds(text, at: range.lowerBound)
  }

  /// Whether the bytes at `range` are `other`.
  package borrowing func equals(_ other: borrowing Span<UInt8>, at range: Range<Int>) -> Bool {
    guard range.count == other.count, range.lowerBound >= 0, range.upperBound <= count else { return false }
    return withUnsafeBytes { one in other.withUnsafeBytes { areEqual(one, from: range.lowerBound, $0) } }
  }

  /// Whether the bytes at `range` are the UTF-8 of `text`.
  package borrowing func equals(_ text: String, at range: Range<Int>) -> Bool {
    guard range.count == text.utf8.count, range.lowerBound >= 0, range.upperBound <= count else { return false }
    let isEqual = text.utf8.withContiguousStorageIfAvailable { other in
      withUnsafeBytes { areEqual($0, from: range.lowerBound, UnsafeRawBufferPointer(other)) }
    }
    if let isEqual { return isEqual }
    var place = range.lowerBound
    for byte in text.utf8 {
      guard self[place] == byte else { return false }
      place += 1
    }
    return true
  }

  /// The plain text at `range`, which is ASCII.
  package borrowing func text(at range: Range<Int>) -> String {
    extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
  }

  /// Whether the bytes at `left` come before those at `right`.
  borrowing func precedes(_ left: Range<Int>, _ right: Range<Int>) -> Bool {
    for offset in 0..<Swift.min(left.count, right.count) {
      let (one, other) = (self[left.lowerBound + offset], self[right.lowerBound + offset])
      if one != other { return one < other }
    }
    return left.count < right.count
  }

  /// The first position from `start` on of a byte that no plain string has: a quote, a backslash, a control character,
  /// or a byte that is not ASCII. The end of the text if there is none.
  borrowing func endOfPlainText(from start: Int) -> Int {
    var position = start
    // Eight bytes at a time. The first marked byte is always a real one; subtraction may mark others after it.
    let each: UInt64 = 0x0101_0101_0101_0101
    while position + 8 <= count {
      let word = UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self))
      let (quote, backslash) = (word ^ (each &* 0x22), word ^ (each &* 0x5C))
      let marks = (quote &- each) & ~quote | (backslash &- each) & ~backslash | (word &- (each &* 0x20)) & ~word | word
      let found = marks & (each &* 0x80)
      guard found == 0 else { return position + found.trailingZeroBitCount / 8 }
      position += 8
    }
    while position < count {
      let byte = self[position]
      guard (0x20...0x7F).contains(byte), byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else { break }
      position += 1
    }
    return position
  }
}

/// Whether `other` is in `bytes` at `start`; the caller knows that there is room for it. Most names are some eight
/// bytes long, so this compares eight at a time.
private func areEqual(_ bytes: UnsafeRawBufferPointer, from start: Int, _ other: UnsafeRawBufferPointer) -> Bool {
  var offset = 0
  while offset + 8 <= other.count {
    let (one, two) = (
      bytes.loadUnaligned(fromByteOffset: start + offset, as: UInt64.self),
      other.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    )
    guard one == two else { return false }
    offset += 8
  }
  while offset < other.count {
    guard bytes[start + offset] == other[offset] else { return false }
    offset += 1
  }
  return true
}
