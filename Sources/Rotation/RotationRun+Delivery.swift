import Audit
import JSON
import Storage
import Vault

// Delivery, after promotion and verification. The credential's record says where the pair has arrived, apart from the
// rotation's journal: if a sink fails the rotation is still done, and a later run delivers what is missing.
extension RotationRun {
  /// Fails with `cannotDeliver`, before anything is asked of the provider, if a sink or hook obviously cannot work.
  func checkDeliveries() async throws {
    try await requireDeliveriesAddedByOwners()
    for delivery in credential.deliveries {
      do { try runner.delivery.check(delivery) } catch {
        throw RotationError(
          .cannotDeliver, "\(name): the \(delivery.settings.word) \(delivery.name) cannot work: \(error)",
          hint: error.hint)
      }
    }
  }

  /// Lets the `before` hooks veto the attempt, once a run: their consent also holds for its second attempt.
  func runHooksBefore() async throws {
    guard !hasAskedHooks else { return }
    do {
      try await checkDeliveries()
      for hook in credential.hooks(on: .before) {
        try await commit()
        do {
          try await runner.delivery.run(hook, occasion, known: Array(pairs.values), keepAlive: patientKeepAlive)
        } catch let error as DeliveryError {
          throw RotationError(
            .vetoed, "\(name): the hook \(hook.name) stopped the rotation before it began: \(error)",
            hint: error.hint ?? "nothing was asked of the provider; the next run asks the hook again", said: error.said)
        }
      }
    } catch let error as RotationError {
      try record(
        .postponed(.stage), ["reason": .string(error.code == .vetoed ? "hook" : "delivery")])
      throw error
    }
    hasAskedHooks = true
  }

  /// What `relatch deliver` does: delivers the active version to every sink and hook that lacks it, or to all.
  func reachDelivery(again: Bool) async throws -> RotationOutcome {
    if let journal, case let state = journal.machine.state,
      [.promoting, .promoted, .verifying].contains(state) || journal.withholdsDelivery(credential)
    {
      throw RotationError(
        .held, "\(name): a rotation is under way (\(state.rawValue)); its pair is delivered when it is verified",
        hint: "`relatch rotate \(name)` continues it")
    }
    let names = (again ? credential.receivers : credential.undelivered).map(\.name)
    if let outcome = try await deliveryOutcome(again: again) { return outcome }
    return .delivered(active: activeNumber, to: names)
  }

  /// Delivers what is missing; nil if nothing is missing afterwards.
  func deliveryOutcome(again: Bool = false) async throws -> RotationOutcome? {
    let shortfalls = try await deliverActive(again: again)
    guard !shortfalls.isEmpty else { return nil }
    return .undelivered(active: activeNumber, previous: credential.debts.map(\.number), shortfalls)
  }

  /// Delivers the active version to every sink and hook that lacks it, or to all. Returns which still lack it, and why.
  ///
  /// Hooks follow only once every sink has the version. A hook that makes an application read its file again must find
  /// the new pair there, because it is not run a second time.
  ///
  /// `filesOnly` leaves out the hooks, which may take long.
  @discardableResult
  func deliverActive(again: Bool = false, filesOnly: Bool = false) async throws -> [DeliveryShortfall] {
    let waiting = (again ? credential.receivers : credential.undelivered).filter { !filesOnly || $0.isFile }
    guard !waiting.isEmpty else { return [] }
    let unapproved = try await unapprovedDeliveries()
    if pairs[activeNumber] == nil { try await openPairs() }
    let (version, pair) = try pair(in: .active)
    var shortfalls: [DeliveryShortfall] = []
    var hasAllFiles = true
    var isToForget = again
    for delivery in waiting {
      guard delivery.isFile || hasAllFiles else {
        let error = DeliveryError(.waits, "it waits for the sinks before it")
        shortfalls.append(DeliveryShortfall(name: delivery.name, error: error))
        continue
      }
      do {
        let refusal = unapproved[delivery.name]
        try await hand(pair, version, to: delivery, forgetting: isToForget, refusing: refusal)
        isToForget = false
      } catch is Removed {
        continue
      } catch let error as DeliveryError {
        isToForget = false
        shortfalls.append(DeliveryShortfall(name: delivery.name, error: error))
        // A sink that is refused gets nothing any more, so no hook waits for it.
        if delivery.isFile, unapproved[delivery.name] == nil { hasAllFiles = false }
      }
    }
    return shortfalls
  }

  /// A sink or hook was removed while the run went on.
  private struct Removed: Error {}

