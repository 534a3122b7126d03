import Age
package import Audit
import JSON
import Sodium

/// The terms of a handoff: what it is, by whom and for whom, and until when. Only `answer` is secret, until the receipt
/// reveals it. vault/handoff.md.
package struct Handoff: Hashable, Sendable {
  static let format = 1
  static let answerSize = 32
  /// The greatest size of a note in bytes.
  package static let maximumNoteSize = 1000

  package let id: Identifier
  let answer: [UInt8]
  package let sender: HandoffCard
  /// Whom the file is sealed to: `age1…` or `ssh-ed25519 …`.
  package let recipient: String
  /// The sender's vault.
  package let vault: Identifier
  /// The credential's name at the sender.
  package let credential: String
  package let credentialID: Identifier
  package let version: UInt64
  package let stage: Stage
  package let provider: String
  package let settings: [String: String]
  package let policy: Policy
  /// The name at the sender of the credential that administers it.
  package let admin: String
  /// When the provider made the pair.
  package let created: Timestamp
  package let sent: Timestamp
  package let expires: Timestamp
  package let note: String?
  package let isTransfer: Bool

  package var isSelfAdministered: Bool { admin == credential }

  /// The policy as a recipient takes it over: the sender must not hold up the recipient's runs, make them rotate all
  /// the time, or let the recipient's pair be revoked as a drill.
  package var importedPolicy: Policy {
    var imported = policy
    imported.propagation = min(policy.propagation, Policy.maximumPropagation)
    imported.maxAge = policy.maxAge.map { max($0, Policy.minimumAge) }
    if let maxAge = imported.maxAge, imported.jitter >= maxAge { imported.jitter = .zero }
    imported.drill = false
    imported.tags = []
    return imported
  }

  init(
    of version: Version, _ credential: Credential, in vault: Identifier, from sender: HandoffCard, to recipient: String,
    id: Identifier, answer: [UInt8], sent: Timestamp, expires: Timestamp, note: String?, isTransfer: Bool
  ) {
    self.id = id
    self.answer = answer
    self.sender = sender
    self.recipient = recipient
    self.vault = vault
    self.credential = credential.name
    credentialID = credential.id
    self.version = version.number
    stage = version.stage
    provider = credential.provider
    settings = credential.settings
    var policy = credential.policy
    // Names of credentials mean nothing in another vault, and a pair's holder decides whether it may be used for
    // drills.
    policy.notTogetherWith = []
    policy.drill = false
    policy.tags = []
    self.policy = policy
    admin = credential.admin
    created = version.created
    self.sent = sent
    self.expires = expires
    self.note = note
    self.isTransfer = isTransfer
  }

  /// Fails unless `note` is fit for a terminal and not too long.
  package static func check(note: String) throws(VaultError) {
    guard (1...maximumNoteSize).contains(note.utf8.count),
      note.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
    else {
      throw VaultError(.invalidInput, "the note: expected 1 to \(maximumNoteSize) bytes without control characters")
    }
  }

  /// The digest by which logs and receipts name the terms.
  package var digest: String { SHA256.hash(json.canonicalBytes).bytes.base64 }

  var json: JSONValue {
    var members: [String: JSONValue] = [
      "admin": .string(admin), "answer": .string(answer.base64), "created": .string(created.description),
      "credential": .string(credential), "credential_id": .string(credentialID.description),
      "expires": .string(expires.description), "id": .string(id.description), "policy": policy.json,
      "provider": .string(provider), "recipient": .string(recipient), "sender": sender.json,
      "sent": .string(sent.description), "settings": .object(settings.mapValues { .string($0) }),
      "stage": .string(stage.rawValue), "v": .integer(Self.format), "vault": .string(vault.description),
      "version": .integer(Int(clamping: version)),
    ]
    if let note { members["note"] = .string(note) }
    if isTransfer { members["transfer"] = true }
    return .object(members)
  }

  init(_ json: JSONValue) throws {
    var members = try JSONMembers(of: json, "the handoff")
    try VaultError.requireFormat(members.count("v"), Self.format, "the handoff")
    id = try members.identifier("id")
    answer = try members.bytes("answer", count: Self.answerSize)
    sender = try HandoffCard(members.value("sender"))
    recipient = try members.string("recipient")
    vault = try members.identifier("vault")
    credential = try members.string("credential")
    credentialID = try members.identifier("credential_id")
    version = UInt64(try members.count("version"))
    let stage = try members.string("stage")
    provider = try members.string("provider")
    settings = try members.strings("settings")
    policy = try Policy(members.strings("policy"))
    admin = try members.string("admin")
    created = try members.timestamp("created")
    sent = try members.timestamp("sent")
    expires = try members.timestamp("expires")
    note = try members.optionalString("note")
    let transfer = try members.optionalValue("transfer")
    isTransfer = transfer != nil
    try members.finish()
    try Credential.check(name: credential, provider: provider, settings: settings)
    try Name.check(admin, "administrator")
    if let note { try Self.check(note: note) }
    guard let stage = Stage(rawValue: stage), stage != .retired, version > 0, transfer == nil || transfer == true,
      policy.notTogetherWith.isEmpty, sent < expires,
      (try? AgeRecipient(recipient)) != nil || (try? SSHRecipient(recipient))?.description == recipient
    else { throw VaultError(.corrupt, "the handoff's terms contradict each other") }
    self.stage = stage
  }
}

extension JSONMembers {
  /// A member that must be an identifier.
  mutating func identifier(_ name: String) throws -> Identifier {
    guard let identifier = Identifier(try string(name)) else {
      throw VaultError(.corrupt, "\"\(name)\" is not an identifier")
    }
    return identifier
  }

  /// A member that must be the base64 of `count` bytes.
  mutating func bytes(_ name: String, count: Int) throws -> [UInt8] {
    guard let bytes = [UInt8](base64: try string(name)), bytes.count == count else {
      throw VaultError(.corrupt, "\"\(name)\" is not \(count) bytes in base64")
    }
    return bytes
  }
}
