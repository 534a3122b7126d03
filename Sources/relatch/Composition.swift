import Age
import Audit
import Delivery
import Glibc
import JSON
import Providers
import Rotation
import Sodium
import Storage
import StorageSQLite
import Synchronization
import Transport
import Vault

/// Where a command's vault and identity are.
struct Places {
  let vault: String
  let identity: String
  private let acceptsRollback: Bool
  private let passphrase: Passphrase

  /// Options win over the environment, which wins over the XDG defaults.
  init(_ settings: CommonSettings) throws {
    vault = try Self.place(
      settings.vault, "RELATCH_VAULT", base: "XDG_DATA_HOME", home: ".local/share", "relatch/default")
    identity = try Self.place(
      settings.identity, "RELATCH_IDENTITY", base: "XDG_CONFIG_HOME", home: ".config", "relatch/identity")
    acceptsRollback = settings.acceptRollback
    passphrase = try Passphrase(settings)
  }

  init(_ options: CommonOptions) throws { try self.init(options.settings) }

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
        throw Failure(.usage, "an empty --vault or --identity", hint: "name a folder or file")
      }
      return option
    }
    if let value = ProcessEnvironment.value(of: variable) { return value }
    // The specification says that a relative path here is invalid and must be ignored.
    if let base = ProcessEnvironment.value(of: base), base.hasPrefix("/") { return base + "/" + rest }
    guard let folder = ProcessEnvironment.value(of: "HOME") else {
      throw Failure(
        .configuration, "neither \(variable) nor HOME is set", hint: "say where: --vault DIR, --identity FILE")
    }
    return "\(folder)/\(home)/\(rest)"
  }

  var database: String { vault + "/vault.db" }
  var keys: String { vault + "/keys" }
  func keyFile(_ header: VaultHeader) -> String { keyFolder.file(header.keyID) }
  var keyFolder: KeyFolder { KeyFolder(path: keys) }

  /// What this user has seen of vaults; nil if the environment names no place for it.
  var knownVaults: KnownVaults? {
    if let base = ProcessEnvironment.value(of: "XDG_STATE_HOME"), base.hasPrefix("/") {
      return KnownVaults(in: base + "/relatch")
    }
    return ProcessEnvironment.value(of: "HOME").map { KnownVaults(in: $0 + "/.local/state/relatch") }
  }

  /// The vault with nothing unlocked, after a look at whether it is what was seen of it before. Throws `rolledBack`.
  ///
  /// What this command has `verified` of its log already is not gone through again.
  func openLocked(verified: SeenLog? = nil) async throws -> LockedVault {
    try await OpenedVaults.shared.compare(
      openUncomparedStore(), at: vault, with: knownVaults, verified: verified
    ) { error, locked in
      guard acceptsRollback else { throw error }
      Diagnostics.standard.warning("accepted, and logged: \(error)")
      try await unlock(locked).change(now: WallClock.now()) { change in
        _ = try change.log(.rollbackAccepted, ["found": .string(error.description)])
      }
    }
  }

  /// The vault's store, compared with nothing.
  func openUncomparedStore() throws -> any Store {
    guard !PrivateFile.isForbidden(database) else {
      throw Failure(
        .notPermitted, "the vault at \(Name.printable(vault)) may not be read by \(Self.user)",
        hint: "run it as the user whose vault that is: what is in its folder is its owner's alone")
    }
    guard PrivateFile.exists(database) else {
      throw Failure(
        .notFound, "there is no vault at \(Name.printable(vault))",
        hint: "if there was one, see whether its disk is mounted; --vault DIR or RELATCH_VAULT names another;"
          + " `relatch init` makes one")
    }
    return try SQLiteStore(opening: database, tables: vaultTables) { MainThread.shared.perform($0) }
  }

  /// Who runs this, for a person.
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
    OpenedVaults.shared.noteUnlocked(at: vault)
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

  var identityFile: IdentityFile { IdentityFile(path: identity, passphrase: passphrase) }
}

/// What rotations are made of: one connection pool and one session of each administrator, however many run at once.
final class RotationComposition: Sendable {
  let vault: UnlockedVault
  let transport = CurlTransport()
  /// Access by administrator's name; not for those that administer themselves, whose session changes hands under way.
  private let accesses = Mutex<[String: AdminAccess]>([:])
  let delivery = LocalDelivery.ofThisProcess
  /// Open once an administrator's pair was opened: its token is about to be asked for.
  let askedAdministrator = Gate()

  /// The tokens that are kept beside the vault: whatever run sees a leak replaced ends them.
  let tokens: KeptTokens

  init(vault: UnlockedVault, in places: Places) {
    self.vault = vault
    tokens = KeptTokens(of: places)
  }

