import Audit
import JSON
import Sodium
package import Vault

/// A pair that a person says is the provider's primary one.
package final class OfferedPair: Hashable, Sendable {
  let pair: Pair

  package init(_ pair: Pair) { self.pair = pair }

  package static func == (left: OfferedPair, right: OfferedPair) -> Bool { left === right }

  package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

// A primary pair that the vault does not know is taken over because a person says so. It is a rotation whose pair
// someone else has made and promoted. As always, the pair is saved, proved and seen to be primary, and the one it
// replaced is owed.
extension RotationRun {
  /// Makes the provider's primary pair the active one. It is read from the provider, unless it is `offered`.
  ///
  /// A pair that was given up here and is not removed yet is saved again. Nothing is journalled before the pair was
  /// granted a token. Throws `foreignPrimary` if the vault already has the pair, or if it is not the one offered;
  /// `nothingUnfinished` if it is the active one; `held` if a rotation is under way whose pair is there. Where a
  /// provider accepts several pairs alike, the offered one is taken over from beside the active one. While a leak is
  /// noted, the adopted pair counts as leaked and is then replaced.
  func adopt(_ offered: OfferedPair?) async throws -> RotationOutcome {
    try await openPairs()
    if credential.isSelfAdministered, let offered { await provider.administer(with: offered.pair) }
    // If staging ended the old pair, the offered one would otherwise count as staged too, and the active one as
    // primary.
    let stage = provider.replacement == .cutOver ? Stage.previous : .staged
    let own = KnownPairs(of: credential, pairs, isStaging: false).adopting()
    let known = offered.map { own.adding(KnownPairs.Known($0.pair, in: stage)) } ?? own
    let seen: Observation
    do { seen = try await ask { try await self.provider.observe(known: known) } } catch let error as ProviderError {
      throw RotationError(
        .provider(error.code), "\(name): adopting the primary pair: \(error)",
        hint: error.hint ?? "`relatch adopt \(name) --stdin` takes the pair from standard input",
        retryAfter: error.retryAfter)
    }
    let givenUp = givenUp(in: seen, offered)
    // From here on it is treated like a stranger's.
    if let givenUp { pairs[givenUp] = nil }
    let made: ObservedPair
    if let offered, let beside = try await accepted(offered, beside: seen) {
      made = beside
    } else {
      // Offering a pair other than the primary one does not say that nothing came after the backup.
      let isPrimary = offered.map { seen.primary.matches($0.pair) } ?? true
      if isPrimary { try await reconcileAdopting(seen) }
      if !isPrimary, credential.version(in: .staged) == nil, pairs[activeNumber].map(seen.primary.matches) == true {
        throw isNotPrimary
      }
      if isPrimary, credential.isActiveLeaked, credential.version(in: .staged) == nil,
        pairs[activeNumber].map(seen.primary.matches) == true
      {
        // It was adopted before, and what came after that failed.
        return try await endLeak()
      }
      try requireForeign(seen)
      if givenUp == nil { try requireSuperseded(seen) }
      made = try await primary(seen, offered)
    }
    try await requireNoNeighbours(made, beside: seen)
    let pair = try Pair(clientID: made.clientID.secret.clone(), clientSecret: secret(of: made))
    try await requireNobodyHas(pair)
    do { _ = try await ask { try await self.provider.grant(pair) } } catch let error as ProviderError {
      throw RotationError(error, while: "adopting the primary pair", name)
    }
    if let givenUp { try endAsAdopted(givenUp) } else { try await giveUpSuperseded() }
    if credential.leak != nil { try await noteAdopted() }
    isAdopting = true
    try await begin()
    try record(.intended(.stage), ["reason": RotationJournal.adopted])
    try save(made)
    let outcome = try await drive(retiringNow: false)
    if offered != nil { try await reconcileAdopted(made) }
    // It counts as leaked itself, and is replaced like any other.
    guard credential.leak != nil else { return outcome }
    isAdopting = false
    do { return try await endLeak() } catch let error as RotationError {
      throw error.outstanding(hint: "it is adopted and counts as leaked: `relatch resume \(name)` replaces it")
    }
  }

  /// Counts the version that is about to be adopted as leaked: whoever has the leaked pair may have made this one.
  private func noteAdopted() async throws {
    let now = timing.now()
    credential = try await change(now: now) { change, credential in
      guard let leak = credential.leak else { return credential }
      let version = (credential.versions.last?.number ?? 0) + 1
      credential.noteLeak(incident: leak.incident, version: version, now: now)
      return try change.save(
        credential, .credentialLeaked,
        [
          "containment": false, "incident": .string(leak.incident),
          "reason": "adopted while a leak stands: nobody knows who else has it",
          "version": .integer(Int(clamping: version)),
        ])
    }
    report(EventName.credentialLeaked.text, version: credential.leak?.version, at: now)
  }

  /// Throws `held` if a pair is staged here that is still at the provider, beside a primary one that is none of ours.
  private func requireSuperseded(_ seen: Observation) throws {
    guard credential.version(in: .staged) != nil else { return }
    let (number, pair) = try pair(in: .staged)
    guard let other = seen.others.first(where: { $0.matches(pair) }) else { return }
    throw RotationError(
      .held,
      "\(name): a rotation is under way, and its version \(number) is still \(other.place == .staged ? "staged" : "accepted")"
        + " at the provider, though neither it nor the active one is primary; nothing is adopted while it is there",
      hint: "delete that pair at the provider, then run this again")
  }

  /// Gives up a staged pair that is nowhere at the provider, once it is refused: another was made primary after it.
  private func giveUpSuperseded() async throws {
    guard credential.version(in: .staged) != nil else { return }
    let (number, pair) = try pair(in: .staged)
    switch journal?.machine.state {
    case .staged, .validated: try record(.abandoned, version: number)
    case .validating:
      try record(.postponed(.validate), version: number, ["reason": "not-found"])
      try record(.abandoned, version: number)
    case .promoting: try record(.rejected, version: number, ["reason": "not-found"])
    default: break
    }
    if journal?.machine.state == .rejected { try record(.intended(.discard), version: number) }
    try await markDiscarded(number, pair)
  }

  /// The staged version that was given up, if a person now says that it is in use: it is primary there, or is the one
  /// `offered`.
  private func givenUp(in seen: Observation, _ offered: OfferedPair?) -> UInt64? {
    guard journal?.machine.state == .rejected || journal?.machine.state == .discarding,
      let number = credential.version(in: .staged)?.number, let pair = pairs[number]
    else { return nil }
    if seen.primary.matches(pair) { return number }
    guard let offered, let other = seen.others.first(where: { $0.matches(pair) }) else { return nil }
    return other.matches(offered.pair) ? number : nil
  }

  /// Ends the rotation of a pair that was given up and is taken over as another version. Nothing is asked of the
  /// provider.
  private func endAsAdopted(_ number: UInt64) throws {
    if journal?.machine.state == .rejected { try record(.intended(.discard), version: number) }
    let now = timing.now()
    try record(.discarded, version: number, ["reason": RotationJournal.adopted]) { credential in
      try credential.retire(number, now: now)
    }
  }

  private func requireForeign(_ seen: Observation) throws {
    guard let (number, _) = pairs.first(where: { seen.primary.matches($0.value) }) else { return }
    guard credential.version(in: .staged) == nil else { throw isUnderWay }
    guard number != activeNumber else {
      throw RotationError(
        .nothingUnfinished, "\(name): version \(number), the active one, is primary: there is nothing to adopt")
    }
    throw RotationError(
      .foreignPrimary, "\(name): the provider's primary pair is version \(number), which was replaced here",
      hint: "make version \(activeNumber) primary again at the provider")
  }

  /// The `offered` pair, as the provider has it beside its primary pair; nil if it is not there. Throws `held` while a
  /// rotation is under way or a replaced pair must be retired first, and `foreignPrimary` if only the primary pair can
  /// be in use, or a third pair is there that may be.
  private func accepted(_ offered: OfferedPair, beside seen: Observation) async throws -> ObservedPair? {
    guard let other = seen.others.first(where: { $0.matches(offered.pair) }),
      !pairs.values.contains(where: { other.matches($0) })
    else { return nil }
    guard provider.replacement == .overlap else { throw isNotPrimary }
    if let staged = credential.version(in: .staged)?.number, pairs[staged] != nil { throw isUnderWay }
    try requireRetired(seen)
    try await requireNoNewerPair(beside: offered, seen)
    return ObservedPair(
      place: .staged, handle: other.handle, clientID: SharedSecret(try offered.pair.clientID.clone()),
      clientSecret: SharedSecret(try offered.pair.clientSecret.clone()), expires: other.expires,
      registrationToken: offered.pair.registrationToken, sharesClientID: other.sharesClientID)
  }

  /// Throws `held` while a replaced pair is owed that can be retired: if another rotation began and failed, no run
  /// would retire it.
  private func requireRetired(_ seen: Observation) throws {
    guard journal?.machine.state.isOwing == true, pairs[activeNumber].map(seen.primary.matches) == true,
      let debt = try owedPairs(in: seen).first
    else { return }
    throw RotationError(
      .held,
      "\(name): version \(debt.number), which was replaced, is still there; nothing is adopted before it is retired",
      hint: "`relatch retire \(name)` ends it, and cuts off anyone who still uses it; then run this again")
  }

  private var isNotPrimary: RotationError {
    RotationError(
      .foreignPrimary, "\(name): the pair given is not the provider's primary one",
      hint: "read the primary pair at the provider, and give that one")
  }

  private var isUnderWay: RotationError {
    let resume = "`relatch resume \(name)` finishes it"
    return RotationError(
      .held, "\(name): a rotation is under way, and its pair is staged; nothing is adopted before it ends",
      hint: journal?.isAdopted == true ? resume : "\(resume), `relatch abort \(name)` gives it up")
  }

  /// Whether the staged `pair` is being adopted and is still there in `seen`. Then it is in use, and nothing may end it
  /// before it is replaced. If a provider calls one pair primary, no other is in use.
  func isAdoptedInUse(_ pair: Pair, _ seen: Observation) -> Bool {
    guard journal?.isAdopted == true else { return false }
    if seen.primary.matches(pair) { return true }
    return provider.replacement != .promotion && seen.others.contains { $0.matches(pair) && $0.place != .expired }
  }

  private func primary(_ seen: Observation, _ offered: OfferedPair?) async throws -> ObservedPair {
    if let offered {
      guard seen.primary.matches(offered.pair) else { throw isNotPrimary }
      return ObservedPair(
        place: .primary, handle: "", clientID: SharedSecret(try offered.pair.clientID.clone()),
        clientSecret: SharedSecret(try offered.pair.clientSecret.clone()), expires: nil,
        registrationToken: offered.pair.registrationToken)
    }
    guard let reader = provider as? any PrimaryReader else {
      throw RotationError(
        .provider(.configuration), "\(name): its provider does not show the primary pair's secret",
        hint: "read it at the provider: `relatch adopt \(name) --stdin` takes the pair from standard input")
    }
    do { return try await ask { try await reader.readPrimary(seen) } } catch let error as ProviderError {
      throw RotationError(error, while: "reading the primary pair", name)
    }
  }

  private func secret(of made: ObservedPair) throws -> SecretBytes {
    guard isFit(made), let secret = made.clientSecret else {
      throw RotationError(
        .provider(.configuration),
        "\(name): the provider does not show the primary pair's secret, or shows one that cannot be used",
        hint: "read it at the provider: `relatch adopt \(name) --stdin` takes the pair from standard input")
    }
    return try secret.secret.clone()
  }
}
