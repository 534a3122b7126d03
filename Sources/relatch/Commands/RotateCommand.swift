import ArgumentParser
import Audit
import JSON
import Providers
import Rotation
import Transport
import Vault

struct RotateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rotate", abstract: "Stage a new pair, prove it, promote it, and verify that it is in use.",
    discussion: """
      An interrupted rotation is continued. The replaced pair is left alone for its grace, then retired by a later \
      `rotate` or by `relatch retire`.

      --due is for cron. Of all that the identity can open, it rotates what is due under its policy's max-age and \
      what is exposed to somebody whose access has ended (administrators before what they administer), continues \
      what was interrupted, and retires debts past their grace. It may be run every minute: if nothing is due it \
      prints nothing and unlocks nothing, and after failed attempts it waits before the next.
      """)

  @OptionGroup var options: CommonOptions
  @OptionGroup var unattended: UnattendedOptions

  @Argument(help: "The credentials' names.", completion: .credentialName)
  var names: [String] = []

  @Flag(help: "Rotate every credential that the identity can open and that is not only an administrator's.")
  var all = false

  @Flag(help: "Do what is due under the credentials' policies.")
  var due = false

  @Option(
    help: ArgumentHelp(
      "Rotate what `relatch log exposure --plan` names for this member.", valueName: "member"), completion: .memberName)
  var exposedTo: String?

  @Option(
    help: ArgumentHelp(
      "Rotate every credential that has this tag and is not only an administrator's.", valueName: "tag"),
    completion: .tag)
  var tag: String?

  @OptionGroup var many: JobsOptions

  @Flag(help: "Cut off the replaced pair that holds the provider's staging slot, even during its grace.")
  var replacePrevious = false

  func validate() throws {
    guard [!names.isEmpty, all, due, exposedTo != nil, tag != nil].count(where: \.self) == 1 else {
      throw ValidationError("expected names of credentials, or --all, --due, --tag TAG or --exposed-to MEMBER")
    }
  }

  func run() async throws { try await unattended.run(options, rotate) }

  private func rotate(_ report: Report) async throws {
    if due { return try await rotateDue(report) }
    // Loaded while the vault is opened: a rotation hardly does without it. Every way out of here waits until that has
    // ended, because a library must not be loaded while the process exits.
    async let _ = CurlTransport.load()
    let places = try Places(options)
    let vault = try await places.openVault()
    SpaceReserve(places).keep()
    let (chosen, others) = try await chosen(in: vault)
    var isPerhapsHere = false
    if let exposedTo {
      isPerhapsHere = try await vault.read { try $0.exposures(to: exposedTo) }.warnOfRemoved(knownTo: exposedTo)
    }
    let goal = replacePrevious ? RotationRunner.Goal.rotateReplacingPrevious : .rotate
    let known = exposedTo == nil ? [] : Set(chosen)
    let errands = try await vault.read { Errand.each(chosen, goal).ordered(in: $0, exposed: known) }
    let report = report.of(runs: errands.count)
    report.note(leftOut: others, notGrantedTo: vault.member)
    if chosen.isEmpty, others == 0 {
      report.note(
        exposedTo.map {
          "there is nothing to rotate here: `relatch log exposure --member \($0)` says what was open to \($0)"
        }
          ?? "there is nothing to rotate: no credential has an app of its own")
    }
    let result: Result<Void, any Error>
    do {
      result = .success(
        try await RotationComposition(vault: vault, in: places).runEach(errands, jobs: many.jobs, report: report))
    } catch let status as Status where status.code == .someFailed {
      result = .failure(try await vault.canOpenNone(of: chosen) ? Status(code: .notPermitted) : status)
    } catch { result = .failure(error) }
    if let exposedTo {
      let known = Dictionary(chosen.map { ($0, [exposedTo]) }) { first, _ in first }
      try await vault.warnOfAdministrators(of: chosen, knownTo: known)
    }
    try result.get()
    if isPerhapsHere { throw Status(code: .debtOutstanding) }
  }
}

extension RotateCommand {
  /// The credentials to rotate, and how many others are left out because the member has no grant on them.
  private func chosen(in vault: UnlockedVault) async throws -> (names: [String], notGranted: Int) {
    let member = vault.member
    if all {
      return try await vault.read { view in
        let here = try view.names(where: \.isRotatedHere)
        let open = try view.names(here, openTo: member)
        return (open, here.count - open.count)
      }
    }
    if let tag { return (try await vault.rotatable(with: tag), 0) }
    guard let exposedTo else { return (names, 0) }
    return try await vault.read { view in
      let exposures = try view.exposures(to: exposedTo).filter(\.isToBeRotated)
      exposures.warnOfHolder()
      let exposed = exposures.map(\.credential)
      return (exposed + (try view.damaged(besides: exposed)), 0)
    }
  }

