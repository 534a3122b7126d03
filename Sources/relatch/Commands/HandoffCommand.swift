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

struct HandoffCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "handoff", abstract: "Give a pair to somebody else's vault, and take one from there.",
    subcommands: [
      HandoffSendCommand.self, HandoffOpenCommand.self, HandoffReceiptCommand.self, HandoffConfirmCommand.self,
      HandoffWithdrawCommand.self,
    ])
}

struct HandoffSendCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "send", abstract: "Seal a pair to somebody else, with what it takes to use and to rotate it.",
    discussion: """
      The file is an age file, signed inside. `relatch handoff open` imports it, `age -d` shows it to those who have nothing
      else. It may travel by mail: only the recipient opens it. With --transfer the recipient rotates at once; nothing
      rotates it here any more, and the pair stays a debt until the provider refuses it.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.")
  var name: String

  @Option(
    help: ArgumentHelp(
      "Who is to open it: the file of a card, - for one on standard input, age1…, or 'ssh-ed25519 …' or its .pub file.",
      valueName: "recipient"))
  var to: String

  @Option(help: ArgumentHelp("How long it may be imported.", valueName: "duration"))
  var expires = "24h"

  @Option(help: ArgumentHelp("What the recipient is told.", valueName: "text"))
  var note: String?

  @Option(help: "Which version: active, staged or previous.")
  var stage = "active"

  @Flag(help: "Hand it over: the recipient rotates it, and this vault no more.")
  var transfer = false

  @Option(name: .shortAndLong, help: ArgumentHelp("The file to write, which must not be there.", valueName: "file"))
  var output: String?

  func run() async throws {
    guard let stage = Stage(rawValue: stage), stage != .retired, stage == .active || !transfer else {
      throw Failure(
        .usage, "--stage \(Name.printable(stage)): expected active, staged or previous, and active with --transfer",
        hint: "`relatch show \(name)` lists the versions")
    }
    guard let duration = Policy.duration(expires), duration > .zero else {
      throw Failure(
        .usage, "--expires \(Name.printable(expires)): expected a duration such as 90s, 10m, 24h, 7d",
        hint: "say how long the recipient has to open it")
    }
    let place = try OutputPlace(output, "a handoff", verb: "handoff send NAME --to RECIPIENT -o FILE")
    let recipient = try Self.recipient(to)
    guard !transfer || !recipient.isSSH else {
      throw Failure(
        .usage, "--transfer to an SSH key: nobody could rotate it there",
        hint: "give the card that `relatch identity show` prints in the recipient's place, or their age1…")
    }
    let vault = try await Places(options).openVault()
    try await requireRotatable(in: vault)
    let now = WallClock.now()
    let (handoff, file) = try await vault.sendHandoff(
      of: name, stage: stage, to: recipient, expires: now + duration, note: note, isTransfer: transfer, now: now)
    do { try place.write(file) } catch {
      let failure = Failure(error)
      throw Failure(
        failure.code, "the log says that \(name) was sent, and its file is not written: \(failure.message)",
        hint: transfer
          ? "`relatch handoff withdraw \(name)` takes it back, and then it can be sent again" : "send it again")
    }
    try tell(handoff, recipient, place)
  }

  private func requireRotatable(in vault: UnlockedVault) async throws {
    let name = name
    guard transfer, try await vault.read({ try $0.credential(name) }).settings["app"] == nil else { return }
    throw Failure(
      .configuration, "\(name) has no app of its own (setting app): the recipient could not rotate it",
      hint: "send it without --transfer, or add it under another name with --set app=0x…")
  }

  private func tell(_ handoff: Handoff, _ recipient: HandoffRecipient, _ place: OutputPlace) throws {
    let report = Report(options)
    var members = handoff.members
    members["type"] = "handoff"
    if let file = place.path { members["file"] = .string(file) }
    let object = members
    try place.tell(
      report, .object(object),
      """
      handoff    \(handoff.id), version \(handoff.version) of \(handoff.credential)
      recipient  \(recipient.name.map { "\($0), " } ?? "")\(handoff.recipient)
      expires    \(handoff.expires)
      """)
    report.note(
      recipient.isSSH
        ? "`age -d -i ~/.ssh/id_ed25519 FILE` opens it; there will be no receipt"
        : "`relatch handoff open FILE` imports it and gives a receipt; `relatch handoff confirm RECEIPT` records that here"
    )
    if handoff.isTransfer {
      report.note(
        "\(name) is handed over: it is rotated here no more, and version \(handoff.version) owed until it is refused")
    }
  }

  private static func recipient(_ text: String) throws -> HandoffRecipient {
    do {
      if text.hasPrefix("age1") { return HandoffRecipient(try AgeRecipient(text)) }
      if text.hasPrefix("ssh-") { return HandoffRecipient(try SSHRecipient(text)) }
    } catch let error as AgeError {
      throw Failure(.usage, "--to \(Name.printable(text)): \(error)", hint: "copy the whole of it, without line breaks")
    }
    if text != "-", let line = try sshLine(ofFile: text) {
      do { return HandoffRecipient(try SSHRecipient(line)) } catch let error as AgeError {
        throw Failure(.corruptData, "\(Name.printable(text)): \(error)", hint: "only keys of ssh-ed25519 will do")
      }
    }
    return try HandoffRecipient(MemberCard.read(text, role: .operator, name: nil))
  }

  /// The first line of the file at `path` if it is that of an SSH key.
  private static func sshLine(ofFile path: String) throws -> String? {
    let content = try PrivateFile.read(path).withUnsafeBytes { Array($0) }
    guard content.starts(with: Array("ssh-".utf8)),
      let end = content.firstIndex(of: 0x0A) ?? content.indices.last.map({ $0 + 1 })
    else { return nil }
    return String(decoding: content[..<end], as: UTF8.self)
  }
}

struct HandoffOpenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "open", abstract: "Show who sent a handoff and what it is, import it, and write a receipt.",
    discussion: """
      A handoff is imported once in a vault, and not after it expired. The receipt goes to standard output or to -o, and back
      to the sender; nothing in it is secret. Compare the signing key that --show tells with the sender's own `relatch
      identity show`, over another channel than the file came by, and give it, or the sender's card, by --from. Without
      --from it is shown on the terminal, and imported after a y. What was transferred is rotated at once, and the sender's
      pair retired.
      """)

  @OptionGroup var options: CommonOptions
  @OptionGroup var source: HandoffSource

  @Option(
    name: .customLong("as"),
    help: ArgumentHelp("What it is called here; as at the sender, if not said.", valueName: "name"))
  var name: String?

  @Option(
    help: ArgumentHelp(
      "Whose token drives its rotation here: another credential, or self.", valueName: "credential"))
  var admin: String?

  @Flag(help: "Show it, and import nothing.")
  var show = false

  @Flag(help: "Of what was transferred: leave the sender's pair alone for the policy's grace.")
  var withGrace = false

  @Option(name: .shortAndLong, help: ArgumentHelp("The receipt's file, which must not be there.", valueName: "file"))
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
    // Nothing is said of what is refused but the reason.
    try providerKind(handoff.provider).check(handoff.settings)
    guard place.path != nil || !handoff.isTransfer else {
      throw Failure(
        .usage, "a transfer is rotated at once, and says so on standard output",
        hint: "name a file for the receipt: `relatch handoff open FILE -o RECEIPT`")
    }
    let name = name ?? handoff.credential
    if source.from == nil { try confirmSender(of: handoff, as: name) }
    let (credential, receipt) = try await vault.importHandoff(
      opened, as: name, admin: admin == "self" ? name : admin, now: WallClock.now())
    do { try place.write(receipt) } catch {
      let failure = Failure(error)
      throw Failure(
        failure.code, "\(name) is imported, and its receipt not written: \(failure.message)",
        hint: "`relatch handoff receipt FILE -o RECEIPT` writes it again"
          + (handoff.isTransfer ? "; then `relatch rotate \(name)` and `relatch retire \(name)`" : ""))
    }
    var members = handoff.members
    members["type"] = "handoff"
    members["imported"] = .string(credential.name)
    if let file = place.path { members["receipt"] = .string(file) }
    let object = members
    try place.tell(
      report, .object(object), handoff.description + "\nimported   as \(credential.name), version 1 is active")
    report.note("send the receipt to \(handoff.sender.name): nothing in it is secret")
    if handoff.isTransfer { try await takeOver(name, in: vault, report) }
  }

  /// Asks whether the sender is the one expected: anybody can seal a pair of theirs to a card, under any name.
  private func confirmSender(of handoff: Handoff, as name: String) throws {
    guard source.file != "-", isatty(STDIN_FILENO) == 1, StandardStream.error.isTerminal else {
      throw Failure(
        .usage, "who sent it was not confirmed: it says \(handoff.sender.name), and anybody can say so",
        hint:
          "`relatch handoff open FILE --show` tells the signing key; compare it with the sender's own, then --from KEY")
    }
    try StandardStream.error.write(
      handoff.description
        + "\nrelatch: import it as \(name)? Only if \(handoff.sender.name) has told you this signing key themselves [y/N] "
    )
    guard let answer = readLine()?.lowercased(), ["y", "yes"].contains(answer) else {
      throw Failure(.notPermitted, "not confirmed: nothing was imported", hint: "compare the signing key, then say y")
    }
  }

  private func admin(of handoff: Handoff) throws -> String {
    if let admin { return admin }
    guard handoff.isSelfAdministered else {
      throw Failure(
        .usage,
        "\(handoff.credential) does not administer itself: at the sender \(handoff.admin) administers it, which is not sent along",
        hint: "--admin CREDENTIAL names the one in this vault that does; --admin self imports it for use")
    }
    return "self"
  }

  /// The sender knows the pair: another one takes its place, and then it is cut off.
  private func takeOver(_ name: String, in vault: UnlockedVault, _ report: Report) async throws {
    let composition = RotationComposition(vault: vault)
    let goals: [Errand] = Errand.each([name], .rotate) + (withGrace ? [] : Errand.each([name], .retire))
    try await composition.runInOrder(goals, report: report)
  }
}

struct HandoffReceiptCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "receipt", abstract: "Write the receipt of a handoff that was imported, again.")

  @OptionGroup var options: CommonOptions
  @OptionGroup var source: HandoffSource

  @Option(name: .shortAndLong, help: ArgumentHelp("The receipt's file, which must not be there.", valueName: "file"))
  var output: String?

  func run() async throws {
    let place = try OutputPlace(output, nil, verb: "handoff receipt FILE -o RECEIPT")
    let vault = try await Places(options).openVault()
    let opened = try source.open(in: vault)
    let receipt = try await vault.handoffReceipt(opened)
    try place.write(receipt)
    guard let path = place.path else { return }
    try place.tell(
      Report(options),
      .object(["file": .string(path), "handoff": .string(opened.handoff.id.description), "type": "receipt"]),
      "receipt    \(path), of handoff \(opened.handoff.id)")
  }
}

struct HandoffConfirmCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "confirm", abstract: "Record that a handoff arrived, by the receipt that its recipient signed.")

  @OptionGroup var options: CommonOptions

  @Argument(help: ArgumentHelp("The receipt's file; - for standard input.", valueName: "receipt"))
  var receipt: String

  func run() async throws {
    let input =
      try receipt == "-"
      ? PrivateFile.readAll(0, limit: HandoffReceipt.greatestSize, "standard input")
      : PrivateFile.read(receipt, limit: HandoffReceipt.greatestSize)
    let bytes = input.withUnsafeBytes { Array($0) }
    let vault = try await Places(options).openVault()
    let receipt = try HandoffReceipt(reading: bytes)
    let found = try await vault.confirmHandoff(receipt, now: WallClock.now())
    let report = Report(options)
    try report.confirmation(
      .object([
        "credential": .string(found.credential), "handoff": .string(receipt.handoff.description),
        "new": .bool(found.isNew), "opened": .string(receipt.opened.description),
        "opener": .string(receipt.opener.name), "opener_vault": .string(receipt.openerVault.description),
        "signing": .string(receipt.opener.signing.bytes.base64), "type": "confirmation",
      ]),
      text: """
        \(found.credential): version \(receipt.version) was opened by \(receipt.opener.name) at \(receipt.opened)\
        \(found.isNew ? "" : ", which was recorded before")
        signing    \(receipt.opener.signing.bytes.base64)
        """)
    if !found.otherVaults.isEmpty {
      Diagnostics.standard.warning(
        "the same handoff was opened in other vaults, too: \(found.otherVaults.joined(separator: ", "))")
    }
    if found.isTransfer {
      report.note("`relatch resume \(found.credential)` settles it, once the provider refuses the pair")
    }
  }
}

struct HandoffWithdrawCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "withdraw", abstract: "Take a transfer back that nobody opened: it is rotated here again.",
    discussion: """
      The file stays what it is: until it expires its recipient can open it. Rotate and retire afterwards, so that what is
      in it is refused.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.")
  var name: String

  func run() async throws {
    let credential = try await Places(options).openVault().withdrawHandoff(of: name, now: WallClock.now())
    let report = Report(options)
    try report.confirmation(
      .object(["credential": .string(credential.name), "type": "withdrawn"]),
      text: "\(credential.name) is rotated here again")
    report.note(
      "what was sent can be opened still: `relatch rotate \(credential.name)`, `relatch retire \(credential.name)`")
  }
}

/// The file of a handoff, and whose it must be.
struct HandoffSource: ParsableArguments {
  @Argument(help: ArgumentHelp("The handoff's file; - for standard input.", valueName: "file"))
  var file: String

  @Option(help: ArgumentHelp("The sender's card or signing key: what another signed is refused.", valueName: "card"))
  var from: String?

  /// Opens it, and refuses what is not for this member or not by the one expected.
  func open(in vault: UnlockedVault) throws -> OpenedHandoff {
    let sender = try from.map { try Self.key($0) }
    let input: SecretBytes
    do {
      input =
        try file == "-"
        ? PrivateFile.readAll(0, limit: OpenedHandoff.greatestFile, "standard input")
        : PrivateFile.read(file, limit: OpenedHandoff.greatestFile)
    } catch let error as VaultError where error.code == .invalidInput {
      throw Failure(.corruptData, "not a handoff: \(error)", hint: "name the file that `relatch handoff send` wrote")
    }
    return try vault.openHandoff(input.bytes, from: sender)
  }

  private static func key(_ text: String) throws -> VerifyingKey {
    if let bytes = [UInt8](base64: text), let key = try? VerifyingKey(bytes) { return key }
    return try MemberCard.read(text, role: .operator, name: nil).signing
  }
}

/// Where a command's file goes: to a new file, or to standard output.
struct OutputPlace {
  /// Nil for standard output.
  let path: String?

  /// Fails before anything was done if it cannot be written there. `what` is no text for a terminal, unless nil.
  init(_ path: String?, _ what: String?, verb: String) throws {
    self.path = path
    guard let path else {
      guard what == nil || !StandardStream.output.isTerminal else {
        throw Failure(.usage, "\(what ?? "") is no text for a terminal", hint: "name a file: `relatch \(verb)`")
      }
      return
    }
    guard !path.isEmpty, !PrivateFile.exists(path) else {
      throw Failure(
        .usage, "cannot write \(Name.printable(path)): there is something already",
        hint: "name a file that is not there")
    }
    let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    guard access(folder, W_OK | X_OK) == 0 else {
      throw Failure(
        .cannotWrite, "cannot write \(Name.printable(path)): \(String(cString: strerror(errno)))",
        hint: "name a file in a folder that you may write")
    }
  }

  func write(_ bytes: [UInt8]) throws {
    let bytes = bytes.span.bytes
    if let path { try PrivateFile.create(path, bytes) } else { try StandardStream.output.write(bytes) }
  }

  /// A result; for people on standard error where standard output has the file itself.
  func tell(_ report: Report, _ object: JSONValue, _ text: String) throws {
    guard path == nil else { return try report.confirmation(object, text: text) }
    report.note(text)
  }
}

extension Handoff {
  /// As `--json` shows it: all but what is secret.
  fileprivate var members: [String: JSONValue] {
    var members: [String: JSONValue] = [
      "admin": .string(admin), "credential": .string(credential), "expires": .string(expires.description),
      "handoff": .string(id.description), "provider": .string(provider), "recipient": .string(recipient),
      "sender": .string(sender.name), "sent": .string(sent.description),
      "settings": .object(settings.mapValues { .string($0) }), "signing": .string(sender.signing.bytes.base64),
      "stage": .string(stage.rawValue), "transfer": .bool(isTransfer), "vault_id": .string(vault.description),
      "version": .integer(Int(clamping: version)),
    ]
    if let note { members["note"] = .string(note) }
    return members
  }

  fileprivate var description: String {
    let settings = settings.sorted { $0.key < $1.key }.map { Diagnostics.printable("\($0.key)=\($0.value)") }
    var lines = [
      "handoff    \(id), version \(version) of \(credential), \(stage.rawValue)",
      "sender     \(sender.name), \(sender.age)",
      "signing    \(sender.signing.bytes.base64)",
      "sent       \(sent), expires \(expires)",
      "provider   \(provider)  \(settings.joined(separator: "  "))",
      "admin      \(isSelfAdministered ? "itself" : admin)",
    ]
    if isTransfer { lines.append("transfer   it is to be rotated here, and no more at the sender") }
    if let note { lines.append("note       \(Diagnostics.printable(note))") }
    return lines.joined(separator: "\n")
  }
}
