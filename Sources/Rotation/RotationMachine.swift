package import Audit

/// The engine's decisions, as a value without any input or output: a fold of the journal, and the next action.
///
/// docs/rotation.md prints the table of states × events; a test walks every cell of both.
package struct RotationMachine: Hashable, Sendable {
  package private(set) var state: RotationState = .ready
  /// When the old pair may be retired; known once the new one is verified.
  package private(set) var graceEnds: Timestamp?
  /// When the deletion of the old pair was asked for, which ends its grace; nil while it is left alone.
  package private(set) var retirementBegan: Timestamp?
  /// When the new pair was last granted a token.
  package private(set) var provedAt: Timestamp?
  /// Whether an operator gave the attempt up.
  package private(set) var wasAbandoned = false

  /// How long a proof is fresh. An older one is repeated before promotion.
  package static let proofLifetime: Duration = .seconds(600)

  /// A rotation that has just begun.
  package init() {}

  /// An event that the journal cannot hold in this state: the engine did not write this journal.
  package struct IllegalTransition: Error, Hashable, CustomStringConvertible {
    package let state: RotationState
    package let event: RotationEvent

    package var description: String { "a rotation that is \(state.rawValue) cannot take \(event.name)" }
  }

  /// Folds one journalled event. Throws `IllegalTransition`, and then changes nothing.
  ///
  /// `time` is when it was journalled; `graceEnds` belongs to `verified`, and is ignored elsewhere.
  package mutating func apply(
    _ event: RotationEvent, at time: Timestamp, graceEnds: Timestamp?
  ) throws(IllegalTransition) {
    guard let next = state.after(event) else { throw IllegalTransition(state: state, event: event) }
    state = next
    if event == .validated { provedAt = time }
    if event == .verified { self.graceEnds = graceEnds }
    if event == .intended(.retire) { retirementBegan = retirementBegan ?? time }
    if state == .owed { retirementBegan = nil }
    if event == .abandoned { wasAbandoned = true }
  }

  /// Until when there is nothing to do because the replaced pair is left alone; nil in any other state.
  package var graceBefore: Timestamp? { state == .owed ? graceEnds : nil }

  /// Whether the new pair is primary and in use here, but was never seen to be accepted, as containment may leave it.
  package var isUnproved: Bool { state.isOwing && graceEnds == nil }

  /// Whether the new pair was granted a token of its own a short while before `now`.
  func isProved(at now: Timestamp) -> Bool {
    guard let provedAt else { return false }
    return provedAt <= now && now - provedAt <= Self.proofLifetime
  }

  /// What to do next.
  package enum Action: Hashable, Sendable {
    /// Journal the intent, then ask the provider.
    case ask(RotationStep)
    /// The outcome of this step is unknown: look at the provider, and journal what is seen.
    case observe(RotationStep)
    /// Nothing to do until then.
    case wait(until: Timestamp)
    /// Nothing left to do.
    case finished
  }

  /// Decided by state and time only. Asking twice changes nothing.
  package func nextAction(now: Timestamp) -> Action {
    switch state {
    case .ready: .ask(.stage)
    case .staging: .observe(.stage)
    case .staged, .validating: .ask(.validate)
    case .validated:
      isProved(at: now) ? .ask(.promote) : .ask(.validate)
    case .promoting: .observe(.promote)
    case .promoted, .verifying: .ask(.verify)
    case .owed:
      if let graceEnds, graceEnds > now { .wait(until: graceEnds) } else { .ask(.retire) }
    case .retiring: .observe(.retire)
    case .deleted, .proving: .ask(.prove)
    case .rejected: .ask(.discard)
    case .discarding: .observe(.discard)
    case .settled, .failed: .finished
    }
  }
}

extension RotationState {
  /// The state after `event`, or nil if the event is illegal here.
  package func after(_ event: RotationEvent) -> RotationState? {
    switch self {
    case .ready:
      switch event {
      case .intended(.stage): .staging
      // Something stood in the way before anything was asked: this counts as an attempt, and nothing else changed.
      case .postponed(.stage): .ready
      case .abandoned: .failed
      default: nil
      }
    case .staging:
      switch event {
      case .staged: .staged
      case .lost(.stage): .staging
      case .postponed(.stage): .ready
      default: nil
      }
    case .staged:
      switch event {
      case .intended(.validate): .validating
      // Only containment promotes what was not proved.
      case .intended(.promote): .promoting
      case .abandoned: .rejected
      default: nil
      }
    case .validating:
      switch event {
      case .intended(.validate): .validating
      // Containment, or a person if the provider accepts the pair only once it is primary.
      case .intended(.promote): .promoting
      case .validated: .validated
      case .rejected: .rejected
      case .postponed(.validate): .staged
      default: nil
      }
    case .validated:
      switch event {
      case .intended(.promote): .promoting
      case .intended(.validate): .validating
      case .abandoned: .rejected
      default: nil
      }
    case .promoting:
      switch event {
      case .promoted: .promoted
      case .lost(.promote): .promoting
      case .rejected: .rejected
      // The proof has aged meanwhile: the pair is proved again before it is promoted again.
      case .postponed(.promote): .staged
      default: nil
      }
    case .promoted:
      switch event {
      case .intended(.verify): .verifying
      // Only containment retires what was replaced before the new pair was verified.
      case .intended(.retire): .retiring
      default: nil
      }
    case .verifying:
      switch event {
      case .intended(.verify): .verifying
      case .intended(.retire): .retiring
      case .verified: .owed
      case .postponed(.verify): .promoted
      default: nil
      }
    case .owed:
      event == .intended(.retire) ? .retiring : nil
    case .retiring:
      switch event {
      case .deleted: .deleted
      case .lost(.retire): .retiring
      case .postponed(.retire): .owed
      default: nil
      }
    case .deleted:
      event == .intended(.prove) ? .proving : nil
    case .proving:
      switch event {
      case .intended(.prove): .proving
      case .refused: .settled
      case .postponed(.prove): .deleted
      // The provider still has the pair that it said it had deleted.
      case .postponed(.retire): .owed
      default: nil
      }
    case .rejected:
      event == .intended(.discard) ? .discarding : nil
    case .discarding:
      switch event {
      case .discarded: .failed
      case .lost(.discard): .discarding
      case .postponed(.discard): .rejected
      default: nil
      }
    case .settled, .failed:
      nil
    }
  }
}

extension RotationState {
  /// What containment does in this state instead of the next action; nil if it does nothing of its own.
  var containmentStep: RotationStep? {
    switch self {
    case .staged, .validating, .validated: .promote
    case .promoted, .verifying, .owed: .retire
    case .ready, .staging, .promoting, .retiring, .deleted, .proving, .settled, .rejected, .discarding, .failed: nil
    }
  }
}
