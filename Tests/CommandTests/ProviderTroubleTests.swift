import Foundation
import Testing

@Suite("A provider in trouble leads to a documented exit code, and the pair in use stays in use")
struct ProviderTroubleTests {
  /// One way in which all of the provider's answers go wrong from now on.
  private struct Trouble: Sendable {
    let kind: String
    let path: String
    let code: Int32

    static func all(at path: String) -> [Trouble] {
      [
        ("maintenancePage", 69), ("unavailable", 69), ("serverError", 69), ("tooManyRequests", 69), ("dropBefore", 69),
        ("dropAfter", 69), ("garbage", 69), ("htmlPage", 69), ("wrongTypes", 69), ("huge", 69), ("empty", 69),
        ("truncated", 69),
      ].map { Trouble(kind: $0.0, path: path, code: $0.1) }
    }
  }

  @Test("if answers are missing, absurd or cut off", arguments: ["*/token", "*/credentials/*"])
  func persistent(_ path: String) async throws {
    // All at once, because most of the time is spent waiting before trying again.
    try await withThrowingTaskGroup(of: Void.self) { group in
      for trouble in Trouble.all(at: path) { group.addTask { try await persistent(trouble) } }
      try await group.waitForAll()
    }
  }

  private func persistent(_ trouble: Trouble) async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let old = try await place.org.primary()
    try await place.org.fault(trouble.kind, nil, trouble.path, ["bytes": 9 << 20, "seconds": 0])
    let rotated = try await place.relatch("rotate", "crm", "--quiet")
    expectFailure(rotated, trouble.code, "crm: ")
    #expect(!rotated.errorText.contains("<") && !rotated.errorText.contains("AAAA"), "no answer is repeated")
    let consumer = try await place.org.consumer()
    #expect(consumer.primary == old && consumer.slot == nil, "\(trouble)")
    #expect(try await place.pair("crm") == old, "\(trouble)")
    #expect(try await place.logIsIntact(), "\(trouble)")

