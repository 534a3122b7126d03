/// A version's place. One version of a credential is `active`; at most one is `staged`.
package enum Stage: String, Sendable, CaseIterable {
  /// Made at the provider and saved here, not in use.
  case staged
  /// The pair to use.
  case active
  /// Replaced or given up, and owed: the provider has not been seen to refuse it.
  case previous
  /// Seen to be refused, or never in use and removed.
  case retired
}