  /// One delivery. The intent is durable before the pair leaves, the outcome as soon as it is known. Throws
  /// `DeliveryError` if it did not arrive, `Removed` if nothing is to be delivered any more.
  ///
  /// With `forgetting`, the intent also forgets what arrived before, so that whatever happens to this run, everything
  /// is delivered again. With `refusing`, the attempt fails with that error, and is counted like any other.
  private func hand(
    _ pair: Pair, _ version: UInt64, to delivery: DeliveryRecord, forgetting: Bool, refusing refusal: VaultError?
  ) async throws {
    let fields: [String: JSONValue] = [
      "delivery": .string(delivery.name), "version": .integer(Int(clamping: version)),
    ]
    // By the clock only: the next attempt is counted from it.
    let now = timing.now()
    credential = try await change(now: now) { change, credential in
      guard credential.noteAttempt(at: delivery, now: now) else { throw Removed() }
      if forgetting { credential.forgetDelivered() }
      return try change.save(credential, .deliveryIntended, fields)
    }
    do {
      if let refusal { throw DeliveryError(.unusable, refusal.description, hint: refusal.hint) }
      // A file is put in its place only while the lease is held.
      let keepAlive = delivery.isFile ? keepAlive : patientKeepAlive
      try await runner.delivery.hand(pair, to: delivery, occasion, known: Array(pairs.values), keepAlive: keepAlive)
    } catch let error as DeliveryError {
      var fields = fields
      fields["reason"] = .string(error.code.rawValue)
      fields["detail"] = .string(error.description)
      try await note(.deliveryFailed, fields)
      throw error
    }
    try await note(.deliveryDone, fields) { $0.noteDelivered(version, to: delivery) }
    runner.progress(
      RotationProgress(
        credential: name, rotation: credential.rotation, time: now, event: EventName.deliveryDone.text,
        version: version, delivery: delivery.name))
  }

  /// Records an outcome. If `edit` finds nothing to change, only the log entry is written.
  private func note(
    _ event: EventName, _ fields: [String: JSONValue],
    _ edit: @escaping @Sendable (inout Credential) -> Bool = { _ in false }
  ) async throws {
    credential = try await change(now: timing.now()) { change, credential in
      if edit(&credential) { return try change.save(credential, event, fields) }
      try change.log(event, about: credential.name, fields)
      return credential
    }
  }

  private func requireDeliveriesAddedByOwners() async throws {
    let credential = credential
    guard !credential.deliveries.isEmpty else { return }
    try await runner.vault.read { try $0.requireDeliveriesAddedByOwners(of: credential) }
  }

  /// What is wrong with the sinks and hooks that no present owner has added as they are. They get nothing, and do not
  /// keep the others from getting the pair.
  private func unapprovedDeliveries() async throws -> [String: VaultError] {
    let credential = credential
    return try await runner.vault.read { view in
      var unapproved: [String: VaultError] = [:]
      for delivery in credential.deliveries {
        do { try view.requireOwners(delivery, of: credential) } catch let error as VaultError {
          unapproved[delivery.name] = error
        }
      }
      return unapproved
    }
  }

  private var occasion: DeliveryOccasion {
    DeliveryOccasion(credential: name, version: activeNumber, previous: credential.replaced?.number)
  }

  /// Keeps the lease during long work; fails if it is lost, or if that cannot be told.
  var keepAlive: KeepAlive {
    { [lease, runner] in
      let now = runner.timing.now()
      try await runner.vault.store.write {
        try $0.renew(lease, now: now.milliseconds, milliseconds: RotationRunner.leaseMilliseconds)
      }
    }
  }

  /// The same for a program that takes its time: a store that is busy for a moment does not end it while the lease
  /// lasts.
  private var patientKeepAlive: KeepAlive {
    { [self, keepAlive, timing] in
      let now = timing.now()
      do {
        try await keepAlive()
        await noteKept(until: now + .milliseconds(RotationRunner.leaseMilliseconds))
      } catch let error as StorageError where error.code != .leaseLost {
        guard await leaseEnds > now + .seconds(60) else { throw error }
      }
    }
  }

  private func noteKept(until end: Timestamp) { leaseEnds = max(leaseEnds, end) }
}

extension DeliveryError {
  /// A hook's output, as the end of a sentence.
  package var quotation: String { Self.quotation(said) }

  /// The same for the output that an error of a run carries.
  package static func quotation(_ said: String) -> String { said.isEmpty ? "" : "; its last words: \(said)" }
}
