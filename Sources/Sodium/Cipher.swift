import CSodium

/// XChaCha20-Poly1305 (IETF), the cipher of records at rest: draft-irtf-cfrg-xchacha-03.
package enum XChaCha20Poly1305 {
  package static let keySize = 32
  package static let nonceSize = 24
  package static let tagSize = 16

  /// Seals `plaintext` and binds `associatedData`; returns ciphertext followed by the tag.
  ///
  /// A nonce must never be used twice with the same key. 24 random bytes for each message are safe.
  package static func seal(_ plaintext: RawSpan, key: RawSpan, nonce: [UInt8], associatedData: [UInt8]) throws
    -> [UInt8]
  {
    try requireSize(key.byteCount, keySize, "XChaCha20-Poly1305 key")
    try requireSize(nonce.count, nonceSize, "XChaCha20-Poly1305 nonce")
    let total = plaintext.byteCount + tagSize
    return plaintext.withUnsafeBytes { message in
      key.withUnsafeBytes { key in
        makeBytes(total) { output in
          crypto_aead_xchacha20poly1305_ietf_encrypt(
            output, nil, message.uint8, UInt64(message.count), associatedData, UInt64(associatedData.count), nil,
            nonce, key.uint8)
        }
      }
    }
  }

  /// Opens the output of `seal` into guarded memory. Throws `notAuthentic` if anything at all differs.
  package static func open(_ sealed: RawSpan, key: RawSpan, nonce: [UInt8], associatedData: [UInt8]) throws
    -> SecretBytes
  {
    try requireSize(key.byteCount, keySize, "XChaCha20-Poly1305 key")
    try requireSize(nonce.count, nonceSize, "XChaCha20-Poly1305 nonce")
    guard sealed.byteCount >= tagSize else {
      throw SodiumError.wrongSize(of: "sealed record", found: sealed.byteCount, expected: tagSize)
    }
    return try SecretBytes(count: sealed.byteCount - tagSize) { output in
      let status = sealed.withUnsafeBytes { sealed in
        key.withUnsafeBytes { key in
          crypto_aead_xchacha20poly1305_ietf_decrypt(
            output, nil, nil, sealed.uint8, UInt64(sealed.count), associatedData, UInt64(associatedData.count), nonce,
            key.uint8)
        }
      }
      guard status == 0 else { throw SodiumError(.notAuthentic, "sealed record does not authenticate") }
    }
  }
}

/// ChaCha20-Poly1305 (RFC 8439), the cipher of age files.
package enum ChaCha20Poly1305 {
  package static let keySize = 32
  package static let nonceSize = 12
  package static let tagSize = 16

  /// Seals `plaintext`; returns ciphertext followed by the tag. The caller must never use a nonce twice with one key.
  package static func seal(_ plaintext: RawSpan, key: RawSpan, nonce: [UInt8]) throws -> [UInt8] {
    try requireSize(key.byteCount, keySize, "ChaCha20-Poly1305 key")
    try requireSize(nonce.count, nonceSize, "ChaCha20-Poly1305 nonce")
    let total = plaintext.byteCount + tagSize
    return plaintext.withUnsafeBytes { message in
      key.withUnsafeBytes { key in
        makeBytes(total) { output in
          crypto_aead_chacha20poly1305_ietf_encrypt(
            output, nil, message.uint8, UInt64(message.count), nil, 0, nil, nonce, key.uint8)
        }
      }
    }
  }

  /// Opens the output of `seal` into guarded memory. Throws `notAuthentic` if anything at all differs.
  package static func open(_ sealed: RawSpan, key: RawSpan, nonce: [UInt8]) throws -> SecretBytes {
    try SecretBytes(capacity: max(sealed.byteCount - tagSize, 0)) { output in
      try open(sealed, key: key, nonce: nonce, into: &output)
    }
  }

  /// Opens the output of `seal` and appends the plaintext to `output`, which must have room for it. The pieces of one
  /// document thus need no guarded pages of their own. Nothing is appended unless all of `sealed` authenticates.
  package static func open(
    _ sealed: RawSpan, key: RawSpan, nonce: [UInt8], into output: inout OutputRawSpan
  ) throws {
    try requireSize(key.byteCount, keySize, "ChaCha20-Poly1305 key")
    try requireSize(nonce.count, nonceSize, "ChaCha20-Poly1305 nonce")
    guard sealed.byteCount >= tagSize else {
      throw SodiumError.wrongSize(of: "sealed chunk", found: sealed.byteCount, expected: tagSize)
    }
    let size = sealed.byteCount - tagSize
    guard size <= output.freeCapacity else {
      throw SodiumError.wrongSize(of: "room for a chunk", found: output.freeCapacity, expected: size)
    }
    try sealed.withUnsafeBytes { sealed in
      try key.withUnsafeBytes { key in
        try output.withUnsafeMutableBytes { buffer, initialized in
          let status = crypto_aead_chacha20poly1305_ietf_decrypt(
            buffer.uint8 + initialized, nil, nil, sealed.uint8, UInt64(sealed.count), nil, 0, nonce, key.uint8)
          guard status == 0 else { throw SodiumError(.notAuthentic, "sealed chunk does not authenticate") }
          initialized += size
        }
      }
    }
  }
}
