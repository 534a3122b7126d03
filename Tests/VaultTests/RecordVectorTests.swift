import Age
import Audit
import Contracts
import Testing

@testable import Vault

/// `vault/vectors/record`: the records that anyone may read, both good ones and ones that must be refused.
@Suite(.serialized) struct RecordVectorTests {
  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  private static func credential() throws -> Credential {
    var credential = Credential(
      id: Identifier(drawnFrom: .seeded("vector credential")), name: "crm/prod", provider: "salesforce",
      settings: ["app": "0xI", "url": "https://crm.example"], policy: Policy(), admin: "admin",
      keyID: String(repeating: "0f", count: 16), created: Fixture.start)
    _ = try credential.addStaged(handle: "staged", expires: Fixture.at(9), now: Fixture.at(1))
    credential.entry = 4
    return credential
  }

  private static func records() throws -> [String: VectorFile] {
    let plain = try credential()
    var exposed = plain
    exposed.expose(to: "cron", now: Fixture.at(2))
    exposed.expose(to: "bob", now: Fixture.at(3))
    var leaked = plain
    leaked.noteLeak(incident: "2026-01-01-0f0f0f", version: 2, now: Fixture.at(4))
    var reached = leaked
    reached.noteReach(by: ["root", "admin"], now: Fixture.at(5))
    var moved = plain
    moved.noteElsewhere([2, 1])
    var delivered = plain
    try delivered.addDelivery(
      DeliverySettings(
        name: "pair.json", kind: .file(FileSettings(path: "/etc/crm/pair.json", format: .json, mode: 0o600))), entry: 3)
    var tagged = plain
    try tagged.policy.set("tags", to: "prod,eu")
    let identity = try Identity(.init(generating: .seeded("vector alice")))
    var handedOver = Credential(
      id: plain.id, name: "crm/prod", provider: "salesforce", settings: plain.settings, policy: Policy(),
      admin: "admin",
      keyID: plain.keyID, created: Fixture.start)
    handedOver.transfer = Transfer(
      Handoff(
        of: handedOver.versions[0], handedOver, in: plain.id,
        from: HandoffCard(try identity.card(named: "alice", role: .owner)), to: identity.age.recipient.description,
        id: Identifier(drawnFrom: .seeded("vector handoff")), answer: [], sent: Fixture.at(5), expires: Fixture.at(60),
        note: nil, isTransfer: true))
    let sent = handedOver
    handedOver.transfer?.confirm(now: Fixture.at(6))
    handedOver.transfer?.noteAttempt(isRefused: false, now: Fixture.at(7))
    let tried = handedOver
    handedOver.transfer?.noteAttempt(isRefused: true, now: Fixture.at(7))
    let refused = handedOver
    handedOver.settleTransfer(now: Fixture.at(8))
    let settled = handedOver
    let member = Member(card: try identity.card(named: "alice", role: .owner), entry: 0)
    let header = VaultHeader(
      id: Identifier(drawnFrom: .seeded("vector vault")), created: Fixture.start,
      keyID: String(repeating: "f0", count: 16))
    func vector(_ kind: String, _ name: String, _ expect: String, _ text: String) -> VectorFile {
      VectorFile(["expect": expect, "kind": kind, "name": name], Array(text.utf8))
    }
    func changed(_ record: [UInt8], _ old: String, _ new: String) throws -> String {
      let text = text(record)
      try #require(text.contains(old))
      return text.replacing(old, with: new, maxReplacements: 1)
    }
    func bad(_ old: String, _ new: String, in record: Credential = plain) throws -> VectorFile {
      vector("credential", "crm/prod", "corrupt", try changed(record.bytes, old, new))
    }
    return [
      "credential": vector("credential", "crm/prod", "valid", text(plain.bytes)),
      "credential-exposed": vector("credential", "crm/prod", "valid", text(exposed.bytes)),
      "credential-tagged": vector("credential", "crm/prod", "valid", text(tagged.bytes)),
      "tags-out-of-order": try bad("eu,prod", "prod,eu", in: tagged),
      "credential-leaked": vector("credential", "crm/prod", "valid", text(leaked.bytes)),
      "credential-handed-over": vector("credential", "crm/prod", "valid", text(sent.bytes)),
      "credential-handed-over-and-tried": vector("credential", "crm/prod", "valid", text(tried.bytes)),
      "credential-handed-over-and-refused-once": vector("credential", "crm/prod", "valid", text(refused.bytes)),
      "retired-without-a-receipt": try bad(#""confirmed":"2026-01-01T00:00:06.000Z","#, "", in: settled),
      "credential-handed-over-and-refused": vector("credential", "crm/prod", "valid", text(settled.bytes)),
      "transfer-of-no-version": try bad(#""version":1}"#, #""version":2}"#, in: sent),
      "transfer-tried-and-not-counted": try bad(#""attempts":1,"#, "", in: tried),
      "none-active-and-not-handed-over": try bad(
        #""stage":"active""#, #""stage":"retired""#,
        in: Credential(
          id: plain.id, name: "crm/prod", provider: "salesforce", settings: plain.settings, policy: Policy(),
          admin: "admin",
          keyID: plain.keyID, created: Fixture.start)),
      "credential-delivered": vector("credential", "crm/prod", "valid", text(delivered.bytes)),
      "credential-of-another-name": vector("credential", "crm/test", "corrupt", text(plain.bytes)),
      "credential-format-2": vector(
        "credential", "crm/prod", "unsupportedFormat", try changed(plain.bytes, #""v":1"#, #""v":2"#)),
      "credential-with-more": vector(
        "credential", "crm/prod", "unsupportedFormat", try changed(plain.bytes, #""v":1"#, #""usage":1,"v":1"#)),
      "credential-of-unknown-policy": vector(
        "credential", "crm/prod", "unsupportedFormat",
        try changed(plain.bytes, #""propagation":"10m""#, #""propagation":"10m","repeat":"2d""#)),
      "version-with-more": vector(
        "credential", "crm/prod", "unsupportedFormat",
        try changed(plain.bytes, #""stage":"active""#, #""stage":"active","used":1"#)),
      "credential-with-less": try bad(#""admin":"admin","#, ""),
      "credential-not-canonical": try bad(#""v":1"#, #""v": 1"#),
      "credential-two-active": try bad(#""stage":"staged""#, #""stage":"active""#),
      "credential-none-active": try bad(#""stage":"active""#, #""stage":"previous""#),
      "credential-number-twice": try bad(#""number":2"#, #""number":1"#),
      "credential-number-too-great": try bad(#""number":2"#, #""number":2147483649"#),
      "credential-no-such-day": try bad("2026-01-01", "2026-02-30"),
      "exposure-to-nobody": try bad(#"["bob","cron"]"#, "[]", in: exposed),
      "exposure-out-of-order": try bad(#"["bob","cron"]"#, #"["cron","bob"]"#, in: exposed),
      "exposure-that-is-over": try bad(#""version":2"#, #""version":0"#, in: exposed),
      "leak-that-is-over": try bad(
        #""incident":"2026-01-01-0f0f0f","since":"2026-01-01T00:00:04.000Z","version":2"#,
        #""incident":"2026-01-01-0f0f0f","since":"2026-01-01T00:00:04.000Z","version":0"#, in: leaked),
      "leak-of-what-was-handed-over": try bad(
        #""name":"crm/prod""#,
        #""leak":{"incident":"i","since":"2026-01-01T00:00:04.000Z","version":1},"name":"crm/prod""#, in: sent),
      "leak-without-a-name": try bad("2026-01-01-0f0f0f", "", in: leaked),
      "credential-reached": vector("credential", "crm/prod", "valid", text(reached.bytes)),
      "reach-by-nobody": try bad(#"["admin","root"]"#, "[]", in: reached),
      "reach-out-of-order": try bad(#"["admin","root"]"#, #"["root","admin"]"#, in: reached),
      "reach-of-what-was-handed-over": try bad(
        #""rotation":0"#,
        #""reach":{"by":["admin"],"incident":"i","since":"2026-01-01T00:00:04.000Z"},"rotation":0"#, in: sent),
      "credential-elsewhere": vector("credential", "crm/prod", "valid", text(moved.bytes)),
      "elsewhere-nothing": try bad(#""elsewhere":[1,2]"#, #""elsewhere":[]"#, in: moved),
      "elsewhere-of-no-version": try bad(#""elsewhere":[1,2]"#, #""elsewhere":[1,3]"#, in: moved),
      "elsewhere-out-of-order": try bad(#""elsewhere":[1,2]"#, #""elsewhere":[2,1]"#, in: moved),
      "delivery-that-all-may-read": try bad(#""mode":"600""#, #""mode":"644""#, in: delivered),
      "delivery-by-a-relative-path": try bad("/etc/crm/pair.json", "pair.json", in: delivered),
      "member": vector("member", "alice", "valid", text(member.bytes)),
      "member-of-another-name": vector("member", "bob", "corrupt", text(member.bytes)),
      "member-of-no-role": vector("member", "alice", "corrupt", try changed(member.bytes, #""owner""#, #""king""#)),
      "member-without-an-entry": vector("member", "alice", "corrupt", try changed(member.bytes, #","entry":0"#, "")),
      "header": vector("header", "vault", "valid", text(header.bytes)),
      "header-format-2": vector(
        "header", "vault", "unsupportedFormat", try changed(header.bytes, #""v":1"#, #""v":2"#)),
      "header-short-key": vector("header", "vault", "corrupt", try changed(header.bytes, "f0f0", "f0")),
    ]
  }

  @Test func `they are what the program writes`() throws {
    for (name, vector) in try Self.records() { try VectorFile.compare(vector.text, with: "vectors/record/\(name).txt") }
  }

  @Test func `each is read as it says`() throws {
    for (file, vector) in try VectorFile.all(in: "record") {
      let name = try vector["name"]
      let found: String
      do {
        let again =
          switch try vector["kind"] {
          case "credential": try Credential(decoding: vector.bytes, name: name).bytes
          case "member": try Member(decoding: vector.bytes, name: name).bytes
          default: try VaultHeader(decoding: vector.bytes).bytes
          }
        #expect(again == vector.bytes, "\(file)")
        found = "valid"
      } catch let error as VaultError { found = "\(error.code)" }
      #expect(found == (try vector["expect"]), "\(file)")
    }
  }
}
