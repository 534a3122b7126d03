/// The shape of a JSON text, with places instead of contents: ranges of byte offsets into the text it was read from.
///
/// Strings and numbers are not copied out, so reading a document that lies in guarded memory leaves nothing outside it.
/// Member names are copied: they are the vocabulary of a protocol, not its secrets.
package indirect enum JSONNode: Sendable {
  case null
  case bool(Bool)
  /// The digits, as written.
  case number(Range<Int>)
  /// What is between the quotes, escapes included.
  case string(Range<Int>)
  case array([JSONNode])
  case object([(name: String, value: JSONNode)])

  /// The member `name` of an object; nil if this is no object or has no such member.
  package subscript(name: String) -> JSONNode? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.name == name }?.value
  }

  /// Reads exactly one JSON text (RFC 8259) that fills `bytes`: valid UTF-8, no duplicate member, nested at most 32
  /// deep.
  package init(reading bytes: RawSpan) throws(JSONError) {
    var scanner = JSONScanner(end: bytes.byteCount)
    self = try scanner.document(in: bytes)
  }

  /// A string that is not secret, with its escapes resolved. Also throws `malformed` if it has more combining marks in
  /// a row than any human text: `String` sorts them to compare it, in time that grows with the square of their number.
  package func text(in bytes: RawSpan) throws(JSONError) -> String {
    let text = try wholeText(in: bytes)
    guard text.isStreamSafe else {
      throw JSONError(.malformed, "a string has more than \(String.maximumMarks) combining marks in a row")
    }
    return text
  }

  /// The same, without that limit.
  func wholeText(in bytes: RawSpan) throws(JSONError) -> String {
    guard case .string(let range) = self else { throw JSONError(.wrongType, "expected a string") }
    // A node read from another text must not reach outside this one.
    guard range.upperBound <= bytes.byteCount else { throw JSONError(.malformed, "a string lies outside the text") }
    var text = bytes.withUnsafeBytes { all -> String?? in
      let written = UnsafeRawBufferPointer(rebasing: all[range])
      return written.contains(UInt8(ascii: "\\")) ? .none : .some(String(validating: written, as: UTF8.self))
    }
    if text == nil {
      var result: [UInt8] = []
      result.reserveCapacity(range.count)
      try JSONScanner.unescape(range, in: bytes) { result.append($0) }
      text = String(validating: result, as: UTF8.self)
    }
    guard let text = text ?? nil else {
      throw JSONError(.malformed, "a string is not UTF-8 at byte \(range.lowerBound)")
    }
    return text
  }

  /// An upper bound of the bytes that `write(to:in:)` appends: unescaping never lengthens a string.
  package var capacity: Int {
    switch self {
    case .string(let range): range.count
    case .null, .bool, .number, .array, .object: 0
    }
  }

  /// Where a string is whose bytes are its text; nil if it has escapes, or if this is not a string in `bytes`.
  package func verbatim(in bytes: RawSpan) -> Range<Int>? {
    guard case .string(let range) = self, range.upperBound <= bytes.byteCount else { return nil }
    let hasEscape = bytes.withUnsafeBytes { UnsafeRawBufferPointer(rebasing: $0[range]).contains(UInt8(ascii: "\\")) }
    return hasEscape ? nil : range
  }

  /// Appends a string's bytes, with escapes resolved, to guarded memory: this is how a secret with escapes leaves a
  /// document.
  package func write(to output: inout OutputRawSpan, in bytes: RawSpan) throws(JSONError) {
    guard case .string(let range) = self else { throw JSONError(.wrongType, "expected a string") }
    try JSONScanner.unescape(range, in: bytes) { output.append($0) }
  }
}

extension String {
  /// What the Stream-Safe Text Format allows (Unicode, UAX #15 §13).
  fileprivate static let maximumMarks = 30

  fileprivate var isStreamSafe: Bool {
    guard !utf8.allSatisfy({ $0 < 0x80 }) else { return true }
    var marks = 0
    for scalar in unicodeScalars {
      marks = scalar.properties.canonicalCombiningClass == .notReordered ? 0 : marks + 1
      if marks > Self.maximumMarks { return false }
    }
    return true
  }
}
