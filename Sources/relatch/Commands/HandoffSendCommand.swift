import Age
import ArgumentParser
import Audit
import JSON
import Providers
import Sodium
import Vault

struct HandoffSendCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "send", abstract: "Seal a pair to somebody else, with what is needed to use and to rotate it.",
    discussion: """
      The file is an age file with a signature inside. `relatch handoff open` imports it; a recipient without Relatch \
      can read it with `age -d`. It may be sent by mail, because only the recipient can open it. With --transfer the \
      recipient rotates at once; this vault no longer rotates the credential, and the pair stays a debt until the \
      provider refuses it.

      \(HelpText.examples(
        "relatch handoff send crm --to bo.card --note 'for the night job' -o crm.age",
        "relatch handoff send crm --to bo.card --transfer -o crm.age"))
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  @Option(
    help: ArgumentHelp(
      "The recipient: a card's file, - for a card on standard input, age1…, 'ssh-ed25519 …', or its .pub file.",
      valueName: "recipient"))
  var to: String

  @Option(help: ArgumentHelp("How long it can be imported.", valueName: "duration"))
  var expires = "24h"

  @Option(help: ArgumentHelp("A note to the recipient.", valueName: "text"))
  var note: String?

  @Option(help: "Which version to send: active, staged or previous.")
  var stage = "active"

  @Flag(help: "Hand it over: the recipient rotates it, and this vault no longer does.")
  var transfer = false

  @Option(
    name: .shortAndLong, help: ArgumentHelp("The file to write; it must not exist.", valueName: "file"),
    completion: .file())
  var output: String?

  func run() async throws {
    guard let stage = Stage(rawValue: stage), stage != .retired, stage == .active || !transfer else {
      throw Failure(
        .usage, "--stage \(Name.printable(stage)): expected active, staged or previous; with --transfer only active",
        hint: "`relatch show \(name)` lists the versions")
    }
    guard let duration = Policy.duration(expires), duration > .zero else {
      throw Failure(
        .usage,
        "--expires \(Name.printable(expires)): expected a duration such as 90s, 10m, 24h or 7d, at most 3650d",
        hint: "say how long the recipient has to open it")
    }
    let place = try OutputPlace(output, "a handoff", verb: "handoff send NAME --to RECIPIENT -o FILE")
    let recipient = try Self.recipient(to)
    guard !transfer || !recipient.isSSH else {
      throw Failure(
        .usage, "--transfer to an SSH key: the recipient could not rotate it",
        hint: "give the card that `relatch identity show` prints at the recipient's, or their age1…")
    }
    let vault = try await Places(options).openVault()
    try await requireRotatable(in: vault)
    if let note {
      try VisibleText.check(note, "the note")
      try await vault.requireNoSecret(note, "note", of: [name])
    }
    let now = WallClock.now()
    let (handoff, file) = try await vault.sendHandoff(
      of: name, stage: stage, to: recipient, expires: now + duration, note: note, isTransfer: transfer, now: now)
    do { try place.write(file) } catch {
      let failure = Failure(error)
      throw Failure(
        failure.code, "\(name) is logged as sent, but its file is not written: \(failure.message)",
        hint: transfer
          ? "`relatch handoff withdraw \(name)` takes it back; then send it again" : "send it again")
    }
    if !transfer {
      try await vault.warnUnlessReconciled(name)
      if let since = try await refusedSince(in: vault) { UnlockedVault.warn(name, refusedSince: since) }
    }
    try tell(handoff, recipient, place)
  }

  /// Since when the pair is refused, if it was handed over before.
  private func refusedSince(in vault: UnlockedVault) async throws -> Timestamp? {
    let name = name
    return try await vault.read { try $0.credential(name).transfer?.refused }
  }

  private func requireRotatable(in vault: UnlockedVault) async throws {
    let name = name
    guard transfer else { return }
    let credential = try await vault.read { try $0.credential(name) }
    _ = try providerKind(credential.provider)
    guard let missing = credential.missingToRotate else { return }
    throw Failure(
      .configuration, "\(name) has no app of its own (setting \(missing)): the recipient could not rotate it",
      hint: "send it without --transfer, or give it one: `relatch settings \(name) \(missing)=…`")
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
        ? "`age -d -i ~/.ssh/id_ed25519 FILE` opens it; such a recipient gives no receipt"
        : "`relatch handoff open FILE` imports it and writes a receipt; `relatch handoff confirm RECEIPT` records the receipt here"
    )
    if handoff.isTransfer {
      report.note(
        "\(name) is handed over: it is no longer rotated here, and version \(handoff.version) is owed until it is refused"
      )
    }
  }

  private static func recipient(_ text: String) throws -> HandoffRecipient {
    let forms =
      "give the file with the card that `relatch identity show` prints there, an age1… key or an ssh-ed25519 key"
    guard !text.hasPrefix("ssh-") || text.hasPrefix("ssh-ed25519 ") else {
      throw Failure(.usage, "--to \(Name.printable(text)): expected an ssh-ed25519 key", hint: forms)
    }
    do {
      if text.hasPrefix("age1") { return HandoffRecipient(try AgeRecipient(text)) }
      if text.hasPrefix("ssh-") { return HandoffRecipient(try SSHRecipient(text)) }
    } catch let error as AgeError {
      throw Failure(.usage, "--to \(Name.printable(text)): \(error)", hint: "copy the whole key, without line breaks")
    }
    guard text == "-" || PrivateFile.exists(text) else {
      throw Failure(.notFound, "--to \(Name.printable(text)): there is no such file", hint: forms)
    }
    if text != "-", let line = try sshLine(ofFile: text) {
      do { return HandoffRecipient(try SSHRecipient(line)) } catch let error as AgeError {
        throw Failure(.corruptData, "\(Name.printable(text)): \(error)", hint: "give an ssh-ed25519 key")
      }
    }
    return try HandoffRecipient(MemberCard.read(text, role: .operator, name: nil))
  }

  /// The first line of the file at `path` if it is an SSH key's; otherwise nil.
  private static func sshLine(ofFile path: String) throws -> String? {
    let content = try PrivateFile.read(path).withUnsafeBytes { Array($0) }
    guard content.starts(with: Array("ssh-".utf8)),
      let end = content.firstIndex(of: 0x0A) ?? content.indices.last.map({ $0 + 1 })
    else { return nil }
    return String(decoding: content[..<end], as: UTF8.self)
  }
}
