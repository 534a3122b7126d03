import Age
import Audit
import Glibc
import JSON
import Sodium
import Storage
import StorageSQLite
import Vault

/// Where a command's vault and identity are.
struct Places {
  let vault: String
  private let identityPlace: Result<String, any Error>
  private let acceptsRollback: Bool
  private let passphrase: Passphrase

  /// Options take precedence over the environment, and the environment over the XDG defaults.
  init(_ settings: CommonSettings) throws {
    vault = try Self.place(
      settings.vault, "RELATCH_VAULT", base: "XDG_DATA_HOME", home: ".local/share", "relatch/default")
    identityPlace = Result {
      try Self.place(
        settings.identity, "RELATCH_IDENTITY", base: "XDG_CONFIG_HOME", home: ".config", "relatch/identity")
    }
    acceptsRollback = settings.acceptRollback
    // An empty --identity fails immediately, even if nothing needs the identity.
    if let identity = settings.identity, identity.isEmpty { _ = try identityPlace.get() }
    passphrase = try Passphrase(settings)
  }

  init(_ options: CommonOptions) throws { try self.init(options.settings) }

  /// Throws a configuration failure if nothing says where the identity is. Only what needs it asks.
  var identity: String { get throws { try identityPlace.get() } }

  /// The file that says which programs may speak for a provider on this machine.
  static var programs: String {
    get throws { try place(nil, "RELATCH_PROGRAMS", base: "XDG_CONFIG_HOME", home: ".config", "relatch/programs") }
  }

  private static func place(
    _ option: String?, _ variable: String, base: String, home: String, _ rest: String
  ) throws -> String {
    if let option {
      // `--vault "$UNSET"` must not become the root of the file system.
      guard !option.isEmpty else {
        throw Failure(.usage, "--vault or --identity is empty", hint: "name a folder or file")
      }
      return option
    }
    if let value = ProcessEnvironment.value(of: variable) { return value }
    // The specification says that a relative path here is invalid and must be ignored.
    if let base = ProcessEnvironment.value(of: base), base.hasPrefix("/") { return base + "/" + rest }
    guard let folder = ProcessEnvironment.value(of: "HOME") else {
      throw Failure(
        .configuration, "neither \(variable) nor HOME is set", hint: "give the places: --vault DIR, --identity FILE")
    }
    return "\(folder)/\(home)/\(rest)"
  }

  var database: String { vault + "/vault.db" }
  var keys: String { vault + "/keys" }
  func keyFile(_ header: VaultHeader) -> String { keyFolder.file(header.keyID) }
  var keyFolder: KeyFolder { KeyFolder(path: keys) }

  /// What this user has seen of vaults; nil if the environment names no place for it.
  var knownVaults: KnownVaults? { stateFolder.map { KnownVaults(in: $0) } }

  /// Where that is.
  var stateFolder: String? {
    if let base = ProcessEnvironment.value(of: "XDG_STATE_HOME"), base.hasPrefix("/") { return base + "/relatch" }
    return ProcessEnvironment.value(of: "HOME").map { $0 + "/.local/state/relatch" }
  }

  /// Opens the vault with nothing unlocked, and compares it with what was seen of it before. Throws `rolledBack`.
  ///
  /// The part of its log that this command has `verified` already is not verified again.
  func openLocked(verified: SeenLog? = nil) async throws -> LockedVault {
    var returned: Returned?
    let locked = try await OpenedVaults.shared.compare(
      openUncomparedStore(), at: vault, with: knownVaults, verified: verified
    ) { error, locked in
      guard acceptsRollback else { throw error }
      returned = try await accept(locked, despite: error)
    }
    // Thrown only now that the vault counts as accepted: what is rotated with them in it would be theirs to read.
    if let names = returned?.members.map(\.name), let first = names.first {
      throw Failure(
        .corruptData,
        "the vault was accepted as it is, and nothing else was done, because these are members again: \(names.joined(separator: ", "))",
        hint: "`relatch member remove \(first)`, and so each who should not be one; then run this again")
    }
    return locked
  }

