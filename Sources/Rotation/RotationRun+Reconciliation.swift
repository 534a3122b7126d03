import Audit
import JSON
import Vault

// A vault that was restored from a backup may be older than the provider: the pair it calls active may have been
// replaced since, and be dead. Before anything else is done with a credential, one look shows that this is not so, and
// is journalled.
extension RotationRun {
  /// Checks that the active pair is the provider's primary one, if the vault was restored since that was last seen.
  ///
  /// Returns the run's outcome if a rotation that was under way in the backup was seen to have gone on, and is now
  /// finished. Throws if the primary pair is neither the active nor the staged one, or if another pair may be in use:
  /// then nothing is delivered, staged, promoted or deleted.
  func reconcile(for goal: RotationRunner.Goal) async throws -> RotationOutcome? {
    // A person who adopts says what is in use.
    if case .adopt = goal { return nil }
    let credential = credential
    guard let restoration = try await runner.vault.read({ try $0.restoration(unreconciled: credential) }) else {
      return nil
    }
    // A credential without a provider to ask was never rotated here.
    if provider is OfflineProvider, credential.rotation == 0 { return nil }
    try await openPairs()
    let seen = try await look(after: restoration)
    let (active, activePair) = try pair(in: .active)
    if seen.primary.matches(activePair) {
      try await requireNoNewerPair(seen, restoration.last, active)
      try requireForeignShown(restoration.last, active)
      try await markReconciled(restoration.number, active)
      return nil
    }
    if let staged = credential.version(in: .staged)?.number, let pair = pairs[staged], seen.primary.matches(pair) {
      return try await finishOvertaken(staged, for: goal)
    }
    throw RotationError(
      .foreignPrimary,
      "\(name): the vault was restored from a backup whose log ends at \(restoration.last), and the provider's primary pair"
        + " is none of the vault's: it is newer than that; version \(active) is the active one here,"
        + " \(seen.placeDescription(of: activePair))",
      hint: "nothing was changed; `relatch adopt \(name)` takes the primary pair over, and proves it")
  }

  /// If a provider calls no pair primary, the active one is there beside a pair that replaced it after the backup. That
  /// pair may be in use now, and the next rotation or the end of a leak would clear it away. Throws if there is such a
  /// pair.
  private func requireNoNewerPair(
    _ seen: Observation, _ last: Timestamp, _ active: UInt64, offered: Pair? = nil
  ) async throws {
    let seen = try await seeNeighbours(beside: seen)
    let mayBeInUse = seen.others.contains { other in
      (other.isMarked || provider.replacement == .overlap && other.place != .expired)
        && !isOurs(other) && neighbour(other) == nil && offered.map(other.matches) != true
    }
    guard mayBeInUse else { return }
    throw RotationError(
      .foreignPrimary,
      "\(name): the vault was restored from a backup whose log ends at \(last), and beside version"
        + " \(active) the provider has \(offered == nil ? "a" : "another") pair that the vault does not have",
      hint: "nothing was changed; if that pair is in use: `relatch adopt \(name) --stdin` takes it over;"
        + " if not, delete it at the provider, then run this again")
  }

  /// The same check before an `offered` pair is taken over from beside the active one: a third may be in use.
  func requireNoNewerPair(beside offered: OfferedPair, _ seen: Observation) async throws {
    let credential = credential
    guard let restoration = try await runner.vault.read({ try $0.restoration(unreconciled: credential) }) else {
      return
    }
    try await requireNoNewerPair(seen, restoration.last, activeNumber, offered: offered.pair)
  }

  /// If the provider shows nothing that the vault does not know, a person has to say that there is nothing.
  private func requireForeignShown(_ last: Timestamp, _ active: UInt64) throws {
    guard !provider.showsUnknownPairs else { return }
    throw RotationError(
      .foreignPrimary,
      "\(name): the vault was restored from a backup whose log ends at \(last); version \(active) is there, but whether another"
        + " replaced it since cannot be seen: the provider shows only pairs that the vault has",
      hint:
        "nothing was changed; if no pair was made since: `relatch adopt \(name)` records that; if one is in use, add it under"
        + " another name (`relatch add`) and use that")
  }

  /// Records what a person says by adopting while the active pair is the primary one: that nothing came after the
  /// backup.
  func reconcileAdopting(_ seen: Observation) async throws {
    let credential = credential
    guard let restoration = try await runner.vault.read({ try $0.restoration(unreconciled: credential) }) else {
      return
    }
    let (active, activePair) = try pair(in: .active)
    guard seen.primary.matches(activePair) else { return }
    try await requireNoNewerPair(seen, restoration.last, active)
    try await markReconciled(restoration.number, active)
  }

  /// Records what a person said by giving the pair that was adopted, if it is active now: that it is the one in use. If
  /// the provider shows only pairs that the vault has, no look of a later run could tell.
  func reconcileAdopted(_ made: ObservedPair) async throws {
    let credential = credential
    guard !provider.showsUnknownPairs,
      let restoration = try await runner.vault.read({ try $0.restoration(unreconciled: credential) })
    else { return }
    let (active, activePair) = try pair(in: .active)
    if made.matches(activePair) { try await markReconciled(restoration.number, active) }
  }

  /// Whether the staged `pair` was staged in the backup that the vault is from and is still there in `seen`, where many
  /// pairs are accepted alike. Then nothing shows whether its rotation went on after the backup and the pair is now in
  /// use.
  func isOfBackup(_ pair: Pair, _ seen: Observation) -> Bool {
    guard provider.replacement == .overlap, let restored, let staged = credential.version(in: .staged),
      staged.since <= restored
    else { return false }
    return seen.others.contains { $0.matches(pair) && $0.place != .expired }
  }

  private func look(after restoration: VaultRestoration) async throws -> Observation {
    do { return try await look() } catch let error as ProviderError {
      throw RotationError(
        .provider(error.code),
        "\(name): not compared with the provider since the vault was restored from a backup, whose log ends at"
          + " \(restoration.last): \(error)",
        hint: (error.hint.map { "\($0); or, " } ?? "")
          + "if the pair was replaced after the backup: `relatch adopt \(name) --stdin` takes the one that is primary now",
        retryAfter: error.retryAfter)
    }
  }

  private func markReconciled(_ restore: UInt64, _ active: UInt64) async throws {
    let now = now
    credential = try await change(now: now) { change, credential in
      credential.reconciled = restore
      return try change.save(
        credential, .credentialReconciled, ["version": .integer(Int(clamping: active))])
    }
    report(EventName.credentialReconciled.text, version: active, at: now)
  }

  /// The backup was made in the middle of a rotation, which then went on: its pair is primary. Only the next run finds
  /// the credential reconciled.
  private func finishOvertaken(_ staged: UInt64, for goal: RotationRunner.Goal) async throws -> RotationOutcome? {
    switch goal {
    // Ending the leak finishes what is under way first.
    case .revoke: return nil
    case .rotate, .rotateReplacingPrevious, .resume, .scheduled: return try await drive(retiringNow: false)
    case .abort:
      throw RotationError(
        .promotedAlready, "\(name): version \(staged) is the provider's primary pair: there is nothing left to give up",
        hint: "`relatch resume \(name)` finishes the rotation")
    case .retire, .retireUndelivered, .deliver, .adopt:
      throw RotationError(
        .held, "\(name): version \(staged) is the provider's primary pair, and its rotation not finished here",
        hint: "`relatch resume \(name)` finishes it")
    }
  }
}
