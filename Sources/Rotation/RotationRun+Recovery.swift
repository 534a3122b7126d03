import JSON
import Sodium
import Vault

// Asking, and finding out. A lost answer is a state of its own: what happened is read from the provider, never guessed.
extension RotationRun {
  /// Counts one request against the run's budget.
  func ask<Answer: Sendable>(_ request: () async throws -> Answer) async throws -> Answer {
    guard asksLeft > 0 else {
      throw RotationError(
        .unresolved, "\(name): the provider was asked too often in one run",
        hint: "nothing is lost: run the same command again later")
    }
    asksLeft -= 1
    return try await request()
  }

  /// Journals the intent, asks, and journals the outcome. A lost answer is journalled as lost; the machine then observes.
  func asking<Answer: Sendable>(
    _ step: RotationStep, version: UInt64? = nil, _ request: () async throws -> Answer,
    record outcome: (Answer) async throws -> Void
  ) async throws {
    try await record(.intended(step), version: version)
    let answer: Answer
    do {
      answer = try await ask(request)
    } catch let error as ProviderError where error.mayHaveActed {
      return try await record(.lost(step), version: version, error.members)
    } catch let error as ProviderError where error.code == .notFound && step != .stage {
      // What we just saw is gone: look again before concluding anything.
      return try await record(.lost(step), version: version, error.members)
    } catch let error as ProviderError {
      try await record(.postponed(step), version: version, error.members)
      try await pauseOrThrow(error, step)
      return
    }
    try await outcome(answer)
  }

  /// A request whose failure to act does no harm here: the slot is looked at again by what follows.
  func quietly(_ step: RotationStep, _ request: () async throws -> Void) async throws {
    do { try await ask(request) } catch let error as ProviderError where error.code != .notFound {
      throw RotationError(error, while: step.rawValue, name)
    } catch is ProviderError {}
  }

  /// Waits before a step is asked again, if its failure may pass and this run has patience left; throws otherwise.
  private func pauseOrThrow(_ error: ProviderError, _ step: RotationStep) async throws {
    guard error.isTransient, retriesLeft > 0 else { throw RotationError(error, while: step.rawValue, name) }
    retriesLeft -= 1
    try await pause(transientBackoff.next(timing.randomness, asked: error.retryAfter))
  }

  /// Looks at the provider, asking again a few times if it is in trouble.
  func observe(for step: RotationStep) async throws -> Observation {
    while true {
      do {
        return try await ask { try await self.provider.observe(known: Array(self.pairs.values)) }
      } catch let error as ProviderError {
        try await pauseOrThrow(error, step)
      }
    }
  }

  /// Finds out what became of `step`, whose outcome is unknown, and journals it.
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
      throw RotationError(.unresolved, "\(name): \(step.rawValue) changes nothing that could be cleared up")
    }
  }

  /// The slot was seen free before staging was asked for, under this lease: a staged pair in it is the one we asked for.
  private func clearUpStage(_ seen: Observation) async throws {
    guard
      let made = seen.others.first(where: { other in
        other.place == .staged && !pairs.values.contains { other.matches($0) }
      })
    else { return try await record(.postponed(.stage), ["reason": "not-found"]) }
    if made.clientSecret == nil {
      // A pair nobody can know is worth nothing: remove it, and stage another.
      try await quietly(.stage) { try await self.provider.delete(handle: made.handle, seen) }
      return try await record(.postponed(.stage), ["reason": "secret-not-shown"])
    }
    try await save(made)
  }

  private func clearUpPromote(_ seen: Observation) async throws {
    let (number, pair) = try pair(in: .staged)
    if seen.primary.matches(pair) { return try await markPromoted(number) }
    guard seen.others.contains(where: { $0.matches(pair) && $0.place == .staged }) else {
      return try await record(.rejected, version: number, ["reason": "not-found"])
    }
    try await record(.postponed(.promote), version: number, ["reason": "not-primary"])
  }

  private func clearUpRetire(_ seen: Observation) async throws {
    let number = credential.debts.last?.number
    guard try owedPairs(in: seen).isEmpty else {
      return try await record(.postponed(.retire), version: number, ["reason": "still-there"])
    }
    try await record(.deleted, version: number)
  }

  private func clearUpDiscard(_ seen: Observation) async throws {
    let (number, pair) = try pair(in: .staged)
    guard !seen.primary.matches(pair) else {
      throw RotationError(
        .foreignPrimary, "\(name): version \(number) was given up, and is the provider's primary pair",
        hint: "someone promoted it elsewhere: its pair is `relatch read \(name) --stage staged`")
    }
    guard !seen.others.contains(where: { $0.matches(pair) }) else {
      return try await record(.postponed(.discard), version: number, ["reason": "still-there"])
    }
    try await markDiscarded(number)
  }
}
