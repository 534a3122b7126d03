import Audit
import JSON
import Vault

// Asking, and finding out. A lost answer is a state of its own: what happened is read from the provider, never guessed.
extension RotationRun {
  /// Counts one request against the run's budget, and first makes durable what led to it.
  func ask<Answer: Sendable>(_ request: () async throws -> Answer) async throws -> Answer {
    guard asksLeft > 0 else {
      throw RotationError(
        .unresolved, "\(name): the provider was asked too often in one run",
        hint: "nothing is lost: run the same command again later")
    }
    asksLeft -= 1
    try await commit()
    try await keepLease()
    do { return try await attended(request) } catch let error as ProviderError {
      throw error.local ?? error
    }
  }

  /// Journals the intent, asks, and journals the outcome. A lost answer is journalled as lost; the machine then
  /// observes.
  ///
  /// Takes no step at all if `step` would end an old pair and a sink or hook turns out to lack the new one. `endsOld`
  /// says that a step other than `retire` ends one.
  func asking<Answer: Sendable>(
    _ step: RotationStep, version: UInt64? = nil, endsOld: Bool = false, reachedBy administrators: [String] = [],
    _ fields: [String: JSONValue] = [:],
    _ request: () async throws -> Answer, record outcome: (Answer) async throws -> Void
  ) async throws {
    let before = (journal: journal, credential: credential, steps: unwritten.count, asked: lastAsked)
    let mayLeaveUndelivered = step != .retire && !endsOld || mayLeaveUndelivered
    let now = timing.now()
    let answer: Answer
    do {
      try record(.intended(step), version: version, fields) { credential in
        guard mayLeaveUndelivered || credential.undelivered.isEmpty else { throw NotArrived() }
        credential.noteReach(by: administrators, now: now)
      }
      lastAsked = (step, nil)
      answer = try await ask(request)
    } catch is NotArrived {
      (journal, credential, lastAsked) = (before.journal, before.credential, before.asked)
      unwritten.removeLast(unwritten.count - before.steps)
      // The record as it is now, with what must be delivered first.
      credential = try await change(now: timing.now()) { _, credential in credential }
      return
    } catch let error as ProviderError where error.mayHaveActed {
      lastAsked = (step, error)
      return try record(.lost(step), version: version, error.members)
    } catch let error as ProviderError where error.code == .notFound && step != .stage {
      // What we just saw is gone: look again before concluding anything.
      lastAsked = (step, error)
      return try record(.lost(step), version: version, error.members)
    } catch let error as ProviderError {
      try record(.postponed(step), version: version, error.members)
      try await pauseOrThrow(error, step)
      return
    }
    try await outcome(answer)
  }

  /// A sink or hook lacks the active pair, because it was added while the provider was asked.
  private struct NotArrived: Error {}

  /// Waits before a step is asked again, if its failure may pass and this run may still retry; throws otherwise.
  func pauseOrThrow(_ error: ProviderError, _ step: RotationStep) async throws {
    // An overtaken run may have staged a pair meanwhile: with a leak, that pair is looked at and cut off.
    let mayPass = error.isTransient || error.code == .occupied && credential.leak != nil
    guard mayPass, try await retry(after: error.retryAfter) else {
      throw RotationError(error, while: step.rawValue, name)
    }
  }

  /// Waits, if `error` may pass and this run may still wait for that; returns whether it has. It says nothing about the
  /// pair that was tried, however long a new one may be refused.
  func waitOut(_ error: ProviderError) async throws -> Bool {
    guard error.isTransient else { return false }
    return try await retry(after: error.retryAfter)
  }

  /// Takes one of the few waits that this run has for problems to pass; returns whether one was left. `asked` is how long
  /// the provider wants to be left alone.
  func retry(after asked: Duration?) async throws -> Bool {
    guard retriesLeft > 0 else { return false }
    retriesLeft -= 1
    try await pause(transientBackoff.next(timing.randomness, asked: asked))
    return true
  }

  /// The vault's pairs, in the form that a provider takes.
  var knownPairs: KnownPairs {
    KnownPairs(
      of: credential, pairs, isStaging: journal?.machine.state == .staging,
      isPromoting: journal?.machine.state == .promoting, isContaining: isContaining, began: journal?.began)
  }

  /// One look at the provider.
  func look() async throws -> Observation {
    let known = knownPairs
    return try await ask { try await self.provider.observe(known: known) }
  }

  /// Looks at the provider, asking again a few times if it is in trouble.
  func observe(for step: RotationStep) async throws -> Observation {
    while true {
      do {
        return try await look()
      } catch let error as ProviderError {
        try await pauseOrThrow(error, step)
      }
    }
  }

  /// Finds out what happened to `step`, whose outcome is unknown, and journals it.
  func clearUp(_ step: RotationStep) async throws {
    try await clearUp(step, observe(for: step))
  }

