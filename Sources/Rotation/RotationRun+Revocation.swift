import Audit
import JSON
import Vault

// A leak. Once it is noted in the record, every run of the credential works on ending it: no grace, no window and no
// hook delays it. What cannot be done now stays a debt that any later run settles.
extension RotationRun {
  /// Replaces what leaked, and ends it at the provider. The leak was noted when the lease was taken. If a leak is
  /// already noted, the run continues with that one, whatever `revocation` calls it: the pair that has replaced the
  /// leaked one is not replaced again.
  func revoke(_ revocation: Revocation) async throws -> RotationOutcome {
    guard credential.leak != nil else {
      return try await deliveryOutcome() ?? .settled(active: activeNumber, elsewhere: leftElsewhere)
    }
    isContaining = revocation.isContainment
    if Set(pairs.keys) != Set(credential.living) { try await openPairs() }
    if let outcome = try await reconcile(for: .revoke(revocation)) { return outcome }
    guard let overtook, !credential.receivers.isEmpty else {
      return try await endLeak(evenIfUndelivered: revocation.evenIfUndelivered)
    }
    let outcome: RotationOutcome
    do { outcome = try await endLeak(evenIfUndelivered: revocation.evenIfUndelivered) } catch {
      // The other run's hook may undo what was delivered, and the next run must know that before it ends an old pair.
      try? await forgetDelivered()
      throw error
    }
    guard try await waitForOvertakenHooks(overtook, outcome) else { return outcome }
    if credential.leak != nil, case .undelivered = outcome {
      return try await endLeak(evenIfUndelivered: revocation.evenIfUndelivered)
    }
    let lacking = try await deliveryOutcome()
    return switch outcome {
    case .stillAccepted: outcome
    case .undelivered: lacking ?? .settled(active: activeNumber, elsewhere: leftElsewhere)
    default: lacking ?? outcome
    }
  }

  /// Forgets what this run has delivered, if a hook of the overtaken run may bring an older pair after it, and waits
  /// until that can no longer happen. The forgetting is durable before the wait, so that if this run dies meanwhile,
  /// the next one delivers again. Returns false if nothing has to be delivered again.
  private func waitForOvertakenHooks(_ overtaken: String, _ outcome: RotationOutcome) async throws -> Bool {
    switch outcome {
    case .settled, .stillAccepted, .undelivered: break
    default: return false
    }
    guard journal?.withholdsDelivery(credential) != true else { return false }
    try await forgetDelivered()
    while !runner.isGone(overtaken), timing.now() < held + Self.hooksEndWithin { try await pause(.seconds(1)) }
    return true
  }

  /// Marks everything as undelivered, and logs why.
  private func forgetDelivered() async throws {
    let (receivers, version) = (credential.receivers, activeNumber)
    credential = try await change(now: timing.now()) { change, credential in
      credential.forgetDelivered()
      for delivery in receivers {
        let fields: [String: JSONValue] = [
          "delivery": .string(delivery.name),
          "detail": "a hook of a run that was overtaken may bring an older pair after it",
          "reason": "overtaken", "version": .integer(Int(clamping: version)),
        ]
        credential = try change.save(credential, .deliveryFailed, fields)
      }
      return credential
    }
  }

  /// How long a hook of an overtaken run may go on, until it learns of that and is ended (`PairDelivery`).
  private static let hooksEndWithin = Duration.seconds(15)

  /// Does what is left to do about the noted leak.
  func endLeak(evenIfUndelivered: Bool = false) async throws -> RotationOutcome {
    replacesPrevious = true
    if pairs.isEmpty { try await openPairs() }
    // The rotation under way may bring a pair that leaked itself, and so may the next one; never more than these two.
    for _ in 0..<3 {
      try await giveUpLeakedPair()
      if let machine = journal?.machine, !machine.state.isFinal, !isActiveEndedByNext {
        if machine.state.isOwing, credential.isActiveLeaked {
          try await freeSlot()
        } else {
          do {
            let outcome = try await drive(retiringNow: true, evenIfUndelivered: evenIfUndelivered)
            // A pair that leaked itself is replaced, even if it has not arrived everywhere.
            if case .undelivered = outcome, credential.isActiveLeaked {
              try await freeSlot()
            } else {
              guard case .settled = outcome, credential.leak != nil else { return try await delivered(outcome) }
            }
          } catch let error as RotationError {
            guard isUselessReplacement(error) else { throw error }
          }
        }
      }
      guard credential.leak != nil else { return .settled(active: activeNumber, elsewhere: leftElsewhere) }
      // A rotation begun here would never end. The leak is noted, and no more can be done here.
      if let unasked = provider as? OfflineProvider, unasked.hasNothingToRotate {
        throw unasked.error.local ?? RotationError(unasked.error, while: RotationStep.stage.rawValue, name)
      }
      try await begin()
    }
    throw RotationError(
      .unresolved, "\(name): what leaked was replaced three times, but the active pair is still one that leaked")
  }

