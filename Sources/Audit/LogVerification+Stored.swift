package import Storage

extension LogVerification {
  package typealias Visit = (
    _ reading: Reading, _ bytes: borrowing Span<UInt8>, _ index: UInt64, _ members: Membership?
  ) throws -> Void

  /// Verifies the log in a store: its entries in order, each checkpoint where it belongs, and at the end that the
  /// stored tree has exactly the nodes of these entries. If a run does not verify, the error names its first entry that
  /// differs from its stored leaf hash.
  ///
  /// Calls `visit` for every entry with the part of it that had to be read, its bytes, its index, and, if it had to be
  /// read in full, the members after it. What `visit` received is true only if this returns.
  package static func verify(
    storedIn transaction: any ReadTransaction, expecting expectations: LogExpectations = LogExpectations(),
    _ visit: Visit = { _, _, _, _ in }
  ) throws -> LogReport {
    var verification = LogVerification(expecting: expectations, comparingNodes: true)
    try verification.addStored(in: transaction, visit)
    let report = try verification.finish()
    guard try verification.storedTreeMatches(in: transaction) else {
      try AuditLog.requireIntactTree(in: transaction)
      throw AuditError(.corrupt, "the log's tree has rows that are not nodes of its \(report.entries) entries")
    }
    return report
  }

  /// Verifies what the log in a store has beyond `seen`, or all of it if that is nil, and that it ends with the tree's
  /// frontier and a checkpoint of the member who made the last entry. Throws `inconsistent` if it does not extend
  /// `seen`.
  ///
  /// The time this takes grows with what was appended since.
  package static func verify(
    storedIn transaction: any ReadTransaction, after seen: SeenLog?
  ) throws -> (end: LogEnd, membership: Membership) {
    let membership: Membership
    if let seen, try AuditLog.latestCheckpoint(in: transaction)?.bytes == seen.checkpoint.bytes {
      membership = seen.membership
    } else {
      var verification = LogVerification()
      if let seen {
        let size = seen.checkpoint.checkpoint.size
        let frontier = try MerkleFrontier(size: size, StoredTree(transaction: transaction).hash)
        guard frontier.root == seen.checkpoint.checkpoint.root else {
          try AuditLog.requireIntactTree(in: transaction)
          throw AuditError(.inconsistent, entry: 0, "the first \(size) entries are not those that were seen before")
        }
        verification = try LogVerification(after: seen, frontier)
      }
      try verification.addStored(in: transaction) { _, _, _, _ in }
      membership = try verification.finishMembership()
    }
    let end = try AuditLog.authenticateHead(in: transaction) { try? membership.member($0).signing }
    guard let end, end.checkpoint.checkpoint.origin == membership.origin else {
      throw AuditError(.incomplete, entry: 0, "the log is missing, or not that of \(membership.origin)")
    }
    return (end, membership)
  }

  /// Adds what the store has from here on: entries in order, and each checkpoint where it belongs.
  mutating func addStored(in transaction: any ReadTransaction, _ visit: Visit) throws {
    var checkpoints = RowPages(of: .checkpoints, from: size.bigEndianBytes)
    var checkpoint = try checkpoints.next(in: transaction)
    // Either the last run that was seen went on, or its checkpoint is still there.
    if run != nil, let found = checkpoint, found.key == size.bigEndianBytes {
      try add(checkpoint: found.value)
      checkpoint = try checkpoints.next(in: transaction)
    }
    var hashing = LeafHashing(after: tree)
    try transaction.scan(.log, from: size.bigEndianBytes) { key, value in
      let index = size
      guard key.isKey(of: index) else {
        throw AuditError(.incomplete, entry: index, "found another key in the log's table, expected this entry")
      }
      let reading: Reading
      do {
        reading = try read(entry: value)
        hashing.append(value)
        if isRemembered { try catchUp(hashing.finish()) }
      } catch let error as AuditError { throw try Self.pinpointed(error, since: firstUnsigned, in: transaction) }
      if case .full = reading {
        try visit(reading, value, index, membership)
      } else {
        try visit(reading, value, index, nil)
      }
      while let found = checkpoint, found.key == size.bigEndianBytes {
        let start = firstUnsigned
        do {
          try catchUp(hashing.finish())
          try add(checkpoint: found.value)
        } catch let error as AuditError { throw try Self.pinpointed(error, since: start, in: transaction) }
        checkpoint = try checkpoints.next(in: transaction)
      }
      return true
    }
    try catchUp(hashing.finish())
    // A checkpoint that is left is stored at a size that the log does not have, or has passed.
    if let found = checkpoint { try add(checkpoint: found.value) }
    if checkpoint != nil {
      throw AuditError(.corrupt, entry: size, "a checkpoint is stored at another size than it has")
    }
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

extension Span<UInt8> {
  /// Whether these are the big-endian bytes of `index`.
  fileprivate borrowing func isKey(of index: UInt64) -> Bool {
    count == 8 && UInt64(bigEndian: bytes.unsafeLoadUnaligned(as: UInt64.self)) == index
  }
}
