/// Where a rotation stands, decided by its journal only.
package enum RotationState: String, Sendable, CaseIterable {
  /// Begun; nothing asked of the provider yet.
  case ready
  /// Staging was intended; the outcome is unknown.
  case staging
  /// A new pair is saved.
  case staged
  case validating
  /// The new pair was granted a token.
  case validated
  /// Promotion was intended; the outcome is unknown.
  case promoting
  /// The new pair is primary and active; the old one is owed.
  case promoted
  case verifying
  /// The rotation has reached its purpose; the old pair is left alone until its grace is over.
  case owed
  /// Deleting the old pair was intended; the outcome is unknown.
  case retiring
  /// The old pair is gone at the provider, but not yet seen to be refused.
  case deleted
  case proving
  /// The old pair was seen to be refused. Final.
  case settled
  /// The new pair will not be promoted, but is still at the provider.
  case rejected
  /// Deleting the staged pair was intended; the outcome is unknown.
  case discarding
  /// The attempt is over; the active pair is the same as before. Final.
  case failed

  /// Whether nothing is left to do.
  package var isFinal: Bool { self == .settled || self == .failed }

  /// Whether the new pair is in use and only the replaced one remains to be dealt with.
  package var isOwing: Bool {
    switch self {
    case .owed, .retiring, .deleted, .proving: true
    default: false
    }
  }
}
