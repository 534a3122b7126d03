/// A JSON value that is not secret, of the kinds our own formats use: no fractions, integers within ±(2^53 − 1).
package enum JSONValue: Hashable, Sendable {
  case null
  case bool(Bool)
  case integer(Int)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  /// The greatest integer that every JSON reader keeps exact (RFC 7493 §2.2).
  package static let maximumInteger = (1 << 53) - 1

  /// Reads any JSON text without fractions.
  package init(reading bytes: [UInt8]) throws(JSONError) {
    let span = bytes.span.bytes
    self = try JSONValue(JSONNode(reading: span), in: span)
  }

  /// Reads a text that must be canonical (RFC 8785): of all texts with the same meaning, exactly one is accepted.
  package init(readingCanonical bytes: [UInt8]) throws(JSONError) {
    // Almost all stored texts are plain: such a text is scanned once and then taken as it is.
    if PlainObject.isCanonical(bytes.span, { _, _ in }) {
      var builder = PlainBuilder()
      self = builder.value(bytes)
      return
    }
    self = try JSONValue(reading: bytes)
    guard canonicalBytes == bytes else {
      throw JSONError(.notCanonical, "the JSON is not in canonical form (RFC 8785)")
    }
  }

  /// The value that a `PlainReader` has found at `place` in `bytes`, whatever comes after it.
  package init(_ place: PlainReader.Place, in bytes: [UInt8]) {
    if place.isString {
      self = .string(bytes.span.text(at: place.range))
    } else {
      var builder = PlainBuilder(at: place.range.lowerBound)
      self = builder.value(bytes)
    }
  }

  /// A part of a JSON text that was already read and is not secret; `bytes` is the whole text.
  package init(_ node: JSONNode, in bytes: RawSpan) throws(JSONError) {
    switch node {
    case .null: self = .null
    case .bool(let value): self = .bool(value)
    case .number(let range):
      let text = bytes.withUnsafeBytes { String(decoding: UnsafeRawBufferPointer(rebasing: $0[range]), as: UTF8.self) }
      guard let value = Int(text), value.magnitude <= UInt(Self.maximumInteger) else {
        throw JSONError(.wrongType, "at byte \(range.lowerBound): expected an integer within 2^53")
      }
      self = .integer(value)
    case .string: self = .string(try node.wholeText(in: bytes))
    case .array(let nodes):
      var elements: [JSONValue] = []
      for node in nodes { elements.append(try JSONValue(node, in: bytes)) }
      self = .array(elements)
    case .object(let nodes):
      var members: [String: JSONValue] = [:]
      for member in nodes { members[member.name] = try JSONValue(member.value, in: bytes) }
      self = .object(members)
    }
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
  package init(stringLiteral value: String) { self = .string(value) }
  package init(integerLiteral value: Int) { self = .integer(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
}
