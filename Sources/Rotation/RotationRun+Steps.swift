import Audit
import JSON
import Sodium
import Vault

// What each step asks of the provider, and what its answers mean. The order within a step is always: look, journal the
// intent, ask, journal the outcome. Nothing is deleted by a remembered name: it is looked up again and recognised first.
extension RotationRun {
  func perform(_ step: RotationStep) async throws {
    switch step {
    case .stage: try await stage()
    case .validate: try await validate()
    case .promote: try await promote()
    case .verify: try await verify()
    case .retire: try await retire()
    case .prove: try await prove()
    case .discard: try await discard()
    }
  }

  // MARK: - Stage

  private func stage() async throws {
    // A leak waits for no hook.
    if credential.leak == nil { try await runHooksBefore() }
    let seen = try await observe(for: .stage)
    guard let active = pairs[activeNumber] else {
      throw RotationError(.corruptJournal, "\(name): the active pair is missing")
    }
    // A replaced pair that a person wants cut off is no obstacle: it is deleted under the intent to stage.
    let slot = RotationSlot(seen, known: pairs)
    let isCutOff =
      switch slot {
      case .foreignReplaced: replacesPrevious || credential.leak != nil
      case .foreignStaged: credential.leak != nil
      case .free, .ours: false
      }
    if let obstacle = StagingObstacle(primaryOf: seen, active: active, number: activeNumber)
      ?? (isCutOff ? nil : StagingObstacle(slot, of: name))
    {
      throw obstacle.error(of: name)
    }
    try await asking(.stage, isCutOff ? ["cut_off": .string(slot.word)] : [:]) {
      // What was deleted took time: a run that lost its lease meanwhile must not stage.
      if try await self.clearSlot(seen) { try await self.keepAlive() }
      return try await self.provider.stage(seen)
    } record: { made in
      // The machine then looks at the slot, and removes what cannot be used.
      guard self.isFit(made) else { return try self.record(.lost(.stage), ["reason": "unfit"]) }
      try self.save(made)
    }
  }

  /// A staged pair that expired occupies the slot and is of use to nobody; a replaced pair is cut off where a person said so.
  /// Returns whether anything was to be deleted.
  private func clearSlot(_ seen: Observation) async throws -> Bool {
    var hasDeleted = false
    for other in seen.others where !other.handle.isEmpty && mayCutOff(other) {
      hasDeleted = true
      do { try await provider.delete(handle: other.handle, seen) } catch {
        guard error.code == .notFound else { throw error }
      }
    }
    return hasDeleted
  }

  /// Whether what is in the slot may be deleted there, to make room. A pair of the vault's is retired instead.
  private func mayCutOff(_ other: ObservedPair) -> Bool {
    if other.place == .expired { return true }
    let isOurs = pairs.values.contains { other.matches($0) }
    if other.isLitter, !isOurs { return true }
    switch other.place {
    case .replaced: return replacesPrevious || credential.leak != nil && !isOurs
    // Whoever knows an administrator's pair may have staged it, to hold the slot.
    case .staged: return credential.leak != nil && !isOurs
    case .primary, .expired: return false
    }
  }

  /// Whether `made` can be saved and used: its secret is shown, and both parts are what a pair may hold.
  func isFit(_ made: ObservedPair) -> Bool {
    guard let secret = made.clientSecret else { return false }
    do {
      try Pair.check(made.clientID.secret, "the staged client_id")
      try Pair.check(secret.secret, "the staged client_secret")
      if let token = made.registrationToken { try Pair.check(token.secret, "the staged registration_access_token") }
      return true
    } catch { return false }
  }

  /// Law 1: the new pair is durable here before anything makes it primary there.
  func save(_ made: ObservedPair) throws {
    guard let secret = made.clientSecret else {
      throw RotationError(
        .provider(.malformed), "\(name): the provider staged a pair and does not show its secret",
        hint: "allow access to consumer secrets via REST API in the provider's set-up, then rotate again")
    }
    let pair = try Pair(
      clientID: made.clientID.secret.clone(), clientSecret: secret.secret.clone(),
      registrationToken: made.registrationToken)
    let now = timing.now()
    // Found after a crash it may be older than this run: its age counts from when it was asked for.
    let asked = journal?.stagingIntended
    let handle = made.handle.isEmpty ? nil : made.handle
    var planned = credential
    let number = try planned.addStaged(handle: handle, expires: made.expires, made: asked, now: now)
    let expires = made.expires
    try record(.staged, version: number, saving: pair) { credential in
      let added = try credential.addStaged(handle: handle, expires: expires, made: asked, now: now)
      guard added == number else { throw RotationError(.held, "another run saved version \(added) meanwhile") }
    }
    pairs[number] = pair
  }

