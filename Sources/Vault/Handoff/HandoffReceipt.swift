import Age
package import Audit
import JSON
import Sodium

/// What a recipient signs: that this handoff was imported, when, and into which vault. vault/handoff.md.
package struct HandoffReceipt: Hashable, Sendable {
  static let format = 1
  /// The greatest size of a receipt in bytes.
  package static let maximumSize = 1 << 16

  package let handoff: Identifier
  /// The sender's vault.
  package let vault: Identifier
  package let credentialID: Identifier
  package let version: UInt64
  let digest: String
  let answer: [UInt8]
  package let opener: HandoffCard
  package let openerVault: Identifier
  package let opened: Timestamp

  init(of handoff: Handoff, by opener: HandoffCard, in vault: Identifier, opened: Timestamp) {
    self.handoff = handoff.id
    self.vault = handoff.vault
    credentialID = handoff.credentialID
    version = handoff.version
    digest = handoff.digest
    answer = handoff.answer
    self.opener = opener
    openerVault = vault
    self.opened = opened
  }

  var json: JSONValue {
    .object([
      "answer": .string(answer.base64), "credential_id": .string(credentialID.description), "digest": .string(digest),
      "handoff": .string(handoff.description), "opened": .string(opened.description), "opener": opener.json,
      "opener_vault": .string(openerVault.description), "v": .integer(Self.format), "vault": .string(vault.description),
      "version": .integer(Int(clamping: version)),
    ])
  }

  private var statement: [UInt8] {
    HandoffStatement.bytes(HandoffStatement.receipt, SHA256.hash(json.canonicalBytes))
  }

  /// The receipt as it is sent, one line.
  func signed(by key: SigningKey) -> [UInt8] {
    let document = JSONValue.object(["receipt": json, "signature": .string(key.sign(statement).base64)])
    return document.canonicalBytes + [0x0A]
  }

  /// Reads a receipt in exactly that form, and verifies that `opener` signed it. Throws `HandoffError`.
  package init(reading bytes: [UInt8]) throws {
    do {
      guard bytes.last == 0x0A else { throw JSONError(.malformed, "it does not end with a line feed") }
      var members = try JSONMembers(of: JSONValue(readingCanonical: bytes.dropLast()), "the receipt")
      let signature = try members.bytes("signature", count: SigningKey.signatureSize)
      try self.init(members.value("receipt"))
      try members.finish()
      guard opener.signing.isValid(signature, of: statement) else {
        throw VaultError(.corrupt, "it is not signed by \(opener.name), the signer that it names")
      }
    } catch let error as VaultError where error.code == .unsupportedFormat {
      throw HandoffError(.unsupportedFormat, "\(error)", hint: "use a newer relatch")
    } catch let error where error is JSONError || error is VaultError || error is AgeError {
      throw HandoffError(
        .corrupt, "it is not a receipt, or was altered: \(error)", hint: "ask the recipient for it again")
    }
  }

  private init(_ json: JSONValue) throws {
    var members = try JSONMembers(of: json, "the receipt")
    try VaultError.requireFormat(members.count("v"), Self.format, "the receipt")
    handoff = try members.identifier("handoff")
    vault = try members.identifier("vault")
    credentialID = try members.identifier("credential_id")
    version = UInt64(try members.count("version"))
    digest = try members.bytes("digest", count: SHA256Digest.size).base64
    answer = try members.bytes("answer", count: Handoff.answerSize)
    opener = try HandoffCard(members.value("opener"))
    openerVault = try members.identifier("opener_vault")
    opened = try members.timestamp("opened")
    try members.finish()
  }

  /// Fails with `HandoffError` unless it answers the entry `sent`, which is about the same handoff.
  func requireAnswer(to sent: LogEntry) throws {
    let hint = "nothing was recorded; ask the recipient what became of the file"
    guard sent.says("digest", digest), sent.says("answer", SHA256.hash(answer).bytes.base64) else {
      throw HandoffError(.corrupt, "the receipt is not for what was sent under its identifier", hint: hint)
    }
    guard sent.says("recipient", opener.age) else {
      throw HandoffError(
        .misaddressed, "the receipt is by \(opener.age), and the handoff was for \(sent.text("recipient") ?? "")",
        hint: hint)
    }
    if let key = sent.text("signing"), key != opener.signing.bytes.base64 {
      throw HandoffError(
        .wrongSender, "the receipt is signed by \(opener.signing.bytes.base64), and the recipient's card has \(key)",
        hint: hint)
    }
  }
}
