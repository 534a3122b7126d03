import Audit
import JSON
import Storage
import Vault

/// A step that a run has taken, as the journal will record it.
struct UnwrittenStep: Sendable {
  let event: RotationEvent
  let number: UInt32
  let time: Timestamp
  let version: UInt64?
  let fields: [String: JSONValue]
  let hasEnded: Bool
  let graceEnds: Timestamp?
  /// A pair to be saved as `version` with it.
  let pair: Pair?
  let edit: @Sendable (inout Credential) throws -> Void

  /// Makes the step's changes to the record.
  func apply(to credential: inout Credential) throws {
    try edit(&credential)
    credential.noteRotation(hasEnded: hasEnded, graceEnds: graceEnds)
  }
}

// The journal as it grows. A step is in force for the run as soon as it is taken. It is durable before anything follows
// that others could see: a request, a delivery, a hook, a wait, the end. Steps with none of these between them share a
// transaction.
extension RotationRun {
  /// Begins a rotation, if `schedule` asks for one. That is decided in the transaction that begins it, so that two runs
  /// never begin together what must not be rotated together.
  func begin(_ schedule: RotationSchedule? = nil) async throws {
    let now = timing.now()
    credential = try await change(now: now) { change, credential in
      guard !credential.isTransferred else { throw RotationError(handedOver: credential) }
      try schedule?.requireRotationDue(credential, in: change.view, now: now)
      return try change.begin(credential)
    }
    journal = RotationJournal(beginning: credential.rotation, at: now)
    report("begun", version: activeNumber, at: now)
  }

  /// Takes one step: an event, and what it changes in the record. `pair` is saved as `version` with it.
  ///
  /// Throws, with nothing taken, if the journal cannot hold the event in its state. Nothing is durable before `commit`.
  func record(
    _ event: RotationEvent, version: UInt64? = nil, _ fields: [String: JSONValue] = [:], graceEnds: Timestamp? = nil,
    saving pair: Pair? = nil, _ edit: @escaping @Sendable (inout Credential) throws -> Void = { _ in }
  ) throws {
    guard var journal else { throw RotationError(.unresolved, "\(name): no rotation has begun") }
    let now = max(timing.now(), journal.latest)
    let number = journal.steps
    try journal.append(event, at: now, graceEnds: graceEnds, fields)
    var details = fields
    if let version { details["version"] = .integer(Int(clamping: version)) }
    if let graceEnds { details["grace_ends"] = .string(graceEnds.description) }
    let step = UnwrittenStep(
      event: event, number: number, time: now, version: version, fields: details,
      hasEnded: journal.machine.state.isFinal, graceEnds: journal.machine.graceBefore, pair: pair, edit: edit)
    var changed = credential
    try step.apply(to: &changed)
    credential = changed
    self.journal = journal
    unwritten.append(step)
  }

  /// Makes the unwritten steps durable: all of them or none, and none if the lease is lost.
  func commit() async throws {
    guard !unwritten.isEmpty else { return }
    credential = try await change(now: timing.now()) { _, credential in credential }
  }

  /// Makes the unwritten steps and then `body` durable, in one transaction that fails if the lease is lost. Returns the
  /// record as it is then.
  func change(
    now: Timestamp, _ body: @escaping @Sendable (VaultChange, inout Credential) throws -> Credential
  ) async throws -> Credential {
    let (lease, name, clock) = (lease, name, timing.now())
    let (rotation, id) = (credential.rotation, credential.id)
    let steps = unwritten
    do {
      // An owner may renew keys at any time, even between the sealing and the commit.
      let changed = try await UnlockedVault.again {
        let pairs = try await seal(steps)
        return try await runner.vault.change(now: now) { change in
          try change.leases.renew(
            lease, now: clock.milliseconds, milliseconds: RotationRunner.leaseMilliseconds,
            unlessItLasts: RotationRunner.minimumLeaseMilliseconds)
          var credential = try change.view.credential(name)
          guard credential.id == id else {
            throw RotationError(.held, "\(name): it was removed meanwhile, and another was added under its name")
          }
          guard credential.rotation == rotation else {
            throw RotationError(.held, "\(name): another run began rotation \(credential.rotation) meanwhile")
          }
          for step in steps {
            // If the step is durable after all, whatever the store said, it is not applied to the record twice.
            try credential.requireNext(step: step.number)
            try step.apply(to: &credential)
            credential = try change.saveStep(
              credential, step: step.number, EventName(RotationJournal.prefix + step.event.name), step.fields,
              at: step.time)
          }
          for pair in pairs { try change.storePair(pair, of: credential) }
          return try body(change, &credential)
        }
      }
      unwritten.removeFirst(steps.count)
      leaseEnds = max(leaseEnds, clock + .milliseconds(RotationRunner.minimumLeaseMilliseconds))
      for step in steps { report(step.event.name, version: step.version, at: step.time) }
      return changed
    } catch {
      // In these cases the steps are durable after all, or never will be. Any other cause, such as a busy or full disk,
      // may be over when the run ends. Then they are tried once more, because they may contain a pair that nobody can
      // be asked for again.
      if (error as? StorageError)?.code == .leaseLost || (error as? VaultError)?.code == .alreadyExists {
        unwritten = []
      }
      throw error
    }
  }

