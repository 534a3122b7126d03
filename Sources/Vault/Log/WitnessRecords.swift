package import Audit
import Glibc

/// What each witness was seen to have: for each, the newest checkpoint that it took, with its cosignature. It is kept
/// beside the database, outside of what the log vouches for: a cosignature vouches for itself (vault/witness.md).
package struct WitnessRecords: Sendable {
  private let folder: String

  /// The records in `folder`, which is made with the first record.
  package init(in folder: String) { self.folder = folder }

  private func file(_ witness: Membership.StandingWitness) -> String {
    // The entry is part of it, so that another witness of the same name, with another key, has its own file.
    "\(folder)/\(witness.entry)-\(witness.witness.name)"
  }

  /// The newest checkpoint that `witness` took; nil if none is known. Throws `corrupt` if what is there is no
  /// checkpoint, or is not cosigned with the witness's key if it has one, and `cannotRead`.
  package func checkpoint(of witness: Membership.StandingWitness) throws -> SignedCheckpoint? {
    let path = file(witness)
    let bytes: [UInt8]
    do { bytes = try PublicFile.read(path, limit: SignedNote.maximumSize) } catch let error as VaultError
      where error.code == .notFound
    {
      return nil
    } catch let error as VaultError where error.code == .invalidInput {
      throw VaultError(.corrupt, "what witness \(witness.witness.name) took is damaged: \(error)")
    } catch let error as VaultError {
      throw VaultError(
        error.code, "what witness \(witness.witness.name) took is not known: \(error)",
        hint: "give it back to the user whose vault it is (chown), or remove it: `relatch log witness submit` makes it"
          + " again")
    }
    do {
      let signed = try SignedCheckpoint(decoding: bytes)
      if let key = witness.witness.key, try signed.cosignature(by: key) == nil {
        throw AuditError(.unknownSigner, "it is not cosigned by \(key.name)")
      }
      return signed
    } catch let error as AuditError {
      throw VaultError(
        .corrupt, "what witness \(witness.witness.name) took, \(Name.printable(path)), is damaged: \(error)")
    }
  }

  /// What each of `witnesses` took, as far as is known now. A `VaultError` is kept for its witness, any other error is
  /// thrown.
  func found(of witnesses: [Membership.StandingWitness]) throws -> Found {
    var found: [UInt64: Result<SignedCheckpoint?, VaultError>] = [:]
    for witness in witnesses {
      do { found[witness.entry] = .success(try checkpoint(of: witness)) } catch let error as VaultError {
        found[witness.entry] = .failure(error)
      }
    }
    return Found(byEntry: found)
  }

  /// What was kept of each witness at one moment, before the log that it is compared with was read. What other runs
  /// hand over meanwhile is not in it; what they had handed over before is in that log.
  package struct Found: Sendable {
    fileprivate let byEntry: [UInt64: Result<SignedCheckpoint?, VaultError>]

    /// According to the records; nil also for a witness that was added since.
    func checkpoint(of witness: Membership.StandingWitness) throws -> SignedCheckpoint? {
      try byEntry[witness.entry]?.get()
    }
  }

  /// Keeps `signed` as what `witness` took, unless a larger one is kept. Throws `cannotWrite`.
  package func keep(_ signed: SignedCheckpoint, of witness: Membership.StandingWitness) throws {
    try withExclusiveAccess {
      // A damaged record is replaced.
      let kept = try? checkpoint(of: witness)
      guard kept.map({ $0.checkpoint.size <= signed.checkpoint.size }) ?? true else { return }
      try PrivateFile.replace(file(witness), signed.bytes.span.bytes, isDurable: kept == nil, inheritsOwner: true)
    }
  }

  /// Runs `body` while no other process does so or keeps anything. Throws `cannotWrite` if another process, such as one
  /// that was stopped, does so for too long.
  package func withExclusiveAccess<Result>(_ body: () throws -> Result) throws -> Result {
    if !PrivateFile.exists(folder) { try PrivateFile.createFolder(folder, inheritsOwner: true) }
    // Others make files durable while they hold it, which takes time on a busy disk.
    return try PrivateFile.withLock(folder, seconds: 10, body)
  }

  /// Forgets what `witness` took. Nothing happens if nothing is there.
  package func forget(_ witness: Membership.StandingWitness) { unlink(file(witness)) }
}

/// The file or folder that is a witness: it only ever gets larger checkpoints of one history.
package struct WitnessPlace: Sendable {
  /// The greatest number of names that are looked at in a folder.
  private static let maximumNames = 1 << 20

  private let kind: Witness.Kind
  private let vault: String

  /// Nil if `witness` is neither. `origin` is the log's.
  package init?(_ witness: Witness, origin: String) {
    switch witness.kind {
    case .file, .folder: kind = witness.kind
    case .command, .http: return nil
    }
    vault = String(origin.drop { $0 != "/" }.dropFirst())
  }

  /// The largest checkpoint of the log that is there; nil if there is none yet. Throws `cannotRead` if the place does
  /// not exist, `corrupt` if what is there is not a checkpoint.
  package func newest() throws -> SignedCheckpoint? {
    switch kind {
    case .file(let path):
      guard PrivateFile.exists(PrivateFile.folder(of: path)) else {
        throw VaultError(.cannotRead, "there is no folder for \(Name.printable(path))")
      }
      return try read(path)
    case .folder(let path):
      let names: [String]
      do { names = try PrivateFile.names(in: path) } catch let error as VaultError {
        throw VaultError(.cannotRead, error.description)
      }
      return try names.prefix(Self.maximumNames).compactMap { size(of: $0) }.max().flatMap {
        try read(file($0, in: path))
      }
    case .command, .http: return nil
    }
  }

  /// Puts `signed` there, which extends what `newest` returned. Throws `cannotWrite`, and `alreadyExists` if another
  /// came there meanwhile.
  package func put(_ signed: SignedCheckpoint) throws {
    switch kind {
    case .file(let path):
      try PrivateFile.replace(path, signed.bytes.span.bytes, isDurable: true, inheritsOwner: true)
    case .folder(let path):
      try PrivateFile.create(
        file(signed.checkpoint.size, in: path), signed.bytes.span.bytes, inheritsOwner: true)
    case .command, .http: break
    }
  }

  private func file(_ size: UInt64, in folder: String) -> String { "\(folder)/\(vault)-\(size)" }

  private func size(of name: String) -> UInt64? {
    guard name.hasPrefix(vault + "-"), let size = UInt64(name.dropFirst(vault.utf8.count + 1)) else { return nil }
    return "\(vault)-\(size)" == name ? size : nil
  }

  private func read(_ path: String) throws -> SignedCheckpoint? {
    do {
      return try SignedCheckpoint(decoding: PublicFile.read(path, limit: SignedNote.maximumSize))
    } catch let error as VaultError where error.code == .notFound {
      return nil
    } catch let error as AuditError {
      throw VaultError(.corrupt, "\(Name.printable(path)) is not a checkpoint: \(error)")
    }
  }
}

/// Files that others may have put there: only a regular file is read.
enum PublicFile {
  /// As `PrivateFile.readPublic`; anything but a regular file is refused without waiting.
  static func read(_ path: String, limit: Int) throws -> [UInt8] {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
      throw VaultError(.cannotRead, "\(Name.printable(path)) is not a regular file")
    }
    return try PrivateFile.readPublic(path, limit: limit)
  }
}
