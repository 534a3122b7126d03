package import Age
package import Sodium

/// The key that wraps every credential's key: 32 random bytes, kept as an age file sealed to every owner.
package final class VaultKey: Sendable {
  package static let size = 32

  private let key: SecretBytes
  /// Names the key without revealing it, so that an attacker who swaps the file cannot pass off another key as this
  /// one.
  package let id: String

  private static let idInfo = "relatch/v1/vault-key-id"
  private static let credentialKeyIDInfo = "relatch/v1/credential-key-id"

  package init(_ key: consuming SecretBytes) throws {
    guard key.count == Self.size else {
      throw VaultError(.corrupt, "the vault key has \(key.count) bytes, expected \(Self.size)")
    }
    id = try Self.id(of: key, Self.idInfo)
    self.key = key
  }

  /// The ID of a credential's key, as the credential's record has it.
  static func id(ofCredentialKey key: borrowing SecretBytes) throws -> String { try id(of: key, credentialKeyIDInfo) }

  private static func id(of key: borrowing SecretBytes, _ info: String) throws -> String {
    try HKDFSHA256.name(inputKey: key.bytes, info: info, count: Identifier.size).hex
  }

  /// The age file to keep: openable by each of `owners` with the `age` program.
  package func sealed(to owners: [AgeRecipient], randomness: Randomness) throws -> [UInt8] {
    try key.withBytes { try AgeFile.seal($0, to: owners, randomness: randomness, armored: true) }
  }

  /// Wraps a credential's key.
  func wrap(
    _ credentialKey: borrowing SecretBytes, of credential: Identifier, in vault: Identifier, _ randomness: Randomness
  )
    throws -> [UInt8]
  {
    let plaintext = credentialKey.bytes
    return try key.withBytes { key in
      try SealedRecord.seal(
        plaintext, key: key, purpose: .credentialKey(credential), vault: vault, randomness: randomness)
    }
  }

  /// Unwraps a credential's key. Throws `corrupt` if it is another credential's, or was altered.
  func unwrap(_ wrapped: [UInt8], of credential: Identifier, in vault: Identifier) throws -> SecretBytes {
    try key.withBytes { try SealedRecord.open(wrapped, key: $0, purpose: .credentialKey(credential), vault: vault) }
  }
}
