/// One journalled fact of a rotation. The journal is an intent log: every act has an entry before it and one after it.
package enum RotationEvent: Hashable, Sendable {
  /// The step is about to be asked of the provider.
  case intended(RotationStep)
  /// The answer to a step that changes the provider was lost: it may or may not have acted.
  case lost(RotationStep)
  /// The step did not happen, for a reason that may pass; it will be asked again.
  case postponed(RotationStep)
  /// A new pair is at the provider and saved as the staged version.
  case staged
  /// The new pair was granted a fresh token.
  case validated
  /// The new pair was refused until its propagation window was over, or is gone at the provider.
  case rejected
  /// The new pair is primary at the provider, and active in the vault.
  case promoted
  /// The provider was seen to have the new pair as primary and to accept it.
  case verified
  /// The replaced pair is gone at the provider.
  case deleted
  /// The replaced pair was seen to be refused, while the new one was accepted.
  case refused
  /// The staged pair is gone at the provider.
  case discarded
  /// An operator gave the attempt up.
  case abandoned
}

extension RotationEvent {
  /// The event's name in the log, after `rotation.`.
  package var name: String {
    switch self {
    case .intended(let step): "\(step.rawValue).intended"
    case .lost(let step): "\(step.rawValue).lost"
    case .postponed(let step): "\(step.rawValue).postponed"
    case .staged: "staged"
    case .validated: "validated"
    case .rejected: "rejected"
    case .promoted: "promoted"
    case .verified: "verified"
    case .deleted: "deleted"
    case .refused: "refused"
    case .discarded: "discarded"
    case .abandoned: "abandoned"
    }
  }

  /// Every event there is, for the journal's reader and for the test that walks states × events.
  package static let all: [RotationEvent] =
    RotationStep.allCases.map { .intended($0) }
    + RotationStep.allCases.filter(\.changesProvider).map { .lost($0) }
    + RotationStep.allCases.map { .postponed($0) }
    + [.staged, .validated, .rejected, .promoted, .verified, .deleted, .refused, .discarded, .abandoned]

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  /// The event with this name; nil if there is none.
  package init?(name: String) {
    guard let event = Self.byName[name] else { return nil }
    self = event
  }
}
