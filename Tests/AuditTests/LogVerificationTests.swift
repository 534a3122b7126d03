import JSON
import Sodium
import Storage
import Testing

@testable import Audit

extension MemoryTransaction {
  /// The stored hash of the first entry.
  fileprivate var leaf: [UInt8] { value(in: .tree, for: MerkleTree.Node(level: 0, index: 0).key) ?? [] }
}

@Suite struct LogVerificationTests {
  static func join(_ parts: [[UInt8]]) -> [UInt8] { Array(parts.joined()) }

  func expect(
    _ code: AuditError.Code, entry: UInt64? = nil, _ location: SourceLocation = #_sourceLocation,
    _ verify: () throws -> LogReport
  ) {
    let error = #expect(throws: AuditError.self, sourceLocation: location) { try verify() }
    #expect(error?.code == code, "\(error.map(\.description) ?? "")", sourceLocation: location)
    if let entry { #expect(error?.entry == entry, "\(error.map(\.description) ?? "")", sourceLocation: location) }
  }

  @Test func aGoodLogVerifiesFromTheStoreAndFromAFile() throws {
    let store = try Fixture.log()
    let report = try LogVerification.verify(storedIn: store)
    #expect(report.entries == 7)
    #expect(report.runs == 3)
    #expect(report.members == [try Fixture.card("ana", .owner)])
    #expect(report.owner == report.members.first)
    #expect(report.vault == Fixture.vault)
    #expect(report.root == report.checkpoint.checkpoint.root)
    #expect(report.clockStepsBack == 0)
    #expect(report.lastTime - report.firstTime == .seconds(6))
    let file = try LogFile.text(storedIn: store)
    #expect(file == Self.join(try Fixture.file(Fixture.runs())))
    #expect(try LogFile.verify(file) == report)
    let pinned = LogExpectations(
      owner: try NoteKey(name: Fixture.origin, key: Fixture.key(of: "ana").verifyingKey),
      remembered: [report.checkpoint.checkpoint])
    #expect(try LogFile.verify(file, expecting: pinned) == report)
    #expect(try LogVerification.verify(storedIn: store, expecting: pinned) == report)
  }

  @Test func noByteOfALogCanChange() throws {
    let runs = try Fixture.runs()
    let file = Self.join(try Fixture.file(runs))
    for index in file.indices {
      for other in [file[index] ^ 1, 0x0A] where other != file[index] {
        var altered = file
        altered[index] = other
        #expect(throws: AuditError.self, "byte \(index)") { try LogFile.verify(altered) }
      }
    }
    for count in file.indices {
      // A log cut off where a run ends is still a log: only a remembered checkpoint shows the cut.
      let report = try? LogFile.verify(Array(file[..<count]))
      #expect(report.map { [2, 5].contains($0.entries) } ?? true)
    }
  }

  @Test func aChangedRowIsNamed() throws {
    let good = try Fixture.log()
    for index in UInt64(0)..<7 {
      let key = index.bigEndianBytes
      let bytes = try #require(good.value(in: .log, for: key))
      for position in bytes.indices {
        let altered = MemoryTransaction(copying: good)
        altered.set(bytes.flipping(bit: position * 8), in: .log, for: key)
        let error = #expect(throws: AuditError.self) { try LogVerification.verify(storedIn: altered) }
        // A changed name begins a new run, which leaves the entries before it without a checkpoint.
        #expect((error?.entry).map { $0 <= index } == true, "entry \(index), byte \(position)")
        if error?.code == .corrupt { #expect(error?.entry == index) }
      }
      let removed = MemoryTransaction(copying: good)
      removed.remove(key, from: .log)
      expect(.incomplete, entry: index == 6 ? 5 : index) { try LogVerification.verify(storedIn: removed) }
    }
    for row in try good.rows(in: .checkpoints) {
      for bit in 0..<row.value.count * 8 {
        let altered = MemoryTransaction(copying: good)
        altered.set(row.value.flipping(bit: bit), in: .checkpoints, for: row.key)
        #expect(throws: AuditError.self) { try LogVerification.verify(storedIn: altered) }
      }
      let removed = MemoryTransaction(copying: good)
      removed.remove(row.key, from: .checkpoints)
      expect(.incomplete) { try LogVerification.verify(storedIn: removed) }
    }
    let rows = try good.rows(in: .tree)
    for row in rows {
      // The first entry under that node.
      let first = try #require(UInt64(bigEndianBytes: Array(row.key[1...]))) << UInt64(row.key[0])
      for bit in 0..<row.value.count * 8 {
        let altered = MemoryTransaction(copying: good)
        altered.set(row.value.flipping(bit: bit), in: .tree, for: row.key)
        expect(.corrupt, entry: first) { try LogVerification.verify(storedIn: altered) }
      }
      let removed = MemoryTransaction(copying: good)
      removed.remove(row.key, from: .tree)
      expect(.corrupt, entry: first) { try LogVerification.verify(storedIn: removed) }
      // The same node with more behind its key or its hash.
      removed.set(row.value, in: .tree, for: row.key + [0])
      expect(.corrupt, entry: first) { try LogVerification.verify(storedIn: removed) }
      let longer = MemoryTransaction(copying: good)
      longer.set(row.value + [0], in: .tree, for: row.key)
      expect(.corrupt, entry: first) { try LogVerification.verify(storedIn: longer) }
    }
    for (place, one) in rows.enumerated() {
      for other in rows[..<place] {
        let swapped = MemoryTransaction(copying: good)
        swapped.set(one.value, in: .tree, for: other.key)
        swapped.set(other.value, in: .tree, for: one.key)
        expect(.corrupt) { try LogVerification.verify(storedIn: swapped) }
      }
    }
    for key in [MerkleTree.Node(level: 3, index: 0).key, MerkleTree.Node(level: 0, index: 7).key, [0], [0xFF]] {
      let surplus = MemoryTransaction(copying: good)
      surplus.set([UInt8](repeating: 1, count: 32), in: .tree, for: key)
      expect(.corrupt) { try LogVerification.verify(storedIn: surplus) }
    }
  }

  @Test func aTreeIsMendedRowByRowFromItsEntries() throws {
    let good = try Fixture.log()
    func repair(_ change: (MemoryTransaction) -> Void) throws -> Int {
      let store = MemoryTransaction(copying: good)
      change(store)
      let rows = try LogVerification.repairTree(in: store)
      _ = try LogVerification.verify(storedIn: store)
      return rows
    }
    #expect(try repair { _ in } == 0)
    for row in try good.rows(in: .tree) {
      #expect(try repair { $0.remove(row.key, from: .tree) } == 1)
      #expect(try repair { $0.set(row.value.flipping(bit: 9), in: .tree, for: row.key) } == 1)
    }
    // Of seven entries: 7 leaves, 3 pairs and one subtree of four.
    for (level, index) in [(0, 7), (1, 3), (2, 1), (3, 0), (64, 0), (255, 0)] as [(UInt8, UInt64)] {
      let key = MerkleTree.Node(level: level, index: index).key
      #expect(try repair { $0.set(good.leaf, in: .tree, for: key) } == 1, "level \(level), index \(index)")
    }
    let key = MerkleTree.Node(level: 0, index: 0).key
    for other in [[], [0], Array(key.dropLast()), key + [0]] {
      #expect(try repair { $0.set(good.leaf, in: .tree, for: other) } == 1, "\(other)")
    }
  }

  @Test func aRememberedCheckpointOfNoEntriesIsOfThisLogToo() throws {
    let store = try Fixture.log()
    let empty = try Checkpoint(origin: Fixture.origin, size: 0, root: MerkleTree.emptyRoot)
    _ = try LogVerification.verify(storedIn: store, expecting: LogExpectations(remembered: [empty]))
    _ = try BundleTests.verify(
      BundleTests.file(BundleTests.lines(of: .init())), expecting: LogExpectations(remembered: [empty]))
    for other in [
      try Checkpoint(origin: "some.other/log", size: 0, root: MerkleTree.emptyRoot),
      try Checkpoint(origin: Fixture.origin, size: 0, root: MerkleTree.leafHash([])),
    ] {
      expect(.inconsistent) {
        try LogVerification.verify(storedIn: store, expecting: LogExpectations(remembered: [other]))
      }
      #expect(throws: AuditError(.inconsistent, "")) {
        try BundleTests.verify(
          BundleTests.file(BundleTests.lines(of: .init())), expecting: LogExpectations(remembered: [other]))
      }
    }
  }

  @Test func aDamagedTreeIsNotToldAsAnotherHistory() throws {
    let good = try Fixture.log()
    // The tree of 5 entries is not complete, so that nodes of all levels prove it.
    let older = try SignedCheckpoint(decoding: try good.rows(in: .checkpoints)[1].value).checkpoint
    #expect(older.size == 5)
    let newest = try Fixture.newest(of: good)
    try AuditLog.requireExtension(of: older, newest: newest, in: good)
    var refused = 0
    for row in try good.rows(in: .tree) {
      for change in [nil, row.value.flipping(bit: 0), Array(row.value.dropLast())] {
        let altered = MemoryTransaction(copying: good)
        altered.remove(row.key, from: .tree)
        if let change { altered.set(change, in: .tree, for: row.key) }
        do {
          try AuditLog.requireExtension(of: older, newest: newest, in: altered)
        } catch let error as AuditError {
          #expect(error.code == .corrupt, "\(row.key): \(error)")
          refused += 1
        }
      }
    }
    #expect(refused > 0)
  }

  @Test func removedReorderedRepeatedAndAppendedEntriesAreFound() throws {
    let parts = try Fixture.file(Fixture.runs())
    // Parts: 0, 1, checkpoint, 3, 4, 5, checkpoint, 7, 8, checkpoint.
    for index in parts.indices.dropLast() {
      var removed = parts
      removed.remove(at: index)
      #expect(throws: AuditError.self, "part \(index) removed") { try LogFile.verify(Self.join(removed)) }
      var repeated = parts
      repeated.insert(parts[index], at: index)
      #expect(throws: AuditError.self, "part \(index) repeated") { try LogFile.verify(Self.join(repeated)) }
      var swapped = parts
      swapped.swapAt(index, index + 1)
      #expect(throws: AuditError.self, "parts \(index) and \(index + 1) swapped") {
        try LogFile.verify(Self.join(swapped))
      }
    }
    var reordered = parts
    reordered.swapAt(3, 4)
    expect(.corrupt, entry: 2) { try LogFile.verify(Self.join(reordered)) }
    var unsigned = parts
    unsigned.append(try Fixture.entry("ana", "credential.read", at: 9).bytes + [0x0A])
    expect(.inconsistent, entry: 7) { try LogFile.verify(Self.join(unsigned)) }
    unsigned[unsigned.count - 2] = []
    expect(.incomplete, entry: 5) { try LogFile.verify(Self.join(unsigned)) }
    expect(.incomplete, entry: 0) { try LogVerification.verify(storedIn: MemoryTransaction()) }
    expect(.malformed, entry: 0) { try LogFile.verify([0x0A]) }
    expect(.malformed) { try LogFile.verify([]) }
    expect(.malformed) { try LogFile.verify(Self.join(parts).dropLast()) }
    let long = [UInt8](repeating: UInt8(ascii: "x"), count: SignedNote.maximumSize) + [0x0A]
    expect(.malformed, entry: 5) { try LogFile.verify(Self.join(parts.dropLast() + [long + parts[parts.count - 1]])) }
  }

