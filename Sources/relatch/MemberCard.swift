import Age
import Audit
import JSON
import Sodium
import Vault

/// Reads the public card that `relatch identity show` prints on somebody else's machine (vault/identity.md).
enum MemberCard {
  /// A card has about 200 bytes.
  private static let limit = 4096

  /// Reads the card in the file at `path`, or on standard input if that is `-`. The member gets `role`, and `name` if
  /// given, otherwise the card's own name.
  ///
  /// Throws `notFound` if there is no file, a failure with `usage` for an identity, and one with `corruptData` for
  /// anything else but one canonical card. White space around the card is allowed.
  static func read(_ path: String, role: LogMember.Role, name: String?) throws -> LogMember {
    if let name { try Name.check(name, "member name") }
    let what = path == "-" ? "standard input" : Name.printable(path)
    do {
      let input =
        try path == "-" ? PrivateFile.readAll(0, limit: limit, what) : PrivateFile.read(path, limit: limit)
      guard !isIdentity(input) else {
        throw Failure(
          .usage, "\(what) is an identity, not a card: it is secret, and anyone who has it can act as its member",
          hint:
            "`relatch identity show` prints the card; if others may have seen the identity, its member needs a new one")
      }
      return try parse(input.withUnsafeBytes { Array($0) }, role: role, name: name)
    } catch let error where Self.isContentFault(error) {
      throw Failure(
        .corruptData, "\(what) is not a card" + (error is JSONError ? "" : ": \(error)"),
        hint: "expected the one line that `relatch identity show` prints on the member's machine")
    }
  }

  private static func isIdentity(_ input: borrowing SecretBytes) -> Bool {
    input.withUnsafeBytes { bytes in
      ["AGE-SECRET-KEY-", "# created: ", "-----BEGIN AGE ENCRYPTED FILE"].contains { bytes.starts(with: $0.utf8) }
    }
  }

  private static func isContentFault(_ error: any Error) -> Bool {
    if let error = error as? VaultError { return error.code == .invalidInput }
    return error is JSONError || error is AgeError || error is AuditError
  }

  /// Reads one card. Throws `JSONError`, `AgeError`, `AuditError` or `VaultError` unless every part of it is valid.
  static func parse(_ bytes: [UInt8], role: LogMember.Role, name: String?) throws -> LogMember {
    let isSpace: (UInt8) -> Bool = { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
    let card = Array(bytes.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
    var members = try JSONMembers(of: JSONValue(readingCanonical: card), "a card")
    let (age, own, signing) = (try members.string("age"), try members.string("name"), try members.string("signing"))
    try members.finish()
    let name = name ?? own
    try Name.check(name, "member name")
    // Nothing could be sealed to an invalid recipient, and the log would have that member forever.
    let recipient = try AgeRecipient(age).description
    return try LogMember(
      .object([
        "age": .string(recipient), "name": .string(name), "role": .string(role.rawValue), "signing": .string(signing),
      ]))
  }
}

extension LogMember.Role {
  /// What a member with this role may do, in words.
  var meaning: String {
    switch self {
    case .owner: "opens every credential, and decides who the members are and what they may open"
    case .operator: "opens and rotates only the credentials granted to it"
    case .auditor: "opens nothing; for people who read the vault and whom the vault is to know"
    }
  }
}
