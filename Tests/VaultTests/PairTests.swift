import JSON
import Sodium
import Testing

@testable import Vault

@Suite struct PairTests {
  private func read(_ text: String) throws -> Pair {
    let bytes = Array(text.utf8)
    return try Pair(reading: SharedSecret(SecretBytes(copying: bytes.span.bytes)))
  }

  @Test(arguments: [
    #"{"client_id":"a","client_secret":"b"}"#,
    " {\n\"client_secret\" : \"b\", \"client_id\":\"\\u0061\" }\n",
  ])
  func aPairIsReadFromAnyJSONAndWrittenInOneWay(_ text: String) throws {
    #expect(try read(text).text == #"{"client_id":"a","client_secret":"b"}"#)
  }

  @Test func whatManagesAClientIsSealedWithItAndGoesNowhereElse() throws {
    let text = #"{"client_id":"a","client_secret":"b","registration_access_token":"t\"t"}"#
    let pair = try read(text)
    #expect(try pair.text == #"{"client_id":"a","client_secret":"b"}"#)
    let sealed = try pair.sealedDocument()
    #expect(sealed.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } == text)
    let again = try read(text)
    let isSame = again.registrationToken?.secret.isEqual(to: try #require(pair.registrationToken).secret)
    #expect(isSame == true)
    #expect(throws: VaultError(.invalidInput, "")) {
      try read(#"{"client_id":"a","client_secret":"b","registration_access_token":""}"#)
    }
  }

  @Test func whatManagesAClientComesBackFromTheVault() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    let pair = try read(#"{"client_id":"a","client_secret":"b","registration_access_token":"t"}"#)
    let now = Fixture.start
    _ = try await fixture.vault.add(
      name: "registered", provider: "oauth-registration", settings: [:], policy: Policy(), admin: "registered",
      pair: pair, now: now)
    let opened = try await fixture.vault.pairs(
      of: "registered", choosing: { $0.versions }, event: .pairRead, now: now)
    let token = try #require(opened.first?.pair.registrationToken)
    let isSame = token.secret.isEqual(to: try #require(pair.registrationToken).secret)
    #expect(isSame)
  }

  @Test(arguments: ["\"", "\\", "\\\"", "é", "漢字", "👩‍👩‍👧", "/", "\u{2028}", "a b"])
  func everyTextSurvivesItsDocument(_ text: String) throws {
    let pair = try Fixture.pair((text, text + text))
    let again = try read(pair.text)
    #expect(try again.text == pair.text)
    let isSame = again.clientID.isEqual(to: pair.clientID) && again.clientSecret.isEqual(to: pair.clientSecret)
    #expect(isSame)
  }

  @Test(arguments: [
    #"{"client_id":"a","client_id":"a","client_secret":"b"}"#,
    #"{"client_id":"a","client_\u0069d":"c","client_secret":"b"}"#,
    #"{"client_id":"a"}"#,
    #"{"client_secret":"b"}"#,
    #"{"client_id":"a","client_secret":"b","more":1}"#,
    #"{"client_id":"a","client_secret":"b"} x"#,
    #"{"client_id":"a","client_secret":"b""#,
    #"{"client_id":1,"client_secret":"b"}"#,
    #"{"client_id":null,"client_secret":"b"}"#,
    #"{"client_id":"a","client_secret":["b"]}"#,
    #"["a","b"]"#,
    "",
    #"{"client_id":"a","client_secret":"\ud800"}"#,
  ])
  func anythingElseIsNotAPair(_ text: String) {
    #expect(throws: JSONError.self) { try read(text) }
  }

  @Test(arguments: ["", "\\n", "\\u0000", "\\u007f", "\\t", String(repeating: "x", count: 4097)])
  func anUnfitPartIsRefused(_ part: String) {
    for text in [
      "{\"client_id\":\"\(part)\",\"client_secret\":\"b\"}", "{\"client_id\":\"a\",\"client_secret\":\"\(part)\"}",
    ] {
      #expect(throws: VaultError(.invalidInput, "")) { try read(text) }
    }
  }

  @Test func aTextTellsTheSecretAndTheTokenThatManagesTheClient() throws {
    let pair = try read(
      #"{"client_id":"identifier","client_secret":"secret-1","registration_access_token":"manage-1"}"#)
    for text in ["secret-1", "it was manage-1, sorry"] { #expect(pair.isTold(in: text), "\(text)") }
    for text in ["", "secret-2", "identifier", "manage-"] { #expect(!pair.isTold(in: text), "\(text)") }
    let short = try read(#"{"client_id":"a","client_secret":"secret-1","registration_access_token":"manage"}"#)
    #expect(!short.isTold(in: "to manage is not to tell"))
  }

  @Test func aTokenThatNoHeaderCanHaveIsToldFromOthersAndIsReadAllTheSame() throws {
    for (token, isFit) in [("manage-1~+/=", true), ("manage-é", false), ("man age", false)] {
      let pair = try read(#"{"client_id":"a","client_secret":"b","registration_access_token":"\#(token)"}"#)
      let kept = try #require(pair.registrationToken)
      let found = (try? Pair.check(token: kept.secret, "it")) != nil
      #expect(found == isFit, "\(token)")
    }
  }

  @Test func theLongestPartIsRead() throws {
    let part = String(repeating: "x", count: 4096)
    #expect(try read("{\"client_id\":\"\(part)\",\"client_secret\":\"b\"}").clientID.count == 4096)
  }

  @Test(arguments: [[0xFF], [0x61, 0xC3], [0xED, 0xA0, 0x80]] as [[UInt8]])
  func bytesThatAreNotTextAreNeverSealed(_ bytes: [UInt8]) async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    let pair = Pair(
      clientID: try SecretBytes(copying: bytes.span.bytes), clientSecret: try SecretBytes(copying: [0x62].span.bytes))
    await #expect(throws: VaultError(.invalidInput, "")) {
      try await fixture.vault.seal(pair, of: Fixture.name, version: 2)
    }
  }
}