  @Test func aLogCutWhereARunEndsIsFoundByOneRememberedCheckpoint() throws {
    let parts = try Fixture.file(Fixture.runs())
    let newest = try LogFile.verify(Self.join(parts)).checkpoint.checkpoint
    let cut = Self.join(Array(parts[..<7]))
    #expect(try LogFile.verify(cut).entries == 5)
    let expectations = LogExpectations(remembered: [newest])
    expect(.incomplete, entry: 5) { try LogFile.verify(cut, expecting: expectations) }
    // Another history of the same size, signed by the same members.
    var runs = try Fixture.runs()
    runs[1].entries[1] = try Fixture.entry("bo", "rotation.validated", at: 3, ["credential": "crm/test", "version": 2])
    let rewritten = Self.join(try Fixture.file(runs))
    #expect(try LogFile.verify(rewritten).entries == 7)
    expect(.inconsistent) { try LogFile.verify(rewritten, expecting: expectations) }
    let foreign = try Checkpoint(origin: "relatch/ff", size: 7, root: newest.root)
    expect(.inconsistent) { try LogFile.verify(cut, expecting: LogExpectations(remembered: [foreign])) }
    // Another owner's vault, or another vault of that owner.
    for (origin, name) in [(Fixture.origin, "bo"), ("relatch/ff", "ana")] {
      let stranger = try NoteKey(name: origin, key: Fixture.key(of: name).verifyingKey)
      expect(.inconsistent, entry: 0) { try LogFile.verify(cut, expecting: LogExpectations(owner: stranger)) }
    }
  }

