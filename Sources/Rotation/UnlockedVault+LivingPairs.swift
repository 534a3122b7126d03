import JSON
package import Audit
package import Vault

// A run, a plan and a checklist all need the pairs that the provider may still accept, the ones that are owed included.
extension UnlockedVault {
  /// Opens the pairs of the credential `name` that its provider may still accept, by version, after a durable entry that
  /// says so and gives `purpose`.
  ///
  /// Throws `notFound`, `notPermitted`, or `corrupt`.
  package func livingPairs(of name: String, purpose: String, now: Timestamp) async throws -> [UInt64: Pair] {
    let opened = try await pairs(
      of: name, choosing: \.livingVersions, event: .pairUsed, ["purpose": .string(purpose)], now: now)
    return Self.byVersion(opened)
  }

  /// Opens what a change of this vault has read (`VaultChange.readingLiving`), once that is durable: the pairs, by version,
  /// and the key that they were sealed under.
  func openLiving(_ sealed: SealedVersions) throws -> (key: CredentialKey, pairs: [UInt64: Pair]) {
    let (key, opened) = try open(sealed)
    return (key, Self.byVersion(opened))
  }

  private static func byVersion(_ opened: [(version: Version, pair: Pair)]) -> [UInt64: Pair] {
    Dictionary(opened.map { ($0.version.number, $0.pair) }) { $1 }
  }
}

extension VaultChange {
  /// Reads what `livingPairs` opens, for a rotation, in a change that does something else besides.
  func readingLiving(of credential: Credential, for member: Member) throws -> SealedVersions {
    try sealedVersions(
      of: credential, choosing: credential.livingVersions, for: member, event: .pairUsed,
      ["purpose": .string(RotationRun.purpose)])
  }
}

extension RotationRun {
  /// What a rotation opens pairs for, in the words of the log.
  static let purpose = "rotation"
}
