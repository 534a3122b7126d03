import Audit
import Contracts
import JSON
import Sodium
import Testing

@testable import Vault

/// The quick reader must accept what is usual, and never what the full reader would refuse.
@Suite struct CredentialReaderTests {
  private func credentials() throws -> [Credential] {
    var credential = Credential(
      id: Identifier(drawnFrom: .seeded("reader")), name: "crm/prod", provider: "salesforce",
      settings: ["app": "0xI", "url": "https://crm.example", "": ""], policy: Policy(), admin: "admin",
      keyID: String(repeating: "0", count: 32), created: Fixture.start)
    var all = [credential]
    credential.keyed = 7
    credential.reconciled = 3
    credential.rotation = 2
    credential.entry = 12
    try credential.count(step: 0)
    _ = try credential.addStaged(handle: "h", expires: Fixture.at(9), now: Fixture.at(1))
    all.append(credential)
    try credential.promoteStaged(now: Fixture.at(2))
    credential.noteRotation(hasEnded: false, graceEnds: Fixture.at(9))
    all.append(credential)
    credential.noteRotation(hasEnded: true, graceEnds: nil)
    try credential.policy.set("max-age", to: "90d")
    try credential.policy.set("not-together-with", to: "a,b")
    all.append(credential)
    return all
  }

  @Test func ordinaryRecordsAreReadQuickly() throws {
    var reader = CredentialReader()
    for credential in try credentials() + credentials().reversed() {
      let bytes = credential.bytes
      let plain = try reader.plain(bytes.span, "crm/prod")
      #expect(plain == credential)
      #expect(try Credential(readingInFull: bytes, name: "crm/prod") == credential)
      #expect(throws: PlainReader.NotPlain.self) { _ = try reader.plain(bytes.span, "crm/test") }
    }
  }

  @Test func whatTheQuickReaderTakesTheFullReaderReadsAlike() throws {
    var random = SmallGenerator(state: 5)
    let sources = try credentials().map(\.bytes)
    let bytes = Array("{}[],:\"\\0123456789-eE.truefalsnvmiZT\u{7F} \n".utf8)
    var reader = CredentialReader()
    var (taken, left) = (0, 0)
    for _ in 0..<20_000 {
      var text = sources[Int.random(in: 0..<sources.count, using: &random)]
      for _ in 0..<Int.random(in: 1...2, using: &random) {
        let position = Int.random(in: 0..<text.count, using: &random)
        let byte = bytes[Int.random(in: 0..<bytes.count, using: &random)]
        switch Int.random(in: 0..<5, using: &random) {
        case 0, 1: text[position] = byte
        case 2: text.insert(byte, at: position)
        case 3: text.remove(at: position)
        default: text.swapAt(position, Int.random(in: 0..<text.count, using: &random))
        }
      }
      guard let plain = try? reader.plain(text.span, "crm/prod") else {
        left += 1
        continue
      }
      taken += 1
      let full = try Credential(readingInFull: text, name: "crm/prod")
      #expect(plain == full, "\(String(decoding: text, as: UTF8.self))")
    }
    #expect(taken > 100 && left > 1000, "\(taken) taken, \(left) left")
  }

  /// Members in order, each once, make a text canonical: each of these must be left to the full reader, which refuses
  /// it.
  @Test(arguments: [
    (#""entry":0,"#, #""entry":0,"entry":0,"#), (#""entry":0,"#, #""entry":00,"#), (#""entry":0,"#, #""entry": 0,"#),
    (#""entry":0,"#, #""entry":0 ,"#), (#""entry":0,"#, ""), (#""entry":0,"#, #""entry":-0,"#),
    (#""entry":0,"#, #""entry":0,"fresh":1,"#), (#""entry":0,"#, #""entrz":0,"#), (#""v":1,"#, #""v":2,"#),
    (#""steps":0,"#, #""steps":1,"#), (#""stage":"active""#, #""stage":"retired""#), (#""number":1,"#, #""number":0,"#),
    (#""grace":"1d""#, #""grace":"24h""#), (#""versions":["#, #""versions":[,"#), (#"}]}"#, #"},]}"#),
    (#"}]}"#, #"}]}}"#),
    (#"}]}"#, #"}]} "#), (#"}]}"#, #"}]"#), (#""salesforce""#, #""sales\u0066orce""#),
    (#""salesforce""#, "\"sales\nforce\""),
  ])
  func whatIsNoRecordIsTakenByNeither(_ found: String, _ other: String) throws {
    let record = String(decoding: try credentials()[0].bytes, as: UTF8.self)
    let parts = record.split(separator: found, maxSplits: 1, omittingEmptySubsequences: false)
    try #require(parts.count == 2, "\(found) is not in \(record)")
    let text = Array((parts[0] + other + parts[1]).utf8)
    var reader = CredentialReader()
    #expect(throws: PlainReader.NotPlain.self, "\(other)") { _ = try reader.plain(text.span, "crm/prod") }
    #expect(throws: VaultError.self, "\(other)") { try Credential(readingInFull: text, name: "crm/prod") }
  }

  @Test func theTermsAreWrittenAsCanonicalJSON() throws {
    for credential in try credentials() {
      let terms = JSONValue.object([
        "admin": .string(credential.admin), "created": .string(credential.created.description),
        "id": .string(credential.id.description), "key": .string(credential.keyID), "name": .string(credential.name),
        "provider": .string(credential.provider), "settings": .object(credential.settings.mapValues { .string($0) }),
      ])
      #expect(credential.termsDigest == SHA256.hash(terms.canonicalBytes).bytes.base64)
    }
  }
}

/// The same numbers every time (Knuth's MMIX).
private struct SmallGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ state >> 29
  }
}