  @Test func aRunSignedByAnotherIsFound() throws {
    let runs = try Fixture.runs()
    expect(.unknownSigner, entry: 0) { try LogFile.verify(Self.join(Fixture.file(runs, signedBy: ["bo"]))) }
    expect(.unknownSigner, entry: 2) { try LogFile.verify(Self.join(Fixture.file(runs, signedBy: [nil, "ana"]))) }
    expect(.unknownSigner, entry: 5) { try LogFile.verify(Self.join(Fixture.file(runs, signedBy: [nil, nil, "bo"]))) }
  }

  @Test func onlyMembersActAndOnlyOwnersChangeWhoTheyAre() throws {
    let start = try Fixture.runs()
    func verify(_ runs: [(member: String, entries: [LogEntry])]) throws -> LogReport {
      try LogFile.verify(Self.join(Fixture.file(runs)))
    }
    // bo was removed by entry 5.
    expect(.unknownSigner, entry: 7) {
      try verify(start + [("bo", [Fixture.entry("bo", "credential.read", at: 7)])])
    }
    // cy was never a member.
    expect(.unknownSigner, entry: 2) {
      try verify([start[0], ("cy", [Fixture.entry("cy", "credential.read", at: 7)])])
    }
    // bo is an operator.
    expect(.notPermitted, entry: 2) { try verify([start[0], ("bo", [Fixture.added("cy", by: "bo", at: 2)])]) }
    expect(.notPermitted, entry: 2) {
      try verify([start[0], ("bo", [Fixture.entry("bo", "member.removed", at: 2, ["removed": "ana"])])])
    }
    // What an operator may not do is no more allowed as an entry that a quick look might take for an ordinary one.
    let addition = try Fixture.entry("bo", "credential.added", at: 3, ["credential": "crm/prod", "terms": "t"])
    expect(.notPermitted, entry: 3) {
      try verify([start[0], ("bo", [Fixture.entry("bo", "credential.read", at: 2), addition])])
    }
    // ana signs that bo acted.
    expect(.incomplete, entry: 0) {
      try verify([("ana", start[0].entries + [Fixture.entry("bo", "credential.read", at: 2)])])
    }
    // Added twice, never added, removing oneself, a second beginning.
    for (code, entry) in [
      (AuditError.Code.notPermitted, try Fixture.added("bo", at: 2)),
      (.unknownSigner, try Fixture.entry("ana", "member.removed", at: 2, ["removed": "cy"])),
      (.notPermitted, try Fixture.entry("ana", "member.removed", at: 2, ["removed": "ana"])),
      (.notPermitted, try Fixture.genesis()),
      (.notCanonical, try Fixture.entry("ana", "member.added", at: 2, ["added": "bo"])),
      (.notCanonical, try Fixture.entry("ana", "member.removed", at: 2)),
      (.notCanonical, try Fixture.entry("ana", "delivery.added", at: 2)),
      (.notCanonical, try Fixture.entry("ana", "grant.added", at: 2, ["grantee": "bo"])),
      (.notCanonical, try Fixture.entry("ana", "grant.removed", at: 2, ["credential": "crm/prod"])),
    ] {
      expect(code, entry: 2) { try verify([("ana", start[0].entries + [entry])]) }
    }
    let wrongOwner = try Fixture.entry(
      "ana", "vault.created", at: 0, ["vault": .string(Fixture.vault), "owner": Fixture.card("bo", .owner).json])
    expect(.notPermitted, entry: 0) { try verify([("ana", [wrongOwner])]) }
    let noOwner = try Fixture.entry(
      "ana", "vault.created", at: 0, ["vault": .string(Fixture.vault), "owner": Fixture.card("ana", .operator).json])
    expect(.notPermitted, entry: 0) { try verify([("ana", [noOwner])]) }
    expect(.notCanonical, entry: 0) { try verify([("ana", [Fixture.added("bo", at: 0)])]) }
    // Removed, added again with another role, and acting again.
    let again = start + [("ana", [try Fixture.added("bo", .owner, at: 7)])].map { $0 }
    let merged = [
      again[0], again[1], ("ana", again[2].entries + again[3].entries),
      ("bo", [try Fixture.added("cy", by: "bo", at: 8)]), ("cy", [try Fixture.entry("cy", "credential.read", at: 1)]),
    ]
    let report = try verify(merged)
    #expect(report.members.map(\.name) == ["ana", "bo", "cy"])
    #expect(report.clockStepsBack == 1)
    #expect(report.largeClockStepBack == nil)
  }

