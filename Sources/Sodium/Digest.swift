import CSodium

/// A SHA-256 digest (FIPS 180-4): 32 bytes, not secret. The value holds them inline, so a tree of millions allocates
/// nothing for them.
package struct SHA256Digest: Hashable, Sendable {
  package static let size = 32
  /// The bytes, eight to a word in this machine's byte order.
  package fileprivate(set) var words: SIMD4<UInt64>

  package init(_ bytes: [UInt8]) throws {
    try requireSize(bytes.count, Self.size, "SHA-256 digest")
    words = SIMD4()
    withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
  }

  fileprivate init(_ words: SIMD4<UInt64>) { self.words = words }

  package var bytes: [UInt8] { Swift.withUnsafeBytes(of: words) { Array($0) } }

  /// Standard base64 with padding (RFC 4648 §4).
  package var base64: String { Swift.withUnsafeBytes(of: words) { base64Text($0, .required) } }
}

/// SHA-256, in one call or piece by piece.
package struct SHA256 {
  private var state = crypto_hash_sha256_state()

  package init() { crypto_hash_sha256_init(&state) }

  package mutating func update(_ bytes: [UInt8]) { crypto_hash_sha256_update(&state, bytes, UInt64(bytes.count)) }

  package mutating func update(_ bytes: RawSpan) {
    _ = bytes.withUnsafeBytes { crypto_hash_sha256_update(&state, $0.uint8, UInt64($0.count)) }
  }

  package mutating func update(_ byte: UInt8) {
    var byte = byte
    crypto_hash_sha256_update(&state, &byte, 1)
  }

  package mutating func update(_ digest: SHA256Digest) {
    _ = withUnsafeBytes(of: digest.words) { crypto_hash_sha256_update(&state, $0.uint8, UInt64($0.count)) }
  }

  package mutating func finalize() -> SHA256Digest {
    var words = SIMD4<UInt64>()
    _ = withUnsafeMutableBytes(of: &words) { crypto_hash_sha256_final(&state, $0.uint8) }
    return SHA256Digest(words)
  }

  package static func hash(_ bytes: [UInt8]) -> SHA256Digest {
    var hasher = SHA256()
    hasher.update(bytes)
    return hasher.finalize()
  }
}

/// BLAKE2b (RFC 7693).
package enum BLAKE2b {
  /// The unkeyed digest of `bytes`, `size` (16 to 64) bytes long.
  package static func hash(_ bytes: [UInt8], size: Int = 32) throws -> [UInt8] {
    guard (16...64).contains(size) else {
      throw SodiumError(.badParameters, "BLAKE2b digest of \(size) bytes, expected 16 to 64")
    }
    return makeBytes(size) { output in
      crypto_generichash(output, size, bytes, UInt64(bytes.count), nil, 0)
    }
  }
}
