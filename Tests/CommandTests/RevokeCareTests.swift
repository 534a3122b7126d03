import Foundation
import Testing

@Suite("A leak of more than one credential or to more than one person")
struct RevokeCareTests {
  private func events(_ place: Workplace) async throws -> [(event: String, credential: String)] {
    try await place.relatch("log", "list", "--json").objects().map {
      ($0["event"] as? String ?? "", $0["credential"] as? String ?? "")
    }
  }

  private func place(_ events: [(event: String, credential: String)], _ event: String, _ credential: String) -> Int {
    events.firstIndex { $0 == (event, credential) } ?? -1
  }

  @Test("A credential that cannot be opened does not stop a search: the others are noted, tried and revoked, with 13")
  func damagedAmongMany() async throws {
    let place = try await Workplace(["--apps", "3"])
    for (name, app) in [("crm", 1), ("erp", 2), ("hr", 3)] { try await place.add(name, app: app) }
    let leaked = try await [place.org.primary(ofApp: 1), place.org.primary(ofApp: 2), place.org.primary(ofApp: 3)]
    let lose = """
      import json, sqlite3, sys
      store = sqlite3.connect(sys.argv[1])
      (record,) = store.execute("select value from credentials where key = ?", (b"erp",)).fetchone()
      store.execute("delete from versions where substr(key, 1, 16) = ?", (bytes.fromhex(json.loads(record)["id"]),))
      store.commit()
      """
    let lost = try await place.run(
      try #require(Programs.python), ["-c", lose, place.vault.appendingPathComponent("vault.db").path])
    #expect(lost.code == 0, "\(lost.errorText)")
    let file = leaked.map(\.document).joined(separator: "\n")
    let revoked = try await place.relatch("revoke", "--pair-file", "-", "--reason", "in a ticket", stdin: file)
    #expect(revoked.code == 13 && revoked.errorText.contains("version 1 of erp is missing"), "\(revoked.errorText)")
    for name in ["crm", "hr"] {
      #expect(
        revoked.outputText.contains("\(name): version 1, which is active, is in the file; the provider accepts it"))
      #expect(revoked.outputText.contains("\(name): version 2 is active; nothing is owed"))
    }
    let events = try await events(place)
    for name in ["crm", "hr"] {
      let noted = self.place(events, "credential.leaked", name)
      #expect(noted >= 0 && noted < self.place(events, "leak.intended", name), "noted before anybody is asked")
      #expect(self.place(events, "leak.tried", name) < self.place(events, "rotation.promoted", name))
    }
  }

  @Test("A reason or note that holds a secret of any credential is refused before anything is done")
  func tellingReason() async throws {
    let place = try await Workplace(["--apps", "2"])
    for (name, app) in [("crm", 1), ("erp", 2)] { try await place.add(name, app: app) }
    let secret = try await place.org.primary(ofApp: 2).secret
    let revoked = try await place.relatch("revoke", "crm", "--reason", "found '\(secret)' in a log")
    expectFailure(revoked, 64, "the reason contains the secret of erp")
    let card = try await place.card(of: "bo")
    let sent = try await place.relatch(
      "handoff", "send", "crm", "--to", "-", "--note", secret, "-o", place.folder.path + "/x", stdin: card)
    expectFailure(sent, 64, "the note contains the secret of erp")
    let log = try await place.relatch("log", "list", "--json").outputText
    #expect(!log.contains(secret) && !log.contains("credential.leaked") && !log.contains("handoff.sent"))
    for text in [revoked.errorText, sent.errorText] { #expect(!text.contains(secret)) }
    #expect(!FileManager.default.fileExists(atPath: place.folder.path + "/x"))
  }

  @Test("A reason or note with invisible characters is refused")
  func invisible() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    for text in ["a\u{202E}b", "a\u{200B}b", "a\u{2028}b"] {
      expectFailure(try await place.relatch("revoke", "crm", "--reason", text), 64, "invisible")
      let card = try await place.card(of: "bo")
      let sent = try await place.relatch(
        "handoff", "send", "crm", "--to", "-", "--note", text, "-o", place.folder.path + "/x", stdin: card)
      expectFailure(sent, 64, "invisible")
    }
  }