  /// Most entries that continue a run are only looked at.
  @Test(arguments: [
    "vault.created", "member.added", "member.removed", "vault.rekeyed", "credential.added", "credential.rekeyed",
    "credential.removed", "delivery.added", "delivery.removed", "grant.added", "grant.removed", "vault.restored",
    "handoff.withdrawn", "handoff.sent", "witness.added", "witness.removed",
  ])
  func whatOnlyOwnersMayWriteIsNoOperatorsWhereverItStands(_ event: String) throws {
    let start = try Fixture.runs()[0]
    let owner = try Fixture.card("ana", .owner).json
    var details: [String: JSONValue] = [
      "added": try Fixture.card("cy", .owner).json, "credential": "crm/prod", "delivery": "d", "grantee": "bo",
      "handoff": "h", "key": .string(Fixture.vault), "owner": owner, "removed": "ana", "terms": "t", "transfer": true,
      "vault": .string(Fixture.vault), "witness": "w",
    ]
    if event == "witness.added" { details["witness"] = try Witness(name: "w", kind: .file(path: "/w")).json }
    func verify(_ entries: [LogEntry]) throws -> LogReport {
      try LogFile.verify(Self.join(Fixture.file([start, ("bo", entries)])))
    }
    let read = try Fixture.entry("bo", "credential.read", at: 2)
    let entry = try Fixture.entry("bo", event, at: 3, details)
    expect(.notPermitted, entry: 2) { try verify([entry]) }
    expect(.notPermitted, entry: 3) { try verify([read, entry]) }
    details["transfer"] = false
    let shared = try Fixture.entry("bo", "handoff.sent", at: 3, details)
    #expect(try verify([read, shared]).entries == 4)
  }

