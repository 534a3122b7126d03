import Contracts
import JSON
import Testing

@testable import Audit

@Suite struct LogEntryTests {
  @Test func anEntryIsCanonicalAndReadsBack() throws {
    let entry = try Fixture.entry("bo", "rotation.staged", at: 0, ["credential": "crm/prod", "version": 2])
    #expect(
      String(decoding: entry.bytes, as: UTF8.self)
        == #"{"credential":"crm/prod","event":"rotation.staged","member":"bo","time":"2026-11-21T09:20:00.000Z","v":1,"version":2}"#
    )
    #expect(try LogEntry(decoding: entry.bytes) == entry)
    #expect(entry.details == ["credential": "crm/prod", "version": 2])
  }

  @Test func reservedNamesImpossibleDetailsAndOddNamesAreRefused() throws {
    for name in LogEntry.reservedNames {
      #expect(throws: AuditError(.notCanonical, "")) { try Fixture.entry("ana", "a.b", at: 0, [name: 1]) }
    }
    var deep: JSONValue = 1
    for _ in 0..<40 { deep = .array([deep]) }
    let large = JSONValue.string(String(repeating: "x", count: LogEntry.maximumSize))
    for detail in [deep, large, .integer(Int.max), .integer(Int.min)] {
      #expect(throws: AuditError(.notCanonical, "")) { try Fixture.entry("ana", "a.b", at: 0, ["x": detail]) }
    }
    for member in ["", "a b", "é", "a\n", "a\u{7F}", String(repeating: "x", count: 129)] {
      #expect(throws: AuditError(.notCanonical, "")) { try Fixture.entry(member, "a.b", at: 0) }
    }
    for event in [
      "", "a", ".", "a.", ".b", "a..b", "A.b", "a.1", "a.1b", "1a.b", "a b.c", "é.b",
      "a." + String(repeating: "b", count: 127),
    ] {
      #expect(throws: AuditError(.notCanonical, "")) { try Fixture.entry("ana", event, at: 0) }
    }
    #expect(try Fixture.entry("ana", "log.list_all-2.x", at: 0).event == "log.list_all-2.x")
  }

  @Test(arguments: [
    "", "{}", "[]", "1", #"{"event":"a.b","member":"m","time":"2026-11-21T09:20:00.000Z"}"#,
    #"{"event":"a.b","member":"m","time":"2026-11-21T09:20:00.000Z","v":2}"#,
    #"{"event":"a.b","member":"m","time":"2026-11-21T09:20:00.000Z","v":"1"}"#,
    #"{"event":"a.b","member":"m","time":"2026-11-21T09:20:00Z","v":1}"#,
    #"{"event":"a.b","member":"m","time":"2026-02-29T09:20:00.000Z","v":1}"#,
    #"{"event":"a.b","member":"m","time":"2026-11-21T09:20:00.000Z","v":1} "#,
    #"{"event": "a.b","member":"m","time":"2026-11-21T09:20:00.000Z","v":1}"#,
    #"{"member":"m","event":"a.b","time":"2026-11-21T09:20:00.000Z","v":1}"#,
    #"{"event":"a.b","event":"a.b","member":"m","time":"2026-11-21T09:20:00.000Z","v":1}"#,
    #"{"event":"\u0061.b","member":"m","time":"2026-11-21T09:20:00.000Z","v":1}"#,
    #"{"event":"a.b","member":"m","time":"2026-11-21T09:20:00.000Z","v":1.0}"#,
    #"{"event":"a.b","member":null,"time":"2026-11-21T09:20:00.000Z","v":1}"#,
  ])
  func anotherTextIsRefused(_ text: String) {
    let bytes = Array(text.utf8)
    #expect(throws: AuditError(.notCanonical, "")) { try LogEntry(decoding: bytes) }
    let head = EntryHead(of: bytes.span)
    #expect(head == nil)
  }

  /// Whether it is canonical at a glance or must be read back: an entry is what its bytes say, or is refused.
  @Test func anEntryThatIsMadeIsTheOneThatIsRead() throws {
    var random = SeededGenerator(seed: 5)
    let texts = ["", "plain", "\u{7F}", "é", "\"", "\\", "\n", "\u{FB33}", "\u{1F600}"]
    let edge = 1_000_000_000_000_000
    var values: [JSONValue] = texts.map { .string($0) } + [.null, .bool(true), .object([:]), .array([])]
    values += [0, -1, edge - 1, edge, 1 - edge, -edge, JSONValue.maximumInteger, .max].map { .integer($0) }
    var refused = 0
    for _ in 0..<5000 {
      var value = values[Int.random(in: 0..<values.count, using: &random)]
      for depth in 0..<Int.random(in: 0...10, using: &random) {
        value = depth % 2 == 0 ? .array([value]) : .object([texts[depth % texts.count]: value])
      }
      let name = texts[Int.random(in: 0..<texts.count, using: &random)]
      guard let entry = try? Fixture.entry("bo", "a.b", at: 1, [name: value, "x": 1]) else {
        refused += 1
        continue
      }
      #expect(try LogEntry(decoding: entry.bytes) == entry)
    }
    #expect((1...2000).contains(refused), "integers that JSON cannot hold, and nothing else: \(refused)")
  }

  @Test func whatAnEntrySaysIsComparedByteForByte() throws {
    // Swift takes these two texts to be equal.
    let entry = try Fixture.entry("ana", "a.b", at: 0, ["x": "\u{E9}", "y": 1])
    #expect(entry.says("x", "\u{E9}"))
    #expect(!entry.says("x", "e\u{301}") && !entry.says("y", "1") && !entry.says("z", ""))
  }

  @Test func noChangedByteGivesAnEntryThatWritesDifferently() throws {
    let bytes = try Fixture.added("bo", at: 1).bytes
    for bit in 0..<bytes.count * 8 {
      let altered = bytes.flipping(bit: bit)
      guard let entry = try? LogEntry(decoding: altered) else { continue }
      let again = try LogEntry(time: entry.time, member: entry.member, event: entry.event, details: entry.details)
      #expect(again.bytes == altered)
    }
  }
}
