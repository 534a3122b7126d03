import Contracts
import Sodium
import Storage
import Testing

@testable import Audit

@Suite struct ProvenTreeTests {
  /// A log of `size` entries, all by ana.
  private func log(_ size: Int) throws -> MemoryTransaction {
    let store = MemoryTransaction()
    let entries = try (0..<size).map { index in
      index == 0
        ? try Fixture.genesis()
        : try Fixture.entry("ana", "pair.read", at: Int64(index))
    }
    _ = try AuditLog.append(entries, by: Fixture.signer("ana"), in: store, knowing: Fixture.keys)
    return store
  }

  private func tree(_ store: MemoryTransaction) throws -> ProvenTree {
    ProvenTree(try #require(try AuditLog.authenticateHead(in: store, knowing: Fixture.keys)))
  }

  @Test func everyEntryOfEverySizeIsProvedInAnyOrder() throws {
    var generator = SeededGenerator(seed: 7)
    for size in 1...70 {
      let store = try log(size)
      let tree = try tree(store)
      #expect(tree.size == UInt64(size))
      for index in (0..<UInt64(size)).shuffled(using: &generator) {
        #expect(try tree.entry(at: index, in: store) == AuditLog.entry(at: index, in: store))
      }
      #expect(throws: AuditError(.notFound, "")) { try tree.entry(at: UInt64(size), in: store) }
    }
  }

  @Test func anEntryIsProvedWhateverWasReadBeforeItAndNoneBeyondTheEnd() throws {
    var generator = SeededGenerator(seed: 9)
    // More than have a place each.
    let store = try log(2_200)
    let tree = try tree(store)
    _ = try AuditLog.append(
      [Fixture.entry("ana", "pair.read", at: 9)], by: Fixture.signer("ana"), in: store, knowing: Fixture.keys)
    for index in (0..<UInt64(2_200)).shuffled(using: &generator) {
      #expect(try tree.bytes(at: index, in: store) == store.value(in: .log, for: index.bigEndianBytes))
    }
    #expect(throws: AuditError(.notFound, "")) { try tree.bytes(at: 2_200, in: store) }
  }

  /// Whatever was proved before, and whichever rows are changed with it: only the entry's own, or all up to the top.
  @Test func anotherEntryIsRefusedWithAllThatVouchesForIt() throws {
    let size: UInt64 = 45
    for index in [UInt64(0), 1, 20, 31, 32, 43, 44] {
      for (levels, isWarm) in [(0, false), (0, true), (1, true), (6, false), (6, true)] {
        let store = try log(Int(size))
        let tree = try tree(store)
        if isWarm { for other in 0..<size where other != index { _ = try tree.entry(at: other, in: store) } }
        let forged = try Fixture.entry("ana", "pair.read", at: 99)
        store.set(forged.bytes, in: .log, for: index.bigEndianBytes)
        var (node, hash) = (MerkleTree.Node(level: 0, index: index), MerkleTree.leafHash(forged.bytes))
        for _ in 0..<levels {
          guard store.value(in: .tree, for: node.key) != nil else { break }
          store.set(hash.bytes, in: .tree, for: node.key)
          let sibling = MerkleTree.Node(level: node.level, index: node.index ^ 1)
          guard let row = store.value(in: .tree, for: sibling.key) else { break }
          let other = try SHA256Digest(row)
          hash = node.index & 1 == 0 ? MerkleTree.nodeHash(hash, other) : MerkleTree.nodeHash(other, hash)
          node = MerkleTree.Node(level: node.level + 1, index: node.index >> 1)
        }
        #expect(throws: AuditError(.corrupt, ""), "\(index) \(levels) \(isWarm)") {
          try tree.entry(at: index, in: store)
        }
        // A refused entry is not kept.
        #expect(throws: AuditError.self) { try tree.entry(at: index, in: store) }
      }
    }
  }
}
