import JSON
import Testing

@Suite struct PlainReaderTests {
  /// At every place of every length, because strings are read eight bytes at a time.
  @Test func aStringHasNoByteThatIsNotPlain() {
    for size in 0...20 {
      #expect(Self.isString([UInt8](repeating: 0x61, count: size)))
      for place in 0..<size {
        for byte in UInt8.min ... .max {
          var text = [UInt8](repeating: 0x61, count: size)
          text[place] = byte
          let isPlain = (0x20...0x7F).contains(byte) && byte != 0x22 && byte != 0x5C
          #expect(Self.isString(text) == isPlain, "byte \(byte) at \(place) of \(size)")
        }
      }
    }
  }

  private static func isString(_ text: [UInt8]) -> Bool {
    let bytes = [0x22] + text + [0x22]
    var reader = PlainReader()
    guard let range = try? reader.string(bytes.span), (try? reader.finish(bytes.span)) != nil else { return false }
    return range == 1..<bytes.count - 1
  }

  @Test(arguments: [
    ("0", 0), ("7", 7), ("10", 10), ("999999999999999", 999_999_999_999_999), ("00", nil), ("01", nil), ("-1", nil),
    ("1234567890123456", nil), ("", nil), ("1.0", nil), ("1e3", nil), ("+1", nil),
  ])
  func aCountHasOneForm(_ text: String, _ expected: Int?) {
    let bytes = Array(text.utf8)
    var reader = PlainReader()
    let value = try? reader.count(bytes.span)
    let isWhole = (try? reader.finish(bytes.span)) != nil
    #expect(isWhole ? value == expected : expected == nil)
  }

  @Test func membersAreTakenInTheirOrderAndNoOther() throws {
    let bytes = Array(#"{"a":1,"ab":"x","b":[{},{"c":2}]}"#.utf8)
    var reader = PlainReader()
    try reader.beginObject(bytes.span)
    let others = ["ab", "", "b"].map { (name: StaticString) -> Bool in reader.takes(name, bytes.span) }
    #expect(others == [false, false, false])
    let count = try reader.count("a", bytes.span)
    #expect(count == 1)
    let absent = try reader.optionalCount("aa", bytes.span)
    #expect(absent == nil)
    let place = try reader.string("ab", bytes.span)
    let text = bytes.span.text(at: place)
    #expect(text == "x")
    let isArray = reader.takes("b", bytes.span)
    #expect(isArray)
    try reader.beginArray(bytes.span)
    var elements = 0
    var names: [[UInt8]] = []
    while try reader.element(isFirst: elements == 0, bytes.span) {
      elements += 1
      try reader.beginObject(bytes.span)
      var last: Range<Int>?
      while let name = try reader.name(after: last, bytes.span) {
        last = name
        names.append(Array(bytes[name]))
        let value = try reader.value(bytes.span)
        #expect(!value.isString && bytes[value.range] == [0x32])
      }
    }
    #expect(elements == 2 && names == [[0x63]])
    let isOver = (try? reader.finish(bytes.span)) != nil
    #expect(!isOver)
    try reader.endObject(bytes.span)
    try reader.finish(bytes.span)
  }

  @Test(arguments: [
    #"{"b":1,"a":1}"#, #"{"a":1,"a":1}"#, #"{"ab":1,"a":1}"#, #"{"a":1,}"#, #"{,"a":1}"#, #"{"a":1"#, "{",
  ])
  func namesThatDoNotAscendAreRefused(_ text: String) {
    let bytes = Array(text.utf8)
    #expect(throws: PlainReader.NotPlain.self) {
      var reader = PlainReader()
      try reader.beginObject(bytes.span)
      var last: Range<Int>?
      while let name = try reader.name(after: last, bytes.span) {
        last = name
        _ = try reader.value(bytes.span)
      }
      try reader.finish(bytes.span)
    }
  }
}
