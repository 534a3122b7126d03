import Age
import ArgumentParser
import Audit
import JSON
import Sodium
import Storage
import StorageSQLite
import Vault

struct InitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Make a vault, and an identity if there is none.")

  @OptionGroup var options: CommonOptions

  @Flag(help: "Store a new identity without a passphrase, as cron hosts need it.")
  var noPassphrase = false

  @Option(help: ArgumentHelp("The owner's name in the vault and its log.", valueName: "name"))
  var name: String?

  func run() async throws {
    let report = Report(options)
    let places = try Places(options)
    let owner = name ?? ProcessEnvironment.value(of: "LOGNAME") ?? ProcessEnvironment.value(of: "USER") ?? "owner"
    try Name.check(owner, "owner name")
    try await requireNoVault(at: places)
    try VaultFolder.requireOwn(places.vault)
    let identityPath = try places.identity
    let hadIdentity = PrivateFile.exists(identityPath)
    let identity =
      try hadIdentity
      ? places.openIdentity() : places.identityFile.create(isProtected: !noPassphrase, named: name)

    let now = WallClock.now()
    try PrivateFile.createFolder(places.keys)
    VaultFolder.closeToOthers(places)
    let (header, keyFile) = try VaultCreation.prepare(for: identity.age.recipient, now: now, randomness: .system)
    // The key is durable before anything is sealed under it.
    try PrivateFile.create(places.keyFile(header), keyFile.span.bytes)
    // An interrupted `init` leaves a store without a vault: this one continues it.
    do { try SQLiteStore.create(at: places.database, tables: vaultTables) } catch let error as StorageError {
      guard error.code == .alreadyExists else { throw error }
    }
    let store = try SQLiteStore(opening: places.database, tables: vaultTables)
    try await VaultCreation.create(header, in: store, owner: identity, named: owner, now: now)
    SpaceReserve(places).keep()
    OpenedVaults.shared.adopt(store, at: places.vault, with: places.knownVaults)

    try report.confirmation(
      .object([
        "identity": .string(identityPath), "owner": .string(owner),
        "recipient": .string(identity.age.recipient.description), "type": "vault", "vault": .string(places.vault),
        "vault_id": .string(header.id.description),
      ]),
      text: """
        vault     \(places.vault)
        owner     \(owner), \(identity.age.recipient)
        identity  \(identityPath)\(hadIdentity ? "" : " (new: keep a copy elsewhere; nothing opens the vault without it)")
        """)
  }

  private func requireNoVault(at places: Places) async throws {
    guard PrivateFile.exists(places.database) else { return }
    // A store that cannot be opened is judged when it is created: an interrupted creation is completed, anything else
    // is refused.
    guard let store = try? SQLiteStore(opening: places.database, tables: vaultTables) else { return }
    let isEmpty = try await store.read { transaction in
      try transaction.lastRow(in: .header) == nil && AuditLog.size(in: transaction) == 0
    }
    guard isEmpty else {
      throw Failure(
        .usage, "there is already a vault at \(Name.printable(places.vault))",
        hint: "use it, or name another place: --vault DIR")
    }
  }
}
