import Contracts
import JSON
import Testing

@testable import Audit

/// The quick reader must never accept what the full reader would refuse.
@Suite struct EntryHeadTests {
  @Test func ordinaryEntriesAreReadQuickly() throws {
    for run in try Fixture.runs() {
      for entry in run.entries {
        let head = EntryHead(of: entry.bytes, by: Array(run.member.utf8))
        #expect((head == nil) == (try Membership.Change(entry) != nil))
        #expect(head == nil || head?.time == entry.time)
        #expect(EntryHead(of: entry.bytes, by: Array("cy".utf8)) == nil)
      }
    }
  }

  @Test func onlyAnAdditionWithoutAnExposureIsReadQuickly() throws {
    func isQuick(_ details: [String: JSONValue]) throws -> Bool {
      let all = details.merging(["credential": "crm", "terms": "t"]) { $1 }
      let entry = try Fixture.entry("bo", "credential.added", at: 2, all)
      return EntryHead(of: entry.bytes, by: Array("bo".utf8), isOwner: true) != nil
    }
    #expect(try isQuick([:]))
    #expect(try isQuick(["exposures": true]))
    for name in ["credential", "terms"] {
      let entry = try Fixture.entry("bo", "credential.added", at: 2, [name: "x"])
      #expect(EntryHead(of: entry.bytes, by: Array("bo".utf8), isOwner: true) == nil, "only \(name)")
    }
    let whole = try Fixture.entry("bo", "credential.added", at: 2, ["credential": "crm", "terms": "t"])
    #expect(EntryHead(of: whole.bytes, by: Array("bo".utf8)) == nil, "by an operator")
    for exposure: JSONValue in [.object(["version": 1]), "", .null, 1] {
      #expect(try !isQuick(["exposure": exposure]), "the record must agree with it")
    }
  }

  @Test(arguments: ["credential", "record", "terms", "rotation", "step"])
  func aMemberOfAnotherTypeIsLeftToTheFullReader(_ name: String) throws {
    let all: [String: JSONValue] = [
      "credential": "crm", "record": "r", "rotation": 1, "step": 1, "terms": "t",
    ]
    func isQuick(_ details: [String: JSONValue]) throws -> Bool {
      EntryHead(of: try Fixture.entry("bo", "rotation.staged", at: 2, details).bytes, by: Array("bo".utf8)) != nil
    }
    #expect(try isQuick(all))
    let isNumber = name == "rotation" || name == "step"
    for other: JSONValue in [isNumber ? "1" : 1, .null, .array([]), -1] {
      #expect(try !isQuick(all.merging([name: other]) { $1 }), "\(name): \(other)")
    }
    #expect(try isQuick(all.merging(["step": .integer(Int(UInt32.max))]) { $1 }))
    #expect(try !isQuick(all.merging(["step": .integer(Int(UInt32.max) + 1)]) { $1 }), "it would be read as step 0")
  }

  @Test func whatTheQuickReaderAcceptsTheFullReaderDoes() throws {
    var random = SeededGenerator(seed: 4)
    let sources = [
      try Fixture.entry("bo", "rotation.staged", at: 2, ["credential": "crm/prod", "version": 2]),
      try Fixture.entry(
        "bo", "a.b", at: 3, ["a": .array([1, -2, 0, true, false]), "z": .object(["": .null, "a": "\u{7F}"])]),
      try Fixture.entry("bo", "a.b", at: 4, ["x": .integer(JSONValue.maximumInteger), "é": "\n"]),
    ].map(\.bytes)
    let bytes = Array("{}[],:\"\\0123456789-eE.truefalsnvmi\u{7F} \n".utf8)
    var accepted = 0
    for _ in 0..<30_000 {
      var text = sources[Int.random(in: 0..<sources.count, using: &random)]
      for _ in 0..<Int.random(in: 1...2, using: &random) {
        let position = Int.random(in: 0..<text.count, using: &random)
        let byte = bytes[Int.random(in: 0..<bytes.count, using: &random)]
        switch Int.random(in: 0..<4, using: &random) {
        case 0: text[position] = byte
        case 1: text.insert(byte, at: position)
        case 2: text.remove(at: position)
        default: text.swapAt(position, Int.random(in: 0..<text.count, using: &random))
        }
      }
      if PlainObject.isCanonical(text.span, { _, _ in }) { _ = try JSONValue(readingCanonical: text) }
      guard let head = EntryHead(of: text, by: Array("bo".utf8)) else { continue }
      let entry = try LogEntry(decoding: text)
      #expect(head.time == entry.time)
      #expect(entry.member == "bo")
      #expect(try Membership.Change(entry) == nil)
      accepted += 1
    }
    #expect(accepted > 100)
  }

  @Test(arguments: [
    "", "{", "}", "{}x", "[]", "1", #"{"a":1"#, #"{"a":1,}"#, #"{"a":1,"a":1}"#, #"{"b":1,"a":1}"#, #"{"ab":1,"a":1}"#,
    #"{"a":01}"#, #"{"a":-0}"#, #"{"a":-}"#, #"{"a":1.0}"#, #"{"a":}"#, #"{"a"}"#, #"{"a":[1,]}"#, #"{"a":[,1]}"#,
    #"{"a":[1}"#, #"{"a": 1}"#, #"{"a":tru}"#, #"{"a":truex}"#, #"{"a":""#, #"{"a":"\""#, #"{"a":"é"}"#, #"{"a":"\n"}"#,
    #"{"a":1234567890123456}"#, #"{"a":[[[[[[[[[]]]]]]]]]}"#, "{\"a\":\"\n\"}",
  ])
  func theRestIsLeftToTheFullReader(_ text: String) {
    #expect(!PlainObject.isCanonical(Array(text.utf8).span) { _, _ in })
  }

  @Test(arguments: [
    "{}", #"{"":1}"#, #"{"a":{}}"#, #"{"a":[]}"#,
    #"{"a":[0,-1,"x",null,true,false,{"b":[1]}],"ab":"","b":123456789012345}"#,
  ])
  func aPlainObjectIsCanonical(_ text: String) throws {
    #expect(PlainObject.isCanonical(Array(text.utf8).span) { _, _ in })
    _ = try JSONValue(readingCanonical: Array(text.utf8))
  }
}
