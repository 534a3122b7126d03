import ArgumentParser
import Audit
import JSON
import Storage
import Sodium
import Vault

struct LogCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log", abstract: "Read and verify the log.",
    subcommands: [
      LogListCommand.self, LogVerifyCommand.self, LogCheckpointCommand.self, LogProveCommand.self,
      LogExportCommand.self, LogBundleCommand.self, LogExposureCommand.self, LogWitnessCommand.self,
    ])
}

struct LogListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the log's entries; with --json exactly as they are signed.",
    discussion: """
      \(HelpText.examples(
        "relatch log list crm --last 20",
        "relatch log list --since 2026-11-21T00:00:00Z"))
      """)

  @OptionGroup var options: CommonOptions

  @OptionGroup var selection: EntrySelection

  @Argument(help: "The credentials' names: only entries about them.", completion: .credentialName)
  var names: [String] = []

  @Option(help: ArgumentHelp("Only this many of the last entries.", valueName: "count"))
  var last: Int?

  func validate() throws {
    guard last ?? 1 > 0 else { throw ValidationError("--last \(last ?? 0): expected 1 or more") }
  }

  func run() async throws {
    let report = Report(options)
    let selection = try selection.selection(of: names)
    let vault = try await Places(options).openLogged(
      at: "list", selection.fields, about: selection.credentials)
    let size = try await vault.read { $0.logSize }
    let span = try await vault.span(of: selection, size: size)
    let page: UInt64 = 1000
    // If nothing is left out, the last entries are known without a look at the others.
    let isWhole = selection.credentials.isEmpty && !span.isOfTime
    let first = isWhole ? last.map { size - min(size, UInt64($0)) } ?? 0 : 0
    var lines: [String] = []
    for start in stride(from: first, to: size, by: Int(page)) {
      // Each entry is proved to be covered by the newest signed checkpoint before anybody takes it as true.
      lines += try await vault.read { view in
        try (start..<min(size, start + page)).compactMap { index in
          let entry = try view.authenticatedEntry(at: index)
          guard selection.includes(entry, at: index, in: span) else { return nil }
          return report.isJSON ? entry.exactText : entry.line(at: index)
        }
      }
      guard let last else {
        for line in lines { try report.text(line) }
        lines = []
        continue
      }
      lines = Array(lines.suffix(last))
    }
    for line in lines { try report.text(line) }
  }
}

extension LogReport {
  /// What the times of the entries say against a clock. It proves nothing, but is worth a look.
  fileprivate func clockWarnings(now: Timestamp) -> [String] {
    var troubles: [String] = []
    if let largeClockStepBack {
      troubles.append(
        "entry \(largeClockStepBack.entry) is dated \(largeClockStepBack.time), before entry \(largeClockStepBack.precedingEntry), which precedes it and is dated"
          + " \(largeClockStepBack.precedingTime): a clock was wrong; the order of the entries is certain, their times are not"
      )
    }
    if latestTime > now + Self.usualStepBack {
      troubles.append(
        "an entry is dated \(latestTime), which is in the future: a clock was wrong then, or this machine's is wrong now"
      )
    }
    return troubles
  }
}

extension LogEntry {
  fileprivate func line(at index: UInt64) -> String {
    // Digests bind records to entries; people have no use for them here.
    let details = details.filter { $0.key != "record" }.sorted { $0.key < $1.key }
      .map { Diagnostics.printable("\($0.key)=\($0.value.plainText)") }
    return (["\(index)", time.description, member, event] + details).joined(separator: "  ")
  }
}

extension JSONValue {
  /// A string of visible ASCII without quotes, anything else as canonical JSON.
  fileprivate var plainText: String {
    if case .string(let text) = self, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) { return text }
    return canonicalText
  }
}

