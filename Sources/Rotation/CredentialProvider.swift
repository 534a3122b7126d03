package import Vault

/// A kind of system that issues pairs, as far as the engine needs to know it. One value serves one run of one credential.
///
/// Every method that changes the provider names what it acts on, so that a call sent by a run that lost its lease does
/// nothing twice. None retries: the engine decides that.
package protocol CredentialProvider: Sendable {
  /// What becomes of the old pair when there is a new one.
  var replacement: Replacement { get }

  /// Whether what this credential's requests made is marked where it is shown, so that what is not is a stranger's.
  var marksItsOwn: Bool { get }

  /// Whether `observe` shows pairs that the vault does not know. Where it cannot, nobody sees that a restored vault is older
  /// than the provider.
  var showsStrangers: Bool { get }

  /// The settings that say where a credential's pairs are, and not how they are used; nil if each may. Two credentials of one kind that
  /// agree in them can see each other's pairs.
  var placeSettings: Set<String>? { get }

  /// What it has of this credential now. `known` are the pairs the vault has, which say which consumer is ours. Fails with
  /// `configuration` where a lost answer could not be cleared up by looking: before anything is asked for.
  func observe(known: KnownPairs) async throws(ProviderError) -> Observation

  /// Makes a new pair beside the primary one. `observation` is one made by the same run before.
  func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair

  /// Makes the staged pair `handle` primary. Asks nobody unless `replacement` is `promotion`.
  func promote(handle: String, _ observation: Observation) async throws(ProviderError)

  /// Ends the pair `handle`, which the caller has just seen in `observation` and recognised by its client identifier.
  func delete(handle: String, _ observation: Observation) async throws(ProviderError)

  /// Asks for a fresh token with `pair`, and drops it. `overNewConnection` asks on one that is made for it, where there are
  /// connections: what one of several servers refuses, another may accept. What is asked after that is asked of whoever answered, as far
  /// as one connection is one server's.
  func grant(_ pair: Pair, overNewConnection: Bool) async throws(ProviderError) -> GrantEvidence

  /// Asks for a fresh token with `pair`, and makes the checks that a new pair must pass before it is promoted, and an active
  /// one before a rotation is planned. `refused` is thrown of the pair alone; what else a check misses is another code.
  func validate(_ pair: Pair) async throws(ProviderError) -> GrantEvidence

  /// Drives what follows with `pair`, which was proved: the credential administers itself and is about to change hands.
  /// If the pair cannot administer, the next call says so, while the old one is still primary. Asks nobody by itself.
  func administer(with pair: Pair) async
}

/// A provider whose administrators are granted tokens themselves, as the pairs that they administer are.
package protocol AdministratorGranter: CredentialProvider {
  /// Asks for a fresh token with `pair`, the administrator's, where its own settings say, and drops it: what refuses another pair
  /// there does not refuse everybody.
  ///
  /// Throws `configuration`, and asks nobody, if `grant` goes to another server: the pair that administers is shown to none that
  /// the settings of the credential alone name.
  func grant(administrator pair: Pair) async throws(ProviderError)
}

extension CredentialProvider {
  package var replacement: Replacement { .promotion }

  package var showsStrangers: Bool { true }
  package var marksItsOwn: Bool { false }
  package var placeSettings: Set<String>? { nil }

  package func grant(_ pair: Pair) async throws(ProviderError) -> GrantEvidence {
    try await grant(pair, overNewConnection: false)
  }

  package func validate(_ pair: Pair) async throws(ProviderError) -> GrantEvidence { try await grant(pair) }
}

/// What becomes of the old pair when there is a new one. What can be undone follows from it, and who says which pair is the
/// primary one.
package enum Replacement: String, Sendable {
  /// A new pair is staged beside the primary one, and made primary by a request of its own.
  case promotion
  /// Both are accepted alike until one is deleted. The provider calls none of them primary: the vault's active one is.
  case overlap
  /// Making the new one ends the old one at once. The vault's active one is called primary until the new one is promoted
  /// here, though it is dead: what was made cannot be given up any more.
  case cutOver = "cut-over"

  /// What is told before a rotation of that kind.
  package static let cutOverWarning =
    "the old pair ends the moment the new one is made: whoever uses it is refused until the new one has arrived"
}