    try await place.org.clearFaults()
    #expect(try await place.relatch("rotate", "crm").code == 0, "the same command finishes it: \(trouble)")
    #expect(try await place.holdsPrimary("crm"))
  }

  @Test(
    "if the org acts but its answers are spoilt, which is noticed, so that nothing is repeated",
    arguments: ["POST", "PATCH"], ["garbage", "htmlPage", "wrongTypes", "empty", "truncated", "dropAfter"])
  func spoiltStep(_ method: String, _ kind: String) async throws {
    let place = try await Workplace()
    try await place.add("crm")
    try await place.org.fault(kind, method, "*/staged*")
    let rotated = try await place.relatch("rotate", "crm")
    #expect(rotated.code == 0, "\(rotated.errorText)")
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await place.relatch("show", "crm").outputText.contains("version   2 active"))
  }

  @Test("if a host cannot be reached, with 69 within seconds")
  func unreachable() async throws {
    let place = try await Workplace()
    let pair = try await place.org.primary().document
    let app = try await place.org.apps()[1].identifier
    // Port 1 is reserved, and nobody listens there.
    let added = try await place.relatch(
      "add", "far", "--provider", "salesforce", "--set", "url=http://127.0.0.1:1", "--set", "app=\(app)", "--admin",
      "admin", stdin: pair)
    #expect(added.code == 0)
    expectFailure(try await place.relatch("rotate", "far", "--quiet"), 69, "127.0.0.1:1")
    #expect(try await place.relatch("read", "far").line == pair)
  }

  @Test("if a request would show the administrator's token to another host than its org's, with 78")
  func otherHost() async throws {
    let place = try await Workplace()
    let other = try await SimulatedOrg(in: place.folder)
    let pair = try await place.org.primary().document
    let app = try await place.org.apps()[1].identifier
    let added = try await place.relatch(
      "add", "typo", "--provider", "salesforce", "--set", "url=\(other.url)", "--set", "app=\(app)", "--admin", "admin",
      stdin: pair)
    #expect(added.code == 0)
    expectFailure(try await place.relatch("rotate", "typo", "--quiet"), 78, "is not the org of the administrator admin")
  }

  @Test("if the token endpoint refuses the new pair, which is removed again, with 10")
  func refusedPair() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let old = try await place.org.primary()
    for isJSON in [false, true] {
      try await place.org.set("conditions", ["poisonsNextStagedPair": true])
      let rotated = try await place.run(Programs.relatch, ["rotate", "crm", "--quiet"] + (isJSON ? ["--json"] : []))
      if isJSON {
        let objects = try rotated.objects()
        #expect(rotated.code == 10 && rotated.errors.isEmpty)
        #expect(objects.first?["outcome"] as? String == "rejected")
        #expect(objects.last?["type"] as? String == "error" && objects.last?["code"] as? Int == 10)
      } else {
        expectFailure(rotated, 10, "version 1 is still active")
      }
      let consumer = try await place.org.consumer()
      #expect(consumer.primary == old && consumer.slot == nil)
      #expect(try await place.pair("crm") == old)
    }
    #expect(try await place.relatch("rotate", "crm").code == 0)
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await place.logIsIntact())
  }

  @Test("if it begins after the promotion, and the same command verifies the new pair")
  func troubleAfterPromotion() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    // The administrator's token and the proof succeed; the look after the promotion does not.
    try await place.org.fault("garbage", "POST", "*/token", ["skip": 2])
    let rotated = try await place.relatch("rotate", "crm", "--quiet")
    expectFailure(rotated, 12, "version 2 is promoted, but not verified yet")
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await place.relatch("status", "crm").outputText.contains("`relatch rotate crm` continues it"))
    try await place.org.clearFaults()
    let again = try await place.relatch("rotate", "crm")
    #expect(again.code == 0 && again.outputText.contains("version 2 is active"), "\(again.errorText)")
  }

  @Test("if the administrator left out a step, which is named, with 77 or 78")
  func setUp() async throws {
    let place = try await Workplace(["--apps", "2"])
    try await place.add("crm")
    try await place.add("erp", app: 2, admin: "crm")
    expectFailure(try await place.relatch("rotate", "erp", "--quiet"), 77, "External Client App Developer")
    try await place.org.set("conditions", ["restSecretAccess": false])
    expectFailure(try await place.relatch("rotate", "crm", "--quiet"), 78, "consumer secrets via REST API")
    try await place.org.set("conditions", ["restSecretAccess": true])
    let admin = try await place.org.apps()[0].identifier
    try await place.org.set("conditions", ["app": admin, "clientCredentialsFlow": false])
    expectFailure(try await place.relatch("rotate", "crm", "--quiet"), 78, "enable the Client Credentials Flow")
    try await place.org.set("conditions", ["app": admin, "clientCredentialsFlow": true, "runAsUser": "inactive"])
    expectFailure(try await place.relatch("rotate", "crm", "--quiet"), 77, "Run As user")
  }

  @Test("if somebody else has staged or promoted a pair, which is left alone")
  func foreignPairs() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let stranger = try await Stranger(place)
    #expect(try await stranger.relatch("rotate", "crm").code == 0)
    let before = try await place.org.consumer()
    let refused = try await place.relatch("rotate", "crm", "--quiet")
    expectFailure(refused, 78, "is not version 1, the active one")
    #expect(refused.errorText.contains("`relatch adopt crm`"), "\(refused.errorText)")
    let after = try await place.org.consumer()
    #expect(after.primary == before.primary && after.slot?.pair == before.slot?.pair)
  }

  @Test("and a revocation reports the stranger's pair that it deletes, and who made it, in the log and the incident")
  func cutOff() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let stranger = try await Stranger(place)
    try await place.org.fault("unavailable", "PATCH", "*")
    #expect(try await stranger.relatch("rotate", "crm").code == 69)
    try await place.org.clearFaults()
    let strange = try #require(try await place.org.consumer().slot?.pair)
    expectFailure(try await place.relatch("rotate", "crm", "--quiet"), 75, "a staged pair that is no version of this")
    let revoked = try await place.relatch("revoke", "crm", "--reason", "x")
    #expect(revoked.code == 0, "\(revoked.errorText)")
    #expect(revoked.errorText.contains("a pair that this vault does not have was found at the provider"))
    #expect(try await !place.org.grants(strange))
    let entries = try await place.relatch("log", "list", "--json").objects()
    let intent = try #require(entries.firstIndex { $0["cut_off"] != nil })
    let outcome = try #require(entries.firstIndex { $0["event"] as? String == "pair.cut-off" })
    #expect(intent < outcome && entries[intent]["found"] != nil)
    #expect(entries[outcome]["place"] as? String == "staged" && entries[outcome]["reason"] as? String == "leak")
    for key in ["handle", "made", "made_by"] { #expect(entries[outcome][key] is String, "\(entries[outcome])") }
    let told = try await place.relatch("incident", "crm").outputText
    for words in [
      "found at the provider and deleted: a pair", "a staged pair that this vault does not have (", "made by ",
    ] {
      #expect(told.contains(words), "\(words): \(told)")
    }
    let parts = try await place.relatch("incident", "crm", "--json").objects().first?["credentials"] as? [[String: Any]]
    #expect((parts?.first?["cut_off"] as? [Int])?.count == 1)
    #expect(try await place.relatch("incident", "crm", "--html").outputText.contains("find out who made it"))
    #expect(try await place.logIsIntact())
    for pair in [strange] { #expect(!told.contains(pair.key) && !told.contains(pair.secret)) }
  }

  /// Another vault with the same credentials.
  private struct Stranger {
    let place: Workplace
    var environment: [String: String] {
      ["RELATCH_VAULT": place.folder.path + "/second", "RELATCH_IDENTITY": place.folder.path + "/second-identity"]
    }

    init(_ place: Workplace) async throws {
      self.place = place
      #expect(try await relatch("init", "--no-passphrase").code == 0)
      for (name, app) in [("admin", 0), ("crm", 1)] {
        let identifier = try await place.org.apps()[app].identifier
        let options = app == 0 ? [] : ["--set", "app=\(identifier)", "--admin", "admin"]
        let pair = try await place.org.primary(ofApp: app).document
        let arguments = ["add", name, "--provider", "salesforce", "--set", "url=\(place.org.url)"] + options
        let added = try await place.run(Programs.relatch, arguments, stdin: pair, environment: environment)
        #expect(added.code == 0)
      }
    }

    func relatch(_ arguments: String...) async throws -> Outcome {
      try await place.run(Programs.relatch, arguments, environment: environment)
    }
  }
}
