import Audit
import JSON
import OAuth
import Rotation
import Sodium

/// One set of credentials from an answer, whatever the answer's shape.
///
/// Recorded answers disagree: objects at the top, in an array, or wrapped; `key` or `consumerKey`; states in any letter
/// case. This reads all of them. Sources: the Connect REST guide's "App Oauth Staged Credentials", and clients that
/// work with it.
struct WireCredentials: Sendable {
  let id: String?
  let key: SharedSecret?
  let secret: SharedSecret?
  let state: String?
  let expires: Timestamp?
  let made: Timestamp?
  /// Who made it, if that is a plain name.
  let maker: String?

  /// All sets in an answer, outermost first.
  static func all(in root: JSONNode, _ body: SharedSecret) throws -> [WireCredentials] {
    switch root {
    case .array(let elements):
      var sets: [WireCredentials] = []
      for element in elements { sets += try all(in: element, body) }
      return sets
    case .object(let members):
      let own = try WireCredentials(members, body)
      if own.key != nil || own.secret != nil || (own.id != nil && own.state != nil) { return [own] }
      var sets: [WireCredentials] = []
      for member in members { sets += try all(in: member.value, body) }
      return sets
    case .null, .bool, .number, .string:
      return []
    }
  }

  /// The sets in the list that an answer is, or has as its member `name`. Throws unless every element is a set: an
  /// answer that cannot be read must never count as an empty list, from which the engine would conclude that a pair is
  /// gone.
  static func list(_ name: String, in root: JSONNode, _ body: SharedSecret) throws -> [WireCredentials] {
    let elements: [JSONNode]
    switch root {
    case .array(let all): elements = all
    case .object(let members):
      if let member = members.first(where: { $0.name.lowercased() == name }) {
        guard case .array(let all) = member.value else { throw JSONError(.wrongType, "\(name): expected a list") }
        elements = all
      } else {
        elements = [root]
      }
    case .null, .bool, .number, .string: throw JSONError(.wrongType, "expected an object or a list")
    }
    return try elements.map { element in
      var found = try all(in: element, body)
      // The element shows neither key nor secret nor state. They are read later by its identifier.
      if found.isEmpty, case .object(let members) = element { found = [try WireCredentials(members, body)] }
      guard found.count == 1, let set = found.first, set.id != nil else {
        throw JSONError(.missing, "\(name): expected sets of credentials with identifiers")
      }
      return set
    }
  }

  private init(_ members: [(name: String, value: JSONNode)], _ body: SharedSecret) throws {
    func find(_ names: String...) -> JSONNode? {
      for name in names {
        if let member = members.first(where: { $0.name.lowercased() == name }), case .string = member.value {
          return member.value
        }
      }
      return nil
    }
    func secret(_ node: JSONNode?) throws -> SharedSecret? {
      guard let node, node.capacity > 0 else { return nil }
      return SharedSecret(try body.string(node))
    }
    func text(_ node: JSONNode?) throws -> String? { try body.secret.withBytes { bytes in try node?.text(in: bytes) } }
    id = try text(find("id", "stagedid", "stagedcredentialid", "consumerid"))
    key = try secret(find("key", "consumerkey"))
    self.secret = try secret(find("secret", "consumersecret"))
    state = try text(find("state", "status"))?.lowercased()
    expires = try text(find("expirationdate")).flatMap { Timestamp(salesforce: $0) }
    made = try text(find("createddate")).flatMap { Timestamp(salesforce: $0) }
    maker = try text(find("createdby")).flatMap { name in
      (1...128).contains(name.utf8.count) && name.utf8.allSatisfy { (0x21...0x7E).contains($0) } ? name : nil
    }
  }
}

extension Timestamp {
  /// Reads the date forms that Salesforce uses: `2026-12-21T09:20:00.000Z`, without milliseconds, or with `+0000`.
  /// Nil for anything else: no date is better than a wrong one.
  init?(salesforce text: String) {
    var body = text
    for zone in ["Z", "+0000", "+00:00"] where body.hasSuffix(zone) { body.removeLast(zone.count) }
    guard body.utf8.count != text.utf8.count else { return nil }
    self.init(body.contains(".") ? body + "Z" : body + ".000Z")
  }
}
