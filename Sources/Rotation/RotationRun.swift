import Audit
import JSON
import Storage
import Vault

/// One run of one credential: the lease, the journal as it grows, and the opened pairs.
actor RotationRun {
  let runner: RotationRunner
  let name: String
  let lease: Lease
  let provider: any CredentialProvider
  var credential: Credential
  /// The newest rotation; nil before the first.
  var journal: RotationJournal?
  /// The steps that were taken and are not written yet. They are in force here; `commit` makes them durable.
  var unwritten: [UnwrittenStep] = []
  /// The pairs the provider may still accept, by version. They are opened once a run, with a log entry.
  var pairs: [UInt64: Pair] = [:]
  /// The active pairs of the vault's other credentials in the same place, as of the last time a pair was met there that
  /// is none of ours.
  var neighbours: [NeighboursPair] = []
  /// The credential's key as of the opening of the pairs.
  var key: CredentialKey?
  /// Whether the step that took the lease also began the rotation, because there was nothing to finish or to find out
  /// first.
  let hasBegun: Bool
  /// Until when the lease lasts at least.
  var leaseEnds: Timestamp
  /// How many more requests this run may send to the provider, so that no fault causes a storm of them.
  var asksLeft = 120
  /// How many more times this run waits for a problem to pass.
  var retriesLeft = 3
  var transientBackoff = Backoff()
  /// The last step asked for by this run that changes the provider, and what went wrong with its answer, if anything.
  var lastAsked: (step: RotationStep, trouble: ProviderError?)?
  /// What was seen when the promotion was found to have happened, so that `verify` need not look again at once.
  var seenPromoted: Observation?
  /// What was seen when the new pair was verified, and when. If that was only a moment ago, the end of a leak uses it
  /// to delete the old pair.
  var seenVerified: (observation: Observation, at: Timestamp)?

  var timing: RotationTiming { runner.timing }

  /// Whether a replaced pair that holds the staging slot may be cut off before its time.
  var replacesPrevious = false
  /// The strangers' pairs that were to be cut off, and that are listed although the provider did not find them: why each
  /// was, by the provider's name for it.
  var unfound: [String: String] = [:]
  /// Whether the leaked pair is ended before its replacement is proved.
  var isContaining = false
  /// Whether an old pair may be ended although the active one has not arrived everywhere.
  var mayLeaveUndelivered = false
  /// Whether a person ends the grace of the replaced pair, over or not.
  var endsGrace = false
  /// Whether the pair is one that was found primary at the provider.
  var isAdopting = false
  /// The versions that this run saw at the place that the settings name.
  var seenHere: Set<UInt64> = []
  /// The versions that it gave up though they were made at a former place, and are not known at this one.
  var leftElsewhere: [UInt64] = []
  /// The live run that held the lease when this run took it over; nil if there was none.
  let overtook: String?
  /// When this run took the lease.
  let held: Timestamp
  /// Whether the `before` hooks have agreed to this run.
  var hasAskedHooks = false

  /// Whether a person wants the staged pair promoted although it is refused.
  var hasAgreed = false
  /// Whether this run itself got the token grant that proves the staged pair.
  var hasProved = false
  /// Whether this run itself found the new pair to be primary.
  var hasPromoted = false

  /// When the log ends of the backup that the vault was last restored from. Nil if the vault was never restored, or if
  /// this run began the rotation, so that no pair can have been staged before.
  let restored: Timestamp?

  /// The time for decisions. If the clock is set back during a run, the run's own proof must not appear to lie in the
  /// future, or it would be repeated without end. A proof that an earlier run left is judged by the clock only.
  var now: Timestamp { hasProved ? max(timing.now(), journal?.latest ?? timing.now()) : timing.now() }

  /// Continues from the step that took the lease. `opened` are pairs that were opened before it.
  init(
    _ runner: RotationRunner, credential name: String, _ hold: RotationHold, opened: [UInt64: Pair],
    provider: any CredentialProvider
  ) async throws {
    self.runner = runner
    self.name = name
    self.provider = provider
    lease = hold.lease
    overtook = hold.overtaken
    held = runner.timing.now()
    leaseEnds = held + .milliseconds(RotationRunner.minimumLeaseMilliseconds)
    hasBegun = hold.beginning != nil
    if let beginning = hold.beginning {
      credential = beginning.credential
      journal = RotationJournal(beginning: beginning.credential.rotation, at: beginning.time)
      let (key, opened) = try runner.vault.openLiving(beginning.sealed)
      self.key = key
      pairs = opened
      restored = nil
    } else {
      (credential, journal, restored) = try await runner.vault.read { view in
        let credential = try view.credential(name)
        return (credential, try RotationJournal(view, of: credential), try view.restoration()?.last)
      }
      pairs = opened
    }
  }

  func reach(_ goal: RotationRunner.Goal, wasInterrupted: Bool) async throws -> RotationOutcome {
    let outcome: RotationOutcome
    do { outcome = try await pursue(goal, wasInterrupted: wasInterrupted) } catch let error as RotationError {
      throw isOutstanding ? error.outstanding(hint: "nothing is lost: `relatch resume \(name)` continues") : error
    }
    guard let left = try await cutOffUnfound() ?? reachError else { return outcome }
    switch outcome {
    case .settled, .promoted: throw left
    default: return outcome
    }
  }

  /// `outstanding` if the active pair can be read with a leaked one of an administrator, and is replaced once more when
  /// that has ended; nil otherwise.
  private var reachError: RotationError? {
    guard let reach = credential.reach else { return nil }
    let administrators = reach.by.joined(separator: ", ")
    return RotationError(
      .outstanding,
      "\(name): version \(activeNumber) is active, but was made while a leaked pair of \(administrators) may have been accepted:"
        + " whoever has that can read it",
      hint:
        "once that leak has ended (`relatch status \(reach.by[0])` says how), the next run replaces the pair of \(name) again"
    )
  }

  /// Whether something was done that an error must not hide, and a later step failed: the pair is promoted, or may be,
  /// or the old one is deleted, or the new one given up.
  private var isOutstanding: Bool {
    switch journal?.machine.state {
    case .promoting, .promoted, .verifying, .retiring, .deleted, .proving, .rejected, .discarding: true
    case .owed: hasPromoted
    default: false
    }
  }

  private func pursue(_ goal: RotationRunner.Goal, wasInterrupted: Bool) async throws -> RotationOutcome {
    if let transfer = credential.transfer { return try await settle(transfer, for: goal) }
    if case .revoke(let revocation) = goal { return try await revoke(revocation) }
    // A scheduled run looks only if something is due, and counts what comes of it.
    if !hasBegun, goal != .scheduled, let outcome = try await reconcile(for: goal) { return outcome }
    switch goal {
    // Whatever the run is for, ending a leak comes first.
    case .rotate where credential.leak != nil, .rotateReplacingPrevious where credential.leak != nil,
      .resume where credential.leak != nil:
      return try await endLeak()
    case .rotate: return try await rotate(wasInterrupted: wasInterrupted)
    case .rotateReplacingPrevious:
      replacesPrevious = true
      return try await rotate(wasInterrupted: wasInterrupted)
    case .resume: return try await resume(wasInterrupted: wasInterrupted)
    case .abort: return try await abort()
    case .retire: return try await retire()
    case .retireUndelivered: return try await retire(evenIfUndelivered: true)
    case .deliver(let again): return try await reachDelivery(again: again)
    case .adopt(let offered): return try await adopt(offered)
    case .revoke: throw RotationError(.unresolved, "\(name): a leak is not noted")
    case .scheduled: return try await runScheduled(runner.schedule)
    }
  }

  private func rotate(wasInterrupted: Bool) async throws -> RotationOutcome {
    guard let machine = journal?.machine, !machine.state.isFinal else {
      try await openPairs()
      try await begin()
      return try await drive(retiringNow: false)
    }
    // Sinks and hooks that lack the pair are served during the grace as well; then this run does nothing else.
    if case .wait(let until) = machine.nextAction(now: timing.now()), !replacesPrevious, credential.undelivered.isEmpty
    {
      // The run that did the work died before it could say so. Say it now, instead of beginning another rotation.
      if wasInterrupted { return promoted(until: until) }
      throw RotationError(
        .inGrace(until: until),
        "\(name): the pair replaced at \(credential.debts.last?.since.description ?? "last") is left alone until \(until)"
          + " and holds the provider's only staging slot",
        hint: "`relatch rotate --replace-previous \(name)` ends its grace now and rotates again")
    }
    if !hasBegun { try await openPairs() }
    let wasOwed = machine.state.isOwing
    let isCutOff = replacesPrevious && wasOwed
    let outcome = try await drive(retiringNow: isCutOff, evenIfUndelivered: isCutOff)
    guard case .settled = outcome, wasOwed else { return outcome }
    try await begin()
    return try await drive(retiringNow: false)
  }

  private func resume(wasInterrupted: Bool) async throws -> RotationOutcome {
    guard let machine = journal?.machine, !machine.state.isFinal else {
      guard credential.undelivered.isEmpty else { return try await reachDelivery(again: false) }
      if let reachError { throw reachError }
      throw RotationError(
        .nothingUnfinished, "\(name): no rotation is unfinished", hint: "`relatch rotate \(name)` begins one")
    }
    if case .wait(let until) = machine.nextAction(now: timing.now()), credential.undelivered.isEmpty {
      // As in `rotate`: the run that promoted it may have died before it could say so.
      guard !wasInterrupted else { return promoted(until: until) }
      throw RotationError(
        .inGrace(until: until),
        "\(name): no rotation is unfinished; version \(credential.debts.last?.number ?? 0), replaced, is left alone until \(until)",
        hint: "`relatch retire \(name)` ends its grace now")
    }
    try await openPairs()
    return try await drive(retiringNow: false)
  }

  private func retire(evenIfUndelivered: Bool = false) async throws -> RotationOutcome {
    guard let machine = journal?.machine, !credential.debts.isEmpty else {
      guard !credential.isActiveLeaked else {
        throw RotationError(
          .outstanding, "\(name): version \(activeNumber), the active one, leaked, but is not replaced yet",
          hint: "`relatch resume \(name)` replaces it, and retires it then")
      }
      throw RotationError(
        .nothingOwed, "\(name): nothing is owed", hint: "`relatch status \(name)` shows the stage of each version")
    }
    guard !machine.state.isFinal else {
      throw RotationError(
        .unresolved,
        "\(name): what is owed is from a rotation before the last, and the last came to nothing: the next one ends it",
        hint: "`relatch rotate \(name)` begins it, once the grace is over; with --replace-previous at once")
    }
    guard machine.state.isOwing else {
      throw RotationError(
        .unresolved,
        "\(name): a rotation is under way (\(machine.state.rawValue)); nothing can be retired before it ends",
        hint: "`relatch rotate \(name)` continues it")
    }
    try await openPairs()
    let outcome = try await drive(retiringNow: true, evenIfUndelivered: evenIfUndelivered)
    if evenIfUndelivered { _ = try await deliverActive() }
    return outcome
  }

  private func abort() async throws -> RotationOutcome {
    guard let state = journal?.machine.state, !state.isFinal else {
      throw RotationError(.nothingUnfinished, "\(name): no rotation is unfinished")
    }
    // An attempt that has asked for nothing is given up without asking.
    if state != .ready, let unasked = provider as? OfflineProvider {
      throw unasked.error.local ?? RotationError(unasked.error, while: "abort", name)
    }
    try await openPairs()
    // A request without an answer may have been carried out: that is found out first.
    while let state = journal?.machine.state {
      switch state {
      case .staging: try await clearUp(.stage)
      case .promoting: try await clearUp(.promote)
      case .validating: try record(.postponed(.validate), version: credential.version(in: .staged)?.number)
      case .ready, .staged, .validated:
        if state != .ready { try await requireUnused() }
        try record(.abandoned, version: credential.version(in: .staged)?.number)
      case .rejected, .discarding, .failed:
        let outcome = try await drive(retiringNow: false)
        // A leaked pair is owed when it is given up, because nobody has seen it refused.
        guard let owed = credential.debts.last?.number, owed > activeNumber else { return outcome }
        throw RotationError(
          .outstanding,
          "\(name): version \(owed), which leaked, is given up and deleted, but not seen to be refused",
          hint: "`relatch resume \(name)` ends the leak")
      case .promoted, .verifying, .owed, .retiring, .deleted, .proving, .settled:
        throw RotationError(
          .promotedAlready, "\(name): version \(activeNumber) is promoted already: there is nothing left to give up",
          hint: "`relatch resume \(name)` finishes the rotation; another `relatch rotate` replaces the pair again")
      }
    }
    throw RotationError(.nothingUnfinished, "\(name): no rotation is unfinished")
  }

  /// Fails if the staged pair may be the one in use: it is primary there, is being adopted, may have been promoted
  /// after the backup, or is the only pair because it ended the old one.
  private func requireUnused() async throws {
    let (number, pair) = try pair(in: .staged)
    let seen = try await observe(for: .discard)
    if isAdoptedInUse(pair, seen) {
      throw RotationError(
        .promotedAlready, "\(name): version \(number) is being adopted, and is in use: there is nothing to give up",
        hint: "`relatch resume \(name)` finishes the rotation; if the pair is not in use, end it at the provider first")
    }
    if isOfBackup(pair, seen) {
      throw RotationError(
        .promotedAlready,
        "\(name): version \(number) was staged in the backup that the vault was restored from, and may be in use since",
        hint: "`relatch resume \(name)` finishes the rotation; if the pair is not in use, end it at the provider first")
    }
    if seen.primary.matches(pair) {
      throw RotationError(
        .promotedAlready, "\(name): version \(number) is the provider's primary pair: there is nothing left to give up",
        hint: "`relatch resume \(name)` finishes the rotation")
    }
    guard provider.replacement == .cutOver else { return }
    // What the provider shows may be old.
    let isShown = seen.others.contains { $0.matches(pair) }
    let isThere = if isShown { true } else { try await isAccepted(pair, during: .discard) }
    guard isThere else { return }
    throw RotationError(
      .promotedAlready, "\(name): the old pair ended as version \(number) was made: there is nothing left to give up",
      hint: "`relatch resume \(name)` finishes the rotation")
  }

  /// Does the machine's next action until there is none, or none yet. An old pair is retired only if the new one has
  /// arrived everywhere, or `evenIfUndelivered`, because a sink or hook that lacks the new one still uses it.
  func drive(retiringNow: Bool, evenIfUndelivered: Bool = false) async throws -> RotationOutcome {
    endsGrace = retiringNow
    var hasServed = false
    while let machine = journal?.machine {
      mayLeaveUndelivered = evenIfUndelivered || isContaining || machine.isUnproved
      if machine.delivers(whileContaining: isContaining) {
        if machine.state == .owed, !evenIfUndelivered {
          if let outcome = try await deliveryOutcome() { return outcome }
        } else if !hasServed {
          // Every sink and hook that can be served is served, once, before the old pair ends. If that end is urgent,
          // hooks follow later: one that hangs must not delay it.
          hasServed = true
          _ = try await deliverActive(filesOnly: evenIfUndelivered || credential.leak != nil)
        }
      }
      if isContaining, let step = machine.state.containmentStep {
        try await perform(step)
        continue
      }
      if hasAgreed, machine.state == .validating {
        try await perform(.promote)
        continue
      }
      // A grace is over only by the clock, whatever time the steps before it were dated with.
      switch machine.nextAction(now: machine.state == .owed ? timing.now() : now) {
      case .ask(let step): try await perform(step)
      case .observe(let step): try await clearUp(step)
      case .wait(let until):
        guard retiringNow else { return promoted(until: until) }
        try await perform(.retire)
      case .finished:
        guard machine.state == .settled else {
          guard !machine.wasAbandoned else { return .abandoned(active: activeNumber) }
          return .rejected(
            active: activeNumber, isGone: journal?.isPairGone == true, isLeaked: credential.isActiveLeaked)
        }
        return .settled(active: activeNumber, elsewhere: leftElsewhere)
      }
      if case .deleted? = journal?.machine.state, isStillAccepted {
        return .stillAccepted(active: activeNumber, previous: credential.debts.map(\.number))
      }
    }
    throw RotationError(.unresolved, "\(name): no rotation has begun")
  }

  /// Whether this run has just seen that the deleted pair is still accepted.
  var isStillAccepted = false

  private func promoted(until: Timestamp) -> RotationOutcome {
    .promoted(active: activeNumber, previous: credential.debts.map(\.number), graceEnds: until)
  }

  var activeNumber: UInt64 { credential.version(in: .active)?.number ?? 0 }

  /// The opened pair of the version in `stage`.
  func pair(in stage: Stage) throws -> (number: UInt64, pair: Pair) {
    guard let version = credential.version(in: stage), let pair = pairs[version.number] else {
      throw RotationError(
        .corruptJournal, "\(name): the journal names a version that is \(stage.rawValue), but there is none")
    }
    return (version.number, pair)
  }
}

extension RotationMachine {
  /// Whether the active pair is delivered in this state to the sinks and hooks that lack it. A pair that containment
  /// left unproved is not delivered before it was seen to be accepted, which also ends the leak. Containment ends the
  /// old pair before it delivers anything.
  fileprivate func delivers(whileContaining isContaining: Bool) -> Bool {
    guard !isUnproved else { return false }
    return switch state {
    case .owed: !isContaining
    case .deleted, .proving: true
    default: false
    }
  }
}
