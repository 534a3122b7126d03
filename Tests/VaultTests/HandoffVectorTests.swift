import Age
import Audit
import Contracts
import Foundation
import JSON
import Sodium
import Testing

@testable import Vault

/// `vault/vectors/handoff` and `receipt`: made from fixed seeds, compared byte for byte, and read as they say.
@Suite(.serialized) struct HandoffVectorTests {
  private static func identity(_ name: String) throws -> Identity {
    try Identity(AgeIdentity(generating: .seeded("vector \(name)")))
  }

  private static func card(_ name: String) throws -> LogMember {
    try identity(name).card(named: name, role: .owner)
  }

  /// What alice sends to bob.
  private static func handoff(
    to recipient: String, isTransfer: Bool = false, policy: Policy = Policy()
  ) throws -> Handoff {
    var policy = policy
    try policy.set("not-together-with", to: "erp")
    let credential = Credential(
      id: Identifier(drawnFrom: .seeded("vector credential")), name: "crm/prod", provider: "salesforce",
      settings: ["app": "0xI000000000001", "url": "https://crm.example"], policy: policy, admin: "crm/prod",
      keyID: String(repeating: "0f", count: 16), created: Fixture.at(1))
    return Handoff(
      of: try #require(credential.version(in: .active)), credential, in: Identifier(drawnFrom: .seeded("vector vault")),
      from: HandoffCard(try card("alice")), to: recipient, id: Identifier(drawnFrom: .seeded("vector handoff")),
      answer: Randomness.seeded("vector answer").bytes(Handoff.answerSize), sent: Fixture.at(5),
      expires: Fixture.at(5 + 86_400), note: "for the night job", isTransfer: isTransfer)
  }

  private static func plaintext(
    _ handoff: Handoff, by signer: String = "alice", token: String? = nil
  ) throws -> [UInt8] {
    let texts = Fixture.first
    let pair = Pair(
      clientID: try SecretBytes(copying: Array(texts.clientID.utf8).span.bytes),
      clientSecret: try SecretBytes(copying: Array(texts.clientSecret.utf8).span.bytes),
      registrationToken: try token.map { SharedSecret(try SecretBytes(copying: Array($0.utf8).span.bytes)) })
    let digest = try HandoffDocument.digest(handoff, pair)
    let signature = try identity(signer).signingKey.sign(HandoffStatement.bytes(HandoffStatement.handoff, digest))
    return try HandoffDocument.encode(handoff, pair, signature: signature).withUnsafeBytes { Array($0) }
  }

  private static func sealed(_ plaintext: [UInt8], to name: String = "bob") throws -> [UInt8] {
    try AgeFile.seal(
      plaintext.span.bytes, to: [identity(name).age.recipient], randomness: .seeded("vector seal"), armored: true)
  }

  private static func replacing(_ old: String, _ new: String, in bytes: [UInt8]) throws -> [UInt8] {
    let text = String(decoding: bytes, as: UTF8.self)
    try #require(text.contains(old))
    return Array(text.replacing(old, with: new, maxReplacements: 1).utf8)
  }

