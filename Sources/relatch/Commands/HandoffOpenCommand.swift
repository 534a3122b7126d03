import Age
import ArgumentParser
import Audit
import Glibc
import JSON
import Providers
import Rotation
import Sodium
import Transport
import Vault

struct HandoffOpenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "open", abstract: "Show who sent a handoff and what it contains, import it, and write a receipt.",
    discussion: """
      A vault imports a handoff only once, and not after it expired. The receipt goes to standard output or to -o; \
      send it back to the sender. Nothing in it is secret. Compare the signing key that --show prints with the \
      sender's own `relatch identity show`, over another channel than the one the file came by, and give that key, or \
      the sender's card, with --from. Without --from the handoff is shown on the terminal, and imported after you \
      answer y. A transferred credential is rotated at once, and the sender's pair is retired.

      \(HelpText.examples(
        "relatch handoff open crm.age --show",
        "relatch handoff open crm.age --from anna.card --as sales/crm -o receipt"))
      """)

  @OptionGroup var options: CommonOptions
  @OptionGroup var source: HandoffSource

  @Option(
    name: .customLong("as"),
    help: ArgumentHelp("Its name here (default: its name at the sender).", valueName: "name"))
  var name: String?

  @Option(
    help: ArgumentHelp(
      "Whose token drives its rotation here: another credential, or self.", valueName: "credential"),
    completion: .credentialName)
  var admin: String?

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp(
      "A setting of the provider that differs from the sender's; KEY= removes it; repeatable.",
      valueName: "key=value"))
  var settings: [String] = []

  @Flag(help: "Show the handoff and import nothing.")
  var show = false

  @Flag(help: "After a transfer, leave the sender's pair alone for the policy's grace.")
  var withGrace = false

  @Option(
    name: .shortAndLong, help: ArgumentHelp("The receipt's file; it must not exist.", valueName: "file"),
    completion: .file())
  var output: String?

  func run() async throws {
    let place = try show ? nil : OutputPlace(output, nil, verb: "handoff open FILE -o RECEIPT")
    let vault = try await Places(options).openVault()
    let opened = try source.open(in: vault)
    let handoff = opened.handoff
    let report = Report(options)
    guard let place else {
      return try report.result(.object(handoff.members.merging(["type": "handoff"]) { $1 }), text: handoff.description)
    }
    let admin = try admin(of: handoff)
    // Checked before anything is reported: only the reason is said of a handoff that is refused.
    let settings = try settings(of: handoff, report)
    try providerKind(handoff.provider).checkGiven(settings, isSelf: admin == "self")
    guard place.path != nil || !handoff.isTransfer else {
      throw Failure(
        .usage, "a transfer is rotated at once, and the rotation is reported on standard output",
        hint: "name a file for the receipt: `relatch handoff open FILE -o RECEIPT`")
    }
    let name = name ?? handoff.credential
    if source.from == nil { try await confirmSender(of: handoff, as: name, settings) }
    let now = WallClock.now()
    let neighbours = Neighbours.ofKnownKinds()
    let (credential, receipt) = try await Neighbours.again {
      try await vault.importHandoff(
        opened, as: name, settings: settings, admin: admin == "self" ? name : admin, now: now
      ) { try await neighbours.requireNoneHas([$0], in: vault, now: now) }
    }
    do { try place.write(receipt) } catch {
      let failure = Failure(error)
      throw Failure(
        failure.code, "\(name) is imported, but its receipt is not written: \(failure.message)",
        hint: "`relatch handoff receipt FILE -o RECEIPT` writes it again"
          + (handoff.isTransfer ? "; then `relatch rotate \(name)` and `relatch retire \(name)`" : ""))
    }
    var members = handoff.members
    members["type"] = "handoff"
    members["settings"] = .object(credential.settings.mapValues { .string($0) })
    members["imported"] = .string(credential.name)
    if let file = place.path { members["receipt"] = .string(file) }
    if let exposure = credential.exposure { members["exposure"] = exposure.json }
    let object = members
    // A person who was asked has already seen it.
    let isShown = source.from == nil && StandardStream.output.isTerminal
    // The sender knows a transferred pair until it is rotated: that must go on even if nobody can be told.
    var untold: StreamError?
    do {
      try place.tell(
        report, .object(object),
        (isShown ? "" : handoff.description(with: credential.settings) + "\n")
          + "imported   as \(credential.name), version 1 is active")
    } catch { untold = error }
    report.note("send the receipt to \(handoff.sender.name): nothing in it is secret")
    if !handoff.isTransfer { report.note(exposureOf: credential) }
    if handoff.isTransfer, let further = try await takeOver(name, in: vault, report) { untold = further }
    if let untold { throw untold }
  }

  /// The sender's settings, with those given here in their place.
  private func settings(of handoff: Handoff, _ report: Report) throws -> [String: String] {
    let chosen = try Assignments.parse(settings, option: "--set")
    var settings = handoff.settings
    // Otherwise a new pair would be shown to whatever server the sender names.
    if handoff.provider == CommandProvider.descriptor.id, settings["token-url"] != nil, chosen["token-url"] == nil {
      settings["token-url"] = nil
      report.note(
        "the sender's token-url is not used, so the program proves pairs; to trust one: --set token-url=…")
    }
    return settings.merging(chosen) { $1 }.filter { !$0.value.isEmpty }
  }

  /// Asks whether the sender is the expected one: anybody can seal a pair to a card, under any name. What was typed
  /// before the question is not an answer: it may have been pasted with the command, from the mail that brought the
  /// file.
  private func confirmSender(of handoff: Handoff, as name: String, _ settings: [String: String]) async throws {
    guard source.file != "-", isatty(STDIN_FILENO) == 1 else { throw unconfirmed(handoff) }
    var lines = handoff.description.split(separator: "\n").map(String.init)
    if settings != handoff.settings { lines.append("here       \(handoff.provider)  \(Handoff.text(settings))") }
    lines.append(
      "import it as \(name) only if \(handoff.sender.name) told you this signing key in person or by another channel")
    let isConfirmed: Bool
    do { isConfirmed = try await TerminalOperator.shared.agrees(lines, "Import it as \(name)?") } catch {
      throw unconfirmed(handoff)
    }
    guard isConfirmed else {
      throw Failure(
        .notPermitted, "not confirmed: nothing was imported", hint: "compare the signing key, then answer y")
    }
  }

  private func unconfirmed(_ handoff: Handoff) -> Failure {
    Failure(
      .usage, "the sender was not confirmed: the file names \(handoff.sender.name), but anybody can write that",
      hint:
        "compare the signing key that `relatch handoff open FILE --show` prints with the sender's own, then give it: --from KEY"
    )
  }

  private func admin(of handoff: Handoff) throws -> String {
    if let admin { return admin }
    guard handoff.isSelfAdministered else {
      throw Failure(
        .usage,
        "\(handoff.credential) does not administer itself: at the sender \(handoff.admin) administers it, and that one is not sent along",
        hint: "name its administrator in this vault: --admin CREDENTIAL; or import it for use only: --admin self")
    }
    return "self"
  }

  /// Replaces the pair, because the sender knows it, and then retires it, unless `withGrace`. Returns the error with
  /// which standard output refused a result; nil if it took all.
  private func takeOver(_ name: String, in vault: UnlockedVault, _ report: Report) async throws -> StreamError? {
    let composition = RotationComposition(vault: vault, in: try Places(options))
    let goals =
      [Errand(name: name, goal: .rotate, isFollowed: !withGrace)] + (withGrace ? [] : Errand.each([name], .retire))
    do { return try await composition.runInOrder(goals, report: report) } catch {
      // Opening the handoff again would only say that it was opened before.
      Diagnostics.standard.warning(
        "\(name) is imported: `relatch rotate \(name)` and then `relatch retire \(name)` continue; do not run `handoff open` again"
      )
      throw error
    }
  }
}

