package import Audit
import JSON

/// What a vault says about itself before anything is unlocked. Authenticated by the log's first entry, which says the
/// same.
package struct VaultHeader: Hashable, Sendable {
  package static let format = 1

  package let id: Identifier
  package let created: Timestamp
  /// Names the vault key in use: `keys/<keyID>.age`.
  package let keyID: String

  static let row: [UInt8] = Array("vault".utf8)

  /// The name under which this vault's checkpoints are signed.
  package var origin: String { "relatch/\(id)" }

  var bytes: [UInt8] {
    JSONValue.object([
      "created": .string(created.description), "id": .string(id.description), "key": .string(keyID),
      "v": .integer(Self.format),
    ]).canonicalBytes
  }

  init(id: Identifier, created: Timestamp, keyID: String) {
    self.id = id
    self.created = created
    self.keyID = keyID
  }

  init(decoding bytes: [UInt8]) throws {
    self = try VaultError.rethrowingCorrupt("the vault's header") {
      var members = try JSONMembers(of: JSONValue(readingCanonical: bytes), "header")
      try VaultError.requireFormat(members.count("v"), Self.format, "the vault's header")
      let created = try members.timestamp("created")
      guard let id = Identifier(try members.string("id")), let keyID = Identifier(try members.string("key"))
      else {
        throw VaultError(.corrupt, "the vault's header names no vault")
      }
      try members.finish()
      return VaultHeader(id: id, created: created, keyID: keyID.description)
    }
  }
}

extension VaultError {
  /// Runs `body`, turning what is wrong with the stored JSON into `corrupt` for `what`.
  static func rethrowingCorrupt<Result>(_ what: String, _ body: () throws -> Result) throws -> Result {
    do { return try body() } catch let error as JSONError {
      throw VaultError(.corrupt, "\(what) is damaged: \(error)")
    }
  }

  static func requireFormat(_ found: Int, _ expected: Int, _ what: String) throws(VaultError) {
    guard found == expected else {
      throw VaultError(.unsupportedFormat, "\(what) has format \(found), this program reads \(expected)")
    }
  }
}

extension JSONMembers {
  /// A member that must be a moment.
  mutating func timestamp(_ name: String) throws -> Timestamp {
    guard let moment = Timestamp(try string(name)) else { throw VaultError(.corrupt, "\"\(name)\" is not a moment") }
    return moment
  }
}