  /// The plaintext with `old` in its terms replaced, signed by alice again.
  private static func resigned(_ old: String, _ new: String, in plaintext: [UInt8]) throws -> [UInt8] {
    let text = String(decoding: try replacing(old, new, in: plaintext), as: UTF8.self)
    let signature = try #require(text.firstRange(of: #","signature":""#))
    let signed = Array((text[..<signature.lowerBound] + "}").utf8)
    let statement = HandoffStatement.bytes(HandoffStatement.handoff, SHA256.hash(signed))
    let renewed = try identity("alice").signingKey.sign(statement).base64
    return signed.dropLast() + Array(#","signature":"\#(renewed)"}"#.utf8)
  }

  private static func handoffs() throws -> [String: VectorFile] {
    let bob = try identity("bob")
    let handoff = try handoff(to: bob.age.recipient.description)
    let good = try plaintext(handoff)
    let file = try sealed(good)
    func vector(
      _ expect: String, _ file: [UInt8], by opener: String = "bob", now: Timestamp = Fixture.at(60),
      _ more: (String, String)? = nil
    ) throws -> VectorFile {
      let text = try identity(opener).age.encoded().withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
      var vector = VectorFile(["expect": expect, "identity": text, "now": now.description], file)
      if let more { vector.headers.append((name: more.0, value: more.1)) }
      return vector
    }
    func altered(_ old: String, _ new: String) throws -> [UInt8] { try sealed(replacing(old, new, in: good)) }
    // Flips a letter in the payload's armor, within its alphabet.
    var flipped = file
    let place = file.count - 100
    flipped[place] = flipped[place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
    let resealed = try sealed(good, to: "alice")
    return [
      "valid": try vector("valid", file),
      "transfer": try vector(
        "valid", sealed(plaintext(Self.handoff(to: bob.age.recipient.description, isTransfer: true)))),
      "with-registration-token": try vector("valid", sealed(plaintext(handoff, token: "token \" \\ é"))),
      "from-the-sender": try vector("valid", file, ("from", identity("alice").signingKey.verifyingKey.bytes.base64)),
      "from-another": try vector("wrongSender", file, ("from", bob.signingKey.verifyingKey.bytes.base64)),
      "to-another": try vector("misaddressed", file, by: "alice"),
      "sealed-again-to-another": try vector("misaddressed", resealed, by: "alice"),
      "signed-by-another": try vector("corrupt", sealed(plaintext(handoff, by: "bob"))),
      "flipped-bit": try vector("corrupt", flipped),
      "cut-off": try vector("corrupt", Array(file[..<(file.count / 2)])),
      "altered-secret": try vector("corrupt", altered("quote", "quota")),
      "altered-settings": try vector("corrupt", altered("https://crm.example", "https://evil.example")),
      "altered-expiry": try vector("corrupt", altered("2026-01-02T00:00:05", "2027-01-02T00:00:05")),
      "altered-id": try vector("corrupt", altered(handoff.id.description, String(repeating: "0", count: 32))),
      "not-canonical": try vector("corrupt", altered(#","pair":"#, #", "pair":"#)),
      "with-more": try vector("corrupt", altered(#""v":1"#, #""v":1,"w":1"#)),
      "no-transfer": try vector("corrupt", altered(#""v":1"#, #""transfer":false,"v":1"#)),
      // Signed by the sender, but names of credentials mean nothing in another vault.
      "not-together-with": try vector(
        "corrupt",
        sealed(resigned(#""grace":"1d","#, #""grace":"1d","not-together-with":"erp","#, in: good))),
      "format-2": try vector("unsupportedFormat", altered(#""v":1"#, #""v":2"#)),
      "expired": try vector("expired", file, now: Fixture.at(5 + 86_400)),
      "replayed": try vector("replayed", file, ("opened", handoff.id.description)),
      "replayed-and-expired": try vector(
        "replayed", file, now: Fixture.at(5 + 86_400), ("opened", handoff.id.description)),
    ]
  }

  @Test func `handoffs are what the program writes`() throws {
    for (name, vector) in try Self.handoffs() {
      try VectorFile.compare(vector.text, with: "vectors/handoff/\(name).txt")
    }
  }

  @Test func `each handoff is read as it says`() throws {
    for (file, vector) in try VectorFile.all(in: "handoff") {
      let identity = try Identity(AgeIdentity(decoding: Array(vector["identity"].utf8).span.bytes))
      let from = try vector.headers.first { $0.name == "from" }.map {
        try VerifyingKey(#require([UInt8](base64: $0.value)))
      }
      let found: String
      do {
        let opened = try OpenedHandoff(vector.bytes.span.bytes, by: identity, from: from)
        let before = try vector.headers.filter { $0.name == "opened" && $0.value == opened.handoff.id.description }.map
        { _ in
          try LogEntry(
            time: Fixture.at(1), member: "bob", event: EventName.handoffOpened.text, details: ["credential": "crm"])
        }
        try before.requireNotOpened()
        try opened.requireFresh(#require(Timestamp(vector["now"])))
        let text = try opened.pair.text
        #expect(text.contains("3MVG9.first") && opened.handoff.policy.notTogetherWith.isEmpty)
        found = "valid"
      } catch let error as HandoffError { found = "\(error.code)" }
      #expect(found == (try vector["expect"]), "\(file)")
    }
  }

  @Test(.enabled(if: SpecimenTests.canRead, "needs age, and python3 with PyNaCl"))
  func `the independent program reads each as it says`() throws {
    let program = VectorFile.contract.appending(path: "../Tests/Reader/relatch_handoff.py").standardized.path
    let temporary = try TemporaryFolder()
    let (file, identity) = (temporary.path + "/file", temporary.path + "/identity")
    for (name, vector) in try VectorFile.all(in: "handoff") {
      // The others depend on who opens the file, when, and into which vault.
      guard ["valid", "corrupt", "unsupportedFormat"].contains(try vector["expect"]) else { continue }
      try Data(vector.bytes).write(to: URL(filePath: file))
      try Data(vector["identity"].utf8).write(to: URL(filePath: identity))
      let run = try SpecimenTests.run([#require(SpecimenTests.python), program, file, "--identity", identity])
      #expect(try run.status == (vector["expect"] == "valid" ? 0 : 65), "\(name): \(run.errors)")
    }
  }

  @Test func `no byte of a handoff can be changed`() throws {
    let bob = try Self.identity("bob")
    let good = try Self.plaintext(Self.handoff(to: bob.age.recipient.description))
    for place in good.indices {
      var changed = good
      changed[place] ^= 1
      let file = try Self.sealed(changed)
      #expect(throws: HandoffError.self, "byte \(place)") {
        _ = try OpenedHandoff(file.span.bytes, by: bob, from: nil)
      }
    }
  }

  @Test func `a policy is taken over without what would hold up or wear out the recipient`() throws {
    for (given, expected) in [
      (["max-age": "59s", "jitter": "1h"], ["max-age": "1h"]),
      (["max-age": "10m", "jitter": "59m"], ["max-age": "1h", "jitter": "59m"]),
      (["max-age": "90d", "jitter": "90d", "grace": "0s"], ["max-age": "90d", "grace": "0s"]),
      (["max-age": "90d", "jitter": "5d", "window": "daily"], ["max-age": "90d", "jitter": "5d", "window": "daily"]),
      (["propagation": "2d", "drill": "yes", "tags": "x"], ["propagation": "1d"]),
    ] {
      var (sent, imported) = (Policy(), Policy())
      for (key, value) in given { try sent.set(key, to: value) }
      for (key, value) in expected { try imported.set(key, to: value) }
      let handoff = try Self.handoff(to: "", policy: sent)
      #expect(handoff.importedPolicy == imported)
    }
  }

  // MARK: - Receipts

  private static func receipts() throws -> [String: VectorFile] {
    let (alice, bob) = (try identity("alice"), try identity("bob"))
    let handoff = try handoff(to: bob.age.recipient.description)
    func receipt(_ handoff: Handoff, by name: String = "bob", signedBy signer: Identity = bob) throws -> [UInt8] {
      HandoffReceipt(
        of: handoff, by: HandoffCard(try card(name)), in: Identifier(drawnFrom: .seeded("another vault")),
        opened: Fixture.at(60)
      ).signed(by: signer.signingKey)
    }
    let good = try receipt(handoff)
    func vector(
      _ expect: String, _ bytes: [UInt8], vault: Identifier = handoff.vault, id: Identifier = handoff.id,
      signing: VerifyingKey? = bob.signingKey.verifyingKey
    ) -> VectorFile {
      var vector = VectorFile(
        [
          "expect": expect, "vault": vault.description, "handoff": id.description, "digest": handoff.digest,
          "answer": SHA256.hash(handoff.answer).bytes.base64, "recipient": handoff.recipient,
        ], bytes)
      if let signing { vector.headers.append((name: "signing", value: signing.bytes.base64)) }
      return vector
    }
    let other = Identifier(drawnFrom: .seeded("another"))
    return [
      "valid": vector("valid", good),
      "without-a-card": vector("valid", good, signing: nil),
      "of-another-vault": vector("unknown", good, vault: other),
      "of-another-handoff": vector("unknown", good, id: other),
      "of-other-terms": vector(
        "corrupt", try receipt(Self.handoff(to: bob.age.recipient.description, isTransfer: true))),
      "by-another": vector("misaddressed", try receipt(handoff, by: "alice", signedBy: alice)),
      "by-another-key": vector("wrongSender", good, signing: alice.signingKey.verifyingKey),
      "signed-by-another": vector("corrupt", try receipt(handoff, signedBy: alice)),
      "flipped-bit": vector("corrupt", good.enumerated().map { $0 == 40 ? $1 ^ 1 : $1 }),
      "cut-off": vector("corrupt", Array(good[..<200])),
      "no-line-feed": vector("corrupt", good.dropLast()),
    ]
  }

  @Test func `receipts are what the program writes`() throws {
    for (name, vector) in try Self.receipts() {
      try VectorFile.compare(vector.text, with: "vectors/receipt/\(name).txt")
    }
  }

  @Test func `each receipt is read as it says`() throws {
    for (file, vector) in try VectorFile.all(in: "receipt") {
      let found: String
      do {
        let receipt = try HandoffReceipt(reading: vector.bytes)
        if try receipt.vault.description != vector["vault"] || receipt.handoff.description != vector["handoff"] {
          found = "unknown"
        } else {
          var details: [String: JSONValue] = [:]
          for header in vector.headers where header.name != "expect" { details[header.name] = .string(header.value) }
          try receipt.requireAnswer(
            to: LogEntry(time: Fixture.at(5), member: "alice", event: EventName.handoffSent.text, details: details))
          found = "valid"
        }
      } catch let error as HandoffError { found = "\(error.code)" }
      #expect(found == (try vector["expect"]), "\(file)")
    }
  }
}