  func clearUp(_ step: RotationStep, _ seen: Observation) async throws {
    switch step {
    case .stage: try await clearUpStage(seen)
    case .promote: try await clearUpPromote(seen)
    case .retire: try await clearUpRetire(seen)
    case .discard: try await clearUpDiscard(seen)
    case .validate, .verify, .prove:
      throw RotationError(.unresolved, "\(name): \(step.rawValue) changes nothing, so there is nothing to clear up")
    }
  }

  /// Journals that `step` was seen not to have happened. If this run asked for it itself, it does not ask again at
  /// once, or without end.
  func didNotHappen(_ step: RotationStep, version: UInt64? = nil, _ reason: String) async throws {
    try record(.postponed(step), version: version, ["reason": .string(reason)])
    guard let asked = lastAsked, asked.step == step else { return }
    guard asked.trouble?.exceedsRun != true, try await retry(after: asked.trouble?.retryAfter) else {
      if let trouble = asked.trouble { throw RotationError(trouble, while: step.rawValue, name) }
      throw RotationError(
        .unresolved, "\(name): \(step.rawValue): the provider reports it done, but it is seen not to be done",
        hint: "nothing is lost: run the same command again later")
    }
  }

  /// The slot was seen free before staging was requested, under this lease: a staged pair in it is the one we asked
  /// for.
  private func clearUpStage(_ seen: Observation) async throws {
    let seen = try await seeNeighbours(beside: seen)
    let unknown = seen.others.filter { $0.place == .staged && !isOurs($0) && neighbour($0) == nil }
    guard let made = unknown.first(where: \.isMarked) ?? unknown.first else {
      if let until = stagingMayActUntil { return try await waitForStaging(until: until) }
      return try await didNotHappen(.stage, "not-found")
    }
    try requireActivePrimary(seen, "nothing is adopted")
    // While a leak stands, anyone who knows an administrator's pair may have staged it, and would know what replaces
    // the leaked one. A pair whose making ended the old one cannot be deleted: it is replaced afterwards.
    let isLeaked = credential.leak != nil && provider.replacement != .cutOver
    guard !isLeaked, isFit(made) else {
      // If an earlier run asked for it, it may be a stranger's by now: it is left alone, and the next run looks at it
      // again.
      guard isLeaked || made.isMarked || lastAsked?.step == .stage && !provider.marksOwnPairs else {
        throw RotationError(
          .provider(.configuration), "\(name): a staged pair is in the slot, and the provider does not show its secret",
          hint:
            "allow access to consumer secrets via REST API in the provider's set-up; or delete the staged pair there")
      }
      // A pair that nobody can know or use is worth nothing: remove it, and stage another.
      let reason = isLeaked ? "leaked" : "unfit"
      try record(.lost(.stage), ["reason": .string(reason), "found": .array([.object(made.traces)])])
      do {
        try await ask { try await self.provider.delete(handle: made.handle, seen) }
      } catch let error as ProviderError {
        guard error.code == .notFound else {
          throw RotationError(error, while: "removing a staged pair that cannot be used", name)
        }
        // Gone, or not known yet to the server that was asked: nothing was deleted here.
        return try await didNotHappen(.stage, reason)
      }
      try await logCutOff(made, reason)
      return try await didNotHappen(.stage, reason)
    }
    try save(made)
  }

  /// How long a request to stage with a lost answer is assumed to be still able to act, where that would end the active
  /// pair.
  static let stagingMayActFor = Duration.seconds(600)

  /// Until when the request to stage may still act and end the active pair, for all that is known; nil if that time is
  /// over, or if it does not matter. If another request were sent before that, the first one, acting late, would end
  /// the pair that the second made.
  private var stagingMayActUntil: Timestamp? {
    guard provider.replacement == .cutOver, !isContaining, let asked = journal?.stagingIntended else { return nil }
    let until = asked + Self.stagingMayActFor
    // A clock that was far ahead when the request was sent does not lengthen the time.
    return until > now && asked <= now + Self.stagingMayActFor ? until : nil
  }

  /// Pauses, so that the machine looks again, a few times in the run that asked. After that it throws and leaves the
  /// state as it is, so that a pair made later is still recognised as the requested one.
  private func waitForStaging(until: Timestamp) async throws {
    let asked = lastAsked?.step == .stage ? lastAsked : nil
    if let asked, asked.trouble?.exceedsRun != true, try await retry(after: asked.trouble?.retryAfter) { return }
    let found = asked?.trouble.map { "\($0)" } ?? "no new pair is there"
    throw RotationError(
      asked?.trouble.map { .provider($0.code) } ?? .unresolved,
      "\(name): \(RotationStep.stage.rawValue): \(found); the pair asked for may still be made, which ends version \(activeNumber)",
      hint: asked?.trouble?.hint
        ?? "nothing is lost: run the same command again; it asks for another pair from \(until) on",
      retryAfter: asked?.trouble?.retryAfter)
  }