  /// Does one errand.
  func run(_ errand: Errand, reporting report: Report) async throws -> RotationOutcome {
    let leak = await leakBefore(of: errand.name, for: errand.goal)
    let result: Result<RotationOutcome, any Error>
    do { result = .success(try await rotate(errand, reporting: report)) } catch { result = .failure(error) }
    if let leak { await endKeptTokens(of: errand.name, leak, report) }
    return try result.get()
  }

  private func rotate(_ errand: Errand, reporting report: Report) async throws -> RotationOutcome {
    let (name, goal) = (errand.name, errand.goal)
    let runner = RotationRunner(
      vault: vault,
      timing: RotationTiming(
        now: { WallClock.now() }, sleep: { try await WallClock.sleep($0) }, randomness: .system), schedule: .system,
      holder: RunHolder.words, isGone: RunHolder.isGone, delivery: delivery, progress: { report.step($0) })
    let provider = try await provider(of: name, for: goal)
    switch goal {
    case .rotate, .rotateReplacingPrevious, .scheduled, .revoke:
      if provider.replacement == .cutOver { report.note("\(name): \(Replacement.cutOverWarning)") }
    case .resume, .abort, .retire, .retireUndelivered, .deliver, .adopt: break
    }
    return try await runner.run(name, goal: goal, provider: provider) {
      await self.attempt(errand.found, report)
    }
  }

  /// Tries what was found of one credential, as far as that was not done yet.
  func attempt(_ found: [FoundVersion], _ report: Report) async {
    for version in found { await version.attempt(by: self, report) }
  }

  /// What lacks the active pair gets it also where there is nothing to rotate, or no provider to be had.
  private func provider(of name: String, for goal: RotationRunner.Goal) async throws -> any CredentialProvider {
    switch goal {
    // Asked only about a vault that was restored.
    case .deliver: return (try? await provider(of: name, asking: TerminalOperator.shared)) ?? UnaskedProvider()
    // A leak is noted whatever can be done about it.
    case .resume, .scheduled, .revoke:
      do { return try await provider(of: name, asking: TerminalOperator.shared) } catch let error as ProviderError {
        return UnaskedProvider(error)
      }
    case .rotate, .rotateReplacingPrevious, .abort, .retire, .retireUndelivered, .adopt:
      return try await provider(of: name, asking: TerminalOperator.shared)
    }
  }

  /// The provider of one credential, for one run. Asks nobody; the administrator's pair is opened when it is first needed.
  func provider(of name: String, asking person: (any Operator)? = nil) async throws -> any ProviderKind {
    let (credential, admin) = try await vault.read { view in
      let credential = try view.credential(name)
      return (credential, credential.isSelfAdministered ? credential : try view.credential(credential.admin))
    }
    return try providerKind(credential.provider).init(
      settings: credential.settings, admin: access(to: admin, for: credential, person), transport: transport)
  }

  /// The administrator `admin` of `credential`. Nothing is opened before its pair is first needed.
  func access(
    to admin: Credential, for credential: Credential, _ person: (any Operator)?
  ) -> AdminAccess {
    let vault = vault
    let purpose = credential.isSelfAdministered ? "administers itself" : "administers"
    let askedAdministrator = askedAdministrator
    let access = AdminAccess(
      name: admin.name, settings: admin.settings, isSelf: credential.isSelfAdministered, operator: person,
      programs: AllowedPrograms(vault: vault.header.id)
    ) {
      defer { askedAdministrator.open() }
      let member = vault.member
      guard try await vault.read({ try $0.canOpen($0.credential(admin.name), member) }) else {
        throw Failure(
          .notPermitted,
          "\(member.name) may not open \(admin.name), whose token drives the rotation of \(credential.name)",
          hint: "an owner lets it: `relatch grant \(admin.name) \(member.name)`")
      }
      let opened = try await vault.pairs(
        of: admin.name,
        choosing: { administrator in
          guard let active = administrator.version(in: .active) else {
            throw ProviderError(
              .notPermitted, "\(administrator.name), which administers it, has no active version: it was handed over",
              hint: "`relatch status \(administrator.name)` says since when; add it anew with another --admin")
          }
          return [active]
        }, event: .pairUsed, ["purpose": .string(purpose)], now: WallClock.now())
      guard let pair = opened.first?.pair else {
        throw VaultError(.notFound, "\(admin.name) has no active version")
      }
      return pair
    }
    guard !credential.isSelfAdministered else { return access }
    return accesses.withLock { accesses in
      if let shared = accesses[admin.name] { return shared }
      accesses[admin.name] = access
      return access
    }
  }
}
