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

  /// Proves that the entry at `index` is what the newest checkpoint covers, and that a known member signed it.
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

  private static func requireEntries(_ size: UInt64, in transaction: any ReadTransaction) throws {
    let found = try self.size(in: transaction)
    guard size <= found else { throw AuditError(.notFound, "the log has \(found) entries, fewer than \(size)") }
  }
}

extension AuditLog.Authenticated {
  /// The same as a text that anyone can check offline.
  package var logProof: LogProof { LogProof(index: proof.index, path: proof.path, checkpoint: checkpoint) }
}