  private func clearUpPromote(_ first: Observation) async throws {
    let (number, pair) = try pair(in: .staged)
    let began = timing.now()
    var seen = first
    var backoff = Backoff()
    var isAgain = false
    while true {
      if seen.primary.matches(pair) {
        // Where the provider calls none primary, it is the only pair of ours that is left. Nobody was asked to promote
        // it, and it is proved again first.
        guard provider.replacement == .promotion || journal?.machine.isProved(at: now) == true else {
          return try await didNotHappen(.promote, version: number, "not-proved")
        }
        try markPromoted(number)
        seenPromoted = seen
        return
      }
      if seen.others.contains(where: { $0.matches(pair) && $0.place == .staged }) {
        return try await didNotHappen(.promote, version: number, "not-primary")
      }
      // If the old pair died as the new one was made, and a third is there now, both are gone.
      if !provider.endsActiveFirst { try requireActivePrimary(seen, "nothing is given up") }
      // One look is not enough to give it up.
      let wait = isAgain ? backoff.next(timing.randomness) : .seconds(2)
      let shownUntil = try isBetween(seen) ? began + propagation : shownUntil(number)
      guard !isAgain || timing.now() + wait <= shownUntil && asksLeft > 10 else { break }
      try await pause(wait)
      seen = try await observe(for: .promote)
      isAgain = true
    }
    try await requireAnotherPair(number, pair, seen)
    try record(.rejected, version: number, ["reason": "not-found"])
  }

  /// Whether `seen` shows the active pair as primary and as replaced at once: the promotion is done, and is not shown
  /// everywhere yet.
  private func isBetween(_ seen: Observation) throws -> Bool {
    let (_, active) = try pair(in: .active)
    return seen.primary.matches(active) && seen.others.contains { $0.place == .replaced && $0.matches(active) }
  }

  /// Until when the staged pair may be missing from a look. A provider in the middle of promoting shows it nowhere only
  /// for a moment; others list what they made after they accept it, as late as `propagation` says.
  private func shownUntil(_ number: UInt64) -> Timestamp {
    let now = timing.now()
    guard provider.replacement != .promotion else { return now }
    return min(credential.version(number)?.created ?? now, now) + propagation
  }

  /// Fails if the staged pair ended the old one as it was made, and is merely not shown yet: it is accepted without
  /// being shown, or the provider still shows the old one, which is refused. Otherwise it would be given up for
  /// nothing.
  private func requireAnotherPair(_ number: UInt64, _ pair: Pair, _ seen: Observation) async throws {
    guard provider.replacement == .cutOver else { return }
    let (active, old) = try self.pair(in: .active)
    let isOldShown = seen.primary.matches(old)
    var isThere = try await isAccepted(pair, during: .promote)
    // A stale look shows an old pair that is no longer accepted; if somebody has set the old secret back, it is
    // accepted.
    if !isThere, isOldShown { isThere = try await !isAccepted(old, during: .promote) }
    guard isThere else { return }
    try record(.postponed(.promote), version: number, ["reason": "not-primary"])
    let shown = isOldShown ? "version \(active), which has ended" : "another pair, but accepts it"
    throw RotationError(
      .unresolved, "\(name): the provider does not show version \(number) yet: it shows \(shown)",
      hint: "nothing is lost: run the same command again later")
  }

  private func clearUpRetire(_ seen: Observation) async throws {
    let number = credential.debts.last?.number
    guard try owedPairs(in: seen).isEmpty else {
      return try await didNotHappen(.retire, version: number, "still-there")
    }
    try record(.deleted, version: number)
  }

  private func clearUpDiscard(_ seen: Observation) async throws {
    let (number, pair) = try pair(in: .staged)
    guard !seen.primary.matches(pair) else {
      throw RotationError(
        .foreignPrimary, "\(name): version \(number) was given up, but is the provider's primary pair",
        hint:
          "someone promoted it elsewhere: `relatch adopt \(name)` takes it over; or make version \(activeNumber) primary"
          + " again, and the next run removes this one"
      )
    }
    if !provider.endsActiveFirst { try requireActivePrimary(seen, "nothing is given up") }
    guard !seen.others.contains(where: { $0.matches(pair) }) else {
      return try await didNotHappen(.discard, version: number, "still-there")
    }
    try await markDiscarded(number, pair)
  }
}

extension CredentialProvider {
  /// Whether the old pair may have ended before the new one was accepted. A third pair that is primary then means that
  /// the new one is not what was thought, and not that someone else is at work.
  var endsActiveFirst: Bool { replacement == .cutOver || self is any OperatedProvider }
}
