import ArgumentParser
import Audit
import JSON
import Rotation
import Vault

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show the state of each credential and what is owed, without unlocking anything.",
    discussion: """
      Ends with 65 if a credential is damaged; the others are still shown. Ends with 11 if delivering the active pair \
      to a sink or hook failed, with 12 if a debt is past its grace or a leak is not ended.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credentials' names; all if none is given.", completion: .credentialName)
  var names: [String] = []

  @Option(help: ArgumentHelp("Only those with this tag.", valueName: "tag"))
  var tag: String?

  func run() async throws {
    let report = Report(options)
    let now = WallClock.now()
    var (isEmpty, hasFailedDelivery, hasOverdueDebt) = (true, false, false)
    var failed: ExitCode?
    let places = try Places(options)
    let vault = try await places.openLocked()
    let pages = CredentialPages(of: vault, names, tag: tag)
    try await pages.each { view, credential in
      try view.requireIndexed(credential)
      let journal = try RotationJournal(view, of: credential)
      let isUnderWay = journal.map { !$0.machine.state.isFinal } ?? false
      return CredentialStatus(
        credential: credential, journal: journal,
        holder: isUnderWay ? try view.runAtWork(on: credential, now: now, isGone: RunHolder.isGone) : nil,
        isReconciled: try view.restoration(unreconciled: credential) == nil,
        schedule: try RotationSchedule.system.standing(of: credential, journal: journal, in: view, now: now))
    } use: { page in
      let statuses = page.found
      try report.results(statuses, json: { $0.json(now) }, text: { $0.text(now) })
      failed = report.failures(page.failures) ?? failed
      isEmpty = isEmpty && statuses.isEmpty && failed == nil
      hasFailedDelivery = hasFailedDelivery || statuses.contains(where: \.hasFailedDelivery)
      hasOverdueDebt = hasOverdueDebt || statuses.contains { $0.hasOverdueDebt(now) }
    }
    if isEmpty { try noteNone(report) }
    if names.isEmpty && tag == nil { try await reportWitnesses(vault, places.witnessRecords, report) }
    // What cannot be read may be worse.
    if let failed { throw Status(code: failed) }
    // A failed delivery comes first: what waits for it is not retired.
    if hasFailedDelivery { throw Status(code: .deliveryFailed) }
    if hasOverdueDebt { throw Status(code: .debtOutstanding) }
  }

  /// If names were given, nothing is said of other credentials.
  private func noteNone(_ report: Report) throws {
    guard let tag, let first = names.first else { return try report.noteNone(of: tag) }
    let none = names.count == 1 ? "\(first) has not" : "none of \(names.joined(separator: ", ")) has"
    throw Failure(
      .notFound, "\(none) the tag \(Name.printable(tag))",
      hint: "`relatch list` shows the tags of each; without names, --tag chooses from all")
  }

  private func reportWitnesses(_ vault: LockedVault, _ records: WitnessRecords, _ report: Report) async throws {
    let found = try await vault.found(in: records)
    let standings = try await vault.read { try $0.standings(of: found) }
    for standing in standings {
      if let trouble = standing.trouble { Diagnostics.standard.warning("\(trouble): see `relatch log verify`") }
    }
    if report.isJSON {
      if let gap = standings.gapJSON { try report.text(gap.canonicalText) }
    } else if let gap = standings.gapText {
      try report.text(gap)
    }
  }
}

extension RotationSchedule.Standing {
  fileprivate var tellsOfAttempts: Bool {
    switch self {
    case .held(_, .attempts), .held(_, .rejected): true
    default: false
    }
  }

  fileprivate var tellsOfZone: Bool { if case .held(_, .unknownZone) = self { true } else { false } }

  /// Whether its words say that the active pair is exposed.
  var tellsOfExposure: Bool {
    switch self {
    case .due(.exposed), .waiting(_, .exposed): true
    default: false
    }
  }
}

/// One credential and its newest rotation.
struct CredentialStatus: Sendable {
  let credential: Credential
  let journal: RotationJournal?
  /// Who is at work on it now, as far as is known; nil if nobody is.
  let holder: String?
  /// Whether it has been compared with its provider since the vault was restored from a backup; true if the vault was
  /// not restored.
  let isReconciled: Bool
  let schedule: RotationSchedule.Standing

  /// When the debts may be retired; nil while the rotation that made them is under way.
  private var graceEnds: Timestamp? { journal?.graceEnds(of: credential) }

  func hasOverdueDebt(_ now: Timestamp) -> Bool {
    if let transfer = credential.transfer { return !credential.debts.isEmpty && transfer.expires <= now }
    return credential.leak != nil || credential.reach != nil
      || !credential.debts.isEmpty && graceEnds.map { $0 <= now } == true
  }

  /// Whether `rotate` would stop because a replaced pair is in its grace.
  private func holdsSlot(_ now: Timestamp) -> Bool {
    !credential.debts.isEmpty && graceEnds.map { $0 > now } == true
  }

  var hasFailedDelivery: Bool { credential.undelivered.contains { $0.tried != nil } }

  /// The state of the rotation under way; nil if there is none, or only a debt is left of it.
  private var underWay: RotationState? {
    guard let state = journal?.machine.state, !state.isFinal, state != .owed else { return nil }
    return state
  }

  func text(_ now: Timestamp) -> String {
    let active = credential.version(in: .active)
    var lines = [
      "\(credential.name): version \(active?.number ?? 0) is active since \(active?.since.description ?? "-")"
    ]
    if let transfer = credential.transfer {
      lines[0] = "\(credential.name): \(transfer.words), and no longer rotated here"
    } else if let active, active.created < active.since {
      lines[0] += ", made \((now - active.created).words) ago"
    }
    if let end = active?.expires, !credential.isTransferred { lines[0] += "; the provider ends it at \(end)" }
    if !isReconciled {
      lines.append(
        "  the vault was restored from a backup, and this was not compared with the provider since:"
          + " `relatch resume \(credential.name)` compares it")
    }
    if let holder {
      lines.append("  another run holds it (\(Diagnostics.printable(holder)))")
    } else if let text = schedule.text(of: credential, at: now) {
      lines.append("  \(text)")
    }
    if let leak = credential.leak {
      lines.append(
        "  incident \(leak.incident): versions up to \(leak.version) leaked, reported at \(leak.since)"
          + (credential.isActiveLeaked ? ", the active one with them: \(wayOut)" : ""))
    }
    if let reach = credential.reach {
      lines.append("  \(reach.text): the active one is replaced again when that leak has ended")
    }
    if let exposure = credential.exposure, !schedule.tellsOfExposure {
      lines.append(
        "  \(exposure.text): "
          + (credential.isTransferred
            ? "tell its recipient, because only they can rotate it now"
            : "`relatch rotate\(holdsSlot(now) ? " --replace-previous" : "") \(credential.name)` replaces it"))
    }
    // The line above already says what holds it back now.
    if let failures = journal?.failedAttempts, failures > 0, !schedule.tellsOfAttempts, !credential.isTransferred {
      lines.append(
        "  \(failures == 1 ? "the last attempt" : "\(failures) attempts in a row") came to nothing\(nextAttempt(now).map { "; the next may start at \($0)" } ?? "")"
      )
    }
    if let zone = RotationSchedule.system.unknownZone(of: credential), !schedule.tellsOfZone {
      lines.append("  its window names a zone this machine does not know, \(zone): it is not rotated on schedule")
    }
    for debt in credential.debts where credential.isTransferred {
      lines.append(
        "  debt: version \(debt.number), which was handed over, has not been seen to be refused:"
          + " `relatch resume \(credential.name)` tries it")
    }
    for debt in credential.debts where !credential.isTransferred {
      let isDeleted =
        journal.map { [.deleted, .proving].contains($0.machine.state) } ?? false && debt.number < active?.number ?? 0
      let end = "\(credential.end(of: debt))\(isDeleted ? ", is deleted at the provider," : "")"
      var line = "  debt: version \(debt.number) \(end) and has not been seen to be refused"
      if credential.leak != nil {
        line += ", though it leaked: `relatch resume \(credential.name)` ends it"
      } else if let graceEnds {
        line +=
          graceEnds > now
          ? "; its grace ends at \(graceEnds)" : "; its grace is over: `relatch retire \(credential.name)`"
      }
      if let expires = debt.expires { line += "; the provider ends it at \(expires)" }
      lines.append(line)
    }
    for delivery in credential.undelivered {
      lines.append("  \(delivery.lack(of: active?.number ?? 0)): `relatch deliver \(credential.name)` tries it")
    }
    if let underWay, let journal {
      let command =
        underWay == .ready && journal.failedAttempts > 0
        ? "`relatch plan \(credential.name)` says what stands in its way"
        : "`relatch rotate \(credential.name)` continues it"
      lines.append(
        "  rotation \(journal.number) is \(underWay.clause) since \(journal.latest)"
          + (holder == nil && credential.canRotate ? ": \(command)" : ""))
    }
    return lines.joined(separator: "\n")
  }

  /// How an active pair that leaked is replaced.
  private var wayOut: String {
    guard let missing = credential.missingToRotate else { return "`relatch resume \(credential.name)` replaces it" }
    return "without the setting \(missing) nothing replaces it:"
      + " `relatch settings \(credential.name) \(missing)=…` gives it one"
  }

  /// Until when the schedule waits because attempts have come to nothing.
  private func nextAttempt(_ now: Timestamp) -> Timestamp? {
    journal.flatMap { RotationSchedule.system.pause(of: $0, isLeaked: credential.leak != nil, now: now)?.until }
  }

  func json(_ now: Timestamp) -> JSONValue {
    var members: [String: JSONValue] = [
      "active": .integer(Int(clamping: credential.version(in: .active)?.number ?? 0)),
      "credential": .string(credential.name),
      "debts": .array(
        credential.debts.map { debt in
          var members: [String: JSONValue] = [
            "overdue": .bool(hasOverdueDebt(now)), "since": .string(debt.since.description),
            "version": .integer(Int(clamping: debt.number)),
          ]
          if let graceEnds { members["grace_ends"] = .string(graceEnds.description) }
          if let expires = debt.expires { members["expires"] = .string(expires.description) }
          return .object(members)
        }), "failed_attempts": .integer(journal?.failedAttempts ?? 0), "provider": .string(credential.provider),
      "schedule": schedule.json, "type": "status",
    ]
    if let active = credential.version(in: .active) {
      members["age"] = .integer(Int(clamping: max(0, (now - active.created).components.seconds)))
      members["created"] = .string(active.created.description)
    }
    if let end = credential.version(in: .active)?.expires { members["expires"] = .string(end.description) }
    if let limit = RotationSchedule.system.ageLimit(of: credential) {
      members["age_limit"] = .string(limit.description)
    }
    if let leak = credential.leak { members["leak"] = leak.json }
    if let reach = credential.reach { members["reach"] = reach.json }
    if !credential.policy.tags.isEmpty { members["tags"] = .array(credential.policy.tags.map { .string($0) }) }
    if let exposure = credential.exposure { members["exposure"] = exposure.json }
    if let transfer = credential.transfer { members["transfer"] = transfer.object }
    if let nextAttempt = nextAttempt(now) { members["next_attempt"] = .string(nextAttempt.description) }
    if !isReconciled { members["reconciled"] = false }
    if let zone = RotationSchedule.system.unknownZone(of: credential) { members["unknown_zone"] = .string(zone) }
    if !credential.undelivered.isEmpty {
      members["undelivered"] = .array(credential.undelivered.map { $0.json(of: credential) })
    }
    if let journal {
      members["rotation"] = .object([
        "latest": .string(journal.latest.description), "number": .integer(Int(clamping: journal.number)),
        "state": .string(journal.machine.state.rawValue),
      ])
    }
    return .object(members)
  }
}

extension Credential {
  /// How the version `debt` came to be owed, as a clause.
  func end(of debt: Version) -> String {
    let active = version(in: .active)
    let verb =
      debt.number > active?.number ?? 0
      ? "given up" : debt.since == active?.since ? "replaced" : "replaced or given up"
    return "was \(verb) at \(debt.since)"
  }
}

extension RotationState {
  /// Where a rotation is, as a clause that `since` may follow.
  fileprivate var clause: String {
    switch self {
    case .ready: "begun, with nothing asked of the provider,"
    case .deleted: "under way, the replaced pair deleted and not seen to be refused,"
    default: rawValue
    }
  }
}
