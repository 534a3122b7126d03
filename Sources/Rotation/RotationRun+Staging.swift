import Audit
import JSON
import Sodium
import Vault

// The new pair: making room for it, requesting it, and saving it before anything else.
extension RotationRun {
  func stage() async throws {
    // A leak does not wait for hooks.
    if credential.leak == nil { try await runHooksBefore() }
    let seen = try await seeNeighbours(beside: observe(for: .stage))
    guard let active = pairs[activeNumber] else {
      throw RotationError(.corruptJournal, "\(name): the active pair is missing")
    }
    // A pair to be cut off is no obstacle: it is deleted under the intent to stage. Another credential's pair stays.
    let slot = RotationSlot(seen.only { neighbour($0) == nil }, known: pairs)
    let left = seen.only { !mayCutOff($0) && !endsAutomatically($0) && !isLeftInPlace($0) }
    if let obstacle = obstacle(ofNeighbours: left.others)
      ?? StagingObstacle(primaryOf: seen, active: active, number: activeNumber)
      ?? StagingObstacle(RotationSlot(left, known: pairs), of: name)
    {
      throw obstacle.error(of: name)
    }
    var fields: [String: JSONValue] = [:]
    let passed = seen.others.filter(isLeftInPlace).compactMap { neighbour($0)?.credential }
    if !passed.isEmpty { fields["left"] = .array(passed.map { .string($0) }) }
    let cutOff = seen.others.filter { $0.place != .expired && mayCutOff($0) }
    if slot != .free, !cutOff.isEmpty {
      fields["cut_off"] = .string(slot.word)
      let found = cutOff.filter { !isOurs($0) }
      if !found.isEmpty { fields["found"] = .array(found.map { .object($0.traces) }) }
    }
    try await requireEndsNothingInUse(cutOff + seen.others.filter(endsAutomatically))
    // Law 3: a pair of ours that should have been deleted before may be the only one that works.
    let endsOld = cutOff.contains { isOurs($0) && !isGivenUp($0) } || seen.others.contains(where: endsAutomatically)
    let isUnrequested = !replacesPrevious && credential.leak == nil
    if !isContaining, endsOld || isUnrequested && mayEndUnproved {
      do {
        let asked = timing.now()
        let evidence = try await ask { try await self.provider.grant(active) }
        // A grace that nobody ended must be over by both clocks.
        if endsOld, isUnrequested, let replaced = credential.debts.map(\.since).max() {
          try ClockDifference.check(
            evidence, isAfter: replaced + credential.policy.grace, asked: asked, answered: timing.now())
        }
      } catch let error as ProviderError {
        guard error.code == .refused else { return try await pauseOrThrow(error, .stage) }
        throw activeRefused(endsOld: endsOld)
      }
      seenHere.insert(activeNumber)
      if endsOld { fields["accepted"] = .integer(Int(clamping: activeNumber)) }
    }
    // The obstacles would have said so if another pair were primary; with `endsActiveFirst` only if its secret is shown.
    if !provider.endsActiveFirst || seen.primary.clientSecret != nil && seen.primary.matches(active) {
      seenHere.insert(activeNumber)
    }
    let name = name
    let reaching =
      credential.leak == nil ? [] : try await runner.vault.read { $0.leakedAdministrators(of: name) }
    if !reaching.isEmpty { fields["reached_by"] = .array(reaching.sorted().map { .string($0) }) }
    try await asking(.stage, endsOld: endsOld && isUnrequested, reachedBy: reaching, fields) {
      // The deletions took time: a run that lost its lease meanwhile must not stage.
      if try await self.clearSlot(seen) { try await self.keepAlive() }
      return try await self.provider.stage(seen)
    } record: { made in
      // The machine then looks at the slot, and removes what cannot be used.
      guard self.isFit(made) else { return try self.record(.lost(.stage), ["reason": "unfit"]) }
      if let number = self.known(as: made) {
        self.lastAsked = (.stage, self.answerWasKnownPair(number))
        return try self.record(.lost(.stage), ["reason": "known"])
      }
      try self.save(made)
    }
  }

  /// The version with the same client identifier and secret as `made`, which should have been another pair. A request
  /// that ends the old pair may have changed only the token that manages the client: without that nobody could manage
  /// it any more, so `made` is saved.
  private func known(as made: ObservedPair) -> UInt64? {
    pairs.first { _, pair in
      guard let secret = made.clientSecret, made.clientID.secret.isEqual(to: pair.clientID),
        secret.secret.isEqual(to: pair.clientSecret)
      else { return false }
      guard provider.replacement == .cutOver, let token = made.registrationToken else { return true }
      return pair.registrationToken.map { token.secret.isEqual(to: $0.secret) } ?? false
    }?.key
  }

