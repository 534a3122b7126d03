import ArgumentParser
import Audit
import Rotation
import Vault

struct ResumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Finish rotations that were interrupted, and begin no new one.",
    discussion: """
      What became of the last request is read from the provider, whoever was interrupted and however long ago. A debt \
      whose grace is over is settled; one still in its grace is left alone. Sinks and hooks that lack the active pair \
      get it.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(
    help: "The credentials' names; all with something unfinished if none is given.", completion: .credentialName)
  var names: [String] = []

  @OptionGroup var many: JobsOptions

  @OptionGroup var unattended: UnattendedOptions

  func run() async throws { try await unattended.run(options, resume) }

  private func resume(_ report: Report) async throws {
    let places = try Places(options)
    let now = WallClock.now()
    var chosen = names.isEmpty ? try await places.openLocked().read { try $0.unfinished(at: now) } : names
    // Unlock only if there is something to do.
    guard !chosen.isEmpty else {
      return report.note("there is nothing to resume: no rotation is unfinished and nothing is undelivered")
    }
    let vault = try await places.openVault()
    if names.isEmpty {
      let (member, unfinished) = (vault.member, chosen)
      let others: Int
      (chosen, others) = try await vault.read { view in
        let there = try unfinished.filter { try view.hasCredential($0) }
        let open = try view.names(there, openTo: member)
        return (open, there.count - open.count)
      }
      report.note(leftOut: others, notGrantedTo: member)
    }
    let errands = try await vault.read { [chosen] in Errand.each(chosen, .resume).ordered(in: $0) }
    try await RotationComposition(vault: vault, in: places).runEach(
      errands, jobs: many.jobs, report: report.of(runs: errands.count))
  }
}

extension VaultView {
  /// The credentials that have something to resume: an unfinished rotation that does not merely wait for its grace, a
  /// leak or reach, a pair that has not arrived everywhere, a comparison after a restore, or a debt of what was handed over.
  /// Also those whose record or journal is damaged.
  fileprivate func unfinished(at now: Timestamp) throws -> [String] {
    try names { credential in
      if credential.isTransferred { return !credential.debts.isEmpty }
      if !credential.undelivered.isEmpty || credential.leak != nil || credential.reach != nil { return true }
      // Only what can be rotated can be compared with the provider.
      if credential.canRotate, try restoration(unreconciled: credential) != nil { return true }
      let journal: RotationJournal?
      do { journal = try RotationJournal(self, of: credential) } catch { return true }
      guard let machine = journal?.machine else { return false }
      if case .wait = machine.nextAction(now: now) { return false }
      return !machine.state.isFinal
    }
  }
}
