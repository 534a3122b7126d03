package import Age
package import Audit
package import Sodium

/// Who acts: an age X25519 key, and the Ed25519 signing key derived from it, so that any age key can be a member.
package final class Identity: Sendable {
  package let age: AgeIdentity
  package let signingKey: SigningKey
  /// The name it was given when it was made; nil if none was. Only the names on new cards depend on it.
  package let name: String?

  /// Binds the derived key to this use of the scalar; part of the format (vault/identity.md).
  private static let signingInfo = "relatch/v1/signing-key"

  package init(_ age: AgeIdentity, name: String? = nil) throws {
    self.age = age
    self.name = name
    signingKey = try age.withScalar { scalar in
      let seed = try HKDFSHA256.derive(inputKey: scalar, salt: [], info: Self.signingInfo)
      return try SigningKey(seed: seed.bytes)
    }
  }

  /// The public half, under the name the identity goes by.
  package func card(named name: String, role: LogMember.Role) throws -> LogMember {
    try Name.check(name, "member name")
    return LogMember(name: name, age: age.recipient.description, signing: signingKey.verifyingKey, role: role)
  }
}
