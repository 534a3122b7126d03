import Sodium

/// The key of one file (c2sp.org/age, "File key"): 16 random bytes, never used for a second file.
enum FileKey {
  static let size = 16
  /// A file key sealed into a stanza's body: the key and a tag.
  static let wrappedSize = size + ChaCha20Poly1305.tagSize

  /// Every wrap key seals one file key and nothing else, so the specification fixes the nonce at zero.
  private static let nonce = [UInt8](repeating: 0, count: ChaCha20Poly1305.nonceSize)

  static func generate(with randomness: Randomness) throws -> SecretBytes { try randomness.secret(size) }

  static func wrap(_ fileKey: borrowing SecretBytes, with wrapKey: borrowing SecretBytes) throws -> [UInt8] {
    try ChaCha20Poly1305.seal(fileKey.bytes, key: wrapKey.bytes, nonce: nonce)
  }

  /// The file key in `body`, or nil if `wrapKey` is not the one that sealed it.
  ///
  /// Callers have checked that `body` has `wrappedSize` bytes: a longer one could be built to open under several keys, and
  /// the answer would then tell which of them we hold (the partitioning oracle the specification guards against).
  static func unwrap(_ body: [UInt8], with wrapKey: borrowing SecretBytes) throws -> SecretBytes? {
    do {
      return try ChaCha20Poly1305.open(body.span.bytes, key: wrapKey.bytes, nonce: nonce)
    } catch let error as SodiumError where error.code == .notAuthentic {
      return nil
    }
  }
}
