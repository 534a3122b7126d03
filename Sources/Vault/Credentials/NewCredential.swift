package import Audit

/// What a credential is added with.
package struct NewCredential: Sendable {
  package let name: String
  package let provider: String
  package let settings: [String: String]
  package let policy: Policy
  /// Its own name if it administers itself.
  package let admin: String
  package let pair: Pair
  /// When the provider made the pair, if that is known.
  package let made: Timestamp?

  package init(
    name: String, provider: String, settings: [String: String], policy: Policy, admin: String, pair: Pair,
    made: Timestamp?
  ) {
    self.name = name
    self.provider = provider
    self.settings = settings
    self.policy = policy
    self.admin = admin
    self.pair = pair
    self.made = made
  }
}
