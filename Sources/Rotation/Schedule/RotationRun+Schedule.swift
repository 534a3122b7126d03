import Audit
import JSON
import Storage
import Vault

// A run that a schedule starts. It decides again under the lease, and journals every failed attempt, whatever stood in
// the way: the pause before the next attempt counts from there.
extension RotationRun {
  func runScheduled(_ schedule: RotationSchedule) async throws -> RotationOutcome {
    let now = timing.now()
    let credential = credential
    let reason =
      hasBegun ? nil : try await runner.vault.read { try schedule.requireDue(credential, in: $0, now: now) }
    if let reason, let outcome = try await reconcile(dueFor: reason, schedule) { return outcome }
    let stepsBefore = journal.map { (number: $0.number, steps: $0.steps) }
    do {
      // Debts that are owed as well are due at a time of their own.
      if reason == .delivery { return try await reachDelivery(again: false) }
      if credential.leak != nil { return try await endLeak() }
      if !hasBegun {
        try await openPairs()
        if journal.map({ $0.machine.state.isFinal }) ?? true { try await begin(schedule) }
      }
      return try await drive(retiringNow: false)
    } catch let error as RotationError {
      if error.code.isAttempt { try await account(for: error, since: stepsBefore) }
      throw error
    } catch let error where !(error is StorageError || error is CancellationError) {
      // A local error counts as an attempt, so that the next one waits. What can be written is written, and the error
      // stays what it is.
      try? await account(for: RotationError(.unresolved, "\(error)"), since: stepsBefore)
      throw error
    }
  }

  /// `reconcile` of a scheduled run. A look that fails is counted like an attempt to do what is due.
  private func reconcile(
    dueFor reason: RotationSchedule.Reason, _ schedule: RotationSchedule
  ) async throws -> RotationOutcome? {
    let stepsBefore = journal.map { (number: $0.number, steps: $0.steps) }
    do { return try await reconcile(for: .scheduled) } catch {
      guard let failure = RotationError(attempt: error) else { throw error }
      if reason == .delivery {
        try await recordUndelivered(because: failure)
      } else {
        // Only a rotation can count it, and one is due.
        if reason.isForNewPair, journal?.machine.state.isFinal ?? true { try await begin(schedule) }
        try await account(for: failure, since: stepsBefore)
      }
      throw error
    }
  }

  /// Counts an attempt at each sink and hook that would have been tried next, because the pair is not to be delivered.
  private func recordUndelivered(because error: RotationError) async throws {
    let (now, version) = (timing.now(), activeNumber)
    let members = error.members
    credential = try await change(now: now) { change, credential in
      for delivery in credential.deliveredNext where credential.noteAttempt(at: delivery, now: now) {
        let fields: [String: JSONValue] = [
          "delivery": .string(delivery.name), "version": .integer(Int(clamping: version)),
        ]
        credential = try change.save(credential, .deliveryIntended, fields)
        try change.log(.deliveryFailed, about: credential.name, fields.merging(members) { $1 })
      }
      return credential
    }
  }

  /// Journals a failed attempt and makes it durable, unless the last step of this run already records one.
  private func account(for error: RotationError, since before: (number: UInt64, steps: UInt32)?) async throws {
    guard let journal else { return }
    let isTold = journal.endsInFailure && (journal.number != before?.number || journal.steps > before?.steps ?? 0)
    guard !isTold else { return }
    for event in journal.machine.state.unsuccessfulAttempt { try record(event, error.members) }
    try await commit()
  }
}

extension RotationSchedule {
  /// Why `credential` is due now. Throws `notDue` if it is not.
  func requireDue(_ credential: Credential, in view: VaultView, now: Timestamp) throws -> Reason {
    guard case .due(let reason) = try standing(of: credential, in: view, now: now) else { throw nothingDue(credential) }
    return reason
  }

  /// Throws `notDue` unless a rotation of `credential` is to begin now.
  func requireRotationDue(_ credential: Credential, in view: VaultView, now: Timestamp) throws {
    guard try requireDue(credential, in: view, now: now).isForNewPair else { throw nothingDue(credential) }
  }

  private func nothingDue(_ credential: Credential) -> RotationError {
    RotationError(
      .notDue, "\(credential.name): nothing is due", hint: "`relatch plan \(credential.name)` says what it waits for")
  }
}

extension RotationState {
  /// The events that record a failed attempt to go on from this state. None changes what is known about the provider. A
  /// rotation may go back by a step that is harmless to repeat.
  fileprivate var unsuccessfulAttempt: [RotationEvent] {
    switch self {
    case .ready: [.postponed(.stage)]
    case .staging: [.lost(.stage)]
    case .staged: [.intended(.validate), .postponed(.validate)]
    case .validating: [.postponed(.validate)]
    case .validated: [.intended(.promote), .postponed(.promote)]
    case .promoting: [.lost(.promote)]
    case .promoted: [.intended(.verify), .postponed(.verify)]
    case .verifying: [.postponed(.verify)]
    case .owed: [.intended(.retire), .postponed(.retire)]
    case .retiring: [.lost(.retire)]
    case .deleted: [.intended(.prove), .postponed(.prove)]
    case .proving: [.postponed(.prove)]
    case .rejected: [.intended(.discard), .postponed(.discard)]
    case .discarding: [.lost(.discard)]
    case .settled, .failed: []
    }
  }
}

extension RotationError {
  /// `error` as what ended an attempt; nil if it is to be tried again without a pause.
  init?(attempt error: any Error) {
    switch error {
    case is StorageError, is CancellationError: return nil
    case let error as RotationError:
      guard error.code.isAttempt else { return nil }
      self = error
    default: self.init(.unresolved, "\(error)")
    }
  }

  /// The members of a log entry about it.
  var members: [String: JSONValue] {
    var members: [String: JSONValue] = ["reason": .string(code.word), "detail": .string(description)]
    if let retryAfter { members["retry_after"] = .integer(Int(clamping: retryAfter.components.seconds)) }
    return members
  }
}

extension RotationError.Code {
  /// Whether the provider, or something there, stood in the way, rather than another run or this vault.
  var isAttempt: Bool {
    switch self {
    case .provider, .foreignStagedPair, .foreignPrimary, .unresolved, .outstanding, .vetoed, .cannotDeliver: true
    case .held, .inGrace, .corruptJournal, .nothingOwed, .nothingUnfinished, .unfinished, .underWay, .promotedAlready,
      .handedOver, .notDue:
      false
    }
  }

  fileprivate var word: String {
    switch self {
    case .provider(let code): code.rawValue
    case .held: "held"
    case .inGrace: "in-grace"
    case .foreignStagedPair: "foreign-staged-pair"
    case .foreignPrimary: "foreign-primary"
    case .unresolved: "unresolved"
    case .outstanding: "outstanding"
    case .corruptJournal: "corrupt-journal"
    case .vetoed: "vetoed"
    case .cannotDeliver: "cannot-deliver"
    case .nothingOwed: "nothing-owed"
    case .nothingUnfinished: "nothing-unfinished"
    case .unfinished: "unfinished"
    case .underWay: "under-way"
    case .promotedAlready: "promoted-already"
    case .handedOver: "handed-over"
    case .notDue: "not-due"
    }
  }
}
