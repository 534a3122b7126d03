import Foundation
import Testing

@Suite(
  "A reader that was written from the specifications only",
  .enabled(if: Intruder.isAvailable, "needs age, and python3 with PyNaCl"))
struct ReaderTests {
  private struct Reading: Decodable {
    struct Pair: Decodable, Equatable {
      let client_id: String
      let client_secret: String
    }

    struct Credential: Decodable {
      let name: String
      let active: Int
      let pairs: [String: Pair]
    }

    struct Access: Decodable {
      let members: [String]
      let exposure: Exposure?
    }

    struct Exposure: Decodable, Equatable {
      let since: String
      let to: [String]
      let version: Int
    }

    let credentials: [Credential]
    let access: [String: Access]
    let entries: Int
  }

  private static let program = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../Reader/relatch_reader.py").standardized.path

  private func read(_ place: Workplace, as identity: String) async throws -> Reading {
    let run = try await place.run(
      try #require(Programs.python),
      [Self.program, place.vault.path, "--identity", place.folder.path + "/" + identity, "--access"])
    #expect(run.code == 0, "\(run.errorText)")
    return try JSONDecoder().decode(Reading.self, from: run.output)
  }

  @Test("verifies a vault of a team and recovers every secret in it, with an owner's and with a grantee's identity")
  func team() async throws {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "4"], addsAdmin: false)
    let names = ["crm", "erp", "gone", "hr"]
    for (number, name) in names.enumerated() { try await place.add(name, app: number + 1, admin: "self") }
    let owner = try #require(
      try await place.relatch("member", "list", "--json").objects().first?["member"] as? String)
    try await place.addMember("anna", "owner")
    let cron = try await place.addMember("cron", "operator", grants: ["crm", "erp", "gone"])
    try await place.addMember("bob", "operator", grants: ["hr"])
    #expect(try await place.relatch("rotate", "crm", environment: cron).code == 0)
    for steps in [
      ["rekey"], ["member", "remove", "bob"], ["ungrant", "erp", "cron"], ["rotate", "erp"], ["remove", "gone"],
      ["settings", "crm", "api-version=66.0"], ["settings", "hr", "--admin", "crm"], ["member", "remove", "anna"],
      ["rotate", "hr"],
    ] {
      let run = try await place.run(Programs.relatch, steps)
      #expect(run.code == 0, "\(steps): \(run.errorText)")
    }
    var expected: [String: [String: SimulatedOrg.IssuedPair]] = [:]
    for name in ["crm", "erp", "hr"] {
      expected[name] = [
        "2": try #require(try await place.pair(name)), "1": try #require(try await place.pair(name, "previous")),
      ]
    }
    func pairs(_ reading: Reading) -> [String: [String: SimulatedOrg.IssuedPair]] {
      Dictionary(
        uniqueKeysWithValues: reading.credentials.map { credential in
          (credential.name, credential.pairs.mapValues { .init(key: $0.client_id, secret: $0.client_secret) })
        })
    }
    let all = try await read(place, as: "identity")
    #expect(pairs(all) == expected)
    #expect(all.credentials.allSatisfy { $0.active == 2 })
    #expect(all.access.mapValues(\.members) == ["crm": ["cron", owner].sorted(), "erp": [owner], "hr": [owner]])
    #expect(all.access.mapValues { $0.exposure?.to } == ["crm": ["anna"], "erp": ["anna"], "hr": nil])
    for object in try await place.relatch("status", "--json").objects() {
      let told = object["exposure"] as? [String: Any]
      let found = all.access[object["credential"] as? String ?? ""]?.exposure
      #expect(told?["since"] as? String == found?.since && told?["version"] as? Int == found?.version)
      #expect(told?["to"] as? [String] == found?.to)
    }
    #expect(try await pairs(read(place, as: "identity-cron")) == ["crm": expected["crm"]])
    for gone in ["anna", "bob"] { #expect(try await read(place, as: "identity-\(gone)").credentials.isEmpty) }
    #expect(try await place.logIsIntact())
  }
}
