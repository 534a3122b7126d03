import Audit
import JSON
import Vault

// Ending pairs: the replaced one is deleted and proved dead; one that was given up is deleted and seen to be refused.
// Nothing is deleted by a remembered name: it is looked up again and recognised first.
extension RotationRun {
  // MARK: - Retire

  func retire() async throws {
    let verified = takeVerified()
    let seen = if let verified { verified } else { try await observe(for: .retire) }
    let (active, activePair) = try pair(in: .active)
    let owedPairs = try owedPairs(in: seen)
    guard let owed = firstToEnd(of: owedPairs) else {
      try record(.intended(.retire), version: credential.debts.last?.number)
      return try await clearUp(.retire, seen)
    }
    // Law 3: the old pair may be the only one left that works, whatever is called primary.
    var fields: [String: JSONValue] = ["contained": true]
    if !isContaining {
      // Not needed if this run looked and was granted a token a moment ago, under this lease.
      do {
        if verified == nil {
          let asked = timing.now()
          let evidence = try await ask { try await self.provider.grant(activePair) }
          // A grace that nobody ended must be over by both clocks.
          if !endsGrace, credential.leak == nil, let graceEnds = journal?.machine.graceEnds {
            try ClockDifference.check(evidence, isAfter: graceEnds, asked: asked, answered: timing.now())
          }
        }
      } catch let error as ProviderError { return try await pauseOrThrow(error, .retire) }
      fields = ["accepted": .integer(Int(clamping: active))]
    }
    try await requireInUseNowhere(owed.number)
    seenHere.formUnion(owedPairs.map(\.number))
    try await asking(.retire, version: owed.number, fields) {
      try await self.provider.delete(handle: owed.seen.handle, seen)
    } record: {
      try self.record(.deleted, version: owed.number)
    }
  }

  /// The oldest; while a leak is ended, the newest that leaked: one from before may be deleted already, and merely still
  /// be listed.
  private func firstToEnd(of owed: [(number: UInt64, seen: ObservedPair)]) -> (number: UInt64, seen: ObservedPair)? {
    guard let leak = credential.leak else { return owed.first }
    return owed.last { $0.number <= leak.version } ?? owed.last
  }

  /// What this run saw when it verified the active pair a moment ago, or found it promoted under containment, if a leak
  /// is to be ended: each round trip counts. It can be taken once.
  private func takeVerified() -> Observation? {
    defer {
      seenVerified = nil
      if isContaining { seenPromoted = nil }
    }
    guard credential.leak != nil else { return nil }
    if isContaining, let seenPromoted { return seenPromoted }
    guard let seenVerified, seenVerified.at <= now, now - seenVerified.at <= .seconds(5) else { return nil }
    return seenVerified.observation
  }

  /// The debts that the provider still has beside its primary pair. Throws if the primary pair is not the active one:
  /// then nothing may be deleted, whatever is in the slot.
  func owedPairs(in seen: Observation) throws -> [(number: UInt64, seen: ObservedPair)] {
    try requireActivePrimary(seen, "nothing is deleted")
    return credential.debts.compactMap { debt in
      // Recognised by its client identifier, and by its secret if several share that, whatever state the provider shows
      // it in.
      guard let pair = pairs[debt.number], let other = seen.others.first(where: { $0.matches(pair) }) else {
        return nil
      }
      return (debt.number, other)
    }
  }

  /// Fails unless the provider's primary pair is the active one: otherwise someone else is at work there, and what
  /// looks superfluous may be the last pair that is accepted.
  func requireActivePrimary(_ seen: Observation, _ consequence: String) throws {
    let (active, pair) = try pair(in: .active)
    guard seen.primary.matches(pair) else {
      throw RotationError(
        .foreignPrimary,
        "\(name): the provider's primary pair is not version \(active), the active one, \(seen.placeDescription(of: pair)); \(consequence)",
        hint:
          "someone rotated it elsewhere: make version \(active) primary again, or take the new pair over: `relatch adopt \(name)`"
      )
    }
  }

  // MARK: - Prove

  /// Refused old, accepted new, refused old again: a proxy or an outage that refuses everything proves nothing.
  ///
  /// Each refusal is requested over a new connection, and the grant over that of the first refusal: a server that
  /// refuses everybody would not grant it.
  func prove() async throws {
    let (active, activePair) = try pair(in: .active)
    let debts = credential.debts.map(\.number)
    try record(.intended(.prove), version: debts.last)
    var patience = patienceForRefusal
    while true {
      do {
        var refusals: [JSONValue] = []
        let elsewhere = credential.elsewhere.subtracting(seenHere).subtracting([active]).intersection(debts).sorted()
        for debt in debts {
          guard let old = pairs[debt] else {
            throw RotationError(.corruptJournal, "\(name): the pair of version \(debt), which is owed, is missing")
          }
          let first = try await refusal(of: old)
          _ = try await ask { try await self.provider.grant(activePair) }
          guard let first, let second = try await refusal(of: old) else { throw StillAccepted(version: debt) }
          // A refusal in other words may come from another server, one that refuses everybody.
          if second.description != first.description { _ = try await ask { try await self.provider.grant(activePair) } }
          // Not known here is not refused there.
          if elsewhere.contains(debt) { continue }
          refusals.append(
            .object([
              "answers": .array([first, second].map { .string($0.description) }),
              "status": .integer(second.status ?? 0), "version": .integer(Int(clamping: debt)),
            ]))
        }
        let now = timing.now()
        var fields: [String: JSONValue] = [
          "accepted": .integer(Int(clamping: active)), "refused": .array(refusals),
        ]
        if !elsewhere.isEmpty { fields["elsewhere"] = .array(elsewhere.map { .integer(Int(clamping: $0)) }) }
        leftElsewhere = elsewhere
        return try record(.refused, version: debts.last, fields) { credential in
          credential.noteHere(Set(debts + [active]).subtracting(elsewhere))
          for debt in debts { try credential.retire(debt, now: now) }
        }
      } catch let error as StillAccepted {
        if try await isBack(error.version) { return }
        if let wait = patience.next(timing), asksLeft > 0 {
          try await pause(wait)
          continue
        }
        try record(.postponed(.prove), version: error.version, ["reason": "still-accepted"])
        isStillAccepted = true
        return
      } catch let error as ProviderError {
        if !error.exceedsRun, let wait = patience.next(timing, asked: error.retryAfter), asksLeft > 0 {
          try await pause(wait)
          continue
        }
        try record(.postponed(.prove), version: debts.last, error.members)
        throw RotationError(error, while: "the replaced pair is deleted, but not seen to be refused yet", name)
      }
    }
  }

