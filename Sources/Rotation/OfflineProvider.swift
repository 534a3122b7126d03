package import Vault

/// The provider of a run that must not send requests: a delivery needs no network and no provider settings.
package struct OfflineProvider: CredentialProvider {
  /// Thrown if it is asked anyway.
  let error: ProviderError
  /// Whether the credential is only used, so that no later run could continue a rotation of it.
  let hasNothingToRotate: Bool

  /// `error` is thrown if the provider is asked anyway.
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