  @Test("An administrator's administrator is revoked before it, and credentials within a leak's reach are named")
  func chain() async throws {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "3"], addsAdmin: false)
    try await place.add("zeus", app: 1, admin: "self")
    try await place.add("hera", app: 2, admin: "zeus")
    try await place.add("crm", app: 3, admin: "hera")
    let revoked = try await place.relatch("revoke", "--all", "--reason", "the host was taken", "--jobs", "3")
    #expect(revoked.code == 0, "\(revoked.errorText)")
    let events = try await events(place)
    for (first, second) in [("zeus", "hera"), ("hera", "crm")] {
      #expect(
        self.place(events, "rotation.refused", first) < self.place(events, "rotation.begun", second),
        "\(first) before \(second)")
    }
    let one = try await place.relatch("revoke", "zeus", "--reason", "x")
    #expect(one.code == 0 && one.errorText.contains("zeus administers crm, hera"), "\(one.errorText)")
    // What it administers is replaced while its own leaked pair is still accepted: anyone who has that can read the new
    // pair.
    let identifier = try await place.org.apps()[1].identifier
    try await place.org.fault("sessionEnded", "DELETE", "*\(identifier)*")
    let both = try await place.relatch("revoke", "zeus", "hera", "--reason", "x")
    #expect(both.code == 12, "\(both.errorText)")
    #expect(
      both.errorText.contains("hera: version 3 is active, but was made while a leaked pair of zeus"),
      "\(both.errorText)")
  }

  @Test("The leak of a credential that cannot be rotated is noted, but no rotation begins, because none could end")
  func nothingToRotate() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let revoked = try await place.relatch("revoke", "--all", "--reason", "the host was taken")
    #expect(revoked.code == 13)
    #expect(
      revoked.errorText.contains("crm: version 2 is active, but was made while a leaked pair of admin"),
      "\(revoked.errorText)")
    #expect(revoked.errorText.contains("admin: ") && revoked.errorText.contains("setting app is missing"))
    #expect(revoked.outputText.contains("`relatch settings admin app=…`, then `relatch resume admin`"))
    for verb in ["resume", "rotate"] {
      let again = try await place.relatch(verb, "admin")
      expectFailure(again, 78, "setting app is missing")
      #expect(again.errorText.contains("`relatch settings admin app=…`"), "\(again.errorText)")
    }
    expectFailure(try await place.relatch("rotate", "--due"), 78, "setting app is missing")
    let events = try await events(place)
    #expect(self.place(events, "credential.leaked", "admin") >= 0)
    #expect(self.place(events, "rotation.begun", "admin") < 0)
    #expect(try await place.relatch("status", "admin").code == 12)
    let page = try await place.relatch("metrics").outputText
    #expect(!page.contains(#"relatch_rotation_unfinished_timestamp_seconds{credential="admin""#), "\(page)")
  }

  @Test("A rotation that has made no request can be given up even if no request is possible")
  func givenUp() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    try await place.org.fault("dropBefore", nil, "*")
    #expect(try await place.relatch("rotate", "crm").code == 69)
    try await place.org.clearFaults()
    #expect(try await place.relatch("settings", "crm", "--unset", "app").code == 0)
    let given = try await place.relatch("abort", "crm")
    #expect(given.code == 0, "\(given.errorText)")
    #expect(try await !place.relatch("status", "crm").outputText.contains("rotation 1 is"))
  }

  @Test("A pair that was refused before and that nobody answers about now is not called refused: 69")
  func unknown() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let leaked = try await place.org.primary().document
    func revoked() async throws -> Outcome {
      try await place.relatch("revoke", "--pair-file", "-", "--reason", "in a ticket", stdin: leaked)
    }
    #expect(try await revoked().code == 0)
    try await place.org.fault("unavailable", "POST", "*/token")
    let unknown = try await revoked()
    #expect(unknown.code == 69 && unknown.errorText.contains("accepts version 1"), "\(unknown.errorText)")
    try await place.org.clearFaults()
    #expect(try await revoked().code == 0)
  }

  @Test("A leak that could not be ended is reported by status, with 12, and ended by a later run")
  func nothingDone() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let leaked = try await place.org.primary()
    try await place.org.fault("dropBefore", nil, "*")
    let revoked = try await place.relatch("revoke", "crm", "--reason", "x")
    #expect(revoked.code == 69, "\(revoked.errorText)")
    #expect(
      revoked.outputText.contains("leaked and has not been seen to be refused; `relatch resume crm` tries it again"),
      "\(revoked.outputText)")
    let status = try await place.relatch("status", "crm")
    #expect(status.code == 12 && status.outputText.contains("`relatch resume crm` replaces it"), "\(status.outputText)")
    let retired = try await place.relatch("retire", "crm")
    expectFailure(retired, 12, "version 1, the active one, leaked, but is not replaced yet")
    #expect(retired.errorText.contains("`relatch resume crm`"))
    try await place.org.clearFaults()
    #expect(try await place.relatch("resume").code == 0)
    #expect(try await !place.org.grants(leaked))
    #expect(try await place.relatch("status", "crm").code == 0)
  }

  @Test("Commands that only read leave the database and its log unchanged as evidence, if there is no identity")
  func readers() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    #expect(try await place.relatch("revoke", "crm", "--reason", "x").code == 0)
    func files() throws -> [Data] {
      try ["vault.db", "vault.db-wal"].map { try Data(contentsOf: place.vault.appendingPathComponent($0)) }
    }
    let before = try files()
    for arguments in [
      ["list"], ["show", "crm"], ["status"], ["incident"], ["incident", "crm", "--html"], ["log", "list"],
      ["log", "verify"], ["log", "prove", "3"], ["log", "exposure", "--member", "owner"],
      ["plan", "--offline", "--all"],
    ] {
      let outcome = try await place.run(Programs.relatch, arguments, environment: Workplace.outsider)
      #expect(outcome.code == 0, "\(arguments): \(outcome.errorText)")
    }
    #expect(try files() == before)
  }

  @Test("A recipient of a handoff knows the pair: exposure names it, and revoke --exposed-to ends it")
  func recipients() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    let pair = try await place.org.primary()
    let file = try await teams.send("crm")
    #expect(
      try await teams.theirs("handoff", "open", file, "--admin", "admin", "-o", teams.path("receipt")).code == 0)
    let card = try String(contentsOfFile: teams.card, encoding: .utf8)
    let object = try #require(JSONSerialization.jsonObject(with: Data(card.utf8)) as? [String: Any])
    let recipient = try #require(object["age"] as? String)
    let told = try await place.relatch("log", "exposure", "--member", recipient)
    #expect(told.code == 0 && told.outputText.contains("crm: version 1 was sent"), "\(told.errorText)")
    expectFailure(try await place.relatch("log", "exposure", "--member", "eve"), 66)
    #expect(try await place.relatch("handoff", "confirm", teams.path("receipt")).code == 0)
    #expect(try await place.relatch("log", "exposure", "--member", "bo", "--plan").outputText == "crm\n")
    let revoked = try await place.relatch("revoke", "--exposed-to", "bo", "--reason", "their laptop was stolen")
    #expect(revoked.code == 0 && revoked.outputText.contains("crm: version 2 is active"), "\(revoked.errorText)")
    #expect(try await !place.org.grants(pair))
    #expect(try await place.relatch("incident", "crm").outputText.contains("open to \(recipient)"))
    #expect(try await place.relatch("log", "exposure", "--member", "bo", "--plan").outputText.isEmpty)
  }

  @Test("A sender's policy is shown before it is taken over, except for what would bind the recipient's runs")
  func senderPolicy() async throws {
    let teams = try await TwoTeams()
    try await teams.place.add("crm", policy: ["propagation=1d", "max-age=90d", "drill=yes"])
    let file = try await teams.send("crm")
    let shown = try await teams.theirs("handoff", "open", file, "--show")
    #expect(shown.outputText.contains("max-age=90d"), "\(shown.outputText)")
    let opened = try await teams.theirs("handoff", "open", file, "--admin", "admin", "-o", teams.path("receipt"))
    #expect(opened.code == 0, "\(opened.errorText)")
    let policy = try await teams.theirs("policy", "crm").outputText
    #expect(policy.contains("propagation=1d") && policy.contains("max-age=90d") && !policy.contains("drill"))
  }

  @Test("No command with an output file overwrites an existing one")
  func outputs() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    #expect(try await place.relatch("revoke", "crm", "--reason", "x").code == 0)
    let path = place.folder.path + "/evidence"
    try Data("kept".utf8).write(to: URL(fileURLWithPath: path))
    for arguments in [
      ["log", "checkpoint", "-o", path], ["log", "prove", "0", "-o", path], ["log", "prove", "0", "--text", path],
      ["incident", "crm", "-o", path], ["incident", "crm", "--html", "-o", path], ["log", "bundle", "-o", path],
    ] {
      expectFailure(try await place.run(Programs.relatch, arguments), 64, "it already exists")
      #expect(try String(contentsOfFile: path, encoding: .utf8) == "kept")
    }
    expectFailure(try await place.relatch("log", "prove", "999"), 66, "the log has ")
    #expect(try await place.relatch("log", "prove", "999").errorText.contains("`relatch log list`"))
    expectFailure(try await place.relatch("log", "verify", "--bundle", path), 65, "log bundle")
  }
}

