import Sodium
package import Storage

extension AuditLog {
  /// The proof that the entry at `index` is among the first `size` (RFC 6962 §2.1.1). Reads O(log n) rows.
  package static func inclusionProof(of index: UInt64, size: UInt64, in transaction: any ReadTransaction) throws
    -> InclusionProof
  {
    try requireEntries(size, in: transaction)
    return try InclusionProof(of: index, size: size, StoredTree(transaction: transaction).hash)
  }

  /// The proof that the first `second` entries extend the first `first` (RFC 6962 §2.1.2). Reads O(log n) rows.
  package static func consistencyProof(from first: UInt64, to second: UInt64, in transaction: any ReadTransaction)
    throws -> ConsistencyProof
  {
    try requireEntries(second, in: transaction)
    return try ConsistencyProof(from: first, to: second, StoredTree(transaction: transaction).hash)
  }

  /// Fails unless the stored log, whose newest checkpoint is `newest`, is an extension of `remembered`: with
  /// `inconsistent` if it is another log or has another history, with `incomplete` if it has fewer entries, and with
  /// `corrupt` if its tree is damaged. This is what tells a rolled-back vault from the present one. Reads O(log n)
  /// rows.
  ///
  /// Both checkpoints are believed: the caller knows whose they are.
  package static func requireExtension(
    of remembered: Checkpoint, newest: Checkpoint, in transaction: any ReadTransaction
  ) throws {
    guard newest.origin == remembered.origin else {
      throw AuditError(.inconsistent, "found the log of \(newest.origin), expected \(remembered.origin)")
    }
    guard remembered.size <= newest.size else {
      throw AuditError(
        .incomplete, entry: newest.size,
        "found a log of \(newest.size) entries, expected the \(remembered.size) seen before")
    }
    do {
      // The nodes are as trustworthy as the roots they lead to: one was remembered, the other is signed.
      try consistencyProof(from: remembered.size, to: newest.size, in: transaction)
        .verify(firstRoot: remembered.root, secondRoot: newest.root)
    } catch let error as AuditError where error.code == .badProof {
      try requireIntactTree(in: transaction)
      throw AuditError(
        .inconsistent, entry: 0, "the first \(remembered.size) entries are not those seen before")
    }
  }

  /// Throws `corrupt` unless the stored tree has the nodes of the stored entries. A damaged node makes an intact log
  /// look like another history, and nobody should be accused of that. Reads all entries, so it is for when something is
  /// already known to be wrong.
  package static func requireIntactTree(in transaction: any ReadTransaction) throws {
    let tree = StoredTree(transaction: transaction)
    var frontier = MerkleFrontier()
    var damaged: MerkleTree.Node?
    try transaction.scan(.log, from: []) { _, value in
      frontier.append(leafHash: MerkleTree.leafHash(value.bytes)) { node, hash in
        if damaged == nil, (try? tree.hash(node)) != hash { damaged = node }
      }
      return damaged == nil
    }
    guard let damaged else { return }
    throw AuditError(
      .corrupt, entry: damaged.index << UInt64(damaged.level),
      "the node of the log's tree at level \(damaged.level), index \(damaged.index) is not that of the entries")
  }

  private static func requireEntries(_ size: UInt64, in transaction: any ReadTransaction) throws {
    let found = try self.size(in: transaction)
    guard size <= found else { throw AuditError(.notFound, "the log has \(found) entries, fewer than \(size)") }
  }
}
