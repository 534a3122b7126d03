import ArgumentParser
import Audit
import JSON
import Storage
import Transport
import Vault

struct LogWitnessCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "witness", abstract: "Choose who sees the log's checkpoints, so that nobody can rewrite it unseen.",
    subcommands: [
      WitnessAddCommand.self, WitnessRemoveCommand.self, WitnessListCommand.self, WitnessSubmitCommand.self,
    ])
}

struct WitnessAddCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Add a witness: a file or folder elsewhere, a command, or a C2SP tlog-witness.",
    discussion: """
      \(HelpText.columns(kinds))

      A program or a URL needs --key, the witness's key. Witnesses get checkpoints at the end of each rotate, resume, \
      retire and revoke that made the log longer, and from `relatch log witness submit`. Run that often, because \
      entries of read, token and exec wait for it.

      \(HelpText.examples(
        "relatch log witness add usb --file /media/usb/crm.checkpoint",
        "relatch log witness add w1 --url https://witness.example/ --key w1+…"))
      """)

  private static let kinds = [
    (word: "--file", meaning: "always contains the newest checkpoint, and never gets a smaller one"),
    (word: "--folder", meaning: "gets a file for each checkpoint, and never a smaller one"),
    (
      word: "-- PROGRAM …",
      meaning: "gets the checkpoint on standard input and prints cosignatures; it is not run by a shell"
    ),
    (
      word: "--url",
      meaning:
        "a witness that speaks c2sp.org/tlog-witness; tell it the log's origin and the key of each member who signs"
    ),
  ]

  @OptionGroup var options: CommonOptions

  @Argument(help: "The witness's name here.")
  var name: String

  @Option(help: ArgumentHelp("A file on another disk or host.", valueName: "file"), completion: .file())
  var file: String?

  @Option(help: ArgumentHelp("A folder on another disk or host.", valueName: "dir"), completion: .directory)
  var folder: String?

  @Option(help: ArgumentHelp("The submission prefix of the witness.", valueName: "url"))
  var url: String?

  @Option(help: ArgumentHelp("The witness's key, name+hash+base64 of type 4.", valueName: "vkey"))
  var key: String?

  @Argument(
    parsing: .postTerminator, help: ArgumentHelp("A program and its arguments, after --.", valueName: "command"))
  var command: [String] = []

  func run() async throws {
    let witness: Witness
    do { witness = try Witness(name: name, kind: kind()) } catch let error as AuditError {
      throw Failure(.usage, error.description, hint: "`relatch help log witness add` says what it takes")
    }
    try await Places(options).openVault().addWitness(witness, now: WallClock.now())
    if let folder, !PrivateFile.exists(folder) {
      Diagnostics.standard.warning("the witness sees nothing yet: there is no folder \(Name.printable(folder))")
    }
    try Report(options).confirmation(
      .object(witness.object),
      text: "\(witness.name) is a witness: \(witness.word) \(Diagnostics.printable(witness.place))")
  }

  private func kind() throws -> Witness.Kind {
    switch (file, folder, url, command.first) {
    case (let file?, nil, nil, nil): return .file(path: try place(file))
    case (nil, let folder?, nil, nil): return .folder(path: try place(folder))
    case (nil, nil, let url?, nil):
      do { _ = try Endpoint(url) } catch {
        throw Failure(.usage, "--url: \(error)", hint: "write it as in https://witness.example/prefix")
      }
      return .http(url: url, try requiredKey())
    case (nil, nil, nil, let word?): return .command([try Paths.program(word)] + command.dropFirst(), try requiredKey())
    default:
      throw Failure(
        .usage, "expected one of --file, --folder, --url, and a program after --",
        hint: "`relatch help log witness add` explains each")
    }
  }

  private func place(_ path: String) throws -> String {
    guard key == nil else {
      throw Failure(.usage, "--key goes with a program or --url", hint: "leave it out: a file or folder signs nothing")
    }
    return try Paths.absolute(path)
  }

  private func requiredKey() throws -> WitnessKey {
    guard let key else {
      throw Failure(
        .usage, "a program and --url need --key",
        hint: "give the witness's key: without it, nothing that it answers counts")
    }
    return try WitnessKey(key)
  }
}

struct WitnessRemoveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Stop handing checkpoints to a witness; it keeps what it has seen.")

  @OptionGroup var options: CommonOptions

  @Argument(help: "The witness's name.")
  var name: String

  func run() async throws {
    let places = try Places(options)
    let removed = try await places.openVault().removeWitness(name, now: WallClock.now())
    places.witnessRecords.forget(removed)
    try Report(options).confirmation(
      .object(["type": "removed", "witness": .string(name)]), text: "\(name) is no longer a witness")
  }
}

struct WitnessListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the witnesses and what each has seen, without unlocking anything.")

  @OptionGroup var options: CommonOptions

  func run() async throws {
    let places = try Places(options)
    let vault = try await places.openLocked()
    let records = try await vault.found(in: places.witnessRecords)
    let (standings, keys) = try await vault.read { view in
      (
        try view.standings(of: records),
        try view.members.map { try NoteKey(name: view.header.origin, key: $0.card.signing).description }
      )
    }
    let report = Report(options)
    if report.isJSON { return try report.results(standings, json: \.json, text: \.text) }
    if standings.isEmpty { return report.note("the vault has no witnesses yet: `relatch log witness add` adds one") }
    let rows = standings.map {
      [$0.witness.witness.name, $0.witness.witness.word, Diagnostics.printable($0.witness.witness.place), $0.text]
    }
    try report.text(Table(["WITNESS", "KIND", "PLACE", "SEEN"], rows).text)
    report.note("the keys of those who sign, which a witness must know: \(keys.joined(separator: " "))")
  }
}

struct WitnessSubmitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "submit", abstract: "Hand the newest checkpoint to the witnesses, and keep their cosignatures.",
    discussion: """
      Unlocks nothing and writes nothing to the log, so it may be run every minute. Ends with 69 if a witness cannot \
      be reached, with 77 if whoever added it is no longer an owner, with 65 if one has seen another log.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The witnesses' names; all if none is given.")
  var names: [String] = []

  func run() async throws {
    let places = try Places(options)
    let vault = try await places.openLocked()
    let report = Report(options)
    let outcomes = try await Submission(vault, of: places, limit: Submission.patiently, isAskedFor: true).run(names)
    if outcomes.isEmpty { report.note("the vault has no witnesses yet: `relatch log witness add` adds one") }
    var codes: [ExitCode] = []
    for (name, outcome) in outcomes {
      switch outcome {
      case .took(let signed):
        let size = signed.checkpoint.size
        try report.confirmation(
          .object(["size": .integer(Int(clamping: size)), "type": "submitted", "witness": .string(name)]),
          text: "\(name) has seen \(size) entries")
      case .missed(let failure), .withheld(let failure), .contradicts(let failure):
        report.failure(failure)
        codes.append(failure.code)
      }
    }
    guard let first = codes.first else { return }
    // A rewritten log is not just one failure among several.
    if codes.contains(.corruptData) { throw Status(code: .corruptData) }
    throw Status(code: codes.count == outcomes.count ? first : .someFailed)
  }
}

extension Witness {
  /// The witness as `--json` shows it.
  fileprivate var object: [String: JSONValue] {
    guard case .object(var members) = json else { return [:] }
    members["type"] = "witness"
    members["witness"] = members.removeValue(forKey: "name")
    return members
  }
}