struct LogVerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Verify the whole log offline: entries, tree, signatures, members.",
    discussion: """
      Without --owner, the log's own first entry says whose signatures to expect: this finds damage and careless \
      changes. With --owner, the founder's key must be the one that you remembered elsewhere, which nobody who only \
      has the vault can forge.
      """)

  @OptionGroup var options: CommonOptions

  @Option(help: ArgumentHelp("The founding owner's key, as an earlier verification printed it.", valueName: "vkey"))
  var owner: String?

  @Option(
    name: .customLong("checkpoint"),
    help: ArgumentHelp("An earlier checkpoint, which the log must extend; repeatable.", valueName: "file"),
    completion: .file())
  var checkpoints: [String] = []

  @OptionGroup var trusted: TrustedWitnesses

  @Option(
    help: ArgumentHelp("Verify this bundle instead of a vault; - is standard input.", valueName: "file"),
    completion: .file())
  var bundle: String?

  @Flag(
    help: "If only hashes of the log's tree are damaged, compute them again after verifying all entries; logged.")
  var repair = false

  func run() async throws {
    if let bundle {
      guard !repair else {
        throw Failure(
          .usage, "--repair does not go with --bundle", hint: "a bundle cannot be repaired: ask for another")
      }
      return try verifyBundle(bundle)
    }
    let places = try Places(options)
    let keys = try trusted.keys()
    // Verified before it is compared with what was seen: verification says which entry is wrong.
    let store = try places.openUncomparedStore()
    // Read once, so that the checkpoints that are reported are those that the log was found to extend.
    let given = try SignedCheckpoint.read(checkpoints)
    let expectations = try LogExpectations(founder: owner, checkpoints: given)
    let repaired = repair ? try await places.repairTree(expecting: expectations) : nil
    let report = try await verify(store, expecting: expectations)
    let extended = zip(checkpoints, given).map {
      "\nextends  \(Name.printable($0)), \($1.checkpoint.size) entries"
    }
    let vault = try await places.openLocked(verified: report.seen)
    let records = try await vault.found(in: places.witnessRecords)
    let (unbound, standings) = try await vault.read { ($0.credentialsWithoutTerms, try $0.standings(of: records)) }
    if let trouble = standings.first(where: \.isContradiction)?.trouble { throw Submission.contradiction(trouble) }
    let vouched = try trusted.require(
      keys, among: standings.compactMap(\.seen) + given, of: report.entries, now: WallClock.now())
    if let first = unbound.first {
      Diagnostics.standard.warning(
        "any member can say where \(unbound.count) credentials are rotated, and under which key (\(first)\(unbound.count > 1 ? ", …" : "")):"
          + " they were added before owners' entries recorded that; `relatch rekey` fixes it")
    }
    let key = try NoteKey(name: "relatch/\(report.vault)", key: report.owner.signing)
    let repair: [String: JSONValue] = repaired.map { ["repaired": .integer($0)] } ?? [:]
    let found: [String: JSONValue] = [
      "entries": .integer(Int(clamping: report.entries)), "first": .string(report.firstTime.description),
      "last": .string(report.lastTime.description), "members": .array(report.members.map { .string($0.name) }),
      "owner": .string(key.description), "root": .string(report.root.bytes.base64), "type": "verification",
      "vault_id": .string(report.vault), "witnesses": .array(standings.map(\.json)),
      "vouched": .array(vouched.map(\.json)),
    ]
    try Report(options).result(
      .object(found.merging(repair) { $1 }),
      text: """
        \(repaired.map { "\($0) \($0 == 1 ? "row" : "rows") of the log's tree computed again\n" } ?? "")\
        the log is whole: \(report.entries) entries from \(report.firstTime) to \(report.lastTime)
        root     \(report.root.bytes.base64)\(extended.joined())
        members  \(report.members.map { "\($0.name) (\($0.role.rawValue))" }.joined(separator: ", "))
        owner    \(key.description)\(owner == nil ? " (as the log itself says: remember it, and give it with --owner)" : "")\
        \(standings.map { "\nwitness  \($0.witness.witness.name) \($0.text)" }.joined())\
        \(vouched.map { "\nvouched  \($0.text)" }.joined())
        """)
    if let stray = report.strayRecord {
      Diagnostics.standard.warning(
        "log entry \(stray) is about the record of something that was not a credential then: it changes nothing, and Relatch never"
          + " writes one; `relatch log prove \(stray) --json` shows whose it is")
    }
    for trouble in standings.compactMap(\.trouble) {
      Diagnostics.standard.warning("\(trouble)\(trouble.hint.map { ": \($0)" } ?? "")")
    }
    if let gap = standings.gapText { Diagnostics.standard.warning(gap) }
    for line in report.clockWarnings(now: WallClock.now()) { Diagnostics.standard.warning(line) }
    // Only a key from elsewhere tells the intended vault from one that was made to look like it.
    if owner != nil { OpenedVaults.shared.noteTrusted(at: places.vault) }
  }

  /// Verifies everything, and says which of three is wrong: an entry, only the stored tree, or a --checkpoint of
  /// another log.
  private func verify(_ store: any Store, expecting expectations: LogExpectations) async throws -> LogReport {
    do { return try await store.read { try VaultView.verify($0, expecting: expectations) } } catch let error
      as AuditError
    {
      let alone = try LogExpectations(founder: owner)
      if !checkpoints.isEmpty, (try? await store.read { _ = try VaultView.verify($0, expecting: alone) }) != nil {
        throw Failure(extending: checkpoints, error)
      }
      guard error.code == .corrupt,
        (try? await store.read { try LogVerification.verifyEntries(in: $0, expecting: expectations) }) != nil
      else { throw error }
      throw Failure(
        .corruptData, Failure(error).message,
        hint:
          "all entries are as they were signed: `relatch log verify --repair` computes the tree's hashes again from them"
      )
    }
  }

  private func verifyBundle(_ file: String) throws {
    let given = try SignedCheckpoint.read(checkpoints)
    let expectations = try LogExpectations(founder: owner, checkpoints: given)
    let found: BundleReport
    do { found = try BundleReport(readingFile: file, expecting: expectations) } catch let error as AuditError
      where error.code == .notFound
    {
      throw Failure(
        .notFound,
        "\(Name.printable(file)) is sound, and does not tell whether the log extends --checkpoint: \(error)",
        hint:
          "ask for a bundle that has the proof, made with `relatch log bundle … --checkpoint FILE`, or for the whole log;"
          + " without --checkpoint this one can be verified as it is")
    } catch let error
      where error is AuditError || (error as? VaultError)?.code == .corrupt
    {
      throw Failure(
        .corruptData, "\(Name.printable(file)) is not a sound bundle: \(error)",
        hint:
          "give a file that `relatch log bundle` wrote; if it is one, it was altered, or belongs to another log than"
          + " --owner or --checkpoint")
    }
    let key = try NoteKey(name: "relatch/\(found.vault)", key: found.owner.signing)
    let entries = found.checkpoint.checkpoint.size
    let vouched = try trusted.require(
      trusted.keys(), among: found.cosigned + given, of: entries, now: WallClock.now())
    var members = try found.members(file: file)
    if !vouched.isEmpty { members["vouched"] = .array(vouched.map(\.json)) }
    try Report(options).result(
      .object(members),
      text: """
        the bundle is sound: \(found.entries) entries of a log of \(found.checkpoint.checkpoint.size)
        signed   \(found.signer.name) (\(found.signer.role.rawValue)) signed the newest checkpoint
        root     \(found.checkpoint.checkpoint.root.bytes.base64)
        members  \(found.members.map { "\($0.name) (\($0.role.rawValue))" }.joined(separator: ", "))
        owner    \(key.description)\(owner == nil ? " (as the bundle itself says: compare it, or give it with --owner)" : "")\
        \(vouched.map { "\nvouched  \($0.text)" }.joined())
        """)
    if found.signer.role != .owner {
      Diagnostics.standard.warning(
        "\(found.signer.name), who signed the newest checkpoint, is not an owner: the end of the bundle may differ from the log"
          + " that the owners have; --checkpoint FILE compares it with a checkpoint of theirs")
    }
  }
}

