import JSON
import Sodium
import Storage
import Testing

@testable import Audit

@Suite struct BundleTests {
  /// What happened to `crm/prod` from the fourth entry of the fixture's log on.
  static var late: LogBundle.Selection {
    get throws { LogBundle.Selection(credentials: ["crm/prod"], since: try Fixture.runs()[1].entries[1].time) }
  }

  static func lines(of selection: LogBundle.Selection, in store: MemoryTransaction? = nil) throws -> [[UInt8]] {
    let store = try store ?? Fixture.log()
    let end = try #require(try AuditLog.authenticateHead(in: store, knowing: Fixture.keys))
    var lines: [[UInt8]] = []
    _ = try LogBundle.write(selection, of: end, in: store) { lines.append($0) }
    return lines
  }

  /// A bundle of a log in two runs, ana's and bo's; with the selection `other`, without any entry of the second.
  private static func early(_ selection: LogBundle.Selection = .init(credentials: ["other"])) throws -> [[UInt8]] {
    let store = MemoryTransaction()
    for run in try Fixture.runs().prefix(2) {
      _ = try AuditLog.append(run.entries, by: Fixture.signer(run.member), in: store, knowing: Fixture.keys)
    }
    return try lines(of: selection, in: store)
  }

  /// The checkpoint in `line`.
  private static func note(of line: [UInt8]) throws -> [UInt8] {
    var members = try JSONMembers(of: JSONValue(readingCanonical: line), "a line")
    return Array(try members.string("note").utf8)
  }

  /// A bundle of a log with `entries`, made by hand: of each run its size, who signs it, and which entries are shown.
  private static func made(
    _ entries: [LogEntry], origin: String = Fixture.origin, _ runs: [(size: UInt64, signer: String, shown: [UInt64])]
  ) throws -> [UInt8] {
    let tree = MerkleTreeTests.Grown(entries.map(\.bytes))
    let size = UInt64(entries.count)
    var lines: [[UInt8]] = []
    func put(_ members: [String: JSONValue]) { lines.append(JSONValue.object(members).canonicalBytes) }
    func put(_ size: UInt64, by signer: String, _ path: [SHA256Digest]) throws {
      let checkpoint = try Checkpoint(origin: origin, size: size, root: tree.roots[Int(size)])
      let note = String(decoding: try SignedCheckpoint(checkpoint, key: Fixture.key(of: signer)).bytes, as: UTF8.self)
      put(["note": .string(note), "path": .array(path.map { .string($0.bytes.base64) })])
    }
    put(["origin": .string(origin), "type": "bundle", "v": 1])
    try put(size, by: runs.last?.signer ?? "ana", [])
    for run in runs {
      try put(run.size, by: run.signer, ConsistencyProof(from: run.size, to: size, tree.node).path)
      for index in run.shown {
        let path = try InclusionProof(of: index, size: run.size, tree.node).path
        put(["index": .integer(Int(index)), "path": .array(path.map { .string($0.bytes.base64) })])
        lines.append(entries[Int(index)].bytes)
      }
    }
    put(["entries": .integer(runs.map(\.shown.count).reduce(0, +)), "type": "end"])
    return file(lines)
  }

  static func verify(_ bytes: [UInt8], expecting expectations: LogExpectations = LogExpectations()) throws
    -> BundleReport
  {
    guard bytes.last == 0x0A else { throw AuditError(.malformed, "no newline at the end") }
    var verification = BundleVerification(expecting: expectations)
    for line in bytes.dropLast().split(separator: 0x0A, omittingEmptySubsequences: false) {
      try verification.add(Array(line))
    }
    return try verification.finish()
  }

  static func file(_ lines: [[UInt8]]) -> [UInt8] { Array(lines.map { $0 + [0x0A] }.joined()) }

  @Test func `a bundle has what was asked for and who the members were, and nothing else`() throws {
    let lines = try Self.lines(of: Self.late)
    let report = try Self.verify(Self.file(lines))
    // vault.created, member.added; validated and promoted by bo; member.removed and refused by ana.
    #expect(report.entries == 6)
    #expect(report.members.map(\.name) == ["ana"] && report.signer.name == "ana" && report.owner.name == "ana")
    #expect(report.checkpoint.checkpoint.size == 7)
    let text = String(decoding: Self.file(lines), as: UTF8.self)
    #expect(!text.contains("rotation.staged") && text.contains("rotation.promoted"))
    let nothing = try Self.verify(Self.file(Self.lines(of: LogBundle.Selection(credentials: ["other"]))))
    #expect(nothing.entries == 3)
    let all = try Self.lines(of: LogBundle.Selection())
    #expect(try Self.verify(Self.file(all)).entries == 7)
    let entries = try Fixture.runs().flatMap(\.entries).map(\.bytes)
    #expect(entries.allSatisfy(all.contains))
  }

