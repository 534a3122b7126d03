import Foundation
import OrgSimulator
import Testing

@Suite struct ReadingTests {
  @Test func `a staged pair may be useless before it is promoted`() async throws {
    try await withOrg(readings: { $0.stagedPairGrants = false }) { bench in
      _ = try await bench.stage()
      let pair = try #require(bench.now?.slot?.pair)
      #expect(try await bench.client.token(pair).errorCode == "invalid_client_id")
      _ = try await bench.rotate(#require(bench.now?.slot?.id))
      #expect(try await bench.client.token(pair).status == 200)
    }
  }

  @Test func `a new pair propagates by grants and by org time`() async throws {
    try await withOrg(clock: .fixed(Date(timeIntervalSince1970: 1_767_225_600))) { bench in
      bench.server.changeReadings { $0.propagationGrants = 2 }
      _ = try await bench.stage()
      let pair = try #require(bench.now?.slot?.pair)
      #expect(!bench.server.accepts(key: pair.key, secret: pair.secret))
      #expect(try await bench.client.token(pair).status == 400)
      #expect(try await bench.client.token(pair).status == 400)
      #expect(try await bench.client.token(pair).status == 200)
      bench.server.changeReadings {
        $0.promotionPropagates = true
        $0.propagationGrants = 0
        $0.propagationSeconds = 600
      }
      _ = try await bench.rotate(#require(bench.now?.slot?.id))
      #expect(try await bench.client.token(pair).errorCode == "invalid_client_id")
      bench.server.advanceClock(by: .seconds(600))
      #expect(try await bench.client.token(pair).status == 200)
    }
  }

  @Test func `a poisoned pair is refused for ever, and only it`() async throws {
    try await withOrg { bench in
      bench.server.changeConditions { $0.poisonsNextStagedPair = true }
      let old = try await bench.replace()
      #expect(try await bench.client.token(bench.now?.primary).errorCode == "invalid_client")
      #expect(try await bench.client.token(old).status == 200)
      #expect(bench.server.state.conditions.poisonsNextStagedPair == false)
    }
  }

  @Test func `shapes and names of an answer can differ`() async throws {
    try await withOrg { bench in
      bench.server.changeReadings {
        $0.stageStatus = 200
        $0.stageAnswer = .object
        $0.fieldNames = .consumerKeyAndSecret
        $0.objectShape = .array
        $0.stateCase = .upper
        $0.dateForm = .offset
        $0.stagedURL = .staged
      }
      let answer = try await bench.stage()
      #expect(answer.status == 200)
      let object = try #require(answer.list.first)
      #expect(object["consumerKey"] as? String == bench.now?.slot?.pair.key)
      #expect(object["state"] as? String == "ACTIVE")
      #expect((object["createdDate"] as? String)?.hasSuffix("+0000") == true)
      #expect((object["url"] as? String)?.contains("/staged/") == true)
      bench.server.changeReadings { $0.objectShape = .wrapped }
      let wrapped = try await bench.call("GET", bench.path + "?part=keyandsecret")
      #expect((wrapped.object["credentials"] as? [String: Any])?["consumerSecret"] != nil)
    }
  }

  @Test func `an empty list may be a 404, and a list may hide its secrets`() async throws {
    try await withOrg(readings: { $0.emptyStagedList = .notFound }) { bench in
      #expect(try await bench.call("GET", bench.path + "/staged").status == 404)
      bench.server.changeReadings { $0.stagedListHidesSecrets = true }
      let staged = try #require(try await bench.stage().staged.first)
      #expect(staged["secret"] == nil)
      let id = try #require(staged["id"] as? String)
      let one = try await bench.call("GET", bench.path + "/staged/\(id)")
      #expect(one.text("secret") == bench.now?.slot?.pair.secret)
    }
  }

  @Test func `a replaced pair may keep the staged id, and a second rotate may swap back`() async throws {
    try await withOrg(readings: { $0.replacedID = .keepsStagedID }) { bench in
      _ = try await bench.stage()
      let id = try #require(bench.now?.slot?.id)
      let old = try #require(bench.now?.primary)
      _ = try await bench.rotate(id)
      #expect(bench.now?.slot?.id == id && bench.now?.slot?.state == .rotated)
      #expect(try await bench.rotate(id).status == 400)
      bench.server.changeReadings { $0.rotateOnRotated = .swapsBack }
      #expect(try await bench.rotate(id).status == 200)
      #expect(bench.now?.primary?.key == old.key)
    }
  }

  @Test func `a remembered staged id may name the pair in use`() async throws {
    try await withOrg(readings: { $0.stagedIDNamesPrimary = true }) { bench in
      _ = try await bench.stage()
      let id = try #require(bench.now?.slot?.id)
      _ = try await bench.rotate(id)
      let primary = try #require(bench.now?.primary)
      #expect(try await bench.call("GET", bench.path + "/staged/\(id)").text("key") == primary.key)
      #expect(try await bench.call("DELETE", bench.path + "/staged/\(id)").status == 204)
      #expect(!bench.server.accepts(key: primary.key, secret: primary.secret))
    }
  }

  @Test func `sessions may end at rotation or with the deleted pair`() async throws {
    try await withOrg(readings: { $0.rotateEndsTokens = .caller }) { bench in
      _ = try await bench.replace()
      #expect(try await bench.call("GET", bench.path).status == 401)
    }
    try await withOrg(readings: { $0.deleteEndsTokens = true }) { bench in
      let token = try await bench.client.token(bench.now?.primary).text("access_token")
      let bearer = ["Authorization": "Bearer \(token)"]
      _ = try await bench.replace()
      #expect(try await bench.client.send("GET", "/services/oauth2/userinfo", headers: bearer).status == 200)
      _ = try await bench.call("DELETE", bench.path + "/staged/\(#require(bench.now?.slot?.id))")
      #expect(try await bench.client.send("GET", "/services/oauth2/userinfo", headers: bearer).status == 403)
    }
  }

  @Test func `a deleted pair may linger`() async throws {
    try await withOrg(readings: { $0.deleteDelay = 60 }) { bench in
      let old = try await bench.replace()
      _ = try await bench.call("DELETE", bench.path + "/staged/\(#require(bench.now?.slot?.id))")
      #expect(try await bench.client.token(old).status == 200)
      bench.server.advanceClock(by: .seconds(60))
      #expect(try await bench.client.token(old).status == 400)
    }
  }

  @Test func `an app may be forbidden to rotate itself, and its consumer id may change`() async throws {
    try await withOrg(readings: { $0.consumerIDChanges = true }) { bench in
      let admin = bench.server.adminApp
      let own = "/services/data/v65.0/apps/oauth/credentials/\(admin.identifier)/\(admin.consumers[0].id)/staged"
      bench.server.changeReadings { $0.selfRotationAllowed = false }
      #expect(try await bench.call("POST", own, body: "{}").errorCode == "INSUFFICIENT_ACCESS")
      bench.server.changeReadings { $0.selfRotationAllowed = true }
      #expect(try await bench.call("POST", own, body: "{}").status == 201)
      _ = try await bench.replace()
      #expect(try await bench.call("GET", bench.path).status == 404)
    }
  }

  @Test(arguments: OrgReadings.deviations)
  func `a deviation differs, and the org still answers`(deviation: String) async throws {
    let readings = try OrgReadings([deviation])
    #expect(readings != OrgReadings())
    try await withOrg(readings: { $0 = readings }) { bench in
      let answer = try await bench.stage()
      #expect((200...201).contains(answer.status))
      let staged = try #require(bench.now?.slot)
      let answered = try await bench.rotate(staged.id)
      #expect((200...204).contains(answered.status))
      #expect(bench.server.state.apps[1].consumers[0].primary?.key == staged.pair.key)
    }
  }

  @Test func `every switch has a deviation`() throws {
    let moved = Set(OrgReadings.deviations.compactMap { $0.split(separator: "=").first.map(String.init) })
    let switches = Mirror(reflecting: OrgReadings()).children.compactMap(\.label)
    #expect(moved == Set(switches))
    var generator = SystemRandomNumberGenerator()
    #expect(OrgReadings.combination(oneIn: 1, using: &generator) == OrgReadings.deviations)
  }

  @Test func `settings are set by name, and unknown ones are named`() throws {
    var readings = OrgReadings()
    try readings.set("replacedID=keepsStagedID")
    try readings.set("propagationSeconds=2.5")
    #expect(readings.replacedID == .keepsStagedID && readings.propagationSeconds == 2.5)
    #expect(throws: OrgSettingError.self) { try readings.set("replacedID=sometimes") }
    #expect { try readings.set("colour=blue") } throws: { ($0 as? OrgSettingError)?.name == "colour" }
  }
}
