package import Sodium
package import Storage

/// The end of a log, as a member's checkpoint states it: what it takes to append without reading the log again.
package struct LogEnd: Sendable {
  package let checkpoint: SignedCheckpoint
  /// The checkpoint as it is stored.
  package let bytes: [UInt8]
  /// The last entry that the checkpoint covers.
  package let last: LogEntry
  package let frontier: MerkleFrontier

  package var size: UInt64 { frontier.size }

  /// Whether `row`, the newest of the table `checkpoints`, is that of this end, byte for byte.
  package func isCheckpoint(_ row: Row) -> Bool { row.value == bytes && row.key == size.bigEndianBytes }

  /// Whether the newest entry of `transaction` is the last of this end, byte for byte.
  package func isLastStored(in transaction: any ReadTransaction) throws -> Bool {
    try AuditLog.isLast(last, at: size - 1, in: transaction)
  }
}

/// A run of one member's entries that is being written: in the store already, and not signed yet.
///
/// It lives no longer than a transaction, and what is committed must be signed. Because a run may be appended to before
/// it is signed, one signature serves many appends. The end it was begun after must be authenticated in this very
/// transaction.
package struct LogRun: Sendable {
  /// The size of the log before this run, if the log ends there with an entry of the same member: this run continues
  /// that member's run.
  private let continued: UInt64?
  private let signer: LogSigner
  private var frontier: MerkleFrontier
  private var last: LogEntry?

  /// How many entries the log has, including this run.
  package var size: UInt64 { frontier.size }

  /// Begins a run of `signer`'s after `base`. Throws `unknownSigner` if the key is not the one known of the signer, and
  /// `inconsistent` if the log is not the signer's.
  package init(
    after base: LogEnd?, by signer: LogSigner, knowing keys: (_ member: String) throws -> VerifyingKey?
  ) throws {
    if let base {
      guard try keys(signer.member) == signer.key.verifyingKey else {
        throw AuditError(.unknownSigner, "the signer's key is not the one known of \"\(signer.member)\"")
      }
      let origin = base.checkpoint.checkpoint.origin
      guard origin == signer.origin else {
        throw AuditError(.inconsistent, "the log is \(origin), the signer's \(signer.origin)")
      }
    }
    continued = base.flatMap { $0.last.member == signer.member ? $0.size : nil }
    self.signer = signer
    frontier = base?.frontier ?? MerkleFrontier()
  }

  /// Stores `entries`, which must be by the run's signer. Throws, with nothing stored, if they would make the log
  /// impossible to verify.
  package mutating func append(_ entries: [LogEntry], in transaction: any WriteTransaction) throws {
    try requireVerifiable(entries)
    for entry in entries {
      try transaction.set(entry.bytes, in: .log, for: frontier.size.bigEndianBytes)
      try frontier.append(leafHash: MerkleTree.leafHash(entry.bytes)) { node, hash in
        try transaction.set(hash.bytes, in: .tree, for: node.key)
      }
      last = entry
    }
  }

  /// Whether the newest entry of `transaction` is the last of this run, byte for byte.
  package func isLastStored(in transaction: any ReadTransaction) throws -> Bool {
    guard let last else { return false }
    return try AuditLog.isLast(last, at: size - 1, in: transaction)
  }

  /// Signs a checkpoint of the log including this run. It replaces the checkpoint of the same member's run that this
  /// one continues. Returns the new end; if nothing was appended, signs nothing and returns nil.
  @discardableResult
  package func sign(in transaction: any WriteTransaction) throws -> LogEnd? {
    guard let last else { return nil }
    if let continued { try transaction.remove(continued.bigEndianBytes, from: .checkpoints) }
    let signed = try SignedCheckpoint(
      Checkpoint(origin: signer.origin, size: frontier.size, root: frontier.root), key: signer.key)
    let bytes = signed.bytes
    try transaction.set(bytes, in: .checkpoints, for: frontier.size.bigEndianBytes)
    return LogEnd(checkpoint: signed, bytes: bytes, last: last, frontier: frontier)
  }

  /// Throws if `entries` would make the log impossible to verify, as far as the log's end and the entries can tell.
  private func requireVerifiable(_ entries: [LogEntry]) throws {
    if let stranger = entries.first(where: { $0.member != signer.member }) {
      throw AuditError(.unknownSigner, "\"\(signer.member)\" cannot append an entry of \"\(stranger.member)\"")
    }
    var rest = entries[...]
    if size == 0, let first = rest.popFirst() {
      let genesis = try Membership(genesis: first)
      guard genesis.origin == signer.origin, try genesis.member(signer.member).signing == signer.key.verifyingKey else {
        throw AuditError(.inconsistent, "vault.created names another vault or key than the signer's")
      }
    }
    for entry in rest {
      guard let change = try Membership.Change(entry) else { continue }
      if case .created = change { throw AuditError(.notPermitted, "vault.created in a log that has begun") }
      if case .removed(signer.member) = change {
        throw AuditError(.notPermitted, "member.removed by \"\(signer.member)\" for the same member")
      }
    }
  }
}

extension AuditLog {
  /// Whether `entry`, byte for byte, is the last of the stored log, at `index`.
  fileprivate static func isLast(_ entry: LogEntry, at index: UInt64, in transaction: any ReadTransaction) throws
    -> Bool
  {
    guard let row = try transaction.lastRow(in: .log) else { return false }
    return row.value == entry.bytes && row.key == index.bigEndianBytes
  }
}