extension Failure {
  /// The log does not extend one of the checkpoints in these files.
  init(extending checkpoints: [String], _ error: AuditError) {
    self.init(
      .corruptData, "the log does not extend --checkpoint: \(error)",
      hint:
        "either \(checkpoints.map(Name.printable).joined(separator: " or ")) belongs to another vault, or the log was"
        + " rewritten or cut off since; write nothing to it before a person has compared it with what others kept")
  }
}

extension LogExpectations {
  /// `founder` is the key that an option gave, `checkpoints` are from other people's files. Throws `usage` if `founder`
  /// is not a key.
  init(founder: String?, checkpoints: [SignedCheckpoint] = []) throws {
    let owner: NoteKey?
    do { owner = try founder.map { try NoteKey($0) } } catch {
      throw Failure(
        .usage, "--owner: \(error)", hint: "give the owner's key that an earlier `relatch log verify` printed")
    }
    self.init(owner: owner, remembered: checkpoints.map(\.checkpoint))
  }
}

extension SignedCheckpoint {
  /// The checkpoints in the files that --checkpoint names. Throws `notFound`, `corruptData`.
  static func read(_ paths: [String]) throws -> [SignedCheckpoint] {
    try paths.map { path in
      let bytes = try PrivateFile.readPublic(path, limit: SignedNote.maximumSize)
      do { return try SignedCheckpoint(decoding: bytes) } catch {
        throw Failure(
          .corruptData, "--checkpoint \(Name.printable(path)): \(error)",
          hint: "give a file that `relatch log checkpoint` wrote")
      }
    }
  }
}
