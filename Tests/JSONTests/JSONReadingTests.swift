import JSON
import Sodium
import Testing

@Suite struct JSONReadingTests {
  func read(_ text: String) throws -> JSONValue { try JSONValue(reading: Array(text.utf8)) }

  @Test func everyKindOfValueIsRead() throws {
    let text = " { \"a\" : [ 1 , -2, 0, -0, true , false,null, \"x\", {}, [] ] } \r\n\t"
    #expect(
      try read(text)
        == .object(["a": .array([1, -2, 0, 0, true, false, .null, "x", .object([:]), .array([])])]))
    #expect(try read("9007199254740991") == .integer(JSONValue.maximumInteger))
    #expect(try read("-9007199254740991") == .integer(-JSONValue.maximumInteger))
  }

  @Test(arguments: [(#""plain é""#, 1..<9), (#""""#, 1..<1), (#" "a" "#, 2..<3)])
  func aStringWithoutEscapesLiesVerbatimInItsText(_ text: String, _ place: Range<Int>) throws {
    let bytes = Array(text.utf8)
    let node = try JSONNode(reading: bytes.span.bytes)
    #expect(node.verbatim(in: bytes.span.bytes) == place)
    #expect(node.verbatim(in: Array(bytes.prefix(place.upperBound - 1)).span.bytes) == nil)
  }

  @Test(arguments: [#""\u0061""#, #""a\n""#, "1", "null", "true", "[]", "{}"])
  func whatIsWrittenOtherwiseLiesNowhere(_ text: String) throws {
    let bytes = Array(text.utf8)
    #expect(try JSONNode(reading: bytes.span.bytes).verbatim(in: bytes.span.bytes) == nil)
  }

  @Test func escapesAreResolved() throws {
    #expect(try read(#""\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\uDE00\u0000""#) == "\"\\/\u{8}\u{C}\n\r\tAé€😀\0")
    #expect(try read(#""é€😀\#u{7F}""#) == "é€😀\u{7F}")
    #expect(try read(#"{"\u0061":1}"#) == .object(["a": 1]))
  }

  @Test(arguments: [
    "", " ", "{", "}", "[", "]", "{]", "[}", ",", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",
    "{'a':1}", "{1:1}", "{\"a\":1 \"b\":2}", "{,}", "nul", "nulll", "True", "tru", "NaN", "Infinity", "-", "+1", "01",
    "-01",
    "00", "1.", ".5", "1.e1", "1e", "1e+", "0x10", "1 1", "1,", "\"", "\"a", "\"\\", "\"\\\"", "\"\\x\"", "\"\\u\"",
    "\"\\u12\"", "\"\\u123\"", "\"\\u12G4\"", "\"\\u 123\"", "\"\\U0041\"", "\"a\" x", "\"\n\"", "\"\t\"", "\"\u{0}\"",
    "\"\u{1F}\"", "\"\\\n\"", #""\ud800""#, #""\udc00""#, #""\ud800\ud800""#, #""\ud800x""#, #""\ud83d\u0041""#,
    #""\ud83d\n""#, #""\ud83d\ud""#, #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#, #"[{"b":{"a":1,"a":1}}]"#, "\u{FEFF}1",
    "\u{A0}1", "/**/1", "//\n1",
  ])
  func anotherTextIsMalformed(_ text: String) {
    #expect(throws: JSONError(.malformed, "")) { try read(text) }
  }

  @Test(arguments: [
    "1.0", "0.5", "1e0", "1E3", "-0.0", "9007199254740992", "-9007199254740992", "99999999999999999999",
  ])
  func aNumberThatIsNoExactIntegerHasTheWrongType(_ text: String) {
    #expect(throws: JSONError(.wrongType, "")) { try read(text) }
  }

  @Test(
    arguments: [
      [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC2], [0xC2, 0x41], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
      [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xE2, 0x82], [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80],
      [0xF5, 0x80, 0x80, 0x80], [0xF0, 0x9F, 0x98], [0xFE], [0xFF],
    ] as [[UInt8]])
  func invalidUTF8IsMalformed(_ bytes: [UInt8]) {
    #expect(throws: JSONError(.malformed, "")) { try JSONValue(reading: [0x22] + bytes + [0x22]) }
    #expect(throws: JSONError(.malformed, "")) { try JSONValue(reading: [0x22] + bytes) }
    #expect(throws: JSONError(.malformed, "")) { try JSONValue(reading: [0x7B, 0x22] + bytes + Array("\":1}".utf8)) }
  }

  /// A letter and combining marks out of order, which `String` must sort to compare it, in time quadratic in their
  /// number.
  private static func marked(_ pairs: Int) -> String { "a" + String(repeating: "\u{301}\u{323}", count: pairs) }

  @Test func whatTakesLongToCompareIsNoNameAndNoText() throws {
    for text in [Self.marked(16), String(repeating: #"\u0301"#, count: 31)] {
      #expect(throws: JSONError(.malformed, "")) { try read("{\"\(text)\":0}") }
      let bytes = Array("\"\(text)\"".utf8)
      let node = try JSONNode(reading: bytes.span.bytes)
      #expect(throws: JSONError(.malformed, "")) { try node.text(in: bytes.span.bytes) }
      // A value of one of our formats is not limited: anyone who wrote it was allowed to.
      _ = try read("{\"x\":\"\(text)\"}")
    }
    let most = Self.marked(15)
    let bytes = Array("\"\(most + most)\"".utf8)
    #expect(try JSONNode(reading: bytes.span.bytes).text(in: bytes.span.bytes) == most + most)
    #expect(try read("{\"\(most)\":0}") == .object([most: 0]))
  }

  @Test func manyMarksAreRefusedAtOnce() {
    let long = Self.marked(100_000)
    let time = ContinuousClock().measure {
      #expect(throws: JSONError(.malformed, "")) { try read("{\"\(long)\":0,\"\(long)x\":1}") }
    }
    #expect(time < .seconds(10), "40 s and more where they are sorted")
  }

  @Test func nestingIsLimited() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    _ = try read(nested(32))
    #expect(throws: JSONError(.malformed, "")) { try read(nested(33)) }
    #expect(throws: JSONError(.malformed, "")) { try read(String(repeating: "{\"a\":", count: 100_000)) }
  }

  @Test func noTextCutShortIsRead() throws {
    let text = Array(#"{"a":[1,-2,true,null,"é\n😀"],"b":{"c":"d"}}"#.utf8)
    _ = try JSONValue(reading: text)
    for count in text.indices {
      #expect(throws: JSONError(.malformed, "")) { try JSONValue(reading: Array(text[..<count])) }
    }
  }

  @Test func aSecretGoesFromGuardedMemoryToGuardedMemory() throws {
    let text = #"{"client_secret":"a\"b\u00e9\ud83d\ude00c","n":1}"#
    let document = try SecretBytes(copying: text.utf8.span.bytes)
    let node = try JSONNode(reading: document.bytes)
    let secret = try #require(node["client_secret"])
    let value = try SecretBytes(capacity: secret.capacity) { try secret.write(to: &$0, in: document.bytes) }
    let expected = "a\"bé😀c"
    #expect(value.isEqual(to: try SecretBytes(copying: expected.utf8.span.bytes)))
    #expect(try secret.text(in: document.bytes) == expected)
    let number = try #require(node["n"])
    #expect(number.capacity == 0)
    #expect(node["absent"] == nil)
    #expect(throws: JSONError(.wrongType, "")) { try number.text(in: document.bytes) }
    #expect(throws: JSONError(.wrongType, "")) {
      _ = try SecretBytes(capacity: 1) { try number.write(to: &$0, in: document.bytes) }
    }
    // A node read from one text does not reach outside another.
    let short = try SecretBytes(copying: "{}".utf8.span.bytes)
    #expect(throws: JSONError(.malformed, "")) { try secret.text(in: short.bytes) }
  }

  @Test func membersAreAskedForByTypeAndStrangersAreRefused() throws {
    let value = try read(#"{"a":"x","c":["y"],"n":3,"s":{"k":"v"},"z":-1}"#)
    var members = try JSONMembers(of: value, "a test")
    #expect(try members.string("a") == "x")
    #expect(try members.optionalString("q") == nil)
    #expect(try members.array("c") == ["y"])
    #expect(try members.count("n") == 3)
    #expect(try members.optionalCount("q") == nil)
    #expect(try members.strings("s") == ["k": "v"])
    #expect(throws: JSONError(.unknownMember, "")) { try members.finish() }
    #expect(throws: JSONError(.wrongType, "")) { try members.count("z") }
    #expect(throws: JSONError(.wrongType, "")) { try members.string("n") }
    #expect(throws: JSONError(.wrongType, "")) { try members.optionalString("n") }
    #expect(throws: JSONError(.missing, "")) { try members.string("q") }
    try members.finish()
    #expect(throws: JSONError(.wrongType, "")) { try JSONMembers(of: "x", "a test") }
  }
}
