import ArgumentParser
import Audit
import Delivery
import Glibc
import JSON
import Rotation
import Vault

struct RemoveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Remove a credential with all its pairs; nobody can open them afterwards.",
    discussion: """
      Nothing is asked of the provider, so the pairs there do not change. A credential that administers others is not \
      removed. One with an unfinished rotation, or with a pair that is staged, still owed, or leaked and not \
      replaced, is removed only with --forget-debts. So is a damaged one, of which nothing is known any more, and one \
      that was not compared with its provider since a restore. What was delivered to sinks stays where it is.

      At a terminal it asks first; without a terminal, as in a script, it does not.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  @Flag(help: "Remove it even if a rotation is unfinished or a pair is owed and perhaps still accepted.")
  var forgetDebts = false

  @Flag(help: "Do not ask.")
  var yes = false

  func run() async throws {
    let places = try Places(options)
    let vault = try await places.openVault()
    let (name, forgetDebts) = (name, forgetDebts)
    let isDamaged = try await vault.read { try forgetDebts && !$0.canRead(name) }
    if !forgetDebts { try await requireReconciled(in: vault) }
    try await confirm(in: vault, isDamaged: isDamaged)
    if isDamaged {
      for id in try await vault.remove(unreadable: name, now: WallClock.now()) { KeptTokens(of: places).forget(id) }
      try Report(options).confirmation(
        .object(["credential": .string(name), "damaged": true, "forgotten": .array([]), "type": "removed"]),
        text: "\(name), which could not be read, is removed; the provider may still accept any of its pairs")
      return
    }
    let known = try await vault.read { view in
      let credential = try view.credential(name)
      let open = try view.members.filter { member in
        guard member.card.role == .operator else { return false }
        return try view.canOpen(credential, member)
      }
      return Set(open.map(\.name) + (credential.exposure?.to ?? [])).sorted()
    }
    let removed = try await vault.removeIdle(
      name, forgettingDebts: forgetDebts, now: WallClock.now(), isGone: RunHolder.isGone)
    KeptTokens(of: places).forget(removed.id)
    // Nothing names these places any more.
    for delivery in removed.deliveries { LocalDelivery.ofThisProcess.sweep(delivery) }
    let forgotten = removed.unsettled.map(\.number)
    let report = Report(options)
    try report.confirmation(
      .object([
        "credential": .string(name), "forgotten": .array(forgotten.map { .integer(Int(clamping: $0)) }),
        "type": "removed",
      ]),
      text: "\(name) is removed"
        + (forgotten.isEmpty
          ? "" : "; the provider may still accept version \(forgotten.map(String.init).joined(separator: ", "))"))
    if removed.version(in: .active) != nil {
      report.note("its active pair is unchanged at the provider: anyone who has it can use it")
      if !known.isEmpty {
        report.note(
          "\(known.joined(separator: ", ")) could open it: if that pair is added again, under whatever name, the vault does not"
            + " know that, so rotate it then")
      }
    }
  }

  /// Fails if nobody knows what the provider accepts: the vault was restored, and may be older than what is there.
  private func requireReconciled(in vault: UnlockedVault) async throws {
    let name = name
    let isUnknown = try await vault.read { view in
      let credential = try view.credential(name)
      return try credential.canRotate && !credential.isTransferred && view.restoration(unreconciled: credential) != nil
    }
    guard isUnknown else { return }
    throw Failure(
      .usage,
      "cannot remove \(name): it was not compared with its provider since the vault was restored, and what is accepted there"
        + " may not be in this vault",
      hint: "`relatch resume \(name)` compares it; --forget-debts removes it anyway")
  }

  /// Asks the person at the terminal: there is no way back.
  private func confirm(in vault: UnlockedVault, isDamaged: Bool) async throws {
    guard !yes, isatty(STDIN_FILENO) == 1 else { return }
    let (name, forgetDebts) = (name, forgetDebts)
    // What is refused is refused before anybody is asked.
    let versions: [Version]? = try await vault.read { view in
      guard !isDamaged else { return nil }
      let credential = try view.credential(name)
      if !forgetDebts { try view.requireNoneUnfinished(credential) }
      try view.requireRemovable(credential, forgettingDebts: forgetDebts)
      return credential.versions
    }
    let pairs =
      switch versions?.count {
      case nil: "what is left of its pairs in this vault: nobody can open them"
      case 1: "its pair in this vault: nobody can open it"
      case let count?: "its \(count) pairs in this vault: nobody can open them"
      }
    let isMeant = try await TerminalOperator.shared.agrees(
      ["removing \(name) destroys \(pairs) afterwards"], "Remove \(name)?")
    guard isMeant else {
      throw Failure(.notPermitted, "\(name) is not removed: the answer was no", hint: "--yes removes it without asking")
    }
  }
}
