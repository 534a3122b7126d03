package import Storage

extension LogVerification {
  /// Verifies the log in a store: its entries in order, each checkpoint where it belongs, and at the end the stored tree's
  /// frontier. If a run does not verify, the error names its first entry that differs from its stored leaf hash.
  package static func verify(
    storedIn transaction: any ReadTransaction, expecting expectations: LogExpectations = LogExpectations()
  ) throws -> LogReport {
    var verification = LogVerification(expecting: expectations)
    var checkpoints = RowPages(of: .checkpoints)
    var entries = RowPages(of: .log)
    var checkpoint = try checkpoints.next(in: transaction)
    while let row = try entries.next(in: transaction) {
      let index = verification.size
      guard row.key == index.bigEndianBytes else {
        throw AuditError(.incomplete, entry: index, "found another key in the log's table, expected this entry")
      }
      do {
        try verification.add(entry: row.value)
      } catch { throw try pinpointed(error, since: verification.firstUnsigned, in: transaction) }
      while let found = checkpoint, found.key == verification.size.bigEndianBytes {
        let start = verification.firstUnsigned
        do {
          try verification.add(checkpoint: found.value)
        } catch { throw try pinpointed(error, since: start, in: transaction) }
        checkpoint = try checkpoints.next(in: transaction)
      }
    }
    // What is left stands at sizes that the log does not have, or has passed.
    if let found = checkpoint { try verification.add(checkpoint: found.value) }
    if checkpoint != nil {
      throw AuditError(.corrupt, entry: verification.size, "a checkpoint is stored at another size than it has")
    }
    let report = try verification.finish()
    guard try MerkleFrontier(size: report.entries, StoredTree(transaction: transaction).hash).root == report.root else {
      throw AuditError(.corrupt, "the stored tree of \(report.entries) entries has another root than they have")
    }
    return report
  }

  /// A signed root covers a run and does not tell which entry was changed; the stored leaf hashes usually do.
  private static func pinpointed(_ error: AuditError, since start: UInt64, in transaction: any ReadTransaction) throws
    -> AuditError
  {
    guard error.code == .corrupt else { return error }
    let nodes = StoredTree(transaction: transaction)
    for index in start..<(try AuditLog.size(in: transaction)) {
      guard let bytes = try transaction.value(in: .log, for: index.bigEndianBytes) else { break }
      if try nodes.leafHash(at: index) != MerkleTree.leafHash(bytes) {
        return AuditError(.corrupt, entry: index, "found other bytes than the log's tree has the hash of")
      }
    }
    return error
  }
}
