import Audit
import JSON
import Storage
import Vault

// A run that a schedule asks for. It decides again under the lease, and leaves an account of every attempt that came to
// nothing: the pause before the next is counted from it, whatever stood in the way.
extension RotationRun {
  func tend(_ schedule: RotationSchedule) async throws -> RotationOutcome {
    let now = timing.now()
    let credential = credential
    let reason = try await runner.vault.read { try schedule.requireDue(credential, in: $0, now: now) }
    let stepsBefore = journal.map { (number: $0.number, steps: $0.steps) }
    do {
      let isFinal = journal.map { $0.machine.state.isFinal } ?? true
      if isFinal, reason == .delivery { return try await reachDelivery(again: false) }
      try await openPairs()
      if isFinal { try await begin(schedule) }
      return try await drive(retiringNow: false)
    } catch let error as RotationError where error.code.isAttempt {
      guard let journal else { throw error }
      let isTold =
        journal.endsInFailure && (journal.number != stepsBefore?.number || journal.steps > stepsBefore?.steps ?? 0)
      if !isTold {
        for event in journal.machine.state.unsuccessfulAttempt { try await record(event, error.members) }
      }
      throw error
    }
  }
}

extension RotationSchedule {
  /// Why `credential` is to be worked on now. Throws `notDue` unless it is.
  func requireDue(_ credential: Credential, in view: VaultView, now: Timestamp) throws -> Reason {
    guard case .due(let reason) = try standing(of: credential, in: view, now: now) else { throw nothingDue(credential) }
    return reason
  }

  /// Throws `notDue` unless a rotation of `credential` is to begin now.
  func requireRotationDue(_ credential: Credential, in view: VaultView, now: Timestamp) throws {
    guard try requireDue(credential, in: view, now: now) == .age else { throw nothingDue(credential) }
  }

  private func nothingDue(_ credential: Credential) -> RotationError {
    RotationError(
      .notDue, "\(credential.name): nothing is due", hint: "`relatch plan \(credential.name)` says what it waits for")
  }
}

extension RotationState {
  /// The events that say of this state that it was tried to go on, and could not be. None changes what is known of the
  /// provider; a rotation may go back by a step that is harmless to repeat.
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
  fileprivate var members: [String: JSONValue] {
    var members: [String: JSONValue] = ["reason": .string(code.word), "detail": .string(description)]
    if let retryAfter { members["retry_after"] = .integer(Int(clamping: retryAfter.components.seconds)) }
    return members
  }
}

extension RotationError.Code {
  /// Whether it says that the provider or what is there stood in the way, rather than another run or this vault.
  fileprivate var isAttempt: Bool {
    switch self {
    case .provider, .foreignStagedPair, .foreignPrimary, .unresolved, .outstanding, .vetoed, .cannotDeliver: true
    case .held, .inGrace, .corruptJournal, .nothingOwed, .nothingUnfinished, .promotedAlready, .notDue: false
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
    case .promotedAlready: "promoted-already"
    case .notDue: "not-due"
    }
  }
}
