package import Sodium

/// The key that a file is sealed to: an Ed25519 public key in OpenSSH's form, `ssh-ed25519 AAAA…`. Its owner opens the
/// file with `age -d -i ~/.ssh/id_ed25519`; this module seals to such keys but opens nothing with them.
package struct SSHRecipient: Hashable, Sendable, CustomStringConvertible {
  static let type = "ssh-ed25519"

  /// The key in SSH's wire format (RFC 8709 §4).
  let encoded: [UInt8]
  /// The X25519 form of the same key.
  let publicKey: [UInt8]

  /// `ssh-ed25519 AAAA…`, without a comment.
  package var description: String { "\(Self.type) \(encoded.base64)" }

  /// Parses the line of a `.pub` file and ignores the comment after the key. Throws `malformedRecipient`, also for the
  /// few points to which nothing can be sealed.
  package init(_ line: String) throws {
    let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    guard words.count >= 2, words[0] == Self.type, let encoded = [UInt8](base64: String(words[1])) else {
      throw AgeError(.malformedRecipient, "SSH recipient is not `ssh-ed25519` and canonical base64")
    }
    let prefix = [0, 0, 0, 11] + Array(Self.type.utf8) + [0, 0, 0, 32]
    guard encoded.starts(with: prefix), encoded.count == prefix.count + X25519.keySize else {
      throw AgeError(.malformedRecipient, "SSH recipient's base64 is not that of an Ed25519 key")
    }
    self.encoded = encoded
    do { publicKey = try X25519.publicKey(ofEd25519: Array(encoded[prefix.count...])) } catch let error as SodiumError
      where error.code == .notAuthentic
    {
      throw AgeError(.malformedRecipient, "SSH recipient is not a point that a file can be sealed to")
    }
  }
}

/// The recipient type for SSH keys, as in the `age` program (filippo.io/age/agessh). The specification does not cover
/// it.
enum SSHStanza {
  private static let info = "age-encryption.org/v1/ssh-ed25519"

  /// A stanza that gives `fileKey` to `recipient`, from a fresh ephemeral secret.
  static func wrap(
    _ fileKey: borrowing SecretBytes, to recipient: SSHRecipient, randomness: Randomness
  ) throws -> Stanza {
    // The format multiplies the shared secret by a number derived from the public key. Multiplying the public key first
    // gives the same result, and the shared secret never leaves guarded memory.
    let empty: [UInt8] = []
    let tweak = try HKDFSHA256.derive(inputKey: empty.span.bytes, salt: recipient.encoded, info: info)
    let tweaked = try X25519.sharedSecret(of: tweak.bytes, with: recipient.publicKey)
    let point = tweaked.bytes.publicPrefix(X25519.keySize)
    let ephemeral = try randomness.secret(X25519.keySize)
    let share = try X25519.publicKey(of: ephemeral.bytes)
    let shared = try X25519.sharedSecret(of: ephemeral.bytes, with: point)
    let wrapKey = try HKDFSHA256.derive(inputKey: shared.bytes, salt: share + recipient.publicKey, info: info)
    let tag = Array(SHA256.hash(recipient.encoded).bytes[..<4])
    return Stanza(
      [Array(SSHRecipient.type.utf8), tag.base64(padding: .none), share.base64(padding: .none)],
      body: try FileKey.wrap(fileKey, with: wrapKey))
  }
}

extension AgeFile {
  /// Seals `plaintext` to `recipient` only.
  package static func seal(
    _ plaintext: RawSpan, to recipient: SSHRecipient, randomness: Randomness, armored: Bool
  ) throws -> [UInt8] {
    try seal(plaintext, randomness: randomness, armored: armored) { fileKey in
      [try SSHStanza.wrap(fileKey, to: recipient, randomness: randomness)]
    }
  }
}
