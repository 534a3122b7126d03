import CSodium

/// X25519 (RFC 7748).
package enum X25519 {
  package static let keySize = 32

  /// The public key of a 32-byte secret scalar.
  package static func publicKey(of secret: RawSpan) throws -> [UInt8] {
    try requireSize(secret.byteCount, keySize, "X25519 secret key")
    SodiumLibrary.start()
    return secret.withUnsafeBytes { secret in
      makeBytes(keySize) { output in
        // The base point has full order, so this cannot fail for any scalar.
        crypto_scalarmult_base(output, secret.uint8)
      }
    }
  }

  /// The shared secret of our scalar and their point. Throws `notAuthentic` for a low-order point (an all-zero result),
  /// which RFC 7748 §6.1 and the age specification both refuse.
  package static func sharedSecret(of secret: RawSpan, with publicKey: [UInt8]) throws -> SecretBytes {
    try requireSize(secret.byteCount, keySize, "X25519 secret key")
    try requireSize(publicKey.count, keySize, "X25519 public key")
    SodiumLibrary.start()
    return try SecretBytes(count: keySize) { output in
      let status = secret.withUnsafeBytes { crypto_scalarmult(output, $0.uint8, publicKey) }
      guard status == 0 else { throw SodiumError(.notAuthentic, "X25519 public key is a low-order point") }
    }
  }

  /// The X25519 form of an Ed25519 public key: the same point on the other curve (RFC 7748 §4.1). Throws `notAuthentic`
  /// unless it is a point of the prime-order group.
  package static func publicKey(ofEd25519 key: [UInt8]) throws -> [UInt8] {
    try requireSize(key.count, keySize, "Ed25519 public key")
    SodiumLibrary.start()
    var point = [UInt8](repeating: 0, count: keySize)
    guard crypto_sign_ed25519_pk_to_curve25519(&point, key) == 0 else {
      throw SodiumError(.notAuthentic, "Ed25519 public key is not a point of the group")
    }
    return point
  }
}
