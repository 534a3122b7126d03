package import Sodium
package import Storage

/// The log of a vault in its store: entries, their tree, and a signed checkpoint where each run of one member's entries
/// ends. Everything happens in the caller's transaction, so that an act and its entry are one commit.
package enum AuditLog {
  /// The key of a member by name; nil if there is no such member.
  package typealias Keys = (_ member: String) throws -> VerifyingKey?

  /// Stored sizes beyond this are refused before any arithmetic: no log has 2^62 entries.
  private static let maximumSize = UInt64(1) << 62

  /// How many entries the log has.
  package static func size(in transaction: any ReadTransaction) throws -> UInt64 {
    guard let last = try transaction.lastRow(in: .log) else { return 0 }
    guard let index = UInt64(bigEndianBytes: last.key), index < maximumSize else {
      throw AuditError(.corrupt, "the last entry of the log has no readable index")
    }
    return index + 1
  }

  /// The entry at `index`, whose leaf hash must be the stored one. Throws `notFound` if there is none, `corrupt` if the
  /// entry or its hash was changed; `ProvenTree` also detects a change of both that match.
  package static func entry(at index: UInt64, in transaction: any ReadTransaction) throws -> LogEntry {
    guard let bytes = try transaction.value(in: .log, for: index.bigEndianBytes) else {
      throw AuditError(.notFound, "there is no entry \(index) in the log")
    }
    guard try StoredTree(transaction: transaction).leafHash(at: index) == MerkleTree.leafHash(bytes) else {
      throw AuditError(.corrupt, entry: index, "found other bytes than the log's tree has the hash of")
    }
    do {
      return try LogEntry(decoding: bytes)
    } catch { throw error.at(index) }
  }

  /// The newest checkpoint, unverified; nil if the log is empty.
  package static func latestCheckpoint(in transaction: any ReadTransaction) throws -> SignedCheckpoint? {
    try latestCheckpointRow(in: transaction)?.signed
  }

  private static func latestCheckpointRow(in transaction: any ReadTransaction) throws
    -> (signed: SignedCheckpoint, bytes: [UInt8])?
  {
    guard let row = try transaction.lastRow(in: .checkpoints) else { return nil }
    let signed = try SignedCheckpoint(decoding: row.value)
    guard UInt64(bigEndianBytes: row.key) == signed.checkpoint.size else {
      throw AuditError(.corrupt, "the newest checkpoint is of size \(signed.checkpoint.size) but not stored as such")
    }
    return (signed, row.value)
  }

  /// Fails unless the newest checkpoint covers the whole log, its root is that of the stored frontier, it is signed by
  /// the member who made the last entry, and that entry is in the tree. Reads O(log n) rows.
  ///
  /// Returns the end of the log; nil if the log is empty.
  package static func authenticateHead(in transaction: any ReadTransaction, knowing keys: Keys) throws -> LogEnd? {
    let size = try size(in: transaction)
    guard let (signed, bytes) = try latestCheckpointRow(in: transaction) else {
      guard size == 0 else { throw AuditError(.incomplete, "the log has \(size) entries and no checkpoint") }
      return nil
    }
    guard signed.checkpoint.size == size, size > 0 else {
      throw AuditError(
        size < signed.checkpoint.size ? .incomplete : .corrupt, entry: min(size, signed.checkpoint.size),
        "the log has \(size) entries, its newest checkpoint \(signed.checkpoint.size)")
    }
    let nodes = StoredTree(transaction: transaction)
    let frontier = try MerkleFrontier(size: size, nodes.hash)
    guard frontier.root == signed.checkpoint.root else {
      throw AuditError(.corrupt, "the log's tree of \(size) entries has another root than its newest checkpoint")
    }
    let last = try entry(at: size - 1, in: transaction)
    try InclusionProof(of: size - 1, size: size, nodes.hash)
      .verify(leafHash: MerkleTree.leafHash(last.bytes), root: signed.checkpoint.root)
    guard let key = try keys(last.member) else {
      throw AuditError(
        .unknownSigner, entry: size - 1, "the key of \"\(last.member)\", who signs the log, is not known")
    }
    try signed.verify(by: key)
    return LogEnd(checkpoint: signed, bytes: bytes, last: last, frontier: frontier)
  }

  /// Appends `entries`, all by `signer`, and signs a checkpoint of the new size. Returns their indices.
  ///
  /// The end of the stored log is checked first (`authenticateHead`), so that no member signs over a tampered log.
  /// There is one checkpoint for each maximal run of one member's entries: continuing a run replaces its checkpoint.
  package static func append(
    _ entries: [LogEntry], by signer: LogSigner, in transaction: any WriteTransaction, knowing keys: Keys
  ) throws -> Range<UInt64> {
    let head = try authenticateHead(in: transaction, knowing: keys)
    let first = head?.size ?? 0
    guard !entries.isEmpty else { return first..<first }
    var run = try LogRun(after: head, by: signer, knowing: keys)
    try run.append(entries, in: transaction)
    try run.sign(in: transaction)
    return first..<run.size
  }
}
