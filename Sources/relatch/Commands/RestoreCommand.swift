import Age
import ArgumentParser
import Audit
import Glibc
import JSON
import Sodium
import Storage
import StorageSQLite
import Vault

struct RestoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Restore a vault from a backup, in a place where there is none.",
    discussion: """
      Needs an owner's identity. All of the vault is verified before it appears, as a whole or not at all. A \
      credential that was rotated since the backup has another pair at the provider than in the backup: `relatch \
      resume` compares each credential, and nothing is delivered or rotated before that.

      To try a backup while the vault is in use, set XDG_STATE_HOME to an empty folder, for `restore` and for every \
      command that looks at the copy. Otherwise the vault in use counts as the older copy and is refused with 65.

      \(HelpText.examples(
        "relatch restore backup.age --owner relatch/…",
        "relatch restore backup.age --accept-rollback     # the newer vault is lost",
        "XDG_STATE_HOME=$PWD/trial relatch restore backup.age --vault trial/vault"))
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The backup; - is standard input.")
  var file: String

  @Option(help: ArgumentHelp("The founding owner's key, as `relatch log verify` printed it.", valueName: "vkey"))
  var owner: String?

  func run() async throws {
    let places = try Places(options)
    let expectations = try LogExpectations(founder: owner)
    let identity = try places.openIdentity()
    try VaultFolder.requireOwn(places.vault)
    let folder = try Self.folder(for: places.vault)
    try extract(with: identity, into: folder.path)
    let found = try await RestoredVault(in: folder, identity: identity, expecting: expectations)
    let now = WallClock.now()
    let isMeant = found.isMeant(by: places.knownVaults)
    let loss = try await found.loss(known: places.knownVaults)
    if let loss, loss.code == .foundedByAnother, owner == nil {
      throw Failure(
        .corruptData, "this is a backup of another vault: \(loss)",
        hint:
          "find out whose backup it is; if you know the founder's key from elsewhere and it is this one, give it with --owner,"
          + " and --accept-rollback")
    }
    // Anyone can seal a vault of their own to this owner, with hooks of their own.
    guard isMeant || owner != nil || found.isFounded(by: identity) else {
      throw Failure(
        .notPermitted,
        "nothing on this machine says that this vault is yours, and it was founded by another: \(found.owner)",
        hint: "if you know the founder's key from elsewhere and it is this one, give it with --owner")
    }
    let others = Identifier(found.id).flatMap { id in
      places.knownVaults.map { OpenedVaults.shared.otherPlaces(of: id, at: places.vault, with: $0) }
    }
    if let loss, !options.acceptRollback {
      let lost = "--accept-rollback restores it nevertheless, and logs that"
      throw Failure(
        .corruptData, "\(found.age(at: now)): \(loss)",
        hint: others?.first.map { other in
          "only to try it, restore it with XDG_STATE_HOME set to an empty folder, which the vault in use does not use;"
            + " only if the vault at \(Name.printable(other)) is lost: \(lost)"
        } ?? "if the newer vault is lost, \(lost)")
    }
    let again = loss == nil ? Returned() : found.returned(after: places.knownVaults)
    if let loss { Diagnostics.standard.warning("accepted, and logged: \(loss)") }
    try await found.log(behind: loss, now: now)
    try folder.finish()
    let store = try SQLiteStore(opening: places.database, tables: vaultTables)
    OpenedVaults.shared.adopt(store, at: places.vault, with: places.knownVaults)
    if !isMeant, owner == nil {
      Diagnostics.standard.warning(
        "nothing on this machine said that this vault is yours: compare the owner's key with the one you know from elsewhere"
      )
    }
    for other in others ?? [] {
      Diagnostics.standard.warning(
        "this vault is also at \(Name.printable(other)), which now counts as an older copy and is refused with 65: use only one of the two;"
          + " only to try a backup, restore it with XDG_STATE_HOME set to an empty folder")
    }
    for warning in again.warnings { Diagnostics.standard.warning(warning) }
    try tell(found, places, again, isBehind: loss != nil, now: now)
  }

  private static func folder(for place: String) throws -> UnfinishedFolder {
    do { return try UnfinishedFolder(for: place) } catch let error as VaultError where error.code == .alreadyExists {
      throw Failure(
        .usage, "cannot restore: \(error)", hint: "move it away, or name another place: --vault DIR")
    }
  }

  private func extract(with identity: Identity, into folder: String) throws {
    let descriptor = file == "-" ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw Failure(
        .notFound, "cannot read the backup \(Name.printable(file)): \(Errno.text)",
        hint: "name the file that `relatch backup` wrote")
    }
    defer { if descriptor != STDIN_FILENO { close(descriptor) } }
    let extraction = BackupExtraction(into: folder)
    do {
      try AgeFile.open(with: [identity.age]) {
        try PrivateFile.readSome(descriptor, $0.baseAddress, $0.count, file)
      } writing: {
        try extraction.append($0)
      }
      try extraction.finish()
    } catch let error as AgeError where error.code == .notAnAgeFile {
      throw Failure(damaged: "this is not a backup of a vault: \(error)")
    } catch let error as AgeError where error.code != .noMatchingIdentity {
      throw Failure(damaged: "the backup is damaged: \(error)")
    } catch let error as VaultError where error.code == .corrupt {
      throw Failure(damaged: "this is not a backup of a vault: \(error)")
    }
  }

  private func tell(
    _ found: RestoredVault, _ places: Places, _ again: Returned, isBehind: Bool, now: Timestamp
  ) throws {
    let removals = again.removals.isEmpty ? "" : again.removals.joined(separator: ", ") + "; then "
    try Report(options).confirmation(
      .object([
        "behind": .bool(isBehind), "entries": .integer(Int(clamping: found.end.entries)),
        "last": .string(found.end.last.description), "members_again": .array(again.members.map { .string($0.name) }),
        "members_unknown": .array(again.unknown.map { .string($0.name) }),
        "owner": .string(found.owner), "transferred": .array(again.transferred.map { .string($0) }), "type": "restore",
        "vault": .string(places.vault), "vault_id": .string(found.id),
        "witnesses_again": .array(again.witnesses.map { .string($0) }),
      ]),
      text: """
        vault    \(places.vault)
        backup   \(found.age(at: now))
        unknown  leaks, exposures, handoffs and policies since then: `relatch revoke` again what leaked after \(found.end.last)
        owner    \(found.owner)\(owner == nil ? " (as the log itself says: compare it with the one you know from elsewhere)" : "")
        next     \(removals)`relatch resume` compares each credential with its provider; if you only try a backup, run nothing that asks one
        """)
  }
}

/// The vault that was extracted from a backup, verified in full.
private struct RestoredVault {
  let end: LogEndpoint
  let id: String
  private let seen: SeenLog
  /// The founding owner's key.
  let owner: String
  private let founder: LogMember
  private let membership: Membership
  private let store: SQLiteStore
  private let vault: UnlockedVault
  private let place: String

  /// Whether `identity` is the founding owner's.
  func isFounded(by identity: Identity) -> Bool { founder.signing == identity.signingKey.verifyingKey }

  init(in folder: UnfinishedFolder, identity: Identity, expecting expectations: LogExpectations) async throws {
    let path = folder.path
    place = folder.place
    do {
      store = try SQLiteStore(opening: path + "/vault.db", tables: vaultTables)
      let (report, end) = try await store.read { transaction in
        let report = try VaultView.verify(transaction, expecting: expectations)
        return (report, try VaultView(transaction).endpoint)
      }
      vault = try await UnlockedVault(
        store, identity: identity,
        keyFile: { header in try PrivateFile.read("\(path)/keys/\(header.keyID).age").withUnsafeBytes { Array($0) } },
        randomness: .system)
      self.end = end
      id = report.vault
      seen = report.seen
      founder = report.owner
      membership = report.seen.membership
      owner = try NoteKey(name: "relatch/\(report.vault)", key: report.owner.signing).description
    } catch let error as AuditError {
      throw Failure(damaged: "the vault in the backup does not verify: the log: \(error)")
    } catch let error as VaultError where error.code == .corrupt || error.code == .notFound {
      throw Failure(damaged: "the vault in the backup does not verify: \(error)")
    } catch let error as StorageError where error.code == .corrupt {
      throw Failure(damaged: "the vault in the backup does not verify: \(error)")
    }
  }

  /// Whether it is known that this user means this vault, by more than having looked at it.
  func isMeant(by known: KnownVaults?) -> Bool {
    guard let known, let id = Identifier(id) else { return false }
    return known.isTrusted(seen, of: id)
  }

  /// Who came back with it. Meant only for a backup that lacks something: in a newer one they were added since.
  func returned(after known: KnownVaults?) -> Returned {
    guard let known, let id = Identifier(id), let seen = try? known.log(of: id)?.membership else { return Returned() }
    return Returned(membership, after: seen)
  }

  /// What the backup lacks of what this user has seen; nil if nothing.
  func loss(known: KnownVaults?) async throws -> VaultError? {
    guard let known else { return nil }
    return try await OpenedVaults.shared.loss(of: store, at: place, with: known)
  }

  /// Writes the restore into the log, and leaves nothing beside the database.
  func log(behind loss: VaultError?, now: Timestamp) async throws {
    try await vault.logRestore(end, behind: loss, now: now)
    try await store.emptyLog()
  }

  /// The age of the backup, in words.
  func age(at now: Timestamp) -> String {
    "its log ends \((now - end.last).words) ago, at \(end.last), with \(end.entries) entries"
  }
}

extension Failure {
  fileprivate init(damaged message: String) {
    self.init(.corruptData, message, hint: "nothing was restored; use another copy of the backup")
  }
}
