import Sodium

/// The X25519 recipient type (c2sp.org/age, "The X25519 recipient type").
struct X25519Stanza {
  static let type = "X25519"
  private static let info = "age-encryption.org/v1/X25519"

  let share: [UInt8]
  let body: [UInt8]

  /// Checks a stanza of this type. One that is not exactly as specified is refused, not skipped.
  init(_ stanza: Stanza) throws {
    guard stanza.arguments.count == 2 else {
      throw AgeError(.malformedHeader, "X25519 stanza has \(stanza.arguments.count) arguments, expected 2")
    }
    guard let share = [UInt8](base64: stanza.arguments[1], padding: .none), share.count == X25519.keySize else {
      throw AgeError(.malformedHeader, "X25519 share is not \(X25519.keySize) bytes of canonical unpadded base64")
    }
    guard stanza.body.count == FileKey.wrappedSize else {
      throw AgeError(
        .malformedHeader, "X25519 stanza body has \(stanza.body.count) bytes, expected \(FileKey.wrappedSize)")
    }
    self.share = share
    body = stanza.body
  }

  /// The file key, or nil if the stanza is for another recipient.
  func unwrap(with identity: AgeIdentity) throws -> SecretBytes? {
    let shared: SecretBytes
    do {
      shared = try identity.withScalar { scalar in try X25519.sharedSecret(of: scalar, with: share) }
    } catch let error as SodiumError where error.code == .notAuthentic {
      // The shared secret would be zero for every identity, and anyone could open the file key: abort, as specified.
      throw AgeError(.malformedHeader, "X25519 share is a low-order point")
    }
    let wrapKey = try HKDFSHA256.derive(
      inputKey: shared.bytes, salt: share + identity.recipient.publicKey, info: Self.info)
    return try FileKey.unwrap(body, with: wrapKey)
  }

  /// A stanza that gives `fileKey` to `recipient`, from a fresh ephemeral secret.
  static func wrap(
    _ fileKey: borrowing SecretBytes, to recipient: AgeRecipient, randomness: Randomness
  ) throws -> Stanza {
    let ephemeral = try randomness.secret(X25519.keySize)
    let share = try X25519.publicKey(of: ephemeral.bytes)
    let shared = try X25519.sharedSecret(of: ephemeral.bytes, with: recipient.publicKey)
    let wrapKey = try HKDFSHA256.derive(inputKey: shared.bytes, salt: share + recipient.publicKey, info: info)
    return Stanza([Array(type.utf8), share.base64(padding: .none)], body: try FileKey.wrap(fileKey, with: wrapKey))
  }
}