  /// The error for that answer unless another pair is found. If the old pair ends, what is shown may be old for a
  /// while.
  private func answerWasKnownPair(_ number: UInt64) -> ProviderError {
    ProviderError(
      provider.replacement == .cutOver ? .malformed : .configuration,
      "asked for a new pair, the provider answered with that of version \(number)",
      hint:
        "check at the provider whether it makes a second pair at all; a cache on the way may be answering instead",
      mayHaveActed: true)
  }

  /// Whether the active pair ends as the new one is made, without having been seen to be accepted. If it is refused
  /// now, the new one may be refused as well, or somebody else has set another that is in use. A pair that has ended
  /// automatically, or by an earlier request to stage, is refused for that reason, and does not count.
  private var mayEndUnproved: Bool {
    let end = credential.version(in: .active)?.expires
    return provider.replacement == .cutOver && journal?.stagingIntended == nil && end.map { $0 > timing.now() } ?? true
  }

  private func activeRefused(endsOld: Bool) -> RotationError {
    let refused = "\(name): version \(activeNumber), the active one, is refused"
    guard endsOld else {
      return RotationError(
        .provider(.refused), refused + ": it is not ended, because a new one may be refused as well",
        hint:
          "`relatch doctor \(name)` checks the set-up, `relatch adopt --stdin \(name)` takes over a pair that is in use;"
          + " `relatch rotate --replace-previous \(name)` replaces it anyway")
    }
    return RotationError(
      .provider(.refused), refused + ": the replaced pair in the slot is not deleted",
      hint: credential.leak == nil
        ? "it may be the only one that works: `relatch plan \(name)` checks both"
        : "`relatch revoke \(name) --contain --reason TEXT` deletes it anyway: for a while, no pair may be accepted")
  }

  /// Clears the slot: an expired pair occupies it and is of use to nobody; a replaced pair is cut off if a person said
  /// so. Returns whether anything had to be deleted.
  private func clearSlot(_ seen: Observation) async throws -> Bool {
    var hasDeleted = false
    var missed: [ObservedPair] = []
    var latest = seen
    for other in seen.others where !other.handle.isEmpty && mayCutOff(other) {
      // Another run may have saved it since: it is in use there before long.
      if isForeign(other) {
        latest = try await seeNeighbours(beside: latest, isAgain: true)
        guard let now = latest.others.first(where: { $0.handle == other.handle }), mayCutOff(now) else { continue }
      }
      hasDeleted = true
      try await keepLease()
      do { try await provider.delete(handle: other.handle, seen) } catch {
        guard error.code == .notFound else { throw error }
        if isForeign(other) { missed.append(other) }
        continue
      }
      if isForeign(other) { try await logCutOff(other, cutOffReason) }
    }
    if !missed.isEmpty { try await noteUnfound(missed) }
    return hasDeleted
  }

  private var cutOffReason: String { credential.leak == nil ? "replace-previous" : "leak" }

  /// Logs which of `missed`, strangers' pairs that the provider did not find, it lists nevertheless: such a one may only
  /// be unknown yet to the server that was asked. What is urgent does not wait for it; `cutOffUnfound` tries again.
  private func noteUnfound(_ missed: [ObservedPair]) async throws {
    for other in try await look().others
    where unfound[other.handle] == nil && isForeign(other) && missed.contains(where: { $0.handle == other.handle }) {
      try await logForeign(.pairNotCutOff, other, cutOffReason)
      unfound[other.handle] = cutOffReason
    }
  }

  /// Tries again to delete the pairs that were not found before, a few times. Returns `outstanding` if one is still
  /// listed, or nobody can see whether it is.
  func cutOffUnfound() async throws -> RotationError? {
    while let first = unfound.keys.min() {
      var trouble: ProviderError?
      do {
        let seen = try await seeNeighbours(beside: look())
        let left = seen.others.filter { unfound[$0.handle] != nil && isForeign($0) && neighbour($0) == nil }
        unfound = unfound.filter { handle, _ in left.contains { $0.handle == handle } }
        for other in left {
          guard let reason = unfound[other.handle] else { continue }
          do { try await ask { try await self.provider.delete(handle: other.handle, seen) } } catch let error
            as ProviderError where error.code == .notFound
          { continue }
          try await logCutOff(other, reason)
        }
      } catch let error as ProviderError { trouble = error } catch let error as RotationError {
        throw error.outstanding(hint: "nothing is lost: version \(activeNumber) is active")
      }
      guard !unfound.isEmpty else { return nil }
      guard trouble?.isTransient ?? true, try await retry(after: trouble?.retryAfter) else {
        return RotationError(
          .outstanding,
          "\(name): version \(activeNumber) is active, but a pair that this vault does not have (\(first)) may be accepted:"
            + " the provider lists it, and answers that there is none when it is to be deleted",
          hint: "delete it on the provider's page; `relatch log list` says what it is")
      }
    }
    return nil
  }