  /// Whether `error` says that the pair which containment promoted unproved is refused, long after it should work. It
  /// is then replaced as well. The pair it replaced is deleted, and stays a debt of the next rotation.
  private func isUselessReplacement(_ error: RotationError) -> Bool {
    guard error.code == .provider(.refused), !hasPromoted, let machine = journal?.machine, machine.isUnproved,
      machine.state == .deleted, let active = credential.version(in: .active)
    else { return false }
    // A moment that lies ahead was noted by a wrong clock: nobody knows how long it has had.
    return active.since + propagation <= now || active.since > now + RotationSchedule.maximumClockSkew
  }

  /// Gives up a staged pair that leaked before it could become active. An unanswered request is cleared up first: the
  /// pair may be there, or may already be primary.
  private func giveUpLeakedPair() async throws {
    while journal?.machine.state == .staging { try await clearUp(.stage) }
    guard credential.isStagedLeaked else { return }
    while let state = journal?.machine.state, credential.isStagedLeaked {
      switch state {
      case .promoting: try await clearUp(.promote)
      case .validating: try record(.postponed(.validate), version: credential.version(in: .staged)?.number)
      case .staged, .validated:
        let (number, pair) = try pair(in: .staged)
        let seen = try await observe(for: .discard)
        // It ended the old one, is the only one left, or may be in use: it is replaced like any other.
        let isOnly =
          switch provider.replacement {
          case .promotion: false
          case .overlap: seen.primary.matches(pair) || isAdoptedInUse(pair, seen) || isOfBackup(pair, seen)
          case .cutOver: seen.others.contains { $0.matches(pair) } || seen.primary.matches(pair)
          }
        if isOnly {
          let isBeside = provider.replacement == .overlap && !seen.primary.matches(pair)
          try await promoteLeakedForReplacement(number, pair, givesUpRefused: isBeside)
          continue
        }
        guard seen.primary.matches(pair) else {
          try record(.abandoned, version: number)
          continue
        }
        // Promoted by someone else, or after the backup that this vault is from: it is replaced like any other.
        try record(.intended(.promote), version: number, proofOfStaged)
        try await clearUp(.promote, seen)
      case .rejected, .discarding: _ = try await drive(retiringNow: true)
      default: return
      }
    }
  }

  /// Makes a leaked staged pair the active one, because there is no other or because it is in use, so that it is
  /// replaced at once. It is tried once before that. If it is refused it is replaced as well, and the journal records
  /// that it is unproved; with `givesUpRefused` it is given up instead.
  private func promoteLeakedForReplacement(_ number: UInt64, _ pair: Pair, givesUpRefused: Bool) async throws {
    if journal?.machine.nextAction(now: now) != .ask(.promote) {
      try record(.intended(.validate), version: number)
      do {
        try record(.validated, version: number, try await ask { try await self.provider.grant(pair) }.members)
      } catch let error as ProviderError {
        try record(.postponed(.validate), version: number, error.members)
        guard error.code == .refused else { throw RotationError(error, while: "trying version \(number)", name) }
        if givesUpRefused { return try record(.abandoned, version: number) }
      }
    }
    try record(.intended(.promote), version: number, proofOfStaged)
    try markPromoted(number)
  }

  /// Whether the active pair leaked and ends as the next one is made, so that seeing it accepted first gains nothing.
  private var isActiveEndedByNext: Bool {
    guard provider.replacement == .cutOver, credential.isActiveLeaked else { return false }
    return journal?.machine.state == .promoted || journal?.machine.state == .verifying
  }

  /// Deletes the replaced pair that holds the staging slot, so that what leaked can be replaced. Its refusal is proved
  /// later, together with that of what leaked.
  private func freeSlot() async throws {
    mayLeaveUndelivered = true
    while let machine = journal?.machine {
      switch machine.state {
      case .owed: try await perform(.retire)
      case .retiring: try await clearUp(.retire)
      default: return
      }
    }
  }

  /// Makes the deliveries that were left out while the pair was being ended.
  private func delivered(_ outcome: RotationOutcome) async throws -> RotationOutcome {
    guard !credential.undelivered.isEmpty, journal?.withholdsDelivery(credential) != true else { return outcome }
    switch outcome {
    case .settled: return try await deliveryOutcome() ?? outcome
    case .stillAccepted:
      _ = try await deliveryOutcome()
      return outcome
    default: return outcome
    }
  }
}