  // MARK: - Validate

  private func validate() async throws {
    let (number, pair) = try pair(in: .staged)
    try record(.intended(.validate), version: number)
    // From its staging; a clock that was set back since does not lengthen the window.
    let deadline =
      min(credential.version(number)?.created ?? timing.now(), timing.now()) + credential.policy.propagation
    var backoff = Backoff()
    while true {
      do {
        // What is asked of it besides does not hold up the end of a leak.
        let isLeak = credential.leak != nil
        let evidence = try await ask {
          isLeak ? try await self.provider.grant(pair) : try await self.provider.validate(pair)
        }
        try record(.validated, version: number, evidence.members)
        hasProved = true
        return
      } catch let error as ProviderError {
        if error.code == .refused, try await promotesRefused(number, pair, error) == true { return }
        let wait = backoff.next(timing.randomness, asked: error.retryAfter)
        let mayWait = (error.code == .refused || error.isTransient) && timing.now() + wait <= deadline && asksLeft > 0
        if mayWait {
          try await pause(wait)
          continue
        }
        // What was made by ending the old one is not given up: there would be no pair left.
        guard error.code == .refused, timing.now() + wait > deadline, provider.replacement != .cutOver else {
          try record(.postponed(.validate), version: number, error.members)
          throw RotationError(error, while: "validating version \(number)", name)
        }
        return try record(.rejected, version: number, error.members)
      }
    }
  }

  // MARK: - Promote

  private func promote() async throws {
    let (number, pair) = try pair(in: .staged)
    // The session of the old pair may end with it: what promotes must be able to finish.
    if credential.isSelfAdministered { await provider.administer(with: pair) }
    let seen = try await observe(for: .promote)
    // Looking may have taken long: law 2 wants a fresh proof when the provider is asked.
    guard isContaining || hasAgreed || journal?.machine.nextAction(now: now) == .ask(.promote) else { return }
    hasAgreed = false
    guard let staged = seen.others.first(where: { $0.matches(pair) && $0.place == .staged }) else {
      try record(.intended(.promote), version: number)
      return try await clearUp(.promote, seen)
    }
    let isProved = journal?.machine.state == .validated
    try await asking(.promote, version: number, isProved ? [:] : ["unproved": true]) {
      try await self.provider.promote(handle: staged.handle, seen)
    } record: {
      // Which of equals is primary is the vault's to say: there is nothing to look at.
      guard self.provider.replacement == .promotion else { return try self.markPromoted(number) }
      if self.provider is any OperatedProvider { return try await self.clearUpByHand() }
      // What it answers is its opinion; what is primary afterwards decides.
      try await self.clearUp(.promote)
    }
  }

  func markPromoted(_ number: UInt64) throws {
    let now = timing.now()
    try record(.promoted, version: number) { credential in try credential.promoteStaged(now: now) }
    hasPromoted = true
  }

  // MARK: - Verify

  private func verify() async throws {
    let (number, pair) = try pair(in: .active)
    var promoted = seenPromoted
    seenPromoted = nil
    try record(.intended(.verify), version: number)
    var backoff = Backoff()
    let deadline = timing.now() + credential.policy.propagation
    while true {
      do {
        let seen = if let promoted { promoted } else { try await look() }
        promoted = nil
        guard seen.primary.matches(pair) else {
          throw ProviderError(.malformed, "the primary pair is not version \(number), which was promoted")
        }
        let evidence = try await ask { try await self.provider.grant(pair) }
        return try markVerified(number, seen, evidence)
      } catch let error as ProviderError {
        let wait = backoff.next(timing.randomness, asked: error.retryAfter)
        let mayPass = error.isTransient || error.code == .refused || error.code == .malformed
        guard mayPass, timing.now() + wait <= deadline, asksLeft > 0 else {
          try record(.postponed(.verify), version: number, error.members)
          throw RotationError(error, while: "version \(number) is promoted, and not verified yet", name)
        }
        try await pause(wait)
      }
    }
  }

