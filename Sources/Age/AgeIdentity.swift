package import Sodium

/// The key that opens a file: an X25519 secret scalar in guarded memory, written `AGE-SECRET-KEY-1…`.
package final class AgeIdentity: Sendable {
  static let prefix = "AGE-SECRET-KEY-"

  private let scalar: SecretBytes
  /// The public key that files for this identity are sealed to.
  package let recipient: AgeRecipient

  /// A new identity.
  package init(generating randomness: Randomness) throws {
    let scalar = try randomness.secret(X25519.keySize)
    recipient = try scalar.withBytes { bytes in try AgeRecipient(of: bytes) }
    self.scalar = scalar
  }

  /// Parses `AGE-SECRET-KEY-1…`, which has one spelling: upper case, no blanks, no line end. Throws
  /// `malformedIdentity`, which says nothing about the text.
  package init(decoding text: RawSpan) throws {
    do {
      let scalar = try Bech32.decode(text, prefix: Self.prefix, count: X25519.keySize)
      recipient = try scalar.withBytes { bytes in try AgeRecipient(of: bytes) }
      self.scalar = scalar
    } catch let flaw as Bech32.Flaw {
      throw AgeError(.malformedIdentity, "identity \(flaw.explanation)")
    }
  }

  /// Calls `body` with the 32 secret bytes, from which callers may derive the owner's other keys.
  package func withScalar<Result: ~Copyable, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try scalar.withBytes(body)
  }

  /// The `AGE-SECRET-KEY-1…` text, without a line end.
  package func encoded() throws -> SecretBytes {
    try scalar.withBytes { bytes in try Bech32.encode(bytes, prefix: Self.prefix) }
  }
}
