package import Audit
import Sodium
package import Storage

/// What one user has seen of vaults before: of each the newest checkpoint, and which one stood in which folder. It lies
/// apart from the vaults, so that whoever puts back an older copy of one does not put back this too.
///
/// vault/remembered.md specifies the files. None of it is secret.
package struct KnownVaults: Sendable {
  private let folder: String

  /// What is remembered in `folder`, which is made when there is something to remember.
  package init(in folder: String) { self.folder = folder }

  /// The newest checkpoint that was seen of `vault`; nil if none was. Its signature was verified before it was kept.
  package func checkpoint(of vault: Identifier) throws -> SignedCheckpoint? {
    guard let bytes = try read(checkpointFile(vault)) else { return nil }
    guard let seen = try? SignedCheckpoint(decoding: bytes) else { throw unreadable(checkpointFile(vault)) }
    return seen
  }

  /// The vault that was last seen in the folder at `place`, an absolute path; nil if none was.
  package func vault(at place: String) throws -> Identifier? {
    guard let bytes = try read(placeFile(place)) else { return nil }
    guard let vault = Identifier(String(decoding: bytes.prefix(2 * Identifier.size), as: UTF8.self)),
      bytes == Array("\(vault) \(place)\n".utf8)
    else { throw unreadable(placeFile(place)) }
    return vault
  }

  /// Keeps `checkpoint`, whose signature the caller has verified, as the newest one seen of `vault`, which stands at
  /// `place`. One of as many entries or more that another run has kept meanwhile stays, unless `isAccepted` says that a
  /// person has accepted less. Throws `cannotWrite`.
  package func remember(
    _ checkpoint: SignedCheckpoint, of vault: Identifier, at place: String, isAccepted: Bool = false
  ) throws {
    try PrivateFile.createFolder(folder + "/at")
    try PrivateFile.withLock(folder) {
      let kept = isAccepted ? nil : try self.checkpoint(of: vault)
      if kept.map({ $0.checkpoint.size < checkpoint.checkpoint.size }) ?? true {
        // Once, so that there is one after a power cut; later ones take the place of one that is there.
        try PrivateFile.replace(
          checkpointFile(vault), checkpoint.bytes.span.bytes, isDurable: kept == nil)
      }
      if isAccepted || (try? self.vault(at: place)) != vault {
        try PrivateFile.replace(placeFile(place), Array("\(vault) \(place)\n".utf8).span.bytes, isDurable: true)
      }
    }
  }

  private func checkpointFile(_ vault: Identifier) -> String { "\(folder)/\(vault)" }

  private func placeFile(_ place: String) -> String {
    "\(folder)/at/\(Array(SHA256.hash(Array(place.utf8)).bytes.prefix(16)).hex)"
  }

  /// Nil if there is no such file, or one without content, which a power cut can leave.
  private func read(_ path: String) throws -> [UInt8]? {
    do {
      let bytes = try PrivateFile.read(path).withUnsafeBytes { Array($0) }
      return bytes.isEmpty ? nil : bytes
    } catch let error as VaultError where error.code == .notFound {
      return nil
    } catch let error as VaultError {
      throw VaultError(
        .rolledBack,
        "what is remembered of the vault cannot be read: \(error); XDG_STATE_HOME names another place for it")
    }
  }

  private func unreadable(_ path: String) -> VaultError {
    VaultError(
      .rolledBack,
      "what is remembered of the vault, \(Name.printable(path)), is damaged: nothing tells whether it is newer")
  }
}

extension VaultView {
  /// The vault's identifier and newest checkpoint as they are stored, for a comparison: nothing is verified.
  package static func unverified(
    in transaction: any ReadTransaction
  ) throws -> (vault: Identifier, checkpoint: [UInt8]?) {
    let header = try VaultHeader(decoding: VaultRows(transaction).header)
    return (header.id, try transaction.lastRow(in: .checkpoints)?.value)
  }

  /// The newest checkpoint: the whole log's, and its signature is a member's.
  package var newestCheckpoint: SignedCheckpoint { known.end.checkpoint }

  /// Fails with `rolledBack` unless the log is an extension of what was seen of it before. Reads O(log n) rows.
  package func requireExtension(of seen: SignedCheckpoint) throws {
    try Self.requireExtension(of: seen.checkpoint, newest: newestCheckpoint.checkpoint, in: transaction)
  }

  static func requireExtension(of seen: Checkpoint, newest: Checkpoint, in transaction: any ReadTransaction) throws {
    guard seen.origin == newest.origin else {
      throw VaultError(.rolledBack, "found the vault of the log \(newest.origin), expected \(seen.origin)")
    }
    guard seen.size <= newest.size else {
      throw VaultError(
        .rolledBack,
        "the vault is an older copy: found a log of \(newest.size) entries, and \(seen.size) were seen before")
    }
    do {
      // The nodes are as trustworthy as the roots they lead to: one was remembered, the other is signed.
      try AuditLog.consistencyProof(from: seen.size, to: newest.size, in: transaction)
        .verify(firstRoot: seen.root, secondRoot: newest.root)
    } catch let error as AuditError where error.code == .badProof {
      throw VaultError(
        .rolledBack,
        "the vault went another way: the first \(seen.size) of its log's \(newest.size) entries are not those seen before"
      )
    }
  }
}
