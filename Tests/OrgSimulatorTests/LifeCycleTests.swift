import Foundation
import OrgSimulator
import Testing

@Suite struct LifeCycleTests {
  @Test func `a pair is staged, granted, promoted, and the old one deleted`() async throws {
    try await withOrg { bench in
      let old = try #require(bench.now?.primary)
      let answer = try await bench.stage()
      #expect(answer.status == 201)
      let staged = try #require(answer.staged.first)
      #expect(staged["state"] as? String == "Active")
      let key = try #require(staged["key"] as? String)
      let secret = try #require(staged["secret"] as? String)
      #expect(key != old.key && secret != old.secret)
      #expect(try await bench.client.token(key, secret).status == 200)
      #expect(try await bench.client.token(old).status == 200)

      #expect(try await bench.rotate(#require(staged["id"] as? String)).status == 200)
      let primary = try await bench.call("GET", bench.path + "?part=keyandsecret")
      #expect(primary.text("key") == key && primary.text("secret") == secret)
      #expect(try await bench.client.token(old).status == 200)

      let rotated = try #require(try await bench.call("GET", bench.path + "/staged").staged.first)
      #expect(rotated["state"] as? String == "Rotated" && rotated["key"] as? String == old.key)
      let id = try #require(rotated["id"] as? String)
      #expect(id != staged["id"] as? String)
      #expect(try await bench.call("DELETE", bench.path + "/staged/\(id)").status == 204)
      #expect(try await bench.call("DELETE", bench.path + "/staged/\(id)").status == 404)
      #expect(try await bench.client.token(old).errorCode == "invalid_client_id")
      #expect(try await bench.client.token(key, secret).status == 200)
      #expect(try await bench.call("GET", bench.path + "/staged").staged.isEmpty)
    }
  }

  @Test func `the replaced pair is refused once its 30 days are over`() async throws {
    let start = Date(timeIntervalSince1970: 1_767_225_600)
    try await withOrg(clock: .fixed(start)) { bench in
      let old = try await bench.replace()
      #expect(bench.now?.slot?.expirationDate == start.addingTimeInterval(30 * 86_400))
      bench.server.advanceClock(by: .seconds(30 * 86_400 - 1))
      #expect(bench.server.accepts(key: old.key, secret: old.secret))
      bench.server.advanceClock(by: .seconds(1))
      #expect(try await bench.client.token(old).errorCode == "invalid_client_id")
      #expect(bench.now?.slot == nil)
    }
  }

  @Test func `a staged pair expires too, and may stay listed`() async throws {
    try await withOrg(readings: { $0.expiredSets = .listed }) { bench in
      _ = try await bench.stage()
      let staged = try #require(bench.now?.slot?.pair)
      bench.server.advanceClock(by: .seconds(31 * 86_400))
      #expect(!bench.server.accepts(key: staged.key, secret: staged.secret))
      #expect(bench.now?.slot?.state == .expired)
    }
  }

  @Test func `an occupied slot takes no second pair`() async throws {
    try await withOrg { bench in
      _ = try await bench.stage()
      let first = bench.now?.slot
      #expect(try await bench.stage().status == 400)
      #expect(bench.now?.slot == first)
      #expect(bench.server.requests.map(\.acted) == [true, false])
    }
  }

  @Test func `identifiers are understood in 15 and in 18 characters`() async throws {
    try await withOrg(readings: { $0.idLength = 18 }) { bench in
      let short = "/services/data/v65.0/apps/oauth/credentials/\(bench.app.identifier.prefix(15))/"
      let answer = try await bench.call("GET", short + bench.consumerID.prefix(15))
      #expect(answer.status == 200 && answer.text("id") == bench.consumerID)
      #expect(answer.object["secret"] == nil)
      let apps = try await bench.call("GET", "/services/data/v65.0/apps/oauth/usage")
      #expect((apps.object["apps"] as? [[String: Any]])?.count == 2)
      #expect(apps.headers["sforce-limit-info"] != nil)
    }
  }

  @Test func `versions before 65 know nothing of staging`() async throws {
    try await withOrg { bench in
      let old = bench.path.replacingOccurrences(of: "v65.0", with: "v64.0")
      #expect(try await bench.call("GET", old).status == 200)
      #expect(try await bench.call("GET", old + "/staged").errorCode == "NOT_FOUND")
      let versions = try await bench.client.send("GET", "/services/data").list
      #expect(versions.contains { $0["label"] as? String == "Winter '26" && $0["version"] as? String == "65.0" })
      #expect(versions.last?["label"] as? String == "Summer '26")
    }
  }

  @Test func `permissions and the REST switch guard the secrets`() async throws {
    try await withOrg { bench in
      let nobody = try await bench.client.send("GET", bench.path)
      #expect(nobody.status == 401 && nobody.errorCode == "INVALID_SESSION_ID")
      let own = try await bench.client.token(bench.now?.primary).text("access_token")
      let plain = try await bench.client.send("GET", bench.path, headers: ["Authorization": "Bearer \(own)"])
      #expect(plain.status == 403 && plain.errorCode == "INSUFFICIENT_ACCESS")
      bench.server.changeConditions { $0.restSecretAccess = false }
      #expect(try await bench.call("GET", bench.path).status == 200)
      #expect(try await bench.call("GET", bench.path + "?part=secret").errorCode == "FUNCTIONALITY_NOT_ENABLED")
      #expect(try await bench.stage().errorCode == "FUNCTIONALITY_NOT_ENABLED")
      #expect(bench.now?.slot == nil)
    }
  }

  @Test func `a session ends with its two hours`() async throws {
    try await withOrg { bench in
      bench.server.advanceClock(by: .seconds(7_201))
      let answer = try await bench.call("GET", bench.path)
      #expect(answer.errorCode == "INVALID_SESSION_ID")
    }
  }
}
