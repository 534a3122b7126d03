package import Vault

/// A kind of system that issues pairs, as far as the engine needs to know it. One value serves one run of one
/// credential.
///
/// Every method that changes the provider names what it acts on, so that a call sent by a run that lost its lease does
/// nothing twice. No method retries: the engine decides that.
package protocol CredentialProvider: Sendable {
  /// What happens to the old pair when there is a new one.
  var replacement: Replacement { get }

  /// Whether the provider shows a mark on what this credential's requests made, so that a pair without it is a
  /// stranger's.
  var marksOwnPairs: Bool { get }

  /// Whether `observe` shows pairs that the vault does not know. If not, nobody can see that a restored vault is older
  /// than the provider.
  var showsUnknownPairs: Bool { get }

  /// The settings that say where a credential's pairs are, as opposed to how they are used; nil if any setting may. Two
  /// credentials of one kind with the same values for them can see each other's pairs.
  var placeSettings: Set<String>? { get }

  /// What the provider has of this credential now. `known` are the vault's pairs; they say which consumer is ours.
  /// Fails with `configuration`, before any change is requested, if a lost answer could not be cleared up by looking.
  func observe(known: KnownPairs) async throws(ProviderError) -> Observation

  /// Makes a new pair beside the primary one. `observation` was made earlier by the same run.
  func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair

  /// Makes the staged pair `handle` primary. Sends no request unless `replacement` is `promotion`.
  func promote(handle: String, _ observation: Observation) async throws(ProviderError)

  /// Ends the pair `handle`, which the caller has just seen in `observation` and recognised by its client identifier.
  func delete(handle: String, _ observation: Observation) async throws(ProviderError)

  /// Asks for a fresh token with `pair`, and drops it. `overNewConnection` asks over a new connection, where there are
  /// connections, because one of several servers may accept what another refuses. Later requests go to the server that
  /// answered, as far as one connection means one server.
  func grant(_ pair: Pair, overNewConnection: Bool) async throws(ProviderError) -> GrantEvidence

  /// Asks for a fresh token with `pair`, and makes the checks that a new pair must pass before it is promoted, and an
  /// active one before a rotation is planned. Throws `refused` only if the pair itself is refused; any other failed
  /// check has another code.
  func validate(_ pair: Pair) async throws(ProviderError) -> GrantEvidence

  /// Uses `pair`, which was proved, as the administrator from here on: the credential administers itself and is about
  /// to change hands. If the pair cannot administer, the next call reports it while the old pair is still primary.
  /// Sends no request itself.
  func administer(with pair: Pair) async
}

/// A provider that grants tokens to administrators themselves, as it does to the pairs that they administer.
package protocol AdministratorGranter: CredentialProvider {
  /// Asks for a fresh token with the administrator's `pair`, where the administrator's own settings say, and drops it.
  /// If this succeeds while another pair is refused there, the server does not refuse everybody.
  ///
  /// Throws `configuration`, and sends no request, if `grant` goes to another server: the administrator's pair is never
  /// shown to a server that only the credential's settings name.
  func grant(administrator pair: Pair) async throws(ProviderError)
}

extension CredentialProvider {
  package var replacement: Replacement { .promotion }

  package var showsUnknownPairs: Bool { true }
  package var marksOwnPairs: Bool { false }
  package var placeSettings: Set<String>? { nil }

  package func grant(_ pair: Pair) async throws(ProviderError) -> GrantEvidence {
    try await grant(pair, overNewConnection: false)
  }

  package func validate(_ pair: Pair) async throws(ProviderError) -> GrantEvidence { try await grant(pair) }
}

/// What happens to the old pair when there is a new one. This decides what can be undone, and who says which pair is
/// primary.
package enum Replacement: String, Sendable {
  /// A new pair is staged beside the primary one; a separate request makes it primary.
  case promotion
  /// Both are accepted alike until one is deleted. The provider calls neither primary; the vault's active one counts as
  /// primary.
  case overlap
  /// Making the new one ends the old one at once. Until the new one is promoted here, the vault's active one still
  /// counts as primary although it is dead. The new one can no longer be given up.
  case cutOver = "cut-over"

  /// The warning before such a rotation.
  package static let cutOverWarning =
    "the old pair ends the moment the new one is made: anyone who uses it is refused until the new one has arrived"
}
