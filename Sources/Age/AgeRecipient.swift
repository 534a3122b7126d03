import Sodium

/// The key that a file is sealed to: an X25519 public key, written `age1…`.
package struct AgeRecipient: Hashable, Sendable, CustomStringConvertible {
  static let prefix = "age"

  /// The 32 bytes of the key.
  package let publicKey: [UInt8]
  /// The `age1…` text.
  package let description: String

  /// Parses `age1…`, which has one spelling: lower case, no blanks. Throws `malformedRecipient`, also for the few
  /// points to which nothing can be sealed.
  package init(_ text: String) throws {
    do {
      // A public key needs no guarded memory, but a single decoder that cannot leak an identity is worth 40 µs.
      let key = try Bech32.decode(Array(text.utf8).span.bytes, prefix: Self.prefix, count: X25519.keySize)
      publicKey = key.bytes.publicPrefix(X25519.keySize)
      description = text
    } catch let flaw as Bech32.Flaw {
      throw AgeError(.malformedRecipient, "recipient \(flaw.explanation)")
    }
    do {
      // Low-order points give zero with every scalar, so any scalar finds them. Better now than when something is
      // sealed.
      _ = try X25519.sharedSecret(of: [UInt8](repeating: 1, count: X25519.keySize).span.bytes, with: publicKey)
    } catch let error as SodiumError where error.code == .notAuthentic {
      throw AgeError(.malformedRecipient, "recipient is a low-order point")
    }
  }

  /// The public key of a secret scalar.
  init(of scalar: RawSpan) throws {
    let publicKey = try X25519.publicKey(of: scalar)
    let text = try Bech32.encode(publicKey.span.bytes, prefix: Self.prefix)
    description = String(decoding: text.bytes.publicPrefix(text.count), as: UTF8.self)
    self.publicKey = publicKey
  }
}
