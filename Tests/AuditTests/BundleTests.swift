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
    let store = try Fixture.log()
    for row in try store.rows(in: .checkpoints) {
      let added = "— evil YWJjZGVmZ2g=\n— \(Fixture.origin) YWJjZGVmZ2g=\n"
      store.set(row.value + Array(added.utf8), in: .checkpoints, for: row.key)
    }
    let lines = try Self.lines(of: LogBundle.Selection(), in: store)
    #expect(lines == (try Self.lines(of: LogBundle.Selection())))
    #expect(try Self.verify(Self.file(lines)).entries == 7)
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

  @Test func `what is known beforehand is compared`() throws {
    let file = try Self.file(Self.lines(of: Self.late))
    let newest = try LogVerification.verify(storedIn: Fixture.log()).checkpoint.checkpoint
    let owner = try NoteKey(name: Fixture.origin, key: Fixture.key(of: "ana").verifyingKey)
    _ = try Self.verify(file, expecting: LogExpectations(owner: owner, remembered: [newest]))
    let stranger = try NoteKey(name: Fixture.origin, key: Fixture.key(of: "bo").verifyingKey)
    #expect(throws: AuditError(.inconsistent, "")) {
      try Self.verify(file, expecting: LogExpectations(owner: stranger))
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
