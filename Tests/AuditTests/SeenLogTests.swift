import Sodium
import Storage
import Testing

@testable import Audit

/// Verification that continues from what was seen before finds what verification from the beginning finds.
@Suite struct SeenLogTests {
  /// A log as it grows, entry by entry, with what was seen of it at each size.
  private static func grown() throws -> (store: MemoryTransaction, seen: [SeenLog]) {
    let store = MemoryTransaction()
    var seen: [SeenLog] = []
    for run in try Fixture.runs() {
      for entry in run.entries {
        _ = try AuditLog.append([entry], by: Fixture.signer(run.member), in: store, knowing: Fixture.keys)
        let (end, membership) = try LogVerification.verify(storedIn: store, after: nil)
        seen.append(SeenLog(checkpoint: end.checkpoint, actor: end.last.member, membership: membership))
      }
    }
    return (store, seen)
  }

  @Test func `it goes on from every size, within a run and between runs`() throws {
    let (store, seen) = try Self.grown()
    let (whole, members) = try LogVerification.verify(storedIn: store, after: nil)
    #expect(seen.count == 7)
    for before in seen {
      let (end, membership) = try LogVerification.verify(storedIn: store, after: before)
      #expect(end.size == whole.size && membership == members)
    }
    #expect(seen.map { $0.membership.standings.map(\.entry) } == [[0], [0, 1], [0, 1], [0, 1], [0, 1], [0], [0]])
  }

  @Test func `whatever is changed after what was seen is found`() throws {
    let (store, seen) = try Self.grown()
    for before in seen.dropLast() {
      let size = before.checkpoint.checkpoint.size
      for index in size..<7 {
        let key = index.bigEndianBytes
        let entry = try #require(store.value(in: .log, for: key))
        for bit in stride(from: 0, to: entry.count * 8, by: 5) {
          let altered = MemoryTransaction(copying: store)
          altered.set(entry.flipping(bit: bit), in: .log, for: key)
          #expect(throws: AuditError.self) { try LogVerification.verify(storedIn: altered, after: before) }
        }
        let removed = MemoryTransaction(copying: store)
        removed.remove(key, from: .log)
        #expect(throws: AuditError.self) { try LogVerification.verify(storedIn: removed, after: before) }
      }
      for end in [UInt64(2), 5, 7] where end > size {
        let removed = MemoryTransaction(copying: store)
        removed.remove(end.bigEndianBytes, from: .checkpoints)
        #expect(throws: AuditError.self) { try LogVerification.verify(storedIn: removed, after: before) }
      }
    }
  }

  @Test func `another history is not gone on with`() throws {
    let (store, seen) = try Self.grown()
    let other = MemoryTransaction()
    for run in try Fixture.runs() {
      for entry in run.entries {
        let changed = entry.event == "rotation.validated" ? try Fixture.entry("bo", "rotation.validated", at: 9) : entry
        _ = try AuditLog.append([changed], by: Fixture.signer(run.member), in: other, knowing: Fixture.keys)
      }
    }
    for before in seen.prefix(3) { _ = try LogVerification.verify(storedIn: other, after: before) }
    for before in seen.dropFirst(3) {
      #expect(throws: AuditError(.inconsistent, "")) { try LogVerification.verify(storedIn: other, after: before) }
    }
    _ = store
  }

  @Test func `a damaged tree is not told as another history`() throws {
    let (store, seen) = try Self.grown()
    var refused = 0
    for row in try store.rows(in: .tree) {
      let altered = MemoryTransaction(copying: store)
      altered.set(row.value.flipping(bit: 0), in: .tree, for: row.key)
      for before in seen {
        do {
          _ = try LogVerification.verify(storedIn: altered, after: before)
        } catch let error as AuditError {
          #expect(error.code == .corrupt, "\(row.key) after \(before.checkpoint.checkpoint.size): \(error)")
          refused += 1
        }
      }
    }
    #expect(refused > 0)
  }

  @Test func `who ended a run does not go on after it, whatever was seen before`() throws {
    let (store, seen) = try Self.grown()
    let ended = try #require(store.value(in: .checkpoints, for: UInt64(7).bigEndianBytes))
    let next = try Fixture.entry("ana", "pair.read", at: 9)
    _ = try AuditLog.append([next], by: Fixture.signer("ana"), in: store, knowing: Fixture.keys)
    for before in seen.map(Optional.init) + [nil] { _ = try LogVerification.verify(storedIn: store, after: before) }
    store.set(ended, in: .checkpoints, for: UInt64(7).bigEndianBytes)
    for before in seen.map(Optional.init) + [nil] {
      #expect(throws: AuditError(.inconsistent, "")) { try LogVerification.verify(storedIn: store, after: before) }
    }
  }

  @Test func `of two of a name in what was kept the first counts, and the founder is who made the vault`() throws {
    let ana = Membership.Standing(card: try Fixture.card("ana", .owner), entry: 0)
    let other = LogMember(name: "ana", age: "age1x", signing: try Fixture.key(of: "bo").verifyingKey, role: .owner)
    let witnesses = try ["/a", "/b"].enumerated().map { place, path in
      Membership.StandingWitness(witness: try Witness(name: "w", kind: .file(path: path)), entry: UInt64(place))
    }
    let membership = Membership(
      vault: Fixture.vault, keyID: nil, standings: [ana, .init(card: other, entry: 1)], witnesses: witnesses,
      founder: other.signing)
    #expect(membership.standings == [ana] && membership.witnesses == [witnesses[0]])
    #expect(membership.founder == ana.card.signing)
  }

  @Test func `who was removed cannot go on, and nobody acts in another's name`() throws {
    let (store, seen) = try Self.grown()
    for (member, signer) in [("bo", "bo"), ("ana", "bo")] {
      // Written as none of our programs would: nothing checks who may sign.
      let forged = MemoryTransaction(copying: store)
      var frontier = try MerkleFrontier(size: 7, StoredTree(transaction: store).hash)
      let entry = try Fixture.entry(member, "pair.read", at: 9).bytes
      forged.set(entry, in: .log, for: UInt64(7).bigEndianBytes)
      frontier.append(leafHash: MerkleTree.leafHash(entry)) { node, hash in
        forged.set(hash.bytes, in: .tree, for: node.key)
      }
      let checkpoint = try Checkpoint(origin: Fixture.origin, size: 8, root: frontier.root)
      if member == "ana" { forged.remove(UInt64(7).bigEndianBytes, from: .checkpoints) }
      forged.set(
        try SignedCheckpoint(checkpoint, key: Fixture.key(of: signer)).bytes, in: .checkpoints,
        for: UInt64(8).bigEndianBytes)
      for before in seen.map(Optional.init) + [nil] {
        #expect(throws: AuditError.self) { try LogVerification.verify(storedIn: forged, after: before) }
      }
    }
  }
}
