/// The failure of a primitive: what was attempted, and the sizes involved. Never any bytes.
package struct SodiumError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What kind of failure this is. Equality and callers' branches look only at this.
  package enum Code: Sendable {
    /// The kernel refused the memory for a secret.
    case outOfSecureMemory
    /// A key, nonce, signature or other fixed-size input has the wrong size.
    case wrongSize
    /// The authentication tag, signature or shared point is not valid: the data was altered, or the key is another one.
    case notAuthentic
    /// The primitive refused its parameters.
    case badParameters
  }

  package let code: Code
  package let description: String

  init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }

  package static func == (left: Self, right: Self) -> Bool { left.code == right.code }

  static func wrongSize(of what: String, found: Int, expected: Int) -> SodiumError {
    SodiumError(.wrongSize, "\(what) has \(found) bytes, expected \(expected)")
  }
}

/// Throws `wrongSize` unless `found` is `expected`, both in bytes.
func requireSize(_ found: Int, _ expected: Int, _ what: String) throws {
  guard found == expected else { throw SodiumError.wrongSize(of: what, found: found, expected: expected) }
}