  /// Logs that a person goes on with the vault although it is not what was seen of it before: `error` says how. One that
  /// lacks what was seen of it was put back, as by `restore`, and is treated alike: unless that was done already, only an
  /// owner accepts it, and each pair is compared with its provider before anything else is done with it; who is back in
  /// it is told and returned.
  private func accept(_ locked: LockedVault, despite error: VaultError) async throws -> Returned? {
    let unlocked = try await unlock(locked)
    let seen = try await lost(by: locked)
    let (id, here, restored) = try await locked.read { view in
      let here = view.seenLog.membership
      return (view.header.id, here, try here.restored.map { try view.authenticatedEntry(at: $0).time })
    }
    // What an owner has restored since it was seen is compared already, and others go on with it.
    let isRestored =
      if let restored, let last = knownVaults?.time(ofLogOf: id), unlocked.member.card.role != .owner {
        restored > last
      } else { false }
    if seen == nil || isRestored {
      try await unlocked.change(now: WallClock.now()) { change in
        _ = try change.log(.rollbackAccepted, ["found": .string(error.description)])
      }
    } else {
      try await unlocked.logRollback(error, now: WallClock.now())
    }
    Diagnostics.standard.warning("accepted, and logged: \(error)")
    guard let seen else { return nil }
    let returned = Returned(here, after: seen)
    for warning in returned.warnings { Diagnostics.standard.warning(warning) }
    return returned
  }

  /// What was seen of the vault and `locked` lacks; nil if it lacks nothing, or nobody knows what was seen.
  private func lost(by locked: LockedVault) async throws -> Membership? {
    let id = try await locked.read { $0.header.id }
    guard let seen = try? knownVaults?.log(of: id) else { return nil }
    do {
      try await locked.read { try $0.requireExtension(of: seen) }
      return nil
    } catch let error as VaultError where error.code == .rolledBack { return seen.membership }
  }

  /// The vault's store, compared with nothing.
  func openUncomparedStore() throws -> any Store {
    guard !PrivateFile.isForbidden(database) else {
      throw Failure(
        .notPermitted, "the vault at \(Name.printable(vault)) cannot be read by \(Self.user)",
        hint: "run it as the user whose vault that is: only the folder's owner can read what is in it")
    }
    guard PrivateFile.exists(database) else {
      throw Failure(
        .notFound, "there is no vault at \(Name.printable(vault))",
        hint: "if there was one, check that its disk is mounted; --vault DIR or RELATCH_VAULT names another;"
          + " `relatch init` makes one")
    }
    OpenedVaults.shared.warn(of: self)
    return try SQLiteStore(opening: database, tables: vaultTables) { MainThread.shared.perform($0) }
  }

  /// The user who runs this, in words for a person.
  private static var user: String {
    let id = geteuid()
    var (entry, buffer) = (passwd(), [CChar](repeating: 0, count: 4096))
    var found: UnsafeMutablePointer<passwd>?
    guard getpwuid_r(id, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return "user \(id)" }
    return String(cString: entry.pw_name)
  }

  /// The vault, unlocked by the identity.
  func openVault() async throws -> UnlockedVault {
    let unlocked = try await unlock(openLocked())
    OpenedVaults.shared.noteTrusted(at: vault)
    return unlocked
  }

  private func unlock(_ locked: LockedVault) async throws -> UnlockedVault {
    let identity = try openIdentity()
    do { return try await unlock(locked, by: identity) } catch let missing as MissingVaultKey {
      // Another command may have renewed the key between the look at the header and the look at the file.
      guard try await locked.read({ $0.header }).keyID != missing.keyID else { throw missing }
      return try await unlock(locked, by: identity)
    }
  }

  func unlock(_ locked: LockedVault, by identity: Identity) async throws -> UnlockedVault {
    let folder = keyFolder
    return try await UnlockedVault(
      locked, identity: identity, keyFile: { try folder.read($0) }, randomness: .system)
  }

  func openIdentity() throws -> Identity { try identityFile.open() }

  var identityFile: IdentityFile {
    get throws {
      IdentityFile(path: try identity, passphrase: passphrase, hasVault: PrivateFile.exists(database))
    }
  }
}
