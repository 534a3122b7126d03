import CSodium

/// An Ed25519 public key (RFC 8032): 32 bytes.
package struct VerifyingKey: Hashable, Sendable {
  package static let size = 32
  package let bytes: [UInt8]

  package init(_ bytes: [UInt8]) throws {
    try requireSize(bytes.count, Self.size, "Ed25519 public key")
    self.bytes = bytes
  }

  /// Whether `signature` is this key's signature of `message`. libsodium refuses small-order keys and non-canonical
  /// signatures.
  package func isValid(_ signature: [UInt8], of message: [UInt8]) -> Bool {
    SodiumLibrary.start()
    return signature.count == SigningKey.signatureSize
      && crypto_sign_verify_detached(signature, message, UInt64(message.count), bytes) == 0
  }
}

/// An Ed25519 secret key in guarded memory (RFC 8032).
package final class SigningKey: Sendable {
  package static let seedSize = 32
  package static let signatureSize = 64

  package let verifyingKey: VerifyingKey
  private let expanded: SecretBytes

  /// The key pair of a 32-byte seed.
  package init(seed: RawSpan) throws {
    try requireSize(seed.byteCount, Self.seedSize, "Ed25519 seed")
    SodiumLibrary.start()
    var publicKey = [UInt8](repeating: 0, count: VerifyingKey.size)
    expanded = try SecretBytes(count: 64) { output in
      _ = seed.withUnsafeBytes { crypto_sign_seed_keypair(&publicKey, output, $0.uint8) }
    }
    verifyingKey = try VerifyingKey(publicKey)
  }

  /// The 64-byte deterministic signature of `message`.
  package func sign(_ message: [UInt8]) -> [UInt8] {
    expanded.withUnsafeBytes { key in
      makeBytes(Self.signatureSize) { output in
        crypto_sign_detached(output, nil, message, UInt64(message.count), key.uint8)
      }
    }
  }
}
