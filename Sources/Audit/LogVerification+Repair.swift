import Sodium
package import Storage

// The tree's rows follow from the entries: if only they are damaged, nothing is lost.
extension LogVerification {
  /// Verifies the entries and checkpoints of the log in a store, whatever the state of its stored tree: each root is
  /// computed from the entries, as `verify` does. Throws as that does.
  package static func verifyEntries(
    in transaction: any ReadTransaction, expecting expectations: LogExpectations = LogExpectations()
  ) throws -> LogReport {
    var verification = LogVerification(expecting: expectations)
    try verification.addStored(in: transaction) { _, _, _, _ in }
    return try verification.finish()
  }

  /// Rewrites the stored tree of a log from its entries, after verifying that they lead to each signed checkpoint and
  /// to what `expectations` remember. Returns how many rows were missing, wrong, or not part of the tree.
  ///
  /// Throws as `verify` does, with nothing written, if anything other than the tree is wrong.
  package static func repairTree(
    in transaction: any WriteTransaction, expecting expectations: LogExpectations = LogExpectations()
  ) throws -> Int {
    let report = try verifyEntries(in: transaction, expecting: expectations)
    var rows = 0
    var frontier = MerkleFrontier()
    var entries = RowPages(of: .log)
    while let entry = try entries.next(in: transaction) {
      try frontier.append(leafHash: MerkleTree.leafHash(entry.value)) { node, hash in
        guard try transaction.value(in: .tree, for: node.key) != hash.bytes else { return }
        try transaction.set(hash.bytes, in: .tree, for: node.key)
        rows += 1
      }
    }
    guard frontier.root == report.root else {
      throw AuditError(.corrupt, "the log's entries changed while they were read again")
    }
    var stored = RowPages(of: .tree)
    while let row = try stored.next(in: transaction) {
      guard !isNode(row.key, of: report.entries) else { continue }
      try transaction.remove(row.key, from: .tree)
      rows += 1
    }
    return rows
  }

  /// Whether `key` is that of a complete subtree of a tree of `size` leaves.
  private static func isNode(_ key: [UInt8], of size: UInt64) -> Bool {
    guard key.count == 9, let index = UInt64(bigEndianBytes: Array(key[1...])) else { return false }
    return key[0] < 64 && index < size >> UInt64(key[0])
  }
}
