import Sodium

/// A secret at rest: XChaCha20-Poly1305 with a random nonce, bound by associated data to its place, so that no row can
/// stand in for another. vault/sealed-record.md is its specification.
enum SealedRecord {
  static let format: UInt8 = 1

  /// What a record holds; part of the associated data.
  enum Purpose {
    case credentialKey(Identifier)
    case pair(Identifier, version: UInt64)
    case token(Identifier, version: UInt64)

    var text: String {
      switch self {
      case .credentialKey(let credential): "credential-key \(credential)"
      case .pair(let credential, let version): "pair \(credential) \(version)"
      case .token(let credential, let version): "token \(credential) \(version)"
      }
    }
  }

  private static let minimumSize = 1 + XChaCha20Poly1305.nonceSize + XChaCha20Poly1305.tagSize

  /// Whether `record` may be a sealed record, as far as that can be told without its key.
  static func canBe(_ record: borrowing Span<UInt8>) -> Bool { record.count >= minimumSize && record[0] == format }

  /// `format || nonce || ciphertext || tag`.
  static func seal(
    _ plaintext: RawSpan, key: RawSpan, purpose: Purpose, vault: Identifier, randomness: Randomness
  ) throws -> [UInt8] {
    let nonce = randomness.bytes(XChaCha20Poly1305.nonceSize)
    let sealed = try XChaCha20Poly1305.seal(
      plaintext, key: key, nonce: nonce, associatedData: associatedData(purpose, vault))
    return [format] + nonce + sealed
  }

  /// Opens a record into guarded memory. Throws `corrupt` unless it was sealed with this key for this very place.
  static func open(_ record: [UInt8], key: RawSpan, purpose: Purpose, vault: Identifier) throws -> SecretBytes {
    guard record.count >= minimumSize else {
      throw VaultError(.corrupt, "a sealed record has \(record.count) bytes, too few to be one")
    }
    guard record[0] == format else {
      throw VaultError(.corrupt, "a sealed record has format \(record[0]), expected \(format)")
    }
    let prefix = 1 + XChaCha20Poly1305.nonceSize
    do {
      return try XChaCha20Poly1305.open(
        record.span.extracting(prefix...).bytes, key: key, nonce: Array(record[1..<prefix]),
        associatedData: associatedData(purpose, vault))
    } catch let error as SodiumError where error.code == .notAuthentic {
      throw VaultError(
        .corrupt, "the sealed \(purpose.text) does not authenticate: it was altered, or belongs elsewhere")
    }
  }

  private static func associatedData(_ purpose: Purpose, _ vault: Identifier) -> [UInt8] {
    Array("relatch/v\(format) \(vault) \(purpose.text)".utf8)
  }
}
