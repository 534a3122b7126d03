import JSON
import Sodium
import Storage
import Testing

@testable import Audit

@Suite struct AuditLogTests {
  @Test func aRunHasOneCheckpointHoweverManyTransactionsItTook() throws {
    let store = try Fixture.log()
    let sizes = try store.rows(in: .checkpoints).compactMap { UInt64(bigEndianBytes: $0.key) }
    #expect(sizes == [2, 5, 7])
    #expect(try AuditLog.size(in: store) == 7)
    #expect(try AuditLog.latestCheckpoint(in: store)?.checkpoint.size == 7)
    let entries = try Fixture.runs().flatMap(\.entries)
    for (index, entry) in entries.enumerated() { #expect(try AuditLog.entry(at: UInt64(index), in: store) == entry) }
    #expect(throws: AuditError(.notFound, "")) { try AuditLog.entry(at: 7, in: store) }
  }

  @Test func manyEntriesAtOnceGiveTheSameLogAsOneByOne() throws {
    let store = MemoryTransaction()
    #expect(try AuditLog.append([], by: Fixture.signer("ana"), in: store, knowing: Fixture.keys) == 0..<0)
    var ranges: [Range<UInt64>] = []
    for run in try Fixture.runs() {
      ranges.append(
        try AuditLog.append(run.entries, by: Fixture.signer(run.member), in: store, knowing: Fixture.keys))
    }
    #expect(ranges == [0..<2, 2..<5, 5..<7])
    let other = try Fixture.log()
    for table in [Table.log, .tree, .checkpoints] {
      #expect(try store.rows(in: table) == other.rows(in: table))
    }
    // One row for each complete subtree: 7 leaves, 3 pairs, one of four.
    #expect(try store.rows(in: .tree).count == 11)
  }

  @Test func everyEntryAuthenticatesAndItsProofTravels() throws {
    let store = try Fixture.log()
    let key = try Fixture.key(of: "ana").verifyingKey
    let end = try #require(try AuditLog.authenticateHead(in: store, knowing: Fixture.keys))
    for index in 0..<UInt64(7) {
      let entry = try ProvenTree(end).entry(at: index, in: store)
      let path = try AuditLog.inclusionProof(of: index, size: 7, in: store).path
      let made = LogProof(index: index, path: path, checkpoint: end.checkpoint)
      let bytes = made.bytes
      let proof = try LogProof(decoding: bytes)
      #expect(proof == made)
      #expect(proof.bytes == bytes)
      try proof.verify(entry.bytes, by: key)
      for bit in 0..<bytes.count * 8 {
        #expect(throws: AuditError.self) {
          try LogProof(decoding: bytes.flipping(bit: bit)).verify(entry.bytes, by: key)
        }
      }
      #expect(throws: AuditError(.badProof, "")) { try proof.verify(entry.bytes + [0x20], by: key) }
      let hash = MerkleTree.leafHash([])
      for count in [64, 65] {
        let long = LogProof(index: index, path: Array(repeating: hash, count: count), checkpoint: end.checkpoint)
        #expect((try? LogProof(decoding: long.bytes)) == (count == 64 ? long : nil))
      }
    }
    #expect(throws: AuditError(.notFound, "")) { try ProvenTree(end).entry(at: 7, in: store) }
  }

  @Test func proofsFromStoredNodesVerifyAtEverySize() throws {
    let store = try Fixture.log()
    let nodes = StoredTree(transaction: store)
    for second in 0...UInt64(7) {
      let root = try MerkleFrontier(size: second, nodes.hash).root
      for first in 0...second {
        try AuditLog.consistencyProof(from: first, to: second, in: store)
          .verify(firstRoot: MerkleFrontier(size: first, nodes.hash).root, secondRoot: root)
      }
      for index in 0..<second {
        try AuditLog.inclusionProof(of: index, size: second, in: store)
          .verify(leafHash: nodes.leafHash(at: index), root: root)
      }
    }
    #expect(throws: AuditError(.notFound, "")) { try AuditLog.inclusionProof(of: 0, size: 8, in: store) }
    #expect(throws: AuditError(.notFound, "")) { try AuditLog.consistencyProof(from: 1, to: 8, in: store) }
  }

