import JSON
import Testing

@Suite struct CanonicalJSONTests {
  /// RFC 8785 §3.2.2: the literals and the string of the example, without its fractions, which our formats do not have.
  @Test func theStringOfTheRFCIsWrittenAsThere() throws {
    let text = #"{"string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}"#
    let value = try JSONValue(reading: Array(text.utf8))
    #expect(value.canonicalText == #"{"literals":[null,true,false],"string":"€$\u000f\nA'B\"\\\\\"/"}"#)
  }

  /// RFC 8785 §3.2.3: members sort by UTF-16 code units, so that a surrogate pair comes before U+FB33.
  @Test func theMembersOfTheRFCSortAsThere() throws {
    let text = #"""
      {"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",
      "\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}
      """#
    let canonical = try JSONValue(reading: Array(text.utf8)).canonicalText
    let order = [
      "Carriage Return", "One", "Control", "Latin Small Letter O With Diaeresis", "Euro Sign", "Emoji: Grinning Face",
      "Hebrew Letter Dalet With Dagesh",
    ]
    let found = canonical.split(separator: ":\"").dropFirst().compactMap { $0.split(separator: "\"").first }
    #expect(found.map(String.init) == order)
    #expect(canonical.hasPrefix(#"{"\r":"Carriage Return","1":"One","#))
  }

  @Test func everyControlCharacterHasItsShortestEscape() throws {
    let short: [UInt8: String] = [8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"]
    for code in UInt8(0)...0x7F {
      let text = JSONValue.string(String(UnicodeScalar(code))).canonicalText
      let digits = String(code, radix: 16)
      let expected =
        switch code {
        case 0x22: "\\\""
        case 0x5C: "\\\\"
        case 0...0x1F: short[code] ?? "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: String(UnicodeScalar(code))
        }
      #expect(text == "\"\(expected)\"")
      #expect(try JSONValue(readingCanonical: Array(text.utf8)) == .string(String(UnicodeScalar(code))))
    }
  }

  @Test(arguments: [
    " 1", "1 ", "[ ]", "{ }", "[1, 2]", "{\"a\": 1}", "{\"b\":1,\"a\":2}", "-0", #""\u0041""#, #""\/""#, #""\u000A""#,
    #""\u001F""#, #""\u007f""#, #""\u00e9""#, "{\"é\":1,\"z\":2}", "{\"\u{FB33}\":1,\"\u{1F600}\":2}",
  ])
  func aTextOfAnotherFormIsNotCanonical(_ text: String) throws {
    let value = try JSONValue(reading: Array(text.utf8))
    #expect(throws: JSONError(.notCanonical, "")) { try JSONValue(readingCanonical: Array(text.utf8)) }
    #expect(try JSONValue(readingCanonical: value.canonicalBytes).canonicalBytes == value.canonicalBytes)
  }

  /// The order of UTF-16 code units, which is not that of the bytes, for every kind of first difference.
  @Test func membersSortByUTF16CodeUnitsWhereverTheyDiffer() {
    let characters = [
      "", "a", "z", "\u{7F}", "\u{80}", "\u{7FF}", "\u{800}", "\u{D7FF}", "\u{E000}", "\u{EFFF}", "\u{F000}",
      "\u{FFFD}",
      "\u{10000}", "\u{3FFFF}", "\u{40000}", "\u{10FFFF}",
    ]
    for first in characters {
      for second in characters where first != second {
        for prefix in ["", "name", "\u{10000}", "\u{E000}"] {
          let (left, right) = (prefix + first, prefix + second)
          let sorted = [left, right].sorted { $0.utf16.lexicographicallyPrecedes($1.utf16) }
          let text = JSONValue.object([left: 1, right: 1]).canonicalText
          #expect(text == "{\"\(sorted[0])\":1,\"\(sorted[1])\":1}")
        }
      }
    }
  }

  @Test func randomValuesSurviveTheirCanonicalText() throws {
    var random = Xorshift()
    for _ in 0..<2000 {
      let value = Self.value(depth: 4, using: &random)
      #expect(try JSONValue(readingCanonical: value.canonicalBytes) == value)
    }
  }

  /// Plain objects take a different path from the others.
  @Test(arguments: [
    "{}", #"{"a":-15,"b":[],"c":[{},"",[true,false,null]],"d":{"e":"f","g":0}}"#, #"{"":999999999999999}"#,
    #"{"a":9007199254740991,"b":-999999999999999}"#,
  ])
  func aPlainObjectIsReadAsTheOrdinaryReaderReadsIt(_ text: String) throws {
    let bytes = Array(text.utf8)
    #expect(try JSONValue(readingCanonical: bytes) == JSONValue(reading: bytes))
  }

  /// Names that sort differently by UTF-8, by UTF-16 and by character.
  private static let names = ["", "a", "b", "é", "z", "\u{1F600}", "\u{FB33}", "\n", "\"", "\\", "\u{0}", "ab", "A"]

  private static func value(depth: Int, using random: inout some RandomNumberGenerator) -> JSONValue {
    switch Int.random(in: 0..<(depth > 0 ? 6 : 4), using: &random) {
    case 0: .null
    case 1: .bool(.random(using: &random))
    case 2: .integer(.random(in: -JSONValue.maximumInteger...JSONValue.maximumInteger, using: &random))
    case 3: .string(names.randomElement(using: &random) ?? "")
    case 4: .array((0..<3).map { _ in value(depth: depth - 1, using: &random) })
    default:
      .object(
        names.shuffled(using: &random).prefix(4).reduce(into: [:]) { $0[$1] = value(depth: depth - 1, using: &random) })
    }
  }
}

/// The same sequence on every machine.
private struct Xorshift: RandomNumberGenerator {
  private var state: UInt64 = 88_172_645_463_325_252

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}
