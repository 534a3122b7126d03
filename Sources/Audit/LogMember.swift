package import JSON
package import Sodium

/// A member's public card, as the log gives it when the member is introduced.
package struct LogMember: Hashable, Sendable {
  /// What a member may do. Only an owner changes who the members are.
  package enum Role: String, Sendable {
    case owner
    case `operator`
    case auditor
  }

  package let name: String
  /// The age recipient that grants are sealed to.
  package let age: String
  /// The key that verifies this member's checkpoints.
  package let signing: VerifyingKey
  package let role: Role

  package init(name: String, age: String, signing: VerifyingKey, role: Role) {
    self.name = name
    self.age = age
    self.signing = signing
    self.role = role
  }

  /// Reads the card object `{"age":…,"name":…,"role":…,"signing":…}`, and nothing else.
  package init(_ value: JSONValue) throws(AuditError) {
    do throws(JSONError) {
      var members = try JSONMembers(of: value, "a member's card")
      name = try members.string("name")
      age = try members.string("age")
      let signing = try members.string("signing")
      let role = try members.string("role")
      try members.finish()
      guard LogEntry.isMember(name), !age.isEmpty,
        let key = [UInt8](base64: signing).flatMap({ try? VerifyingKey($0) }),
        let role = Role(rawValue: role)
      else { throw JSONError(.wrongType, "a member's card: name, age recipient, signing key or role is not readable") }
      self.signing = key
      self.role = role
    } catch {
      throw AuditError(.notCanonical, error.description)
    }
  }

  /// The card object.
  package var json: JSONValue {
    .object([
      "age": .string(age), "name": .string(name), "role": .string(role.rawValue),
      "signing": .string(signing.bytes.base64),
    ])
  }
}
