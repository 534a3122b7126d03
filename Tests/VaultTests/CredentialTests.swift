import Audit
import Contracts
import JSON
import Storage
import Testing

@testable import Vault

@Suite struct CredentialTests {
  private func make() -> Credential {
    Credential(
      id: Identifier(drawnFrom: .seeded("credential")), name: "crm/prod", provider: "external-client-app",
      settings: ["url": "https://crm.example"], policy: Policy(), admin: "crm/prod",
      keyID: String(repeating: "0", count: 32), created: Fixture.start)
  }

  @Test func aLeakReachesNoFurtherThanTheNextVersion() throws {
    var credential = Credential(
      id: Identifier(drawnFrom: .seeded("leak")), name: "crm", provider: "p", settings: [:], policy: Policy(),
      admin: "crm", keyID: String(repeating: "0", count: 32), created: Fixture.start)
    credential.noteLeak(incident: "i", version: 1 << 40, now: Fixture.at(1))
    #expect(credential.leak?.version == 2)
    // If a record has such a leak nevertheless, because a member wrote it, the leak ends with the pair after the next.
    credential.leak = Leak(incident: "i", since: Fixture.at(1), version: 1 << 40)
    credential = try Credential(decoding: credential.bytes, name: "crm")
    for number in [2, 3] as [UInt64] {
      #expect(try credential.addStaged(handle: nil, expires: nil, now: Fixture.at(2)) == number)
      try credential.promoteStaged(now: Fixture.at(3))
      try credential.retire(number - 1, now: Fixture.at(4))
    }
    #expect(credential.leak == nil)
  }

