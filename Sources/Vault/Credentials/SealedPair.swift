/// A pair as it is stored: sealed under its credential's key, for one version of one credential of one vault.
package struct SealedPair: Sendable {
  let credential: Identifier
  /// The key that it is sealed under.
  let keyID: String
  package let version: UInt64
  let record: [UInt8]
}
