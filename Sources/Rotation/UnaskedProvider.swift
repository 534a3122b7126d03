package import Vault

/// The provider of a run that is to ask none: a delivery needs no network, and no setting of a provider.
package struct UnaskedProvider: CredentialProvider {
  /// Thrown if it is asked all the same.
  let error: ProviderError
  /// Whether the credential is only used: no later run could go on with a rotation of it.
  let hasNothingToRotate: Bool

  /// `error` is thrown if it is asked all the same.
  package init(
    _ error: ProviderError = ProviderError(.configuration, "this run has no provider to ask"),
    hasNothingToRotate: Bool = false
  ) {
    self.error = error
    self.hasNothingToRotate = hasNothingToRotate
  }

  package func observe(known: KnownPairs) async throws(ProviderError) -> Observation { throw error }
  package func stage(_ observation: Observation) async throws(ProviderError) -> ObservedPair { throw error }
  package func promote(handle: String, _ observation: Observation) async throws(ProviderError) { throw error }
  package func delete(handle: String, _ observation: Observation) async throws(ProviderError) { throw error }
  package func grant(_ pair: Pair, overNewConnection: Bool) async throws(ProviderError) -> GrantEvidence { throw error }
  package func administer(with pair: Pair) async {}
}