/// The file of a handoff, and its expected sender.
struct HandoffSource: ParsableArguments {
  @Argument(help: ArgumentHelp("The handoff's file; - for standard input.", valueName: "file"), completion: .file())
  var file: String

  @Option(
    help: ArgumentHelp(
      "The sender's card or signing key; a handoff that anyone else signed is refused.", valueName: "card"))
  var from: String?

  /// Opens the handoff. Refuses one that is not for this member or not from the expected sender.
  func open(in vault: UnlockedVault) throws -> OpenedHandoff {
    let sender = try from.map { try Self.key($0) }
    let input: SecretBytes
    do {
      input =
        try file == "-"
        ? PrivateFile.readAll(0, limit: OpenedHandoff.maximumFileSize, "standard input")
        : PrivateFile.read(file, limit: OpenedHandoff.maximumFileSize)
    } catch let error as VaultError where error.code == .invalidInput {
      throw Failure(.corruptData, "not a handoff: \(error)", hint: "name the file that `relatch handoff send` wrote")
    }
    let isSealed: Bool
    // A damaged one passes here and is reported as damaged.
    do { isSealed = try AgeFile.kind(of: input.bytes) != nil } catch { isSealed = true }
    guard isSealed else {
      throw Failure(
        .corruptData, "\(file == "-" ? "standard input" : Name.printable(file)) is not a handoff",
        hint: "name the file that `relatch handoff send` wrote")
    }
    return try vault.openHandoff(input.bytes, from: sender)
  }

