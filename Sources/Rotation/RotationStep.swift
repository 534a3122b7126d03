/// What the engine asks of a provider. Each step is journalled as an intent before the request.
package enum RotationStep: String, Sendable, CaseIterable {
  /// Make a new pair beside the active one.
  case stage
  /// A fresh token grant with the new pair.
  case validate
  /// Make the staged pair primary.
  case promote
  /// See that the new pair is primary and is still granted tokens.
  case verify
  /// Delete the replaced pair.
  case retire
  /// See the replaced pair refused while the new one is accepted.
  case prove
  /// Delete a staged pair that will not be promoted.
  case discard

  /// Whether the request changes the provider, so that a lost answer must be cleared up by observing it.
  package var changesProvider: Bool {
    switch self {
    case .stage, .promote, .retire, .discard: true
    case .validate, .verify, .prove: false
    }
  }
}