  /// A single failure gives its own exit code; one among several gives 13.
  private func rotateDue(_ report: Report) async throws {
    let places = try Places(options)
    let now = WallClock.now()
    let locked = try await places.openLocked()
    var due = try await DueCredentials(in: locked, now: now)
    // Unlock only if there is something to do.
    let vault = due.errands.isEmpty ? nil : try await places.openVault()
    var member = vault?.member
    if vault == nil, !due.failures.isEmpty { member = await places.memberWithoutAsking(in: locked) }
    if let member, member.card.role != .owner {
      due = try await DueCredentials(in: vault?.locked ?? locked, by: member, now: now)
    }
    let report = report.of(runs: due.errands.count)
    for (name, failure) in due.failures { report.failure(failure, of: name) }
    var codes = due.failures.map(\.failure.code)
    if let vault, !due.errands.isEmpty {
      do {
        let errands = try await vault.read { [due] in due.errands.ordered(in: $0) }
        try await RotationComposition(vault: vault, in: places).runEach(errands, jobs: many.jobs, report: report)
      } catch let status as Status { codes.append(status.code) }
      let exposed = due.exposed
      let renewed = try await vault.read { view in
        exposed.keys.sorted().filter { name in (try? view.credential(name)).map { $0.exposure == nil } ?? false }
      }
      try await vault.warnOfAdministrators(of: renewed, knownTo: exposed)
    }
    guard let first = codes.first else { return }
    // The status of the runs speaks for all of them, unless something else failed as well.
    throw Status(code: codes.count == 1 && (due.failures.isEmpty || due.errands.isEmpty) ? first : .someFailed)
  }
}

extension Places {
  /// Who the identity is in the vault, if it can be opened without asking anybody; nil if that is not known.
  fileprivate func memberWithoutAsking(in locked: LockedVault) async -> Member? {
    guard let identity = try? (try? identityFile)?.openWithoutAsking() else { return nil }
    return try? await unlock(locked, by: identity).member
  }
}

extension UnlockedVault {
  /// Warns which administrators of `renewed` have a pair that may still be accepted and that somebody knows: anyone who
  /// knows one can read the new pairs of what it administers. `known` has, by name, to whom credentials were exposed
  /// before they were renewed.
  fileprivate func warnOfAdministrators(of renewed: [String], knownTo known: [String: [String]]) async throws {
    let warnings = try await read { view in
      let chains = renewed.map { (name: $0, administrators: view.administrators(of: $0)) }
      return Set(chains.flatMap(\.administrators)).sorted().compactMap { name -> String? in
        guard let administrator = try? view.credential(name),
          let members = known[name] ?? administrator.exposure?.to,
          let version = administrator.exposure == nil
            ? administrator.debts.last?.number : administrator.version(in: .active)?.number
        else { return nil }
        let reached = chains.filter { $0.administrators.contains(name) }.map(\.name).joined(separator: " ")
        let rotate = administrator.exposure == nil ? "" : "`relatch rotate \(name)`, "
        return
          "\(name): version \(version) is still accepted and can read the new pairs of what it administers; if"
          + " \(members.joined(separator: ", ")) is not to be trusted: \(rotate)`relatch retire \(name)`, then"
          + " `relatch rotate \(reached)`"
      }
    }
    for line in warnings { Diagnostics.standard.warning(line) }
  }

  /// The credentials with `tag` that have something to rotate, and those that are damaged. One that is damaged, or that
  /// the member cannot open, fails in its own run. Warns that the others are left out. Throws as `names(tagged:)` does.
  fileprivate func rotatable(with tag: String) async throws -> [String] {
    let (chosen, others) = try await read { view in
      let tagged = try view.names(tagged: tag)
      let others = tagged.filter { name in (try? view.credential(name)).map { !$0.isRotatedHere } ?? false }
      return (tagged.filter { !others.contains($0) }, others)
    }
    if !others.isEmpty {
      Diagnostics.standard.warning(
        "left out: \(others.joined(separator: ", ")) (nothing to rotate, or handed over)")
    }
    return chosen
  }
}