  @Test func aCheckpointIsOfThisLogAndOfTheSizeThatItSays() throws {
    let parts = try Fixture.file(Fixture.runs())
    let newest = try LogFile.verify(Self.join(parts)).checkpoint.checkpoint
    for other in [
      try Checkpoint(origin: Fixture.origin, size: 6, root: newest.root),
      try Checkpoint(origin: "relatch/ff", size: 7, root: newest.root),
    ] {
      let signed = try SignedCheckpoint(other, key: Fixture.key(of: "ana")).bytes
      expect(.inconsistent, entry: 5) { try LogFile.verify(Self.join(parts.dropLast() + [signed])) }
    }
  }

  @Test func aCheckpointIsStoredUnderTheSizeThatItHas() throws {
    let good = try Fixture.log()
    for row in try good.rows(in: .checkpoints) {
      for key in [UInt64(8).bigEndianBytes, row.key + [0]] {
        let moved = MemoryTransaction(copying: good)
        moved.remove(row.key, from: .checkpoints)
        moved.set(row.value, in: .checkpoints, for: key)
        let isLast = row.key == UInt64(7).bigEndianBytes
        expect(isLast ? .corrupt : .incomplete) { try LogVerification.verify(storedIn: moved) }
      }
    }
  }

  @Test func everyRememberedCheckpointIsComparedAlsoWithinARun() throws {
    let store = try Fixture.log()
    let nodes = StoredTree(transaction: store)
    let all = try (1...UInt64(7)).map { size in
      try Checkpoint(origin: Fixture.origin, size: size, root: MerkleFrontier(size: size, nodes.hash).root)
    }
    let file = try LogFile.text(storedIn: store)
    for remembered in [all, all.reversed()] {
      _ = try LogVerification.verify(storedIn: store, expecting: LogExpectations(remembered: remembered))
      _ = try LogFile.verify(file, expecting: LogExpectations(remembered: remembered))
    }
    for (place, checkpoint) in all.enumerated() {
      let other = try Checkpoint(origin: Fixture.origin, size: checkpoint.size, root: MerkleTree.emptyRoot)
      var remembered = all
      remembered[place] = other
      expect(.inconsistent) {
        try LogVerification.verify(storedIn: store, expecting: LogExpectations(remembered: remembered))
      }
      expect(.inconsistent) { try LogFile.verify(file, expecting: LogExpectations(remembered: remembered)) }
    }
  }

