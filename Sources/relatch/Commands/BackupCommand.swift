import Age
import ArgumentParser
import Audit
import Glibc
import JSON
import Sodium
import Storage
import StorageSQLite
import Vault

struct BackupCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "Write a copy of the whole vault, sealed to its owners, as one age file.",
    discussion: """
      The copy goes to standard output or to a new file, and others may write to the vault meanwhile. `relatch \
      restore` restores it; without Relatch, `age -d` and `tar x` give the vault's folder. It does not contain \
      identities: keep copies of those separately.
      """)

  @OptionGroup var options: CommonOptions

  @Option(
    name: .shortAndLong, help: ArgumentHelp("The file to write; it must not exist.", valueName: "file"),
    completion: .file())
  var output: String?

  func run() async throws {
    _ = try OutputPlace(output, "a backup", verb: "backup -o FILE")
    let places = try Places(options)
    let vault = try await places.openVault()
    let now = WallClock.now()
    // On a disk that is full or has become read-only a backup is worth more than its entry, and only owners can open it.
    var isLogged = VaultFolder.isWritable(places)
    let owners: (names: [String], recipients: [AgeRecipient])
    do { owners = try await vault.logBackup(now: now, isLogged: isLogged) } catch let error as StorageError
      where error.code == .cannotWrite
    {
      isLogged = false
      owners = try await vault.logBackup(now: now, isLogged: false)
    }
    if !isLogged {
      Diagnostics.standard.warning("the vault cannot be written: its log will have no entry about this backup")
    }
    let copy = try await VaultCopy(of: vault, at: places, beside: isLogged ? nil : try passingPlace)
    let seal: (@escaping (RawSpan) throws -> Void) throws -> Void = { output in
      let sealer = try AgeSealer(to: owners.recipients, randomness: .system, output: output)
      try copy.write(modified: now) { try sealer.append($0) }
      try sealer.finish()
    }
    if let output {
      try PrivateFile.create(output, seal)
    } else {
      try seal { try StandardStream.output.write($0) }
    }
    try tell(copy, owners.names, of: vault.header)
  }

  /// Where the copy of the database is put if the vault's own folder cannot be written. It holds what the database
  /// holds.
  private var passingPlace: String {
    get throws { try Paths.absolute(output ?? (ProcessEnvironment.value(of: "TMPDIR") ?? "/tmp") + "/relatch-backup") }
  }

  private func tell(_ copy: VaultCopy, _ owners: [String], of header: VaultHeader) throws {
    let report = Report(options)
    let words = """
      backup   \(output ?? "standard output"), sealed to \(owners.joined(separator: ", "))
      log      \(copy.end.entries) entries, the last of \(copy.end.last)
      """
    // Standard output gets the backup itself.
    guard let output else { return report.note(words) }
    try report.confirmation(
      .object([
        "entries": .integer(Int(clamping: copy.end.entries)), "file": .string(output),
        "last": .string(copy.end.last.description), "owners": .array(owners.map { .string($0) }), "type": "backup",
        "vault_id": .string(header.id.description),
      ]), text: words)
  }
}

/// A vault's files as they were at one moment.
private struct VaultCopy {
  let end: LogEndpoint
  private let snapshot: StoreSnapshot
  private let keyFiles: [(id: Identifier, content: [UInt8])]

  init(of vault: UnlockedVault, at places: Places, beside place: String?) async throws {
    let store = try SQLiteStore(opening: places.database, tables: vaultTables)
    var triesLeft = 3
    while true {
      // Key files before records, and then a check: the key in use may be replaced in between.
      let keyFiles = try Self.keyFiles(places)
      let snapshot = try store.snapshot(at: place)
      let (header, end) = try await LockedVault(snapshot.opened(), as: vault.locked).read { view in
        (view.header, try view.endpoint)
      }
      snapshot.hide()
      if keyFiles.contains(where: { $0.id.description == header.keyID }) {
        (self.snapshot, self.keyFiles, self.end) = (snapshot, keyFiles, end)
        return
      }
      triesLeft -= 1
      guard triesLeft > 0 else { throw VaultError(.corrupt, "the vault key is missing: \(places.keyFile(header))") }
    }
  }

  private static func keyFiles(_ places: Places) throws -> [(id: Identifier, content: [UInt8])] {
    try PrivateFile.names(in: places.keys).compactMap { name in
      guard name.hasSuffix(".age"), let id = Identifier(String(name.dropLast(4))) else { return nil }
      // Following a link would take its target into the backup.
      var information = stat()
      guard lstat("\(places.keys)/\(name)", &information) == 0, information.st_mode & S_IFMT == S_IFREG else {
        return nil
      }
      do {
        return (id, try PrivateFile.read("\(places.keys)/\(name)").withUnsafeBytes { Array($0) })
      } catch let error as VaultError where error.code == .notFound {
        // Replaced meanwhile.
        return nil
      }
    }
  }

  func write(modified: Timestamp, _ output: @escaping (RawSpan) throws -> Void) throws {
    try BackupArchive(modified: modified, output: output)
      .write(keyFiles: keyFiles, databaseSize: snapshot.size) { try snapshot.forEachPiece($0) }
  }
}
