import Age
package import Audit
import JSON
package import Sodium

/// Who sends or receives, as the other side sees it: a card without a role, which only their own vault could give.
package struct HandoffCard: Hashable, Sendable {
  package let name: String
  /// The age recipient.
  package let age: String
  package let signing: VerifyingKey

  package init(_ member: LogMember) {
    name = member.name
    age = member.age
    signing = member.signing
  }

  var json: JSONValue {
    .object(["age": .string(age), "name": .string(name), "signing": .string(signing.bytes.base64)])
  }

  init(_ json: JSONValue) throws {
    var members = try JSONMembers(of: json, "a card")
    name = try members.string("name")
    try Name.check(name, "member name")
    age = try AgeRecipient(members.string("age")).description
    guard let bytes = [UInt8](base64: try members.string("signing")), let key = try? VerifyingKey(bytes) else {
      throw VaultError(.corrupt, "a card has no readable signing key")
    }
    signing = key
    try members.finish()
  }
}

/// What a member signs about a handoff: a domain and a digest, so that no signature passes for one of another kind.
enum HandoffStatement {
  static let handoff = "relatch/v1/handoff"
  static let receipt = "relatch/v1/handoff-receipt"

  static func bytes(_ domain: String, _ digest: SHA256Digest) -> [UInt8] {
    Array(domain.utf8) + [0x0A] + digest.bytes
  }
}