  private func markVerified(_ number: UInt64, _ seen: Observation, _ evidence: GrantEvidence) throws {
    let debts = credential.debts.map(\.number)
    let expiries = debts.map { debt in
      (debt, pairs[debt].flatMap { pair in seen.others.first { $0.matches(pair) }?.expires })
    }
    try record(
      .verified, version: number, evidence.members,
      graceEnds: credential.leakedDebts.isEmpty ? now + credential.policy.grace : now
    ) { credential in
      for (debt, expires) in expiries { credential.setExpiry(of: debt, expires) }
    }
    seenVerified = (seen, now)
  }

  // MARK: - Retire

  private func retire() async throws {
    let verified = takeVerified()
    let seen = if let verified { verified } else { try await observe(for: .retire) }
    let (active, activePair) = try pair(in: .active)
    guard let owed = try owedPairs(in: seen).first else {
      try record(.intended(.retire), version: credential.debts.last?.number)
      return try await clearUp(.retire, seen)
    }
    // Law 3: the old pair may be the only one left that works, whatever is called primary.
    var fields: [String: JSONValue] = ["contained": true]
    if !isContaining {
      // Looked at and granted a token a moment ago, by this run and under this lease.
      do { if verified == nil { _ = try await ask { try await self.provider.grant(activePair) } } } catch let error
        as ProviderError
      {
        return try await pauseOrThrow(error, .retire)
      }
      fields = ["accepted": .integer(Int(clamping: active))]
    }
    try await asking(.retire, version: owed.number, fields) {
      try await self.provider.delete(handle: owed.seen.handle, seen)
    } record: {
      try self.record(.deleted, version: owed.number)
    }
  }

  /// What this run saw when it verified the active pair, or found it promoted under containment, if that was a moment ago and
  /// a leak is to be ended: each round trip counts. Once.
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
  /// then nothing may be deleted, whatever the slot says.
  func owedPairs(in seen: Observation) throws -> [(number: UInt64, seen: ObservedPair)] {
    try requireActivePrimary(seen, "nothing is deleted")
    return credential.debts.compactMap { debt in
      // Recognised by its key, whatever state the provider shows it in.
      guard let pair = pairs[debt.number], let other = seen.others.first(where: { $0.matches(pair) }) else {
        return nil
      }
      return (debt.number, other)
    }
  }

  /// Fails unless the provider's primary pair is the active one: otherwise someone else is at work there, and what looks
  /// superfluous may be the last pair that is accepted.
  func requireActivePrimary(_ seen: Observation, _ consequence: String) throws {
    let (active, pair) = try pair(in: .active)
    guard seen.primary.matches(pair) else {
      throw RotationError(
        .foreignPrimary,
        "\(name): the provider's primary pair is not version \(active), the active one, \(seen.whereabouts(of: pair)); \(consequence)",
        hint:
          "someone rotated it elsewhere: make version \(active) primary again, or take the new pair over: `relatch adopt \(name)`"
      )
    }
  }

  // MARK: - Prove

  /// Refused old, accepted new, refused old again: a proxy or an outage that refuses everything proves nothing.
  private func prove() async throws {
    let (active, activePair) = try pair(in: .active)
    let debts = credential.debts.map(\.number)
    try record(.intended(.prove), version: debts.last)
    var backoff = Backoff()
    let deadline = timing.now() + min(credential.policy.propagation, .seconds(60))
    while true {
      do {
        var refusals: [JSONValue] = []
        for debt in debts {
          guard let old = pairs[debt] else {
            throw RotationError(.corruptJournal, "\(name): the pair of version \(debt), which is owed, is missing")
          }
          let first = try await refusal(of: old)
          _ = try await ask { try await self.provider.grant(activePair) }
          guard let first, let second = try await refusal(of: old) else { throw StillAccepted(version: debt) }
          refusals.append(
            .object([
              "answers": .array([first, second].map { .string($0.description) }),
              "status": .integer(second.status ?? 0), "version": .integer(Int(clamping: debt)),
            ]))
        }
        let now = timing.now()
        return try record(
          .refused, version: debts.last, ["accepted": .integer(Int(clamping: active)), "refused": .array(refusals)]
        ) { credential in
          for debt in debts { try credential.retire(debt, now: now) }
        }
      } catch let error as StillAccepted {
        if try await isBack(error.version) { return }
        let wait = backoff.next(timing.randomness)
        if timing.now() + wait <= deadline, asksLeft > 0 {
          try await pause(wait)
          continue
        }
        try record(.postponed(.prove), version: error.version, ["reason": "still-accepted"])
        isStillAccepted = true
        return
      } catch let error as ProviderError {
        let wait = backoff.next(timing.randomness, asked: error.retryAfter)
        if !error.outlastsRun, timing.now() + wait <= deadline, asksLeft > 0 {
          try await pause(wait)
          continue
        }
        try record(.postponed(.prove), version: debts.last, error.members)
        throw RotationError(error, while: "the replaced pair is deleted, and not seen to be refused yet", name)
      }
    }
  }

