import ArgumentParser
import Audit
import Delivery
import JSON
import Rotation
import Transport
import Vault

struct PlanCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan", abstract: "Show what would happen now, why, and what stands in the way. Changes nothing.",
    discussion: """
      Unlocks the vault, fetches the administrator's token, and reads the provider's state; every access is logged. \
      With --offline nothing is unlocked and no provider is asked.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(
    help: "The credentials' names; all that can be rotated if none is given.", completion: .credentialName)
  var names: [String] = []

  @Flag(help: "Only what is due under the credentials' policies.")
  var due = false

  @Flag(help: "All credentials that can be rotated.")
  var all = false

  @Flag(help: "End with 14 if something is due, even if it cannot be done now; with 65 if a credential is damaged.")
  var check = false

  @Flag(help: "Look only at the vault and this machine.")
  var offline = false

  func validate() throws {
    guard [!names.isEmpty, all, due].count(where: \.self) <= 1 else {
      throw ValidationError("expected names of credentials, or --all, or --due")
    }
  }

  func run() async throws {
    let report = Report(options)
    let places = try Places(options)
    let now = WallClock.now()
    let findings = try await subjects(places, now: now)
    var subjects = findings.found
    let failed = report.failures(findings.failures)
    if subjects.isEmpty {
      if let failed { throw Status(code: failed) }
      report.note(due ? "nothing is due" : "there is nothing to rotate: no credential has an app of its own")
      return
    }
    let composition = offline ? nil : RotationComposition(vault: try await places.openVault(), in: places)
    // Credentials that this member cannot open are for others to plan, unless they were named.
    if let vault = composition?.vault, names.isEmpty {
      let (all, member) = (subjects, vault.member)
      subjects = try await vault.read { view in try all.filter { try view.canOpen($0.credential, member) } }
      report.note(leftOut: all.count - subjects.count, notGrantedTo: member)
    }
    for subject in subjects {
      var findings = LocalCheck.findings(of: subject)
      // If no access can be logged, no pair is opened and the provider is not asked.
      let isAsked = composition != nil && VaultFolder.isWritable(places)
      if let composition, isAsked, !subject.credential.isTransferred {
        findings += await composition.preflight(subject)
      }
      try report.plan(
        subject, findings.map { $0.naming(subject.credential.name) }, isOffline: !isAsked, now: now)
    }
    await composition?.transport.shutdown()
    // What cannot be read may be worse.
    if let failed { throw Status(code: failed) }
    if check, subjects.contains(where: \.standing.isDue) { throw Status(code: .due) }
  }

  private func subjects(_ places: Places, now: Timestamp) async throws -> CredentialFindings<PlanSubject> {
    let (names, due) = (names, due)
    return try await places.openLocked().read { view in
      let size = view.logSize
      let records = try names.isEmpty ? view.credentialRecords() : view.credentialRecords(of: names)
      return CredentialFindings(records) { credential in
        guard
          !names.isEmpty || due || credential.canRotate || credential.policy.maxAge != nil || credential.exposure != nil
            || credential.leak != nil || credential.reach != nil
        else { return nil }
        try view.requireIndexed(credential)
        let subject = try PlanSubject(credential, in: view, places, logSize: size, now: now)
        return !due || subject.standing.isDue ? subject : nil
      }
    }
  }
}

extension RotationComposition {
  /// What the provider shows when it is only read. What it would not show is a finding, and so is a pair that this
  /// identity cannot open.
  fileprivate func preflight(_ subject: PlanSubject) async -> [RotationFinding] {
    do {
      let provider = try await provider(of: subject.credential.name)
      let pairs = try await vault.livingPairs(of: subject.credential.name, purpose: "plan", now: WallClock.now())
      let active = subject.credential.version(in: .active).flatMap { pairs[$0.number] }
      let drift = active.flatMap { LocalCheck.drift(from: $0, of: subject.credential) }
      let preflight = RotationPreflight(credential: subject.credential, journal: subject.journal, pairs: pairs)
      let findings = await preflight.findings(asking: provider, clock: { WallClock.now() })
      return [drift].compactMap(\.self) + findings
    } catch {
      let failure = Failure(error)
      return [RotationFinding(.provider, .obstacle, failure.message, hint: failure.hint)]
    }
  }
}

extension PlanSubject {
  /// What the schedule would do now, in one word.
  fileprivate var action: String {
    switch standing {
    case .due(.age), .due(.ending), .due(.exposed): "rotate"
    case .due(.leaked): "revoke"
    case .due(.unfinished): "continue"
    case .due(.debt): "retire"
    case .due(.delivery): "deliver"
    case .waiting, .held: "wait"
    case .unscheduled: "none"
    }
  }

  fileprivate var activeNumber: UInt64 { credential.version(in: .active)?.number ?? 0 }

  /// What the schedule would do now, in a sentence; nil if nothing.
  fileprivate var steps: String? {
    let grace = Policy.text(credential.policy.grace)
    let next = (credential.versions.last?.number ?? 0) + 1
    let owed = credential.debts.map { String($0.number) }.joined(separator: ", ")
    switch standing {
    case .due(.age), .due(.ending), .due(.exposed):
      return
        "version \(next) would be staged, proved and promoted; then version \(activeNumber) is left alone for \(grace)"
    case .due(.leaked):
      return
        "version \(next) would be staged, proved, promoted and delivered, and version \(activeNumber), which leaked, would be deleted at once"
    case .due(.unfinished):
      guard let journal else { return nil }
      return "rotation \(journal.number), which is \(journal.machine.state.rawValue), would be continued"
    case .due(.debt) where credential.isTransferred:
      return "version \(activeNumber) would be tried; it is owed until it is refused"
    case .due(.debt):
      return "version \(owed) would be deleted at the provider, and tried until it is seen to be refused"
    case .due(.delivery):
      let names = credential.undelivered.map(\.name).joined(separator: ", ")
      return "version \(activeNumber) would be delivered to \(names)"
    case .waiting, .held, .unscheduled: return nil
    }
  }
}

extension Report {
  fileprivate func plan(
    _ subject: PlanSubject, _ findings: [RotationFinding], isOffline: Bool, now: Timestamp
  ) throws(StreamError) {
    let credential = subject.credential
    var members: [String: JSONValue] = [
      "action": .string(subject.action), "active": .integer(Int(clamping: subject.activeNumber)),
      "credential": .string(credential.name), "due": .bool(subject.standing.isDue),
      "findings": .array(findings.map(\.json)), "offline": .bool(isOffline),
      "schedule": subject.standing.json, "type": "plan",
    ]
    let active = credential.version(in: .active)
    if let active { members["created"] = .string(active.created.description) }
    if let exposure = credential.exposure { members["exposure"] = exposure.json }
    if let transfer = credential.transfer { members["transfer"] = transfer.object }
    let object = members
    try result(.object(object), text: subject.text(findings, isOffline: isOffline, now: now))
  }
}

extension PlanSubject {
  fileprivate func text(_ findings: [RotationFinding], isOffline: Bool, now: Timestamp) -> String {
    let age = credential.version(in: .active).map { ", made \((now - $0.created).words) ago" } ?? ""
    var lines = [
      "\(credential.name): "
        + (standing.text(of: credential, at: now) ?? (credential.isTransferred ? "nothing is owed" : nil)
          ?? "its policy sets no max-age, so only a person rotates it")
    ]
    lines.append(
      "  "
        + (credential.transfer.map { "\($0.words), and no longer rotated here" }
          ?? "version \(activeNumber) is active\(age)"))
    if let exposure = credential.exposure, !standing.tellsOfExposure { lines.append("  \(exposure.text)") }
    if let steps { lines.append("  \(steps)") }
    for finding in findings where finding.level != .ok {
      lines.append("  \(finding.level.rawValue): \(finding.text)")
      if let hint = finding.hint { lines.append("    hint: \(hint)") }
    }
    let fine = findings.filter { $0.level == .ok }.map(\.check.rawValue)
    if !fine.isEmpty { lines.append("  in order: \(fine.joined(separator: ", "))") }
    if isOffline { lines.append("  the provider was not asked") }
    // One line at the end instead of a hint for each: one missing step shows in several findings.
    if findings.contains(where: \.isOfProvider) {
      lines.append("  `relatch doctor \(credential.name)` checks its set-up step by step")
    }
    return lines.joined(separator: "\n")
  }
}

extension RotationFinding {
  /// The finding with `name` in the commands of its hint, where a provider can only write NAME.
  fileprivate func naming(_ name: String) -> RotationFinding {
    RotationFinding(check, level, text, hint: hint?.replacing(" NAME", with: " \(name)"), until: until)
  }

  /// Whether a missing step of the set-up at the provider may be the cause.
  fileprivate var isOfProvider: Bool {
    level != .ok && [.provider, .primary, .secret, .token, .clock, .scope].contains(check)
  }

  fileprivate var json: JSONValue {
    var members: [String: JSONValue] = [
      "check": .string(check.rawValue), "level": .string(level.rawValue), "text": .string(text),
    ]
    if let hint { members["hint"] = .string(hint) }
    if let until { members["until"] = .string(until.description) }
    return .object(members)
  }
}
