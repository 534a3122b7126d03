package import Audit

/// Why a run stopped before its goal. The vault holds all it held, and a later run continues.
package struct RotationError: Error, Sendable, CustomStringConvertible {
  package enum Code: Hashable, Sendable {
    /// The provider's answer, sorted.
    case provider(ProviderError.Code)
    /// Another run has the credential.
    case held
    /// The replaced pair is in its grace and occupies the provider's staging slot until then.
    case inGrace(until: Timestamp)
    /// A staged pair that this vault did not make occupies the slot.
    case foreignStagedPair
    /// The provider's primary pair is none of the vault's.
    case foreignPrimary
    /// The provider did not do what it said it did, however often it was looked at.
    case unresolved
    /// What was asked for is done, and something is left to see: that a promoted pair is in use, that a deleted one is
    /// refused.
    case outstanding
    /// The journal is not one that this engine writes.
    case corruptJournal
    /// A hook did not let the rotation begin.
    case vetoed
    /// A sink or hook is set up so that it cannot work.
    case cannotDeliver
    /// There is nothing to retire.
    case nothingOwed
    /// There is nothing to resume or to give up.
    case nothingUnfinished
    /// A rotation was begun and is neither finished nor given up.
    case unfinished
    /// The same, and what was asked for has to wait for its end.
    case underWay
    /// The attempt that was to be given up has promoted its pair.
    case promotedAlready
    /// The credential was handed over, and is rotated elsewhere.
    case handedOver
    /// The schedule asks for nothing, or something holds it back.
    case notDue
  }

  package let code: Code
  package let description: String
  package let hint: String?
  /// How long the provider asked to be left alone.
  package let retryAfter: Duration?
  /// The end of what a hook said that stopped the run, masked; empty if none did or it said nothing. Not in `description`.
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

  /// The same where the provider's trouble came after what was asked for was done. Other errors keep their code: they say
  /// more.
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