@Suite("Credentials with a tag")
struct TagTests {
  @Test("are listed, shown, rotated and revoked together, and the others are left alone")
  func tags() async throws {
    let place = try await Workplace(["--apps", "3"])
    let slow = ["propagation=0s", "grace=0s"]
    try await place.add("crm", app: 1, policy: slow, ["--tag", "prod", "--tag", "eu"])
    try await place.add("erp", app: 2, policy: slow, ["--tag", "prod"])
    try await place.add("hr", app: 3, policy: slow)
    func names(_ arguments: String...) async throws -> [String] {
      let listed = try await place.run(Programs.relatch, arguments + ["--json"])
      #expect(listed.code == 0, "\(listed.errorText)")
      return try listed.objects().compactMap { $0["credential"] as? String }
    }
    #expect(try await names("list", "--tag", "prod") == ["crm", "erp"])
    #expect(try await names("status", "--tag", "eu") == ["crm"])
    let shown = try #require(try await place.relatch("list", "--tag", "eu", "--json").objects().first)
    #expect(shown["tags"] as? [String] == ["eu", "prod"])
    #expect(try await place.relatch("list").outputText.contains("tags eu,prod"))
    for verb in [["list"], ["status"], ["rotate"], ["revoke", "--reason", "x"]] {
      expectFailure(
        try await place.run(Programs.relatch, verb + ["--tag", "prd"]), 66, "no credential has the tag \"prd\"")
    }
    expectFailure(try await place.relatch("status", "hr", "--tag", "eu"), 66, "hr has not the tag \"eu\"")
    expectFailure(try await place.relatch("status", "hr", "erp", "--tag", "eu"), 66, "none of hr, erp has the tag")
    expectFailure(try await place.relatch("policy", "hr", "tags=two words"), 64)
    #expect(try await place.relatch("policy", "erp", "tags=none").code == 0)
    #expect(try await place.relatch("policy", "hr", "tags=prod").code == 0)
    #expect(try await names("list", "--tag", "prod") == ["crm", "hr"])

    let before = try await [place.org.primary(ofApp: 1), place.org.primary(ofApp: 2), place.org.primary(ofApp: 3)]
    let revoked = try await place.relatch("revoke", "--tag", "prod", "--reason", "the prod host was taken")
    #expect(revoked.code == 0, "\(revoked.errorText)")
    #expect(try await !place.org.grants(before[0]))
    #expect(try await place.org.primary(ofApp: 2) == before[1])
    #expect(try await !place.org.grants(before[2]))
    #expect(try await place.relatch("policy", "admin", "tags=eu").code == 0)
    let rotated = try await place.relatch("rotate", "--tag", "eu")
    #expect(rotated.code == 0 && rotated.outputText.contains("crm: version 3 is active"), "\(rotated.errorText)")
    #expect(rotated.errorText.contains("left out: admin"), "\(rotated.errorText)")
    #expect(try await place.logIsIntact())
  }
}

@Suite("A drill without a provider")
struct SimulatedDrillTests {
  @Test("starts its own org, leaks pairs, and sees each refused and replaced", arguments: [false, true])
  func drill(contains: Bool) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("relatch-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let drill = try Running(
      Programs.demo, ["--drill", "--credentials", "2"] + (contains ? ["--contain"] : []), stdin: nil,
      environment: ProcessInfo.processInfo.environment.merging(["HOME": folder.path, "TMPDIR": folder.path]) { $1 },
      in: folder)
    let outcome = try await drill.outcome()
    #expect(outcome.code == 0, "\(outcome.outputText)\(outcome.errorText)")
    #expect(outcome.outputText.contains("time to revoke  "), "\(outcome.outputText)")
    #expect(outcome.outputText.components(separatedBy: "the pair that leaked is refused").count == 3)
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix("relatch-") }
    #expect(left.isEmpty, "nothing is left behind")
  }
}