  private struct StillAccepted: Error { let version: UInt64 }

  /// Whether the provider still has the pair that it said it deleted. If so the deletion did not happen after all.
  private func isBack(_ version: UInt64) async throws -> Bool {
    guard try await !owedPairs(in: observe(for: .prove)).isEmpty else { return false }
    try await didNotHappen(.retire, version: version, "still-there")
    return true
  }

  /// How the provider refuses `pair`; nil if it accepts it. Other trouble is thrown: it says nothing about the pair.
  private func refusal(of pair: Pair) async throws -> ProviderError? {
    do {
      _ = try await ask { try await self.provider.grant(pair) }
      return nil
    } catch let error as ProviderError where error.code == .refused {
      return error
    }
  }

  // MARK: - Discard

  private func discard() async throws {
    let (number, pair) = try pair(in: .staged)
    let seen = try await observe(for: .discard)
    guard let staged = seen.others.first(where: { $0.matches(pair) }), !seen.primary.matches(pair) else {
      try record(.intended(.discard), version: number)
      return try await clearUp(.discard, seen)
    }
    try requireActivePrimary(seen, "nothing is deleted")
    try await asking(.discard, version: number) {
      try await self.provider.delete(handle: staged.handle, seen)
    } record: {
      // What is gone afterwards decides: a pair forgotten here would hold the slot as a stranger's.
      try await self.clearUp(.discard)
    }
  }

  /// Law 5: a pair that could have been used is not forgotten because it is deleted. It never was in use, and it is seen to
  /// be gone: one refusal will do, and it does not take an active pair that is accepted.
  func refusalOfDiscarded(_ number: UInt64, _ pair: Pair) async throws -> ProviderError {
    var backoff = Backoff()
    let deadline = timing.now() + min(credential.policy.propagation, .seconds(60))
    while true {
      let trouble: ProviderError?
      do {
        if let refusal = try await refusal(of: pair) { return refusal }
        trouble = nil
      } catch let error as ProviderError { trouble = error }
      let wait = backoff.next(timing.randomness, asked: trouble?.retryAfter)
      guard timing.now() + wait <= deadline, asksLeft > 0 else {
        try record(.postponed(.discard), version: number, trouble?.members ?? ["reason": "still-accepted"])
        let seen = trouble.map { "not seen to be refused yet: \($0)" } ?? "still accepted"
        throw RotationError(
          .outstanding, "\(name): version \(number) was given up and is deleted, and \(seen)",
          hint: trouble?.hint ?? "nothing is lost: `relatch resume \(name)` tries it again")
      }
      try await pause(wait)
    }
  }

  func markDiscarded(_ number: UInt64, refusedAs refusal: ProviderError) throws {
    let now = timing.now()
    try record(.discarded, version: number, refusal.members) { credential in
      try credential.retire(number, now: now)
    }
  }
}

extension GrantEvidence {
  var members: [String: JSONValue] {
    var members: [String: JSONValue] = ["signature": .string(signature.rawValue), "status": .integer(status)]
    if let probe { members["probe"] = .integer(probe) }
    return members
  }
}

extension ProviderError {
  var members: [String: JSONValue] {
    var members: [String: JSONValue] = ["reason": .string(code.rawValue), "detail": .string(description)]
    if let status { members["status"] = .integer(status) }
    if let retryAfter { members["retry_after"] = .integer(Int(clamping: retryAfter.components.seconds)) }
    return members
  }
}