  @Test func `a line that somebody added to a stored checkpoint keeps no bundle from being made`() throws {
    let (evil, likeOurs) = ("— evil YWJjZGVmZ2g=\n", "— \(Fixture.origin) YWJjZGVmZ2g=\n")
    for added in [evil, likeOurs, evil + likeOurs] {
      let store = try Fixture.log()
      for row in try store.rows(in: .checkpoints) {
        store.set(row.value + Array(added.utf8), in: .checkpoints, for: row.key)
      }
      let lines = try Self.lines(of: LogBundle.Selection(), in: store)
      #expect(lines == (try Self.lines(of: LogBundle.Selection())))
      #expect(try Self.verify(Self.file(lines)).entries == 7)
    }
  }

  @Test func `an entry whose writer made up another time is left out of no span that it stands in`() throws {
    let store = MemoryTransaction()
    for run in try Fixture.runs() {
      for entry in run.entries {
        let isValidated = entry.event == "rotation.validated"
        let entry =
          isValidated
          ? try Fixture.entry(run.member, entry.event, at: -1_000_000, entry.details) : entry
        _ = try AuditLog.append([entry], by: Fixture.signer(run.member), in: store, knowing: Fixture.keys)
      }
    }
    let runs = try Fixture.runs()
    let span = LogBundle.Selection(since: runs[1].entries[0].time, until: runs[1].entries[2].time)
    let text = String(decoding: Self.file(try Self.lines(of: span, in: store)), as: UTF8.self)
    for event in ["rotation.staged", "rotation.validated", "rotation.promoted"] { #expect(text.contains(event)) }
    #expect(!text.contains("rotation.refused"))
  }

  @Test func `no bit of a bundle can change, and no line be missing, moved or doubled`() throws {
    let lines = try Self.lines(of: Self.late)
    let file = Self.file(lines)
    // One bit of each byte, a different one in the next byte; all bits would take a minute.
    for bit in stride(from: 0, to: file.count * 8, by: 9) {
      #expect(throws: (any Error).self, "bit \(bit)") { try Self.verify(file.flipping(bit: bit)) }
    }
    for count in stride(from: 0, to: file.count, by: 7) {
      #expect(throws: (any Error).self, "\(count) bytes") { try Self.verify(Array(file[..<count])) }
    }
    for index in lines.indices {
      var other = lines
      other.insert(lines[index], at: index)
      #expect(throws: (any Error).self) { try Self.verify(Self.file(other)) }
      other = lines
      other.remove(at: index)
      #expect(throws: (any Error).self) { try Self.verify(Self.file(other)) }
      guard index > 0 else { continue }
      other = lines
      other.swapAt(index, index - 1)
      #expect(throws: (any Error).self) { try Self.verify(Self.file(other)) }
    }
  }

  @Test func `an entry counts in its place, once, in a run that its writer signed, and in its own log`() throws {
    let entries = try Fixture.runs().flatMap(\.entries)
    let sound: [(size: UInt64, signer: String, shown: [UInt64])] = [
      (2, "ana", [0, 1]), (5, "bo", [3, 4]), (7, "ana", [5, 6]),
    ]
    let file = try Self.made(entries, sound)
    #expect(try Self.verify(file).entries == 6)
    func expect(_ bytes: [UInt8], _ location: SourceLocation = #_sourceLocation) {
      #expect(throws: AuditError(.inconsistent, ""), sourceLocation: location) { try Self.verify(bytes) }
    }
    expect(try Self.made(entries, sound.dropLast() + [(7, "ana", [5, 6, 6])]))
    expect(try Self.made(entries, sound.dropLast() + [(7, "ana", [6, 5])]))
    // In the first run, which ends before the one that it is shown in begins.
    expect(try Self.made(entries, [(2, "ana", [0]), (7, "ana", [1, 5])]))
    expect(try Self.made(entries, origin: "relatch/ff", sound))
    // ana signs that bo acted.
    let forged = try entries[..<2] + [Fixture.entry("ana", "pair.read", at: 2), entries[3]]
    expect(try Self.made(Array(forged), [(4, "ana", [0, 1, 2, 3])]))

    // The checkpoint of a run that is not the last is compared with what is remembered.
    let tree = MerkleTreeTests.Grown(entries.map(\.bytes))
    let five = try Checkpoint(origin: Fixture.origin, size: 5, root: tree.roots[5])
    _ = try Self.verify(file, expecting: LogExpectations(remembered: [five]))
    let rewritten = try Checkpoint(origin: Fixture.origin, size: 5, root: tree.roots[4])
    #expect(throws: AuditError(.inconsistent, "")) {
      try Self.verify(file, expecting: LogExpectations(remembered: [rewritten]))
    }
  }

