extension JSONValue {
  /// The canonical text (RFC 8785, JSON Canonicalization Scheme): members sorted by UTF-16 code units, no space, the
  /// shortest escapes. One value has one text, so a digest of the bytes is a digest of the value.
  ///
  /// Swift's `==` is coarser: it treats strings as equal that differ only in Unicode composition, although their bytes
  /// differ. Where that could matter, compare bytes.
  package var canonicalBytes: [UInt8] {
    var output: [UInt8] = []
    append(to: &output)
    return output
  }

  /// The canonical text as a string.
  package var canonicalText: String { String(decoding: canonicalBytes, as: UTF8.self) }

  func append(to output: inout [UInt8]) {
    switch self {
    case .null: output += "null".utf8
    case .bool(let value): output += (value ? "true" : "false").utf8
    case .integer(let value): output += String(value).utf8
    case .string(let text): Self.append(text, to: &output)
    case .array(let elements):
      output.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { output.append(UInt8(ascii: ",")) }
        element.append(to: &output)
      }
      output.append(UInt8(ascii: "]"))
    case .object(let members):
      output.append(UInt8(ascii: "{"))
      let sorted = members.sorted { Self.precedes($0.key, $1.key) }
      for (index, member) in sorted.enumerated() {
        if index > 0 { output.append(UInt8(ascii: ",")) }
        Self.append(member.key, to: &output)
        output.append(UInt8(ascii: ":"))
        member.value.append(to: &output)
      }
      output.append(UInt8(ascii: "}"))
    }
  }

  /// The order of UTF-16 code units. UTF-8 bytes have the same order below 0xEE, where the code units after the
  /// surrogates begin.
  static func precedes(_ left: String, _ right: String) -> Bool {
    let quick = left.utf8.withContiguousStorageIfAvailable { left in
      right.utf8.withContiguousStorageIfAvailable { right -> Bool? in
        for (one, other) in zip(left, right) where one != other {
          return one < 0xEE && other < 0xEE ? one < other : nil
        }
        return left.count < right.count
      }
    }
    if case .some(.some(.some(let answer))) = quick { return answer }
    return left.utf16.lexicographicallyPrecedes(right.utf16)
  }

  /// RFC 8785 §3.2.2.2: only quote, backslash and control characters are escaped.
  static func append(_ text: String, to output: inout [UInt8]) {
    output.append(UInt8(ascii: "\""))
    defer { output.append(UInt8(ascii: "\"")) }
    let isPlain =
      text.utf8.withContiguousStorageIfAvailable { bytes in
        guard bytes.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) else {
          return false
        }
        output.append(contentsOf: bytes)
        return true
      } ?? false
    if isPlain { return }
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""): output += "\\\"".utf8
      case UInt8(ascii: "\\"): output += "\\\\".utf8
      case 0x08: output += "\\b".utf8
      case 0x09: output += "\\t".utf8
      case 0x0A: output += "\\n".utf8
      case 0x0C: output += "\\f".utf8
      case 0x0D: output += "\\r".utf8
      case 0x00...0x1F:
        let digits = String(byte, radix: 16)
        output += (digits.utf8.count == 1 ? "\\u000" : "\\u00").utf8
        output += digits.utf8
      default: output.append(byte)
      }
    }
  }
}
