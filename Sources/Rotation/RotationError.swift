package import Audit

/// Why a run stopped before its goal. The vault still holds everything it held, and a later run continues.
package struct RotationError: Error, Sendable, CustomStringConvertible {
  package enum Code: Hashable, Sendable {
    /// The provider's answer, classified.
    case provider(ProviderError.Code)
    /// Another run has the credential, or something under way must end first.
    case held
    /// The replaced pair is in its grace and occupies the provider's staging slot until then.
    case inGrace(until: Timestamp)
    /// A staged pair that is no version of the credential occupies the slot, or a pair of another credential of the
    /// vault.
    case foreignStagedPair
    /// The provider's primary pair is not the vault's active one, or another pair may be the one in use.
    case foreignPrimary
    /// The run cannot clear something up: above all, the provider did not do what it said it did, however often it was
    /// looked at.
    case unresolved
    /// The goal is reached, and something is still to be seen: that a promoted pair is in use, or that a deleted one is
    /// refused.
    case outstanding
    /// The journal is not one that this engine writes.
    case corruptJournal
    /// A hook did not let the rotation begin, or the reason given for a leak contains a secret.
    case vetoed
    /// The set-up of a sink or hook cannot work.
    case cannotDeliver
    /// There is nothing to retire.
    case nothingOwed
    /// There is nothing to resume, to give up or to adopt.
    case nothingUnfinished
    /// A rotation was begun and is neither finished nor given up.
    case unfinished
    /// The same, and the requested change must wait for its end.
    case underWay
    /// The attempt to be given up has already promoted its pair.
    case promotedAlready
    /// The credential was handed over, and is rotated elsewhere.
    case handedOver
    /// Nothing is due by the schedule, or something holds it back.
    case notDue
  }

  package let code: Code
  package let description: String
  package let hint: String?
  /// How long the provider asked to be left alone.
  package let retryAfter: Duration?
  /// The end of the output, masked, of the hook that stopped the run; empty if no hook did or it said nothing. Not in
  /// `description`.
  package let said: String

  package init(
    _ code: Code, _ description: String, hint: String? = nil, retryAfter: Duration? = nil, said: String = ""
  ) {
    self.code = code
    self.description = description
    self.hint = hint
    self.retryAfter = retryAfter
    self.said = said
  }

  /// The same error as `outstanding`, for trouble at the provider that came after the goal was reached. Other errors
  /// keep their code, which says more.
  func outstanding(hint: String) -> RotationError {
    switch code {
    case .provider, .unresolved:
      RotationError(.outstanding, description, hint: self.hint ?? hint, retryAfter: retryAfter)
    default: self
    }
  }

  init(_ error: ProviderError, while step: String, _ credential: String) {
    self.init(.provider(error.code), "\(credential): \(step): \(error)", hint: error.hint, retryAfter: error.retryAfter)
  }
}
