import ArgumentParser
import Audit
import JSON
import Sodium
import Synchronization
import Vault

struct LogBundleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bundle", abstract: "Write entries and everything that proves them to one file for an auditor.",
    discussion: """
      It contains the entries about these credentials, or all entries, within the span; who was a member; the \
      checkpoints signed by those who acted; and the proofs. `relatch log verify --bundle FILE` verifies it with only \
      public keys, and so can a program written from vault/bundle.md. Whatever is left out stays private.

      With --checkpoint it also contains the proof that the log extends a checkpoint that the auditor has kept, for \
      their `relatch log verify --bundle FILE --checkpoint KEPT`.
      """)

  @OptionGroup var options: CommonOptions

  @OptionGroup var selection: EntrySelection

  @Argument(help: "The credentials' names; all entries if none is given.", completion: .credentialName)
  var names: [String] = []

  @Option(
    name: .customLong("checkpoint"),
    help: ArgumentHelp(
      "A checkpoint that the auditor has kept: the proof that the log extends it goes in, too; repeatable.",
      valueName: "file"),
    completion: .file())
  var checkpoints: [String] = []

  @Option(
    name: .shortAndLong, help: ArgumentHelp("The file to write; it must not exist.", valueName: "file"),
    completion: .file())
  var output: String?

  func validate() throws {
    guard checkpoints.count <= LogBundle.maximumCosigned else {
      throw ValidationError("--checkpoint: expected at most \(LogBundle.maximumCosigned)")
    }
  }

  func run() async throws {
    let selection = try selection.selection(of: names)
    let remembered = try SignedCheckpoint.read(checkpoints)
    do { try await write(selection, remembered) } catch let error as AuditError where !remembered.isEmpty {
      throw Failure(extending: checkpoints, error)
    }
  }

  private func write(_ selection: LogBundle.Selection, _ remembered: [SignedCheckpoint]) async throws {
    _ = try OutputPlace(output, "a bundle", verb: "log bundle -o FILE")
    let report = Report(options)
    let places = try Places(options)
    let vault = try await places.openLogged(at: "bundle", selection.fields, about: selection.credentials)
    let records = try await vault.found(in: places.witnessRecords)
    guard let output else {
      // The reader of standard output may take hours, and the store grows while one read of the vault lasts.
      let whole = try? UnnamedTemporaryFile()
      let found = try await vault.read { view in
        try view.writeBundle(selection, records: records, remembered: remembered) { line in
          let bytes = line + [0x0A]
          guard let whole else { return try StandardStream.output.write(bytes.span.bytes) }
          try whole.write(bytes.span.bytes)
        }
      }
      try whole?.hand { try StandardStream.output.write($0) }
      return report.note(Self.text(found))
    }
    let found = try await vault.read { view in
      let found = Mutex<BundleReport?>(nil)
      try PrivateFile.create(output) { write in
        let bundle = try view.writeBundle(selection, records: records, remembered: remembered) {
          try write(($0 + [0x0A]).span.bytes)
        }
        found.withLock { $0 = bundle }
      }
      return found.withLock { $0 }
    }
    guard let found else { return }
    let members = try found.members(file: output)
    try report.confirmation(.object(members), text: "\(output): \(Self.text(found))")
  }

  private static func text(_ found: BundleReport) -> String {
    "\(found.entries) entries of a log of \(found.checkpoint.checkpoint.size), the last signed by \(found.signer.name)"
  }
}

/// Selects entries of the log.
struct EntrySelection: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Only from the first entry dated then or later (RFC 3339, a day, or 7d for 7 days ago), with all that follow it.",
      valueName: "time"))
  var since: String?

  @Option(help: ArgumentHelp("Only up to the last entry dated then or earlier.", valueName: "time"))
  var until: String?

  /// Throws `usage` for a time that is not valid.
  func selection(of credentials: [String]) throws -> LogBundle.Selection {
    let now = WallClock.now()
    return LogBundle.Selection(
      credentials: Set(credentials), since: try since.map { try .said($0, for: "--since", now: now) },
      until: try until.map { try .said($0, for: "--until", now: now) })
  }
}

extension BundleReport {
  func members(file: String) throws -> [String: JSONValue] {
    let key = try NoteKey(name: "relatch/\(vault)", key: owner.signing)
    return [
      "entries": .integer(Int(clamping: entries)), "file": .string(file), "owner": .string(key.description),
      "members": .array(members.map { .string($0.name) }), "root": .string(checkpoint.checkpoint.root.bytes.base64),
      "signer": .string(signer.name), "size": .integer(Int(clamping: checkpoint.checkpoint.size)), "type": "bundle",
      "vault_id": .string(vault),
    ]
  }

  /// Reads the bundle in `file`, in constant memory. Throws `notFound`, `AuditError`.
  init(readingFile file: String, expecting expectations: LogExpectations) throws {
    var verification = BundleVerification(expecting: expectations)
    try LineReader.forEachLine(of: file, atMost: LogBundle.maximumLineLength) { try verification.add($0) }
    self = try verification.finish()
  }
}