  @Test func aRolledBackOrRewrittenLogIsToldFromItsExtension() throws {
    let now = try Fixture.log()
    let nodes = StoredTree(transaction: now)
    let newest = try Fixture.newest(of: now)
    for size in 0...UInt64(7) {
      let root = try MerkleFrontier(size: size, nodes.hash).root
      let seen = try Checkpoint(origin: Fixture.origin, size: size, root: root)
      try AuditLog.requireExtension(of: seen, newest: newest, in: now)
      let elsewhere = try Checkpoint(origin: "relatch/ff", size: size, root: root)
      let rewritten = try Checkpoint(origin: Fixture.origin, size: size, root: MerkleTree.leafHash([]))
      for other in [elsewhere, rewritten] {
        #expect(throws: AuditError(.inconsistent, "")) {
          try AuditLog.requireExtension(of: other, newest: newest, in: now)
        }
      }
    }
    let none = try Checkpoint(origin: Fixture.origin, size: 0, root: MerkleTree.emptyRoot)
    for (store, newest) in [(now, newest), (MemoryTransaction(), none)] {
      let ahead = try Checkpoint(origin: Fixture.origin, size: 8, root: MerkleTree.leafHash([]))
      #expect(throws: AuditError(.incomplete, "")) {
        try AuditLog.requireExtension(of: ahead, newest: newest, in: store)
      }
      // Nothing was cut off of a log that is another one.
      let elsewhere = try Checkpoint(origin: "relatch/ff", size: 8, root: MerkleTree.leafHash([]))
      #expect(throws: AuditError(.inconsistent, "")) {
        try AuditLog.requireExtension(of: elsewhere, newest: newest, in: store)
      }
    }
  }

  @Test func noOneSignsOverATamperedEnd() throws {
    let good = try Fixture.log()
    let next = try Fixture.entry("ana", "credential.read", at: 9)
    func append(_ store: MemoryTransaction) throws {
      _ = try AuditLog.append([next], by: Fixture.signer("ana"), in: store, knowing: Fixture.keys)
    }
    try append(MemoryTransaction(copying: good))

    // The frontier of 7: subtrees of 4, 2 and 1; and the last entry and the newest checkpoint.
    let seven = UInt64(7).bigEndianBytes
    let six = UInt64(6).bigEndianBytes
    let rows: [(Table, [UInt8])] = [
      (.tree, MerkleTree.Node(level: 2, index: 0).key), (.tree, MerkleTree.Node(level: 1, index: 2).key),
      (.tree, MerkleTree.Node(level: 0, index: 6).key), (.log, six), (.checkpoints, seven),
    ]
    for (table, key) in rows {
      let removed = MemoryTransaction(copying: good)
      removed.remove(key, from: table)
      #expect(throws: AuditError.self, "\(table) removed") { try append(removed) }
      let bytes = try #require(good.value(in: table, for: key))
      for bit in 0..<bytes.count * 8 {
        let altered = MemoryTransaction(copying: good)
        altered.set(bytes.flipping(bit: bit), in: table, for: key)
        #expect(throws: AuditError.self, "\(table) bit \(bit)") { try append(altered) }
      }
    }
    let frontier = MemoryTransaction(copying: good)
    frontier.set([UInt8](repeating: 1, count: 32), in: .tree, for: MerkleTree.Node(level: 2, index: 0).key)
    #expect(throws: AuditError(.corrupt, "")) { try append(frontier) }
    let cut = MemoryTransaction(copying: good)
    cut.remove(six, from: .log)
    #expect(throws: AuditError(.incomplete, "")) { try append(cut) }
    let strayKey = MemoryTransaction(copying: good)
    strayKey.set(next.bytes, in: .log, for: [UInt8](repeating: 0xFF, count: 8))
    #expect(throws: AuditError(.corrupt, "")) { try append(strayKey) }
  }

  /// Entries that no checkpoint covers must not be taken for none: the next run would begin the log anew.
  @Test func aLogWithoutCheckpointsIsNotEmpty() throws {
    let store = try Fixture.log()
    for row in try store.rows(in: .checkpoints) { store.remove(row.key, from: .checkpoints) }
    #expect(throws: AuditError(.incomplete, "")) { try AuditLog.authenticateHead(in: store, knowing: Fixture.keys) }
  }

  /// Whoever changes an entry can change its stored hash with it, but then it does not lead to the signed root.
  @Test func anEntryThatWasChangedIsFoundEvenIfItsHashWasChangedWithIt() throws {
    let good = try Fixture.log()
    _ = try AuditLog.append(
      [Fixture.entry("ana", "credential.read", at: 7)], by: Fixture.signer("ana"), in: good, knowing: Fixture.keys)
    let end = try #require(try AuditLog.authenticateHead(in: good, knowing: Fixture.keys))
    // The last of eight is under other nodes, like any other.
    for index in [UInt64(3), 7] {
      let forged = try Fixture.entry(index == 7 ? "ana" : "bo", "credential.read", at: 99)
      let altered = MemoryTransaction(copying: good)
      altered.set(forged.bytes, in: .log, for: index.bigEndianBytes)
      #expect(throws: AuditError(.corrupt, "")) { try AuditLog.entry(at: index, in: altered) }
      let leaf = MerkleTree.Node(level: 0, index: index)
      altered.set(MerkleTree.leafHash(forged.bytes).bytes, in: .tree, for: leaf.key)
      #expect(try AuditLog.entry(at: index, in: altered) == forged)
      #expect(throws: AuditError(.corrupt, "")) { try ProvenTree(end).entry(at: index, in: altered) }
      let proof = try AuditLog.inclusionProof(of: index, size: 8, in: altered)
      #expect(throws: AuditError(.badProof, "")) {
        try LogProof(index: index, path: proof.path, checkpoint: end.checkpoint)
          .verify(forged.bytes, by: Fixture.key(of: "ana").verifyingKey)
      }
      guard index == 7 else { continue }
      #expect(throws: AuditError(.badProof, "")) { try AuditLog.authenticateHead(in: altered, knowing: Fixture.keys) }
    }
  }

  @Test func aReplayIsOfTheSignedEntriesUpToItsEndAndOfNothingElse() throws {
    let store = try Fixture.log()
    let end = try #require(try AuditLog.authenticateHead(in: store, knowing: Fixture.keys))
    func replayed(_ store: MemoryTransaction) throws -> [UInt64] {
      var indices: [UInt64] = []
      try AuditLog.replay(end, in: store) { _, index in indices.append(index) }
      return indices
    }
    #expect(try replayed(store) == Array(0..<7))
    let next = try Fixture.entry("ana", "credential.read", at: 9)
    _ = try AuditLog.append([next], by: Fixture.signer("ana"), in: store, knowing: Fixture.keys)
    #expect(try replayed(store) == Array(0..<7))
    for index in 0..<UInt64(7) {
      let key = index.bigEndianBytes
      let moved = MemoryTransaction(copying: store)
      moved.set(try #require(store.value(in: .log, for: key)), in: .log, for: key + [0])
      moved.remove(key, from: .log)
      #expect(throws: AuditError(.incomplete, "")) { try replayed(moved) }
      let altered = MemoryTransaction(copying: store)
      altered.set(next.bytes, in: .log, for: key)
      #expect(throws: AuditError(.corrupt, "")) { try replayed(altered) }
    }
  }

  /// No checkpoint makes an entry of something else, as a program that checks nothing might sign.
  @Test func aReplayLeavesOutNothingThatIsNoEntry() throws {
    let store = MemoryTransaction()
    var frontier = MerkleFrontier()
    let last = try Fixture.entry("ana", "credential.read", at: 9).bytes
    for (index, bytes) in [try Fixture.genesis().bytes, Array("{}".utf8), last].enumerated() {
      store.set(bytes, in: .log, for: UInt64(index).bigEndianBytes)
      frontier.append(leafHash: MerkleTree.leafHash(bytes)) { store.set($1.bytes, in: .tree, for: $0.key) }
    }
    let checkpoint = try Checkpoint(origin: Fixture.origin, size: 3, root: frontier.root)
    store.set(
      try SignedCheckpoint(checkpoint, key: Fixture.key(of: "ana")).bytes, in: .checkpoints,
      for: UInt64(3).bigEndianBytes)
    let end = try #require(try AuditLog.authenticateHead(in: store, knowing: Fixture.keys))
    #expect(throws: AuditError(.notCanonical, "")) { try AuditLog.replay(end, in: store) { _, _ in } }
  }

  @Test func aLogOfManyPagesIsReadWhole() throws {
    let store = MemoryTransaction()
    let many = try (1..<600).map { try Fixture.entry("ana", "credential.read", at: $0) }
    let entries = try [Fixture.genesis()] + many
    _ = try AuditLog.append(entries, by: Fixture.signer("ana"), in: store, knowing: Fixture.keys)
    let end = try #require(try AuditLog.authenticateHead(in: store, knowing: Fixture.keys))
    var found: [LogEntry] = []
    try AuditLog.replay(end, in: store) { entry, _ in found.append(entry) }
    #expect(found == entries)
    #expect(try LogFile.verify(LogFile.text(storedIn: store)).entries == 600)
  }

  @Test func onlyAMemberAppendsAndOnlyInTheirOwnName() throws {
    let store = try Fixture.log()
    let mine = try Fixture.entry("ana", "credential.read", at: 9)
    let signer = try Fixture.signer("ana")
    #expect(throws: AuditError(.unknownSigner, "")) {
      try AuditLog.append([mine], by: Fixture.signer("bo"), in: store, knowing: Fixture.keys)
    }
    #expect(throws: AuditError(.unknownSigner, "")) {
      try AuditLog.append([mine], by: signer, in: store) { _ in nil }
    }
    let wrongKey = LogSigner(member: "ana", origin: Fixture.origin, key: try Fixture.key(of: "bo"))
    #expect(throws: AuditError(.unknownSigner, "")) {
      try AuditLog.append([mine], by: wrongKey, in: store, knowing: Fixture.keys)
    }
    let elsewhere = LogSigner(member: "ana", origin: "relatch/ff", key: try Fixture.key(of: "ana"))
    #expect(throws: AuditError(.inconsistent, "")) {
      try AuditLog.append([mine], by: elsewhere, in: store, knowing: Fixture.keys)
    }
    for stranger in [elsewhere, wrongKey] {
      #expect(throws: AuditError(.inconsistent, "")) {
        try AuditLog.append([Fixture.genesis()], by: stranger, in: MemoryTransaction(), knowing: Fixture.keys)
      }
    }
    let leaving = try Fixture.entry("ana", "member.removed", at: 9, ["removed": "ana"])
    for entry in [leaving, try Fixture.genesis()] {
      #expect(throws: AuditError(.notPermitted, "")) {
        try AuditLog.append([entry], by: signer, in: store, knowing: Fixture.keys)
      }
    }
    #expect(throws: AuditError(.notCanonical, "")) {
      try AuditLog.append(
        [Fixture.entry("ana", "member.added", at: 9)], by: signer, in: store, knowing: Fixture.keys)
    }
    #expect(throws: AuditError(.notCanonical, "")) {
      try AuditLog.append([mine], by: signer, in: MemoryTransaction(), knowing: Fixture.keys)
    }
  }

  @Test func appendingReadsFewRowsHoweverLongTheLog() throws {
    let store = MemoryTransaction()
    let signer = try Fixture.signer("ana")
    let many = try (1..<1023).map { try Fixture.entry("ana", "credential.read", at: $0) }
    _ = try AuditLog.append([Fixture.genesis()] + many, by: signer, in: store, knowing: Fixture.keys)
    let before = store.reads
    _ = try AuditLog.append(
      [Fixture.entry("ana", "credential.read", at: 2000)], by: signer, in: store, knowing: Fixture.keys)
    // At most the frontier and the last entry's path, each one row for each of ten levels, and that entry and its leaf.
    #expect(store.reads - before <= 22)
  }
}