  @Test func `what is known beforehand is compared`() throws {
    let file = try Self.file(Self.lines(of: Self.late))
    let newest = try LogVerification.verify(storedIn: Fixture.log()).checkpoint.checkpoint
    let owner = try NoteKey(name: Fixture.origin, key: Fixture.key(of: "ana").verifyingKey)
    _ = try Self.verify(file, expecting: LogExpectations(owner: owner, remembered: [newest]))
    for (origin, name) in [(Fixture.origin, "bo"), ("relatch/ff", "ana")] {
      let stranger = try NoteKey(name: origin, key: Fixture.key(of: name).verifyingKey)
      #expect(throws: AuditError(.inconsistent, "")) {
        try Self.verify(file, expecting: LogExpectations(owner: stranger))
      }
    }
    let other = try Checkpoint(origin: Fixture.origin, size: 7, root: MerkleTree.emptyRoot)
    #expect(throws: AuditError(.inconsistent, "")) {
      try Self.verify(file, expecting: LogExpectations(remembered: [other]))
    }
    let later = try Checkpoint(origin: Fixture.origin, size: 9, root: MerkleTree.emptyRoot)
    #expect(throws: AuditError(.notFound, "")) {
      try Self.verify(file, expecting: LogExpectations(remembered: [later]))
    }
  }

  @Test func `the newest checkpoint is compared and verified even if no entry of its run is there`() throws {
    let lines = try Self.early()
    let file = Self.file(lines)
    let report = try Self.verify(file)
    #expect(report.entries == 2 && report.signer.name == "bo" && report.checkpoint.checkpoint.size == 5)
    _ = try Self.verify(file, expecting: LogExpectations(remembered: [report.checkpoint.checkpoint]))
    let other = try Checkpoint(origin: Fixture.origin, size: 5, root: MerkleTree.emptyRoot)
    #expect(throws: AuditError(.inconsistent, "")) {
      try Self.verify(file, expecting: LogExpectations(remembered: [other]))
    }
    for bit in stride(from: 0, to: lines[1].count * 8, by: 9) {
      var altered = lines
      altered[1] = lines[1].flipping(bit: bit)
      #expect(throws: (any Error).self, "bit \(bit)") { try Self.verify(Self.file(altered)) }
    }
  }

  @Test func `a line of another form is refused, even if all that it says is true`() throws {
    let lines = try Self.early()
    let note = String(decoding: lines[1], as: UTF8.self)
    func replaced(_ index: Int, _ line: String) -> [[UInt8]] {
      var other = lines
      other[index] = Array(line.utf8)
      return other
    }
    let hash = MerkleTree.emptyRoot.bytes.base64
    let long = String(repeating: "x", count: LogBundle.maximumLineLength)
    for (code, other) in [
      (.malformed, replaced(0, #"{"origin":"\#(long)","type":"bundle","v":1}"#)),
      (.malformed, replaced(1, note.replacing(#""path":[]"#, with: #""path":["\#(hash)"]"#))),
      (.malformed, replaced(1, note.replacing(#"\n","path""#, with: #"\n— evil YWJjZGVmZ2g=\n","path""#))),
      (.inconsistent, replaced(1, note.replacing(Fixture.origin, with: "relatch/ff"))),
    ] as [(AuditError.Code, [[UInt8]])] {
      #expect(throws: AuditError(code, "")) { try Self.verify(Self.file(other)) }
    }
    // The checkpoint of the last run twice, signed by another member the first time: it would say who signs the log.
    let checkpoint = try SignedCheckpoint(decoding: Self.note(of: lines[1])).checkpoint
    let other = try SignedCheckpoint(checkpoint, key: Fixture.key(of: "ana"))
    var all = try Self.early(LogBundle.Selection())
    let text = JSONValue.string(String(decoding: other.bytes, as: UTF8.self))
    all[1] = JSONValue.object(["note": text, "path": .array([])]).canonicalBytes
    #expect(throws: AuditError(.inconsistent, "")) { try Self.verify(Self.file(all)) }
  }

  @Test func `a run has an entry, in the middle of a bundle and at its end`() throws {
    // Its lines: head, newest checkpoint; then of each run its checkpoint and, for each entry, a proof and the entry.
    let lines = try Self.lines(of: LogBundle.Selection())
    #expect(lines.count == 2 + (1 + 2 * 2) + (1 + 2 * 3) + (1 + 2 * 2) + 1)
    let middle = Array(lines[...7] + lines[14...18] + [Array(#"{"entries":4,"type":"end"}"#.utf8)])
    #expect(throws: AuditError(.malformed, "")) { try Self.verify(Self.file(middle)) }
    let end = Array(lines[...14] + [Array(#"{"entries":5,"type":"end"}"#.utf8)])
    #expect(throws: AuditError(.incomplete, "")) { try Self.verify(Self.file(end)) }
  }

  @Test func `a bundle has the newest cosigned checkpoints, once each, and proves that they are of its log`() throws {
    let store = MemoryTransaction()
    for second in 0..<Int64(18) {
      let name = second < 2 || second % 2 == 1 ? "ana" : "bo"
      let entry =
        switch second {
        case 0: try Fixture.genesis()
        case 1: try Fixture.added("bo", at: 1)
        default: try Fixture.entry(name, "log.read", at: second)
        }
      _ = try AuditLog.append([entry], by: Fixture.signer(name), in: store, knowing: Fixture.keys)
    }
    let end = try #require(try AuditLog.authenticateHead(in: store, knowing: Fixture.keys))
    // Of 2 entries, then one more each time: 17 in all.
    let (key, other) = (try CosignatureTests.key(), try CosignatureTests.key("witness.example/w2"))
    let signed = try store.rows(in: .checkpoints).map { try SignedCheckpoint(decoding: $0.value) }
    func cosigned(_ signed: SignedCheckpoint, by key: WitnessKey) throws -> SignedCheckpoint {
      let answer = try CosignatureTests.line(signed, by: key.name)
      return try #require(try signed.cosigned(by: key, answer: answer).only([key]))
    }
    func lines(_ cosigned: [SignedCheckpoint]) throws -> [[UInt8]] {
      var lines: [[UInt8]] = []
      let selection = LogBundle.Selection(credentials: ["other"])
      _ = try LogBundle.write(selection, of: end, cosigned: cosigned, in: store) { lines.append($0) }
      return lines
    }
    let all = try signed.map { try cosigned($0, by: key) }
    #expect(all.map(\.checkpoint.size) == (2...18).map { $0 })
    let whole = try lines(all.reversed() + all + [cosigned(signed[16], by: other)])
    let report = try Self.verify(Self.file(whole))
    #expect(report.cosigned.map(\.checkpoint.size) == (3...18).map { $0 })
    #expect(report.cosigned.map(\.note.signatures.count) == Array(repeating: 1, count: 15) + [2])

    // One of a size that no other line has is compared with what is remembered.
    let five = signed[3].checkpoint
    _ = try Self.verify(Self.file(whole), expecting: LogExpectations(remembered: [five]))
    let rewritten = try Checkpoint(origin: Fixture.origin, size: 5, root: MerkleTree.emptyRoot)
    #expect(throws: AuditError(.inconsistent, "")) {
      try Self.verify(Self.file(whole), expecting: LogExpectations(remembered: [rewritten]))
    }
    func expect(_ code: AuditError.Code, _ lines: [[UInt8]], _ location: SourceLocation = #_sourceLocation) {
      #expect(throws: AuditError(code, ""), sourceLocation: location) { try Self.verify(Self.file(lines)) }
    }
    let few = try lines([all[0]])
    var altered = whole
    altered.swapAt(2, 3)
    expect(.inconsistent, altered)
    expect(.inconsistent, Array(whole[...2] + whole[2...]))
    expect(.malformed, Array(whole[...1] + [few[2]] + whole[2...]))
    // After the checkpoint of a run.
    expect(.malformed, Array(few[...1] + [few[3], few[2]] + few[4...]))
    let text = String(decoding: whole[5], as: UTF8.self)
    for (code, old, new) in [
      (.badProof, signed[4].checkpoint.root.bytes.base64, five.root.bytes.base64),
      (.inconsistent, Fixture.origin, "relatch/ff"),
    ] as [(AuditError.Code, String, String)] {
      altered = whole
      altered[5] = Array(text.replacing(old, with: new).utf8)
      #expect(altered[5] != whole[5])
      expect(code, altered)
    }
  }

  @Test func `a bundle is not written from a log that was altered`() throws {
    let good = try Fixture.log()
    for index in 0..<UInt64(7) {
      let store = MemoryTransaction(copying: good)
      let bytes = try #require(good.value(in: .log, for: index.bigEndianBytes))
      store.set(bytes.flipping(bit: bytes.count * 4), in: .log, for: index.bigEndianBytes)
      #expect(throws: (any Error).self) { try Self.lines(of: LogBundle.Selection(), in: store) }
    }
  }
}
