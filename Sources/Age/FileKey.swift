import Sodium

/// The key of one file (c2sp.org/age, "File key"): 16 random bytes, never used for another file.
enum FileKey {
  static let size = 16
  /// The size of a file key sealed into a stanza's body: the key and a tag.
  static let wrappedSize = size + ChaCha20Poly1305.tagSize

  /// A wrap key seals one file key and nothing else, so the specification fixes the nonce at zero.
  private static let nonce = [UInt8](repeating: 0, count: ChaCha20Poly1305.nonceSize)

  static func generate(with randomness: Randomness) throws -> SecretBytes { try randomness.secret(size) }

  static func wrap(_ fileKey: borrowing SecretBytes, with wrapKey: borrowing SecretBytes) throws -> [UInt8] {
    try ChaCha20Poly1305.seal(fileKey.bytes, key: wrapKey.bytes, nonce: nonce)
  }

  /// The file key in `body`, or nil if `wrapKey` is not the one that sealed it.
  ///
  /// Callers must have checked that `body` has `wrappedSize` bytes. A longer one could be built to open with several
  /// keys, and whether it opens would then reveal which of them we hold (the partitioning oracle that the specification
  /// prevents).
  static func unwrap(_ body: [UInt8], with wrapKey: borrowing SecretBytes) throws -> SecretBytes? {
    do {
      return try ChaCha20Poly1305.open(body.span.bytes, key: wrapKey.bytes, nonce: nonce)
    } catch let error as SodiumError where error.code == .notAuthentic {
      return nil
    }
  }
}
