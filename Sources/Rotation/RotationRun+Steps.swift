import Audit
import JSON
import Vault

// What each step asks of the provider, and what the answers mean; here the steps that bring the saved pair into force.
// The order within a step is always: look, journal the intent, ask, journal the outcome.
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

  /// How long a new pair may be refused. A record from before there was a maximum may say more; and a leak waits an hour
  /// at most, after which another pair is tried, or a person is told that none is accepted.
  var propagation: Duration {
    min(credential.policy.propagation, credential.leak == nil ? Policy.maximumPropagation : .seconds(3600))
  }

  // MARK: - Validate

  private func validate() async throws {
    let (number, pair) = try pair(in: .staged)
    try record(.intended(.validate), version: number)
    // The window counts from staging. A clock that was set back since does not lengthen it.
    var patience = Patience(
      until: min(credential.version(number)?.created ?? timing.now(), timing.now()) + propagation)
    while true {
      do {
        // The additional checks do not delay the end of a leak.
        let isLeak = credential.leak != nil
        let asked = timing.now()
        let evidence = try await ask {
          isLeak ? try await self.provider.grant(pair) : try await self.provider.validate(pair)
        }
        // Ages and graces count from the times journalled next. Where the old pair is still in use, waiting loses
        // nothing.
        if !isLeak, provider.replacement != .cutOver, journal?.isAdopted != true {
          try ClockDifference.check(evidence, asked: asked, answered: timing.now())
        }
        try record(.validated, version: number, evidence.members)
        hasProved = true
        return
      } catch let error as ProviderError {
        if error.code == .refused, try await shouldPromoteRefused(number, pair, error) == true { return }
        if try await waitOut(error) { continue }
        let wait = patience.next(timing, asked: error.retryAfter)
        if error.code == .refused, let wait, asksLeft > 0 {
          try await pause(wait)
          continue
        }
        // A pair whose making ended the old one is not given up: no pair would be left. Neither is a pair that a person
        // says is in use.
        let mayGiveUp = provider.replacement != .cutOver && journal?.isAdopted != true
        guard error.code == .refused, wait == nil, mayGiveUp else {
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
    // The session of the old pair may end with that pair: the pair that promotes must be able to finish.
    if credential.isSelfAdministered { await provider.administer(with: pair) }
    let seen = try await observe(for: .promote)
    // Looking may have taken long. Law 2 requires a fresh proof when the provider is asked.
    guard isContaining || hasAgreed || journal?.machine.nextAction(now: now) == .ask(.promote) else { return }
    hasAgreed = false
    let proof = proofOfStaged
    guard let staged = seen.others.first(where: { $0.matches(pair) && $0.place == .staged }) else {
      try record(.intended(.promote), version: number, proof)
      // Where the provider calls none primary, it is the only pair left. Containment does not wait for its proof.
      if isContaining, provider.replacement != .promotion, seen.primary.matches(pair) {
        try markPromoted(number)
        seenPromoted = seen
        return
      }
      return try await clearUp(.promote, seen)
    }
    try await asking(.promote, version: number, proof) {
      try await self.provider.promote(handle: staged.handle, seen)
    } record: {
      // Among equals the vault decides which is primary: there is nothing to look at.
      guard self.provider.replacement == .promotion else { return try self.markPromoted(number) }
      if self.provider is any OperatedProvider { return try await self.clearUpManualPromotion() }
      // The provider's answer proves nothing; what is primary afterwards decides.
      try await self.clearUp(.promote)
    }
  }

  /// What the intent to promote records about the proof of the staged pair: `unproved` if there is none.
  var proofOfStaged: [String: JSONValue] { journal?.machine.state == .validated ? [:] : ["unproved": true] }

  func markPromoted(_ number: UInt64) throws {
    let now = timing.now()
    // A staged pair may have an end that it loses once it is primary. Where none is called primary, its end does not
    // change.
    let stillEnds = provider.replacement != .promotion
    try record(.promoted, version: number) { credential in
      try credential.promoteStaged(stillEnds: stillEnds, now: now)
    }
    hasPromoted = true
  }

  // MARK: - Verify

  private func verify() async throws {
    let (number, pair) = try pair(in: .active)
    var promoted = seenPromoted
    seenPromoted = nil
    try record(.intended(.verify), version: number)
    var patience = Patience(until: timing.now() + propagation)
    while true {
      do {
        let seen = if let promoted { promoted } else { try await look() }
        promoted = nil
        guard seen.primary.matches(pair) else {
          throw ProviderError(.malformed, "the primary pair is not version \(number), which was promoted")
        }
        return try markVerified(number, seen, try await grantAnew(pair))
      } catch let error as ProviderError {
        if try await waitOut(error) { continue }
        // A pair that was just promoted may not be shown yet.
        let isNotShown = error.code == .refused || error.code == .malformed || error.step == .primary
        guard isNotShown, let wait = patience.next(timing, asked: error.retryAfter), asksLeft > 0 else {
          try record(.postponed(.verify), version: number, error.members)
          throw RotationError(error, while: "version \(number) is promoted, but not verified yet", name)
        }
        try await pause(wait)
      }
    }
  }

  /// Asks for fresh tokens with `pair` over new connections, and returns what the last one showed. The connection that
  /// made and proved it may lead to the one server of many that has heard of it. Where all pairs are accepted alike,
  /// nobody else is asked before the old one is ended, so three must grant it in a row.
  private func grantAnew(_ pair: Pair) async throws -> GrantEvidence {
    let count = provider.replacement == .overlap ? 3 : 1
    for _ in 1..<count { _ = try await ask { try await self.provider.grant(pair, overNewConnection: true) } }
    return try await ask { try await self.provider.grant(pair, overNewConnection: true) }
  }

  private func markVerified(_ number: UInt64, _ seen: Observation, _ evidence: GrantEvidence) throws {
    let debts = credential.debts.map(\.number)
    let expiries = debts.map { debt in
      (debt, pairs[debt].flatMap { pair in seen.others.first { $0.matches(pair) }?.expires })
    }
    let end = seen.primary.expires
    // Counted from the clock, not from the last step: if a clock that was far ahead dated that, the grace would never
    // end.
    let clock = timing.now()
    var graceEnds = clock + (credential.leakedDebts.isEmpty ? credential.policy.grace : .zero)
    // The next rotation waits for the grace, so that must leave time for it before this pair ends: from when it is due,
    // or half of what is left where that has passed. An end that has passed cannot be true of a pair that was accepted.
    if let active = credential.version(number), let end = end ?? active.expires, end > clock {
      let half = clock + .milliseconds((end.milliseconds - clock.milliseconds) / 2)
      graceEnds = min(graceEnds, max(active.limit(endingAt: end), half))
    }
    try record(
      .verified, version: number, evidence.members,
      graceEnds: graceEnds
    ) { credential in
      credential.noteHere([number])
      for (debt, expires) in expiries { credential.setExpiry(of: debt, expires) }
      if let end { credential.setExpiry(of: number, end) }
    }
    seenVerified = (seen, now)
  }
}
