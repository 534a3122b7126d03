import Age
import Audit
import JSON
import Sodium

/// What a member may do, beside opening what is granted.
package enum Role: String, Sendable, CaseIterable {
  /// Opens everything, and changes who may.
  case owner
  /// Opens what is granted, and rotates it.
  case operator_ = "operator"
  /// Opens nothing; reads the log.
  case auditor
}

/// An identity's public half: whom to seal to, and whose signature to expect. Nothing in it is secret.
package struct MemberCard: Hashable, Sendable {
  package let name: String
  package let recipient: AgeRecipient
  package let verifyingKey: VerifyingKey

  package init(name: String, recipient: AgeRecipient, verifyingKey: VerifyingKey) throws(VaultError) {
    try Name.check(name, "member name")
    self.name = name
    self.recipient = recipient
    self.verifyingKey = verifyingKey
  }

  /// One line of canonical JSON.
  package var json: JSONValue {
    .object([
      "age": .string(recipient.description), "name": .string(name), "signing": .string(verifyingKey.bytes.base64),
    ])
  }
}

/// A card known to a vault, with a role. Authenticated by its digest in a log entry.
package struct Member: Hashable, Sendable {
  package let card: MemberCard
  package let role: Role
  /// The log entry that says so.
  package let entry: UInt64

  package var name: String { card.name }

  package init(card: MemberCard, role: Role, entry: UInt64) {
    self.card = card
    self.role = role
    self.entry = entry
  }

  /// The card as log entries carry it.
  package var cardWithRole: JSONValue {
    guard case .object(var members) = card.json else { return card.json }
    members["role"] = .string(role.rawValue)
    return .object(members)
  }

  var bytes: [UInt8] {
    guard case .object(var members) = cardWithRole else { return [] }
    members["entry"] = .integer(Int(clamping: entry))
    return JSONValue.object(members).canonicalBytes
  }

  init(decoding bytes: [UInt8], name: String) throws {
    let what = "member \(Name.printable(name))"
    self = try VaultError.rethrowingCorrupt(what) {
      var members = try JSONMembers(of: JSONValue(readingCanonical: bytes), "member")
      guard try members.string("name") == name, let role = Role(rawValue: try members.string("role")),
        let signing = [UInt8](base64: try members.string("signing")), let key = try? VerifyingKey(signing),
        let recipient = try? AgeRecipient(try members.string("age"))
      else { throw VaultError(.corrupt, "\(what) is damaged") }
      let entry = try members.count("entry")
      try members.finish()
      return Member(
        card: try MemberCard(name: name, recipient: recipient, verifyingKey: key), role: role, entry: UInt64(entry))
    }
  }
}
