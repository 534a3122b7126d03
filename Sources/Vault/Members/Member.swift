import Age
package import Audit
import JSON

/// A card known to a vault, and the log entry that made it so. The members' rows must be those that the log ends with.
package typealias Member = Membership.Standing

extension Membership.Standing {
  package var name: String { card.name }

  /// The recipient to seal to so that this member can open it.
  func recipient() throws -> AgeRecipient {
    do { return try AgeRecipient(card.age) } catch {
      throw VaultError(.corrupt, "member \(Name.printable(name)) has no readable age recipient")
    }
  }

  var json: JSONValue { .object(["card": card.json, "entry": .integer(Int(clamping: entry))]) }

  var bytes: [UInt8] { json.canonicalBytes }

  init(decoding bytes: [UInt8], name: String) throws {
    let what = "member \(Name.printable(name))"
    self = try VaultError.rethrowingCorrupt(what) {
      let member: Member
      do { member = try Member(JSONValue(readingCanonical: bytes)) } catch let error as AuditError {
        throw VaultError(.corrupt, "\(what) is damaged: \(error)")
      }
      guard member.name.utf8.elementsEqual(name.utf8) else { throw VaultError(.corrupt, "\(what) is another member's") }
      return member
    }
  }

  init(_ json: JSONValue) throws {
    var members = try JSONMembers(of: json, "member")
    let card = try LogMember(members.value("card"))
    let entry = UInt64(try members.count("entry"))
    try members.finish()
    self.init(card: card, entry: entry)
  }
}