  @Test(arguments: [
    "", "0123456789abcd", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcdeg", "../../0123456789abcdef",
    String(repeating: "0", count: 66),
  ])
  func aVaultIsNamedInHexadecimal(_ vault: String) throws {
    let owner = try Fixture.card("ana", .owner).json
    let genesis = try Fixture.entry("ana", "vault.created", at: 0, ["vault": .string(vault), "owner": owner])
    #expect(throws: AuditError(.notCanonical, "")) { try Membership(genesis: genesis) }
    let rekeyed = try Fixture.entry("ana", "vault.rekeyed", at: 1, ["key": .string(vault)])
    #expect(throws: AuditError(.notCanonical, "")) { try Membership.Change(rekeyed) }
  }

  @Test func aCardHasANameThatEntriesCanHaveAndNothingThatIsNotRead() throws {
    let card = try Fixture.card("bo", .operator)
    #expect(try LogMember(card.json) == card)
    guard case .object(let members) = card.json else { throw AuditError(.malformed, "no object") }
    for (name, value) in [
      ("name", ""), ("name", "b o"), ("name", "bó"), ("age", ""), ("signing", "AAAA"), ("role", "root"), ("note", "x"),
    ] as [(String, JSONValue)] {
      let other = members.merging([name: value]) { $1 }
      #expect(throws: AuditError(.notCanonical, ""), "\(name): \(value)") { try LogMember(.object(other)) }
    }
  }

  @Test func `the first entry that is dated long before one that precedes it is named`() throws {
    // Equal times are no step back, and a minute is a usual one.
    let times: [Int64] = [4000, 4000, 3940, 5, 6]
    let entries = try [Fixture.genesis()] + times.map { try Fixture.entry("ana", "credential.read", at: $0) }
    let report = try LogFile.verify(Self.join(Fixture.file([("ana", entries)])))
    #expect(report.clockStepsBack == 2)
    #expect(report.largeClockStepBack?.entry == 4 && report.largeClockStepBack?.precedingEntry == 1)
    #expect(
      report.largeClockStepBack?.time == entries[4].time && report.largeClockStepBack?.precedingTime == entries[1].time)
    #expect(report.latestTime == entries[1].time && report.lastTime == entries[5].time)
  }
}