  /// Seals the pairs that `steps` save, under the key with which the pairs of this run were opened, or the one that has
  /// replaced it.
  private func seal(_ steps: [UnwrittenStep]) async throws -> [SealedPair] {
    var sealed: [SealedPair] = []
    for step in steps {
      guard let pair = step.pair, let version = step.version else { continue }
      // The known key is used once: if it was renewed meanwhile, the next attempt takes the new one.
      let known = key
      key = nil
      let current = if let known { known } else { try await runner.vault.key(of: name) }
      sealed.append(try runner.vault.seal(pair, as: version, under: current))
    }
    return sealed
  }

  /// Writes what is left, and gives the lease back in the same transaction. `result` is what the run has come to.
  ///
  /// Throws the error in `result`, or that the rest could not be written; in that case nobody may rely on the result.
  func end(_ result: Result<RotationOutcome, any Error>) async throws -> RotationOutcome {
    // Nothing was asked after this intent, so what keeps it from being written now is not an outcome of the run.
    if case .failure = result, unwritten.last?.event == .intended(.retire) { unwritten.removeLast() }
    guard !unwritten.isEmpty else {
      try await runner.release(lease, after: result)
      return try result.get()
    }
    let lease = lease
    do {
      _ = try await change(now: timing.now()) { change, credential in
        try change.leases.release(lease)
        return credential
      }
    } catch {
      // Nobody should wait for a run that has ended, whatever it could not write.
      try? await runner.vault.store.write { try $0.release(lease) }
      // The steps were durable already. The store was wrong when it said that they were not, and the run has already
      // reported that.
      guard (error as? VaultError)?.code == .alreadyExists, case .failure = result else { throw error }
    }
    return try result.get()
  }

  func openPairs() async throws {
    try await commit()
    let (member, name) = (runner.vault.member, name)
    let sealed = try await runner.vault.change(now: timing.now()) { change in
      try change.readingLiving(of: change.view.credential(name), for: member)
    }
    let opened = try runner.vault.openLiving(sealed)
    key = opened.key
    pairs.merge(opened.pairs) { $1 }
  }

  func report(_ event: String, version: UInt64?, at time: Timestamp) {
    runner.progress(
      RotationProgress(
        credential: name, rotation: credential.rotation, time: time, event: event, version: version,
        isAdopted: isAdopting))
  }

  /// Renews the lease if it might end before one more request does; fails if it is lost.
  func keepLease() async throws {
    let now = timing.now()
    guard leaseEnds < now + RotationRunner.maximumRequestLength else { return }
    try await keepAlive()
    leaseEnds = now + .milliseconds(RotationRunner.leaseMilliseconds)
  }

  /// Waits, keeping the lease.
  func pause(_ duration: Duration) async throws {
    try await commit()
    let lease = lease
    let now = timing.now()
    try await runner.vault.store.write {
      try $0.renew(lease, now: now.milliseconds, milliseconds: RotationRunner.leaseMilliseconds)
    }
    // A wait is at most 300 s by `Backoff`; the lease must not expire within it.
    var left = duration
    while left > .zero {
      let slice = min(left, .seconds(60))
      try await timing.sleep(slice)
      left -= slice
      let now = timing.now()
      try await runner.vault.store.write {
        try $0.renew(lease, now: now.milliseconds, milliseconds: RotationRunner.leaseMilliseconds)
      }
    }
  }
}

extension VaultChange {
  /// Begins the next rotation of `credential`. Throws `corrupt` if no number is left for it, or for the pair it would
  /// stage.
  func begin(_ credential: Credential) throws -> Credential {
    try credential.requireNextNumber()
    var credential = credential
    credential.rotation += 1
    // The grace of an older rotation is not this one's: an adoption may begin during it.
    credential.noteRotation(hasEnded: false, graceEnds: nil)
    let active = credential.version(in: .active)?.number ?? 0
    return try saveStep(credential, step: 0, RotationJournal.begun, ["active": .integer(Int(clamping: active))])
  }
}