  private struct StillAccepted: Error { let version: UInt64 }

  /// How long a run waits for a deleted pair to be refused. What it does not see the next one tries.
  private var patienceForRefusal: Patience {
    Patience(until: timing.now() + min(credential.policy.propagation, .seconds(60)))
  }

  /// Whether the provider still has the pair that it said it had deleted. If so, the deletion did not happen after all.
  private func isBack(_ version: UInt64) async throws -> Bool {
    guard try await !owedPairs(in: observe(for: .prove)).isEmpty else { return false }
    try await didNotHappen(.retire, version: version, "still-there")
    return true
  }

  /// How the provider refuses `pair`; nil if it accepts it. Other errors are thrown: they say nothing about the pair.
  ///
  /// Each request uses a connection of its own, because the servers behind one address may not all have heard yet.
  private func refusal(of pair: Pair) async throws -> ProviderError? {
    do {
      _ = try await ask { try await self.provider.grant(pair, overNewConnection: true) }
      return nil
    } catch let error as ProviderError where error.code == .refused {
      return error
    }
  }

  /// Whether `pair` is granted a token. Other errors are reported as errors of `step`.
  func isAccepted(_ pair: Pair, during step: RotationStep) async throws -> Bool {
    do { return try await refusal(of: pair) == nil } catch let error as ProviderError {
      throw RotationError(error, while: step.rawValue, name)
    }
  }

  // MARK: - Discard

  func discard() async throws {
    let (number, pair) = try pair(in: .staged)
    let seen = try await observe(for: .discard)
    guard let staged = seen.others.first(where: { $0.matches(pair) }), !seen.primary.matches(pair) else {
      try record(.intended(.discard), version: number)
      return try await clearUp(.discard, seen)
    }
    try requireActivePrimary(seen, "nothing is deleted")
    seenHere.insert(number)
    // It was given up although it was there: by a program that did not know better, or because it was not shown for a
    // moment.
    if !credential.isStagedLeaked, isAdoptedInUse(pair, seen) {
      throw RotationError(
        .outstanding, "\(name): version \(number) was given up, but was then adopted as one in use: it is not deleted",
        hint: "`relatch adopt \(name) --stdin` takes it over; if it is not in use, delete it at the provider first")
    }
    guard provider.replacement != .cutOver || staged.place != .staged else {
      throw RotationError(
        .unresolved, "\(name): version \(number) was given up, but is the only pair that the provider has",
        hint: "`relatch adopt \(name) --stdin` takes it over, if it is accepted; or make another there, and adopt that")
    }
    try await asking(.discard, version: number) {
      try await self.provider.delete(handle: staged.handle, seen)
    } record: {
      // What is gone afterwards decides: a pair that is forgotten here would hold the slot as a stranger's.
      try await self.clearUp(.discard)
    }
  }

  /// Law 5: a pair that could have been used is not forgotten because it is deleted. It was never in use and is seen to
  /// be gone, so one refusal is enough, without an active pair that is accepted. If it leaked, one refusal may be due
  /// to an outage: the pair is owed, and proved together with what leaked before it.
  func markDiscarded(_ number: UInt64, _ pair: Pair) async throws {
    let isOwed = credential.isStagedLeaked
    var members: [String: JSONValue] = [:]
    // If the new pair ended the old one, it may be the only one that is accepted, and a stale look does not show it.
    if !isOwed || provider.endsActiveFirst { members = try await refusalOfDiscarded(number, pair).members }
    if isOwed { members["reason"] = RotationJournal.owed }
    let isHere = seenHere.contains(number)
    if !isHere, credential.elsewhere.contains(number) {
      members["elsewhere"] = .array([.integer(Int(clamping: number))])
    }
    let now = timing.now()
    try record(.discarded, version: number, members) { credential in
      if isHere { credential.noteHere([number]) }
      if isOwed { try credential.oweStaged(now: now) } else { try credential.retire(number, now: now) }
    }
  }

  private func refusalOfDiscarded(_ number: UInt64, _ pair: Pair) async throws -> ProviderError {
    var patience = patienceForRefusal
    while true {
      let trouble: ProviderError?
      do {
        if let refusal = try await refusal(of: pair) { return refusal }
        trouble = nil
      } catch let error as ProviderError { trouble = error }
      guard let wait = patience.next(timing, asked: trouble?.retryAfter), asksLeft > 0 else {
        try record(.postponed(.discard), version: number, trouble?.members ?? ["reason": "still-accepted"])
        let seen = trouble.map { "not seen to be refused yet: \($0)" } ?? "still accepted"
        throw RotationError(
          .outstanding, "\(name): version \(number) was given up and deleted, but is \(seen)",
          hint: trouble?.hint ?? "nothing is lost: `relatch resume \(name)` tries it again")
      }
      try await pause(wait)
    }
  }
}