  /// Nobody rotates two thousand million times: a member who writes such a number wants the next one not to fit.
  @Test func aNumberThatNoRotationsCanHaveReachedIsRefused() throws {
    var credential = Credential(
      id: Identifier(drawnFrom: .seeded("leak")), name: "crm", provider: "p", settings: [:], policy: Policy(),
      admin: "crm", keyID: String(repeating: "0", count: 32), created: Fixture.start)
    credential.rotation = 1
    try credential.count(step: 0)
    let record = String(decoding: credential.bytes, as: UTF8.self)
    for (text, other) in [(#""number":1,"#, #""number":"#), (#""rotation":1,"#, #""rotation":"#)] {
      for (number, isRead) in [(1 << 31, true), (1 << 31 + 1, false), (1 << 53 - 1, false)] {
        let bytes = Array(record.replacing(text, with: "\(other)\(number),").utf8)
        var reader = CredentialReader()
        let plain = try? reader.plain(bytes.span, "crm")
        #expect((plain != nil) == isRead)
        if isRead {
          #expect(try Credential(decoding: bytes, name: "crm").bytes == bytes)
        } else {
          #expect(throws: VaultError(.corrupt, "")) { _ = try Credential(decoding: bytes, name: "crm") }
        }
      }
    }
  }

  @Test func aPairThatWasHandedOverAndEndedHasNoActiveOneBesideIt() throws {
    var credential = make()
    _ = try credential.addStaged(handle: nil, expires: nil, now: Fixture.at(1))
    try credential.promoteStaged(now: Fixture.at(2))
    try credential.retire(1, now: Fixture.at(3))
    credential.transfer = try Transfer(
      .object([
        "expires": .string(Fixture.at(9).description), "since": .string(Fixture.at(4).description), "version": 2,
        "handoff": .string("\(Identifier(drawnFrom: .seeded("handoff")))"),
      ]))
    credential.transfer?.confirm(now: Fixture.at(5))
    var settled = credential
    settled.settleTransfer(now: Fixture.at(6))
    for sound in [credential, settled] { #expect(try Credential(decoding: sound.bytes, name: "crm/prod") == sound) }
    // The version that was handed over is retired, and another is active.
    let both = String(decoding: credential.bytes, as: UTF8.self).replacing(#""version":2}"#, with: #""version":1}"#)
    #expect(throws: VaultError(.corrupt, "")) { try Credential(decoding: Array(both.utf8), name: "crm/prod") }
  }

  @Test func aRecordIsReadBackAsItWasWritten() throws {
    var credential = make()
    _ = try credential.addStaged(handle: "h", expires: Fixture.at(9), now: Fixture.at(1))
    try credential.promoteStaged(now: Fixture.at(2))
    #expect(try Credential(decoding: credential.bytes, name: "crm/prod") == credential)
  }

  /// A reader must see how far the newest rotation is.
  @Test func whatIsNotedOfARotationIsReadBack() throws {
    var credential = make()
    credential.rotation = 1
    try credential.count(step: 0)
    #expect(credential.due == Timestamp(milliseconds: 0))
    for (hasEnded, graceEnds) in [(false, Fixture.at(9)), (false, nil), (true, Fixture.at(9)), (true, nil)] {
      credential.noteRotation(hasEnded: hasEnded, graceEnds: graceEnds)
      #expect(try Credential(decoding: credential.bytes, name: "crm/prod") == credential)
      #expect(credential.due == (hasEnded ? nil : graceEnds ?? Timestamp(milliseconds: 0)))
    }
  }

  @Test func oneVersionIsActiveAndAtMostOneIsStaged() throws {
    var credential = make()
    #expect(throws: VaultError(.notFound, "")) { try credential.promoteStaged(now: Fixture.at(1)) }
    #expect(try credential.addStaged(handle: nil, expires: nil, now: Fixture.at(1)) == 2)
    #expect(throws: VaultError(.alreadyExists, "")) {
      _ = try credential.addStaged(handle: nil, expires: nil, now: Fixture.at(1))
    }
    try credential.promoteStaged(now: Fixture.at(2))
    #expect(credential.versions.map(\.stage) == [.previous, .active])
    #expect(credential.versions.map(\.since) == [Fixture.at(2), Fixture.at(2)])
    #expect(credential.debts.map(\.number) == [1])
  }

  @Test func theEndOfAStagedPairIsNotThatOfAPrimaryOne() throws {
    for stillEnds in [false, true] {
      var credential = make()
      _ = try credential.addStaged(handle: nil, expires: Fixture.at(9), now: Fixture.at(1))
      try credential.promoteStaged(stillEnds: stillEnds, now: Fixture.at(2))
      #expect(credential.version(2)?.expires == (stillEnds ? Fixture.at(9) : nil))
      #expect((credential.due != nil) == stillEnds)
    }
  }

  @Test func aVersionRetiresOnceAndTheActiveOneNever() throws {
    var credential = make()
    #expect(throws: VaultError(.notFound, "")) { try credential.retire(1, now: Fixture.at(1)) }
    #expect(throws: VaultError(.notFound, "")) { try credential.retire(2, now: Fixture.at(1)) }
    _ = try credential.addStaged(handle: nil, expires: nil, now: Fixture.at(1))
    try credential.retire(2, now: Fixture.at(2))
    #expect(throws: VaultError(.notFound, "")) { try credential.retire(2, now: Fixture.at(3)) }
    #expect(credential.version(2)?.since == Fixture.at(2))
    #expect(try credential.addStaged(handle: nil, expires: nil, now: Fixture.at(3)) == 3)
  }

  @Test(arguments: [
    (#""stage":"active""#, #""stage":"staged""#), (#""stage":"active""#, #""stage":"lost""#),
    (#""number":1"#, #""number":0"#), (#""v":1"#, #""v":2"#), (#""v":1"#, #""v":1,"w":1"#), (#""v":1"#, #""v": 1"#),
    (#""grace":"1d""#, #""grace":"24h""#), (#""grace":"1d""#, #""grace":"1d","more":"1d""#),
    (#""name":"crm/prod""#, #""name":"crm/test""#), (#""steps":0"#, #""steps":1"#),
    (#""rotation":0"#, #""rotation":1"#), (#""entry":0"#, #""ended":0,"entry":0"#),
    (#""entry":0"#, #""ended":1,"entry":0"#), (#""id""#, #""grace_ends":"2026-01-01T00:00:00.000Z","id""#),
    (#""entry":0"#, #""entry":-1"#), (#""entry":0"#, #""entry":9007199254740992"#),
    ("2026-01-01T00:00:00.000Z", "2026-02-30T00:00:00.000Z"), (#""id":""#, #""id":"X"#),
  ])
  func aRecordThatIsNotOneIsRefused(_ change: (String, String)) throws {
    let text = String(decoding: make().bytes, as: UTF8.self)
    #expect(text.contains(change.0))
    let other = text.replacing(change.0, with: change.1, maxReplacements: 1)
    #expect(throws: VaultError.self, "\(other)") { try Credential(decoding: Array(other.utf8), name: "crm/prod") }
  }

  @Test(arguments: ["a", "A9", "crm/prod", "a.b-c_d@e", "a/b/c", String(repeating: "x", count: 128)])
  func aNameIsAccepted(_ name: String) throws {
    try Name.check(name, "name")
  }

  @Test(arguments: [
    "", ".", "..", "a/..", "a/../b", "a/./b", "a//b", "a/", "/a", "-a", "_a", "@a", "a b", "a\nb", "a\0", "a\u{7F}",
    "é",
    "a\u{301}", "a\u{202E}b", "\u{212A}ey", "a\\b", "a:b", "a*", "$a", String(repeating: "x", count: 129),
  ])
  func aNameIsRefusedAndCannotSteerATerminal(_ name: String) {
    #expect(throws: VaultError(.invalidInput, "")) { try Name.check(name, "name") }
    #expect(Name.printable(name).utf8.allSatisfy { (0x20...0x7E).contains($0) })
  }

  @Test(arguments: [
    ("crm/../x", "p", ["url": "u"]), ("crm", "p q", ["url": "u"]), ("crm", "p", ["a b": "u"]),
    ("crm", "p", ["url": "\u{1B}[2J"]), ("crm", "p", ["url": "\u{9B}2J"]),
    ("crm", "p", ["url": String(repeating: "x", count: 4097)]),
  ])
  func whatCannotBeShownIsNotAdded(_ name: String, _ provider: String, _ settings: [String: String]) async throws {
    let fixture = try await Fixture()
    await #expect(throws: VaultError(.invalidInput, "")) {
      _ = try await fixture.vault.add(
        name: name, provider: provider, settings: settings, policy: Policy(), admin: name,
        pair: Fixture.pair(Fixture.first), now: Fixture.at(1))
    }
    #expect(try await fixture.store.read { try AuditLog.size(in: $0) } == 1)
  }

  @Test(arguments: ["0s": 0, "1s": 1, "90s": 90, "10m": 600, "36h": 129_600, "1d": 86_400, "3650d": 315_360_000])
  func aDurationIsReadAndWrittenInItsShortestText(_ text: String, _ seconds: Int) {
    #expect(Policy.duration(text) == .seconds(seconds))
    #expect(Policy.text(.seconds(seconds)) == text)
  }

  @Test(arguments: ["60s": "1m", "60m": "1h", "24h": "1d", "010m": "10m"])
  func aDurationMayBeGivenInALongerText(_ text: String, _ shortest: String) throws {
    #expect(Policy.text(try #require(Policy.duration(text))) == shortest)
  }

  @Test(arguments: [
    "", "s", "1", "1 s", " 1s", "1s ", "-1s", "+1s", "1.5h", "1w", "1S", "١s", "1s\u{301}", "3651d", "99999999999d",
    "999999999d", "0x1s", "1e3s",
  ])
  func anythingElseIsNoDuration(_ text: String) {
    #expect(Policy.duration(text) == nil)
    var policy = Policy()
    #expect(throws: VaultError(.invalidInput, "")) { try policy.set("grace", to: text) }
    #expect(policy == Policy())
  }

  @Test func everyPolicyIsReadBackFromTheRecord() throws {
    var credential = make()
    for (key, value) in [
      ("max-age", "90d"), ("grace", "36h"), ("propagation", "0s"), ("jitter", "2d"),
      ("window", "mon-fri 22:00-02:00 Europe/Kyiv"), ("not-together-with", "crm/dev,erp"), ("drill", "yes"),
      ("tags", "prod,eu"),
    ] { try credential.policy.set(key, to: value) }
    let read = try Credential(decoding: credential.bytes, name: credential.name)
    #expect(read == credential)
    #expect(Set(read.policy.texts.map(\.key)) == Set(Policy.keys.map(\.key)))
  }

  @Test(arguments: [("grace", "24h"), ("max-age", "none"), ("jitter", "0s"), ("window", "none"), ("window", "mon  ")])
  func aStoredPolicyInAnotherTextIsRefused(_ key: String, _ value: String) throws {
    var credential = make()
    try credential.policy.set("grace", to: "36h")
    let text = String(decoding: credential.bytes, as: UTF8.self)
    let other = text.replacing(#""grace":"36h""#, with: #""\#(key)":"\#(value)""#)
    #expect(throws: VaultError(.corrupt, "")) { try Credential(decoding: Array(other.utf8), name: credential.name) }
  }

  @Test func aNameTwiceIsNoGroup() {
    var policy = Policy()
    #expect(throws: VaultError(.invalidInput, "")) { try policy.set("not-together-with", to: "a,a") }
  }

  @Test func anUnknownPolicyKeyIsRefused() {
    var policy = Policy()
    #expect(throws: VaultError(.invalidInput, "")) { try policy.set("Grace", to: "1d") }
  }

  @Test func `a leak grows and never shrinks, is due at once, and keeps the active version from being forgotten`()
    throws
  {
    var credential = make()
    #expect(credential.due == nil && credential.unsettled.isEmpty)
    credential.noteLeak(incident: "first", version: 1, now: Fixture.at(1))
    #expect(credential.due == .atOnce && credential.unsettled.map(\.number) == [1])
    _ = try credential.addStaged(handle: nil, expires: nil, now: Fixture.at(2))
    credential.noteLeak(incident: "second", version: 2, now: Fixture.at(3))
    credential.noteLeak(incident: "third", version: 1, now: Fixture.at(4))
    #expect(credential.leak == Leak(incident: "first", since: Fixture.at(1), version: 2))
  }
}