  private static func key(_ text: String) throws -> VerifyingKey {
    if let bytes = [UInt8](base64: text), let key = try? VerifyingKey(bytes) { return key }
    guard text == "-" || PrivateFile.exists(text) else {
      throw Failure(
        .notFound, "--from \(Name.printable(text)) is neither a signing key nor a file",
        hint: "give the card that `relatch identity show` prints at the sender's, or the signing key in it")
    }
    return try MemberCard.read(text, role: .operator, name: nil).signing
  }
}

extension Handoff {
  /// A provider's settings in words for a person.
  static func text(_ settings: [String: String]) -> String {
    settings.sorted { $0.key < $1.key }.map { Diagnostics.printable("\($0.key)=\($0.value)") }.joined(separator: "  ")
  }

  /// The handoff as `--json` shows it: everything except secrets.
  var members: [String: JSONValue] {
    var members: [String: JSONValue] = [
      "admin": .string(admin), "created": .string(created.description), "credential": .string(credential),
      "expires": .string(expires.description), "handoff": .string(id.description), "policy": importedPolicy.json,
      "provider": .string(provider), "recipient": .string(recipient),
      "sender": .string(sender.name), "sent": .string(sent.description),
      "settings": .object(settings.mapValues { .string($0) }), "signing": .string(sender.signing.bytes.base64),
      "stage": .string(stage.rawValue), "transfer": .bool(isTransfer), "vault_id": .string(vault.description),
      "version": .integer(Int(clamping: version)),
    ]
    if let note { members["note"] = .string(note) }
    return members
  }

  var description: String { description(with: settings) }

  /// The handoff in words for a person, with the settings it is used with.
  func description(with settings: [String: String]) -> String {
    var lines = [
      "handoff    \(id), version \(version) of \(credential), \(stage.rawValue)",
      "sender     \(sender.name), \(sender.age)",
      "signing    \(sender.signing.bytes.base64)",
      "sent       \(sent), expires \(expires)",
      "provider   \(provider)  \(Self.text(settings))",
      "policy     \(importedPolicy.texts.map { "\($0.key)=\($0.value)" }.joined(separator: "  "))",
      "made       \(created)", "admin      \(isSelfAdministered ? "itself" : admin)",
    ]
    if isTransfer { lines.append("transfer   it is to be rotated here, and no longer at the sender") }
    if let note { lines.append("note       \(Diagnostics.printable(note))") }
    return lines.joined(separator: "\n")
  }
}
