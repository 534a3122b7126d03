package import JSON
package import Sodium

/// A successful answer of a token endpoint (RFC 6749 §5.1). The token stays in guarded memory.
package struct TokenAnswer: Sendable {
  package let accessToken: SharedSecret
  package let status: Int
  /// The whole answer, for members that only some servers send.
  package let body: SharedSecret
  package let members: JSONNode
  /// The answer's `Date` header as received, if there was one.
  package let date: String?

  /// Reads an answer strictly: it must be one JSON object with a non-empty `access_token` and the `token_type` Bearer.
  init(status: Int, date: String? = nil, body: SharedSecret) throws {
    self.status = status
    self.date = date
    self.body = body
    members = try body.secret.withBytes { bytes in
      let root = try JSONNode(reading: bytes)
      guard let type = try root["token_type"]?.text(in: bytes), type.lowercased() == "bearer" else {
        throw JSONError(.wrongType, "token_type: expected Bearer")
      }
      return root
    }
    accessToken = SharedSecret(try Self.token(of: members, in: body))
  }

  private static func token(of members: JSONNode, in body: SharedSecret) throws -> SecretBytes {
    guard let member = members["access_token"] else { throw JSONError(.missing, "access_token is missing") }
    let token = try body.string(member)
    let isVisible = token.withUnsafeBytes { $0.allSatisfy { (0x21...0x7E).contains($0) } }
    guard (1...16_384).contains(token.count), isVisible else {
      throw JSONError(.wrongType, "access_token: expected 1 to 16384 visible ASCII characters")
    }
    return token
  }

  /// A member that is not secret; nil if it is absent or not a string.
  package func text(_ name: String) -> String? {
    body.secret.withBytes { bytes in try? members[name]?.text(in: bytes) }
  }
}

extension SharedSecret {
  /// The text of the string `node` of this document; not copied, unless it has escapes. Throws `JSONError` if `node` is
  /// not a string.
  package func string(_ node: JSONNode) throws -> SecretBytes {
    if let range = secret.withBytes({ node.verbatim(in: $0) }) { return try SecretBytes(part: range, of: self) }
    return try secret.withBytes { bytes in
      try SecretBytes(capacity: node.capacity) { try node.write(to: &$0, in: bytes) }
    }
  }
}
