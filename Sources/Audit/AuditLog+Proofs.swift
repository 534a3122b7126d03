package import Sodium
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

  /// Proves that the newest checkpoint covers the entry at `index`, and that a known member signed that checkpoint.
  package static func authenticate(
    entryAt index: UInt64, in transaction: any ReadTransaction, knowing keys: (_ member: String) throws -> VerifyingKey?
  ) throws -> Authenticated {
    guard let head = try authenticateHead(in: transaction, knowing: keys) else {
      throw AuditError(.notFound, "there is no entry \(index) in an empty log")
    }
    let entry = try entry(at: index, in: transaction)
    let checkpoint = head.checkpoint.checkpoint
    let proof = try inclusionProof(of: index, size: checkpoint.size, in: transaction)
    do {
      try proof.verify(leafHash: MerkleTree.leafHash(entry.bytes), root: checkpoint.root)
    } catch { throw error.at(index) }
    return Authenticated(entry: entry, proof: proof, checkpoint: head.checkpoint)
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

extension AuditLog.Authenticated {
  /// The same proof as a text that anyone can check offline.
  package var logProof: LogProof { LogProof(index: proof.index, path: proof.path, checkpoint: checkpoint) }
}
