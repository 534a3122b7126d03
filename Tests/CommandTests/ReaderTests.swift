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

  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../Reader").standardized.path
  private static let program = folder + "/relatch_reader.py"

  private func run(_ place: Workplace, _ vault: String, as identity: String = "identity") async throws -> Outcome {
    try await place.run(
      try #require(Programs.python),
      [Self.program, vault, "--identity", place.folder.path + "/" + identity, "--access"])
  }

  private func read(_ place: Workplace, as identity: String) async throws -> Reading {
    let run = try await run(place, place.vault.path, as: identity)
    #expect(run.code == 0, "\(run.errorText)")
    return try JSONDecoder().decode(Reading.self, from: run.output)
  }

  /// What the program and the reader say of the vault at `copy`.
  private func verify(_ copy: String, _ place: Workplace) async throws -> (program: Outcome, reader: Outcome) {
    let environment = Workplace.outsider.merging(["RELATCH_VAULT": copy, "XDG_STATE_HOME": copy + "/state"]) { $1 }
    return (try await place.relatch("log", "verify", environment: environment), try await run(place, copy))
  }

  /// Appends an entry to the log at `copy`, as a member's own program can.
  private func append(
    _ entry: String, to copy: String, _ place: Workplace, by member: String, _ identity: String
  ) async throws {
    let appended = try await place.run(
      try #require(Programs.python),
      [Self.folder + "/relatch_appender.py", copy, place.folder.path + "/" + identity, member, entry])
    #expect(appended.code == 0, "\(appended.errorText)")
  }

  /// Fails unless `status` shows the exposures that the reader found in the log.
  private func expectSameExposures(_ place: Workplace, _ reading: Reading) async throws {
    for object in try await place.relatch("status", "--json").objects() {
      let told = object["exposure"] as? [String: Any]
      let found = reading.access[object["credential"] as? String ?? ""]?.exposure
      #expect(told?["since"] as? String == found?.since && told?["version"] as? Int == found?.version)
      #expect(told?["to"] as? [String] == found?.to)
    }
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
    try await expectSameExposures(place, all)
    #expect(try await pairs(read(place, as: "identity-cron")) == ["crm": expected["crm"]])
    for gone in ["anna", "bob"] { #expect(try await read(place, as: "identity-\(gone)").credentials.isEmpty) }
    #expect(try await place.logIsIntact())
  }

  @Test("finds who was exposed through administrators, and by a change of one, as the program does")
  func administrators() async throws {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "8"], addsAdmin: false)
    let admins = [
      ("a", "self"), ("b", "a"), ("c", "b"), ("gone", "a"), ("e", "gone"), ("d", "self"), ("f", "d"),
    ]
    for (number, (name, admin)) in admins.enumerated() { try await place.add(name, app: number + 1, admin: admin) }
    try await place.addMember("cron", "operator", grants: ["a"])
    try await place.addMember("bob", "operator", grants: ["d"])
    try await place.addMember("dora", "operator", grants: ["b"])
    try await place.addMember("eve", "operator")
    var exposed: [String: [String]] = [:]
    for (steps, change) in [
      (["ungrant", "a", "cron"], ["a": ["cron"], "b": ["cron"], "c": ["cron"], "gone": ["cron"], "e": ["cron"]]),
      (["settings", "e", "--admin", "d"], [:]),
      (["remove", "gone"], ["gone": nil]),
      (["settings", "f", "--admin", "a"], ["f": ["bob", "cron"]]),
      (["member", "remove", "dora"], ["b": ["cron", "dora"], "c": ["cron", "dora"]]),
      (["rekey"], [:]),
      (["rotate", "a"], ["a": nil]),
      (["settings", "c", "--admin", "a"], [:]),
      (["settings", "c", "--admin", "b"], [:]),
      (["grant", "a", "eve"], [:]),
      // Whoever can open what administered the former one has lost it, with all that it administers.
      (["settings", "b", "--admin", "d"], ["b": ["cron", "dora", "eve"], "c": ["cron", "dora", "eve"]]),
      (
        ["ungrant", "d", "bob"],
        [
          "d": ["bob"], "e": ["bob", "cron"], "b": ["bob", "cron", "dora", "eve"], "c": ["bob", "cron", "dora", "eve"],
        ]
      ),
    ] as [([String], [String: [String]?])] {
      let run = try await place.run(Programs.relatch, steps)
      #expect(run.code == 0, "\(steps): \(run.errorText)")
      for (name, to) in change { exposed[name] = to }
      let reading = try await read(place, as: "identity")
      #expect(reading.access.compactMapValues { $0.exposure?.to } == exposed, "\(steps)")
      try await expectSameExposures(place, reading)
    }
    try await place.add("g", app: 8, admin: "c")
    exposed["g"] = ["bob", "cron", "dora", "eve"]
    let reading = try await read(place, as: "identity")
    #expect(reading.access.compactMapValues { $0.exposure?.to } == exposed)
    try await expectSameExposures(place, reading)
    #expect(try await place.logIsIntact())
  }

  @Test("refuses what is for owners only from another member, as the program does")
  func ofOwners() async throws {
    let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../vault/log.md")
    let list = try String(contentsOf: page, encoding: .utf8).components(separatedBy: "more events are for owners only:")
      .last?.components(separatedBy: ". A `handoff.sent`").first
    let more = try #require(list).matches(of: /`([a-z.]+)`/).map { String($0.1) }
    #expect(more.count == 11)
    let place = try await Workplace()
    try await place.addMember("cron", "operator", grants: ["admin"])
    let details = """
      "added":
      {"age": "age1x", "name": "x", "role": "owner", "signing": "ey/ftrfEVdGz+A0FAzJGlqyNBJ7xbdr9d7/SOfj/22w="},
      "credential": "admin", "delivery": "x", "grantee": "cron", "handoff": "x", "key": "0011223344556677",
      "removed": "x", "restore": 1, "terms": "", "transfer": true
      """
    for event in ["log.read", "member.added", "member.removed", "vault.rekeyed", "handoff.sent"] + more {
      let copy = place.folder.path + "/copy"
      try FileManager.default.copyItem(atPath: place.vault.path, toPath: copy)
      defer { try? FileManager.default.removeItem(atPath: copy) }
      let witness = event == "witness.added" ? #"{"kind": "file", "name": "w", "path": "/w"}"# : #""w""#
      try await append(
        "{\(details), \"event\": \"\(event)\", \"witness\": \(witness)}", to: copy, place, by: "cron", "identity-cron")
      let (verified, read) = try await verify(copy, place)
      if event == "log.read" {
        #expect(verified.code == 0 && read.code == 0, "\(verified.errorText)\(read.errorText)")
      } else {
        expectFailure(verified, 65, "expected an owner")
        #expect(read.code == 65 && read.errorText.contains("not permitted"), "\(event): \(read.errorText)")
      }
    }
  }

  @Test("accepts entries that change nothing, and refuses those of another form, as the program does")
  func forms() async throws {
    let place = try await Workplace()
    let owner = try #require(
      try await place.relatch("member", "list", "--json").objects().first?["member"] as? String)
    try await place.addMember("cron", "operator", grants: ["admin"])
    try await place.addMember("bob", "operator", grants: ["admin"])
    #expect(try await place.relatch("ungrant", "admin", "bob").code == 0)
    func witness(_ kind: String, _ name: String, _ place: String) -> [String] {
      [#"{"event": "witness.added", "witness": {"kind": "\#(kind)", "name": "\#(name)", \#(place)}}"#]
    }
    let step = #""credential": "admin", "version": 9"#
    let key = "witness.example/w1+d7ec3267+BA=="
    for (entries, code) in [
      // A step that stores no record changes nothing: the exposure stays.
      (["{\"event\": \"rotation.staged\", \(step)}", "{\"event\": \"rotation.promoted\", \(step)}"], 0),
      ([#"{"event": "log.read", "credential": "admin", "rotation": 1, "step": "x"}"#], 0),
      ([#"{"event": "log"}"#], 65), ([#"{"event": "log.read", "v": 2}"#], 65),
      ([#"{"event": "log.read", "time": "2026-01-01T00:00:00Z"}"#], 65),
      ([#"{"event": "log.read", "time": "2026-02-29T00:00:00.000Z"}"#], 65),
      (witness("folder", "w", #""path": "/w""#), 0), (witness("folder", "w", #""path": "/w/""#), 65),
      (witness("folder", "-w", #""path": "/w""#), 65), (witness("flag", "w", #""path": "/w""#), 65),
      (witness("file", "w", #""path": "/w", "key": "k""#), 65), (witness("file", "w", #""path": "/\u0085""#), 65),
      (witness("http", "w", #""url": "https://w.example", "key": "\#(key)""#), 65),
    ] as [([String], Int32)] {
      let copy = place.folder.path + "/copy"
      try FileManager.default.copyItem(atPath: place.vault.path, toPath: copy)
      defer { try? FileManager.default.removeItem(atPath: copy) }
      for entry in entries {
        if entry.contains("witness.added") {
          try await append(entry, to: copy, place, by: owner, "identity")
        } else {
          try await append(entry, to: copy, place, by: "cron", "identity-cron")
        }
      }
      let (verified, read) = try await verify(copy, place)
      #expect(verified.code == code && read.code == code, "\(entries): \(verified.errorText)\(read.errorText)")
    }
  }

  @Test("refuses what a witness took if the log does not extend it or the witness did not sign it, as the program does")
  func witnesses() async throws {
    let place = try await Workplace()
    let witness = try await WitnessServer(place)
    for arguments in [
      ["add", "w", "--url", witness.url, "--key", witness.key], ["add", "usb", "--file", place.folder.path + "/note"],
      ["submit"],
    ] {
      let run = try await place.run(Programs.relatch, ["log", "witness"] + arguments)
      #expect(run.code == 0, "\(run.errorText)")
    }
    #expect(try await place.relatch("read", "admin").code == 0)
    let folder = place.vault.path + "/witnesses"
    let records = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    #expect(records.count == 2)
    for record in records {
      let lines = try String(contentsOfFile: folder + "/" + record, encoding: .utf8).components(separatedBy: "\n")
      // The checkpoint's size, its root, and the witness's own line.
      for (line, isAltered) in [(1, true), (2, true), (lines.count - 2, record.hasSuffix("-w")), (0, false)] {
        let copy = place.folder.path + "/copy"
        try FileManager.default.copyItem(atPath: place.vault.path, toPath: copy)
        defer { try? FileManager.default.removeItem(atPath: copy) }
        var altered = lines
        if line == 1 {
          altered[line] = "1"
        } else if isAltered {
          altered[line] = altered[line].replacing(/(.)(...)$/) { "\($0.1 == "A" ? "B" : "A")\($0.2)" }
        }
        #expect((altered != lines) == isAltered)
        try altered.joined(separator: "\n").write(
          toFile: copy + "/witnesses/" + record, atomically: true, encoding: .utf8)
        let (verified, read) = try await verify(copy, place)
        let code: Int32 = isAltered ? 65 : 0
        #expect(
          verified.code == code && read.code == code, "\(record), line \(line): \(verified.errorText)\(read.errorText)")
      }
    }
  }

  @Test("refuses an index of which one table is empty and the other is not, as the program does")
  func indexes() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    #expect(try await place.relatch("policy", "crm", "not-together-with=admin").code == 0)
    let delete = """
      import sqlite3, sys
      with sqlite3.connect(sys.argv[1]) as database:
          database.execute("DELETE FROM " + sys.argv[2])
      """
    for (emptied, code) in [(["apart"], 65), (["due"], 65), (["apart", "due"], 0)] as [([String], Int32)] {
      let copy = place.folder.path + "/copy"
      try FileManager.default.copyItem(atPath: place.vault.path, toPath: copy)
      defer { try? FileManager.default.removeItem(atPath: copy) }
      for table in emptied {
        let deleted = try await place.run(try #require(Programs.python), ["-c", delete, copy + "/vault.db", table])
        #expect(deleted.code == 0, "\(deleted.errorText)")
      }
      let (verified, read) = try await verify(copy, place)
      #expect(verified.code == code && read.code == code, "\(emptied): \(verified.errorText)\(read.errorText)")
    }
  }
}
