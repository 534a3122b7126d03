import ArgumentParser
import Audit
import JSON
import Rotation
import Sodium
import Vault

struct HandoffCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "handoff", abstract: "Give a pair to somebody else's vault, or take one from there.",
    subcommands: [
      HandoffSendCommand.self, HandoffOpenCommand.self, HandoffReceiptCommand.self, HandoffConfirmCommand.self,
      HandoffWithdrawCommand.self,
    ])
}

struct HandoffReceiptCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "receipt", abstract: "Write the receipt of an imported handoff again.")

  @OptionGroup var options: CommonOptions
  @OptionGroup var source: HandoffSource

  @Option(
    name: .shortAndLong, help: ArgumentHelp("The receipt's file; it must not exist.", valueName: "file"),
    completion: .file())
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
    commandName: "confirm", abstract: "Record that a handoff arrived, using the receipt that its recipient signed.")

  @OptionGroup var options: CommonOptions

  @Argument(help: ArgumentHelp("The receipt's file; - for standard input.", valueName: "receipt"), completion: .file())
  var receipt: String

  func run() async throws {
    let input =
      try receipt == "-"
      ? PrivateFile.readAll(0, limit: HandoffReceipt.maximumSize, "standard input")
      : PrivateFile.read(receipt, limit: HandoffReceipt.maximumSize)
    let bytes = input.withUnsafeBytes { Array($0) }
    guard bytes.starts(with: #"{"receipt":"#.utf8) else {
      throw Failure(
        .corruptData, "\(self.receipt == "-" ? "standard input" : Name.printable(self.receipt)) is not a receipt",
        hint: "name the file that `relatch handoff open FILE -o RECEIPT` wrote")
    }
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
        \(found.isNew ? "" : ", as already recorded")
        signing    \(receipt.opener.signing.bytes.base64)
        """)
    if !found.otherVaults.isEmpty {
      Diagnostics.standard.warning(
        "the same handoff was opened in other vaults, too: \(found.otherVaults.joined(separator: ", "))")
    }
    guard found.isTransfer else { return }
    guard found.isOwed else {
      Diagnostics.standard.warning(
        "it was taken back here, or removed, and \(receipt.opener.name) has the pair: anyone who still uses \(found.credential)"
          + " needs another before \(receipt.opener.name) rotates it")
      return report.note(
        "if it is to be rotated here: `relatch rotate \(found.credential)`, then `relatch retire \(found.credential)`")
    }
    report.note("`relatch resume \(found.credential)` settles it once the provider refuses the pair")
  }
}

struct HandoffWithdrawCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "withdraw", abstract: "Take back a transfer that nobody opened: it is rotated here again.",
    discussion: """
      The file itself is unchanged: its recipient can open it until it expires. Rotate and retire afterwards, so that \
      the pair in it is refused.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  func run() async throws {
    let (name, now) = (name, WallClock.now())
    let vault = try await Places(options).openVault()
    let neighbours = Neighbours.ofKnownKinds()
    let credential = try await Neighbours.again {
      let requireStill = try await neighbours.requireNoneHas(pairsOf: name, in: vault, now: now)
      return try await vault.withdrawHandoff(of: name, now: now, unless: requireStill)
    }
    try await warnOfOpeners(credential, in: vault)
    let report = Report(options)
    try report.confirmation(
      .object(["credential": .string(credential.name), "type": "withdrawn"]),
      text: "\(credential.name) is rotated here again")
    report.note(
      "what was sent can still be opened: `relatch rotate \(credential.name)`, then `relatch retire \(credential.name)`"
    )
  }

  /// Warns if a receipt shows that somebody opened the very pair, sent by an earlier transfer.
  private func warnOfOpeners(_ credential: Credential, in vault: UnlockedVault) async throws {
    guard let active = credential.version(in: .active) else { return }
    let openers = try await vault.openers(of: credential.name, version: active.number)
    guard !openers.isEmpty else { return }
    Diagnostics.standard.warning(
      "\(openers.joined(separator: ", ")) confirmed to have opened version \(active.number), sent before, and may have replaced"
        + " it: `relatch plan \(credential.name)` looks; if it is refused, ask for a pair, and give this one to nobody")
  }
}
