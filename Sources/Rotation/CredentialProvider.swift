package import Audit
package import Sodium
package import Vault

/// A kind of system that issues pairs, as far as the engine needs to know it. One value serves one run of one credential.
///
/// Every method that changes the provider names what it acts on, so that a call sent by a run that lost its lease does
/// nothing twice. None retries: the engine decides that.
package protocol CredentialProvider: Sendable {
  /// What it has of this credential now. `known` are the pairs the vault has, which say which consumer is ours.
  func observe(known: [Pair]) async throws(ProviderError) -> Observation

  /// Makes a new pair beside the primary one. `observation` is one made by the same run before.
  func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair

  /// Makes the staged pair `handle` primary.
  func promote(handle: String, _ observation: Observation) async throws(ProviderError)

  /// Ends the pair `handle`, which the caller has just seen in `observation` and recognised by its client identifier.
  func delete(handle: String, _ observation: Observation) async throws(ProviderError)

  /// Asks for a fresh token with `pair`, and drops it.
  func grant(_ pair: Pair) async throws(ProviderError) -> GrantEvidence

  /// Drives what follows with `pair`, which was proved: the credential administers itself and is about to change hands.
  /// If the pair cannot administer, the next call says so, while the old one is still primary. Asks nobody by itself.
  func administer(with pair: Pair) async
}

/// What a provider has of one credential at one moment.
package struct Observation: Sendable {
  /// What the provider calls the unit our pairs belong to. Not secret.
  package let consumer: String
  package let primary: ObservedPair
  /// Pairs beside the primary one.
  package let others: [ObservedPair]

  package init(consumer: String, primary: ObservedPair, others: [ObservedPair]) {
    self.consumer = consumer
    self.primary = primary
    self.others = others
  }
}

/// One pair as the provider shows it.
package struct ObservedPair: Sendable {
  /// Its place at the provider.
  package enum Place: String, Sendable {
    case primary
    /// Made, not yet primary.
    case staged
    /// Was primary, and still is accepted.
    case replaced
    /// Ended by the provider.
    case expired
  }

  package let place: Place
  /// What the provider calls it; empty for the primary pair where it has no name. Not secret.
  package let handle: String
  package let clientID: SharedSecret
  /// Nil where the provider does not show it.
  package let clientSecret: SharedSecret?
  /// When the provider will end it by itself.
  package let expires: Timestamp?

  package init(
    place: Place, handle: String, clientID: SharedSecret, clientSecret: SharedSecret?, expires: Timestamp?
  ) {
    self.place = place
    self.handle = handle
    self.clientID = clientID
    self.clientSecret = clientSecret
    self.expires = expires
  }

  /// Whether this is the provider's view of `pair`.
  package func matches(_ pair: Pair) -> Bool { clientID.secret.isEqual(to: pair.clientID) }
}

/// What a token grant showed, for the log. Nothing in it is secret.
package struct GrantEvidence: Hashable, Sendable {
  /// Whether the provider's signature over its answer checks under the pair's secret.
  package enum Signature: String, Sendable {
    case valid, mismatch, absent
  }

  package let status: Int
  package let signature: Signature
  /// The provider's time as it answered, if it told.
  package let providerTime: Timestamp?

  package init(status: Int, signature: Signature, providerTime: Timestamp? = nil) {
    self.status = status
    self.signature = signature
    self.providerTime = providerTime
  }
}