  /// Logs that a pair was deleted which the vault does not have: it may be the trace of whoever made it.
  func logCutOff(_ other: ObservedPair, _ reason: String) async throws {
    try await logForeign(.pairCutOff, other, reason)
    unfound[other.handle] = nil
  }

  private func logForeign(_ event: EventName, _ other: ObservedPair, _ reason: String) async throws {
    let now = now
    let name = name
    let fields = other.traces.merging(["reason": .string(reason)]) { $1 }
    credential = try await change(now: now) { change, credential in
      try change.log(event, about: name, fields)
      return credential
    }
    report(event.text, version: nil, at: now)
  }

  func isOurs(_ other: ObservedPair) -> Bool { pairs.values.contains { other.matches($0) } }

  /// Whether `other` is one of ours that was replaced by an earlier rotation, and no longer has to be left alone.
  private func isOverdue(_ other: ObservedPair) -> Bool {
    guard let number = pairs.first(where: { other.matches($0.value) })?.key else { return false }
    if replacesPrevious { return true }
    guard let debt = credential.debts.first(where: { $0.number == number }) else { return false }
    return debt.since + credential.policy.grace <= now && credential.undelivered.isEmpty
  }

  /// Whether `other` is one of ours that is staged at the provider, and owed here.
  private func isGivenUp(_ other: ObservedPair) -> Bool {
    other.place == .staged && credential.debts.contains { pairs[$0.number].map(other.matches) == true }
  }

  /// Whether `other` is a replaced pair that ends as the new one is made.
  private func endsAutomatically(_ other: ObservedPair) -> Bool {
    provider.replacement == .cutOver && other.place == .replaced && isOverdue(other)
  }

  /// Whether `other` is another credential's and is left in place because a leak is being ended. Without that urgency
  /// it is an obstacle, because a pair that the other makes meanwhile could be taken for the one requested here.
  private func isLeftInPlace(_ other: ObservedPair) -> Bool {
    credential.leak != nil && neighbour(other) != nil
  }

  /// Whether `other`, which is in the slot, may be deleted to make room. A pair of the vault's is there because it was
  /// not deleted when it was retired, or could not be retired: it stays a debt until it is refused.
  private func mayCutOff(_ other: ObservedPair) -> Bool {
    if other.place == .expired { return true }
    let isOurs = isOurs(other)
    if other.isOrphaned, !isOurs { return true }
    guard neighbour(other) == nil else { return false }
    switch other.place {
    case .replaced where isOurs: return isOverdue(other) && provider.replacement != .cutOver
    case .replaced: return replacesPrevious || credential.leak != nil
    // Anyone who knows an administrator's pair may have staged it, to hold the slot. A pair that was given up and
    // leaked was seen to be gone.
    case .staged: return credential.leak != nil && (!isOurs || isGivenUp(other))
    case .primary, .expired: return false
    }
  }

  /// Whether `made` can be saved and used: its secret is shown, and both parts are what a pair may hold.
  func isFit(_ made: ObservedPair) -> Bool {
    guard let secret = made.clientSecret else { return false }
    do {
      try Pair.check(made.clientID.secret, "the staged client_id")
      try Pair.check(secret.secret, "the staged client_secret")
      if let token = made.registrationToken {
        try Pair.check(token: token.secret, "the staged registration_access_token")
      }
      return true
    } catch { return false }
  }

  /// Law 1: the new pair is durable here before anything makes it primary there.
  func save(_ made: ObservedPair) throws {
    guard let secret = made.clientSecret else {
      throw RotationError(
        .provider(.malformed), "\(name): the provider staged a pair but does not show its secret",
        hint: "allow access to consumer secrets via REST API in the provider's set-up, then rotate again")
    }
    let pair = try Pair(
      clientID: made.clientID.secret.clone(), clientSecret: secret.secret.clone(),
      registrationToken: made.registrationToken)
    let now = timing.now()
    // A pair found after a crash may be older than this run: its age counts from when it was requested.
    let asked = journal?.stagingIntended
    let handle = made.handle.isEmpty ? nil : made.handle
    var planned = credential
    let number = try planned.addStaged(handle: handle, expires: made.expires, made: asked, now: now)
    let expires = made.expires
    let seenHere = seenHere
    try record(.staged, version: number, saving: pair) { credential in
      credential.noteHere(seenHere)
      let added = try credential.addStaged(handle: handle, expires: expires, made: asked, now: now)
      guard added == number else { throw RotationError(.held, "another run saved version \(added) meanwhile") }
    }
    pairs[number] = pair
  }
}

extension Observation {
  /// The same, with only those of the others that `isLeft` accepts.
  fileprivate func only(_ isLeft: (ObservedPair) -> Bool) -> Observation {
    Observation(consumer: consumer, primary: primary, others: others.filter(isLeft), time: time)
  }
}
