/// Where a rotation stands: decided by its journal alone.
package enum RotationState: String, Sendable, CaseIterable {
  /// Begun; nothing asked of the provider yet.
  case ready
  /// Staging was intended; no outcome is known.
  case staging
  /// A new pair is saved.
  case staged
  case validating
  /// The new pair was granted a token.
  case validated
  /// Promotion was intended; no outcome is known.
  case promoting
  /// The new pair is primary and active; the old one is owed.
  case promoted
  case verifying
  /// The rotation's purpose is reached; the old pair is left alone until its grace is over.
  case owed
  /// Deleting the old pair was intended; no outcome is known.
  case retiring
  /// The old pair is gone at the provider, and not yet seen to be refused.
  case deleted
  case proving
  /// The old pair was seen to be refused. Final.
  case settled
  /// The new pair will not be promoted, and still is at the provider.
  case rejected
  /// Deleting the staged pair was intended; no outcome is known.
  case discarding
  /// The attempt is over, the active pair is what it was before. Final.
  case failed

  /// Whether nothing is left to do.
  package var isFinal: Bool { self == .settled || self == .failed }

  /// Whether the new pair is in use and only the replaced one is left to be dealt with.
  package var isOwing: Bool {
    switch self {
    case .owed, .retiring, .deleted, .proving: true
    default: false
    }
  }
}
