import Foundation
import Testing

extension Workplace {
  /// Changes one letter of the record of `name`, as a bad disk or anyone who can write to the folder could.
  func damage(_ name: String) async throws {
    let alter = """
      import sqlite3, sys
      store = sqlite3.connect(sys.argv[1])
      (record,) = store.execute("select value from credentials where key = ?", (sys.argv[2].encode(),)).fetchone()
      altered = record.replace(b'"provider"', b'"providex"')
      store.execute("update credentials set value = ? where key = ?", (altered, sys.argv[2].encode()))
      store.commit()
      """
    let store = vault.appendingPathComponent("vault.db").path
    let altered = try await run(try #require(Programs.python), ["-c", alter, store, name])
    #expect(altered.code == 0, "\(altered.errorText)")
  }
}

extension Outcome {
  /// The errors that are reported for single credentials, as `NAME CODE`, sorted.
  fileprivate func failures() throws -> [String] {
    try objects().filter { $0["type"] as? String == "error" }
      .map { "\($0["credential"] ?? "") \($0["code"] ?? "")" }.sorted()
  }

  /// The names of the credentials with this outcome, sorted.
  fileprivate func names(_ outcome: String) throws -> [String] {
    try objects().filter { $0["outcome"] as? String == outcome }.compactMap { $0["credential"] as? String }.sorted()
  }

  /// The names of the credentials that failed, according to the summary.
  fileprivate func failed() throws -> [String]? {
    try objects().last { $0["type"] as? String == "summary" }?["failed"] as? [String]
  }
}

@Suite("A credential with a damaged record fails with 65, and no other credential is kept from")
struct DamagedRecordTests {
  private static let names = ["crm", "erp", "hr"]

  /// Three credentials, each of which administers itself; bob could open all.
  private static func place(_ more: [String] = ["--tag", "prod"], policy: [String] = []) async throws -> Workplace {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "3"], addsAdmin: false)
    for (number, name) in names.enumerated() {
      try await place.add(name, app: number + 1, admin: "self", policy: ["propagation=0s"] + policy, more)
    }
    return place
  }

  @Test(
    "being revoked, however they are chosen",
    arguments: [["--all"], ["--provider", "salesforce"], ["--tag", "prod"], names, ["--exposed-to", "bob"]])
  func revoked(_ choice: [String]) async throws {
    let place = try await Self.place()
    if choice[0] == "--exposed-to" { try await place.addMember("bob", "operator", grants: Self.names) }
    let leaked = try await [place.org.primary(ofApp: 1), place.org.primary(ofApp: 2), place.org.primary(ofApp: 3)]
    try await place.damage("erp")
    let revoked = try await place.run(
      Programs.relatch, ["revoke"] + choice + ["--reason", "the vault was taken", "--json"])
    #expect(revoked.code == 13, "\(revoked.errorText)")
    #expect(try revoked.failures() == ["erp 65"], "\(revoked.outputText)")
    #expect(try revoked.names("settled") == ["crm", "hr"])
    #expect(try revoked.failed() == ["erp"])
    for (number, pair) in leaked.enumerated() {
      #expect(try await place.org.grants(pair) == (number == 1), "\(Self.names[number])")
    }
  }

  @Test("being revoked, and neither does a row under an invalid name, whose report cannot control the terminal")
  func planted() async throws {
    let place = try await Self.place()
    let plant = """
      import sqlite3, sys
      store = sqlite3.connect(sys.argv[1])
      store.execute("insert into credentials (key, value) values (?, ?)", (b"\\x1b[2J\\xff", b"{}"))
      store.commit()
      """
    let store = place.vault.appendingPathComponent("vault.db").path
    let planted = try await place.run(try #require(Programs.python), ["-c", plant, store])
    #expect(planted.code == 0, "\(planted.errorText)")
    let revoked = try await place.relatch("revoke", "--all", "--reason", "the vault was taken")
    #expect(revoked.code == 13, "\(revoked.errorText)")
    for name in Self.names { #expect(revoked.outputText.contains("\(name): version 2 is active; nothing is owed")) }
    #expect(revoked.errorText.contains("[2J") && !revoked.errorText.contains("\u{1B}"), "\(revoked.errorText)")
    #expect(try await place.relatch("log", "verify").code == 65)
  }

  @Test("being reported as open to a member and rotated for that, and neither does a damaged administrator")
  func exposed() async throws {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "3"], addsAdmin: false)
    try await place.add("zeus", app: 1, admin: "self")
    try await place.add("crm", app: 2, admin: "zeus")
    try await place.add("hr", app: 3, admin: "self")
    try await place.addMember("bob", "operator", grants: ["crm", "hr", "zeus"])
    try await place.damage("zeus")
    let told = try await place.relatch("log", "exposure", "--member", "bob", "--json")
    #expect(told.code == 0, "\(told.errorText)")
    let exposures = try told.objects()
    #expect(exposures.compactMap { $0["credential"] as? String } == ["crm", "hr", "zeus"])
    #expect(exposures.last?["standing"] as? String == "damaged" && exposures.last?["rotate"] as? Bool == true)
    let text = try await place.relatch("log", "exposure", "--member", "bob").outputText
    #expect(text.contains("zeus: versions up to 1, ") && text.contains("its record is damaged"), "\(text)")
    let rotated = try await place.relatch("rotate", "--exposed-to", "bob", "--json")
    #expect(rotated.code == 13, "\(rotated.errorText)")
    #expect(try rotated.failures() == ["crm 65", "zeus 65"], "\(rotated.outputText)")
    #expect(try rotated.names("promoted") == ["hr"])
  }

  @Test("being reported as within a member's reach through a damaged administrator")
  func administered() async throws {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "2"], addsAdmin: false)
    try await place.add("zeus", app: 1, admin: "self")
    try await place.add("crm", app: 2, admin: "zeus")
    try await place.addMember("bob", "operator", grants: ["zeus"])
    try await place.damage("zeus")
    let told = try await place.relatch("log", "exposure", "--member", "bob", "--json")
    #expect(told.code == 0, "\(told.errorText)")
    #expect(try told.objects().compactMap { $0["credential"] as? String } == ["crm", "zeus"])
  }

  @Test("being rotated or revoked as exposed to a member, who may also have reached the damaged one")
  func unknownReach() async throws {
    let place = try await Self.place()
    try await place.addMember("bob", "operator", grants: ["crm"])
    try await place.damage("erp")
    for verb in [["rotate"], ["revoke", "--reason", "x"]] {
      let done = try await place.run(Programs.relatch, verb + ["--exposed-to", "bob", "--json"])
      #expect(done.code == 13, "\(done.errorText)")
      #expect(try done.failures() == ["erp 65"], "\(done.outputText)")
    }
    #expect(try await place.pair("crm") == place.org.primary())
  }

  @Test("being rotated by schedule or tag")
  func due() async throws {
    let place = try await Self.place(
      ["--tag", "prod", "--created", "2020-01-01T00:00:00Z"], policy: ["max-age=90d"])
    // Nobody knows whether the other one is being rotated.
    #expect(try await place.relatch("policy", "crm", "not-together-with=erp").code == 0)
    try await place.damage("erp")
    let due = try await place.relatch("rotate", "--due", "--json")
    #expect(due.code == 13, "\(due.errorText)")
    #expect(try due.failures() == ["erp 65"], "\(due.outputText)")
    #expect(try due.names("promoted") == ["crm", "hr"])
    let alone = try await place.relatch("rotate", "--due", "--json")
    #expect(alone.code == 65)
    #expect(try alone.failures() == ["erp 65"], "\(alone.outputText)")
    #expect(try await place.relatch("retire", "crm", "hr").code == 0)
    let tagged = try await place.relatch("rotate", "--tag", "prod", "--json")
    #expect(tagged.code == 13)
    #expect(try tagged.failures() == ["erp 65"], "\(tagged.outputText)")
    #expect(try tagged.names("promoted") == ["crm", "hr"])
    for verb in [["rotate"], ["revoke", "--reason", "x"]] {
      expectFailure(
        try await place.run(Programs.relatch, verb + ["--tag", "prd"]), 65,
        "has the tag \"prd\"; damaged, so that their tags are not known: erp")
    }
  }

  @Test("being resumed and delivered")
  func resumed() async throws {
    let place = try await Workplace(["--apps", "2"])
    for (number, name) in ["crm", "hr"].enumerated() { try await place.add(name, app: number + 1) }
    let sink = place.folder.appendingPathComponent("pair.json")
    try await place.org.fault("unavailable", "PATCH", "*")
    #expect(try await place.relatch("rotate", "hr").code == 69)
    try await place.org.clearFaults()
    #expect(try await place.relatch("sink", "add", "crm", sink.path).code == 0)
    try await place.add("erp", app: nil)
    try await place.damage("erp")
    let resumed = try await place.relatch("resume", "--json")
    #expect(resumed.code == 13, "\(resumed.errorText)")
    #expect(try resumed.failures() == ["erp 65"], "\(resumed.outputText)")
    #expect(try resumed.names("delivered") == ["crm"])
    #expect(try resumed.names("promoted") == ["hr"])
    #expect(FileManager.default.fileExists(atPath: sink.path))
    #expect(try await place.relatch("resume").code == 65, "nobody knows whether it has something unfinished")
  }

  @Test(
    "being shown",
    arguments: [
      ["list"], ["list", "--tag", "prod"], ["status"], ["plan"], ["plan", "--offline"], ["doctor", "--offline"],
    ])
  func shown(_ verb: [String]) async throws {
    let place = try await Self.place()
    try await place.damage("erp")
    let shown = try await place.run(Programs.relatch, verb + ["--json"])
    #expect(shown.code == 65, "\(shown.errorText)")
    #expect(try shown.failures() == ["erp 65"], "\(shown.outputText)")
    let names = Set(
      try shown.objects().filter { $0["type"] as? String != "error" }.compactMap { $0["credential"] as? String })
    #expect(names == ["crm", "hr"])
    let text = try await place.run(Programs.relatch, verb)
    #expect(text.code == 65 && text.outputText.contains("crm") && text.outputText.contains("hr"), "\(text.outputText)")
    #expect(text.errorText.contains("erp") && text.errorText.contains("hint: "), "\(text.errorText)")
  }

  @Test(
    "being shown by name; damage is reported before what is due, and a vault of damaged records is not called empty"
  )
  func shownAlone() async throws {
    let place = try await Self.place(["--created", "2020-01-01T00:00:00Z"], policy: ["max-age=90d"])
    try await place.damage("erp")
    let named = try await place.relatch("status", "erp", "hr", "--json")
    #expect(named.code == 65)
    #expect(try named.failures() == ["erp 65"], "\(named.outputText)")
    #expect(try named.objects().contains { $0["credential"] as? String == "hr" && $0["type"] as? String == "status" })
    expectFailure(try await place.relatch("status", "none", "hr"), 66)
    let due = try await place.relatch("plan", "--due", "--check", "--offline", "--json")
    #expect(due.code == 65, "\(due.errorText)")
    #expect(try due.failures() == ["erp 65"], "\(due.outputText)")
    for name in ["crm", "hr"] { try await place.damage(name) }
    for verb in ["list", "status", "plan", "doctor"] {
      let all = try await place.relatch(verb)
      #expect(all.code == 65 && all.output.isEmpty, "\(verb): \(all.outputText)")
      for name in Self.names { #expect(all.errorText.contains(name), "\(verb): \(all.errorText)") }
      #expect(!all.errorText.contains("no credential"), "\(verb): \(all.errorText)")
    }
  }

  @Test("being measured, and the damage is counted, by `metrics` and at the end of a run")
  func measured() async throws {
    let place = try await Self.place()
    #expect(try await place.relatch("metrics").outputText.contains("relatch_vault_damages 0\n"))
    try await place.damage("erp")
    let figures = try await place.relatch("metrics")
    #expect(figures.code == 65)
    #expect(figures.errorText.contains("erp"), "\(figures.errorText)")
    let file = place.folder.appendingPathComponent("relatch.prom")
    #expect(try await place.relatch("rotate", "crm", "--metrics", file.path).code == 0)
    for text in [figures.outputText, try String(contentsOf: file, encoding: .utf8)] {
      #expect(text.contains("relatch_vault_damages 1\n"), "\(text)")
      #expect(text.contains(#"relatch_debts{credential="hr""#) && !text.contains(#"credential="erp""#), "\(text)")
    }
  }

  @Test("being delivered, or from having its leak noted, even if the damaged one is its administrator")
  func administrator() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let sink = place.folder.appendingPathComponent("pair.json")
    #expect(try await place.relatch("sink", "add", "crm", sink.path).code == 0)
    try await place.damage("admin")
    let resumed = try await place.relatch("resume", "crm", "--json")
    #expect(try resumed.names("delivered") == ["crm"], "\(resumed.outputText)\(resumed.errorText)")
    let revoked = try await place.relatch("revoke", "crm", "--reason", "in a ticket", "--json")
    #expect(revoked.code == 65, "\(revoked.errorText)")
    let status = try await place.relatch("status", "crm")
    #expect(status.code == 12 && status.outputText.contains("versions up to 1 leaked"), "\(status.outputText)")
  }
}

@Suite("A credential that a command leaves out")
struct LeftOutTests {
  private static func place() async throws -> Workplace {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "2"], addsAdmin: false)
    for (number, name) in ["crm", "erp"].enumerated() {
      let policy = ["propagation=0s", "drill=yes"]
      try await place.add(name, app: number + 1, admin: "self", policy: policy, ["--tag", "prod"])
    }
    return place
  }

  @Test(
    "of a revocation because it is not granted is an error of its own: 13, or 77 if all are",
    arguments: [["--all"], ["--provider", "salesforce"], ["--tag", "prod"]])
  func notGranted(_ choice: [String]) async throws {
    let place = try await Self.place()
    let opa = try await place.addMember("opa", "operator")
    let arguments = ["revoke"] + choice + ["--reason", "the host was taken", "--json"]
    let none = try await place.run(Programs.relatch, arguments, environment: opa)
    #expect(none.code == 77, "\(none.errorText)")
    #expect(try none.failures() == ["crm 77", "erp 77"], "\(none.outputText)")
    #expect(try await place.relatch("grant", "crm", "opa").code == 0)
    let some = try await place.run(Programs.relatch, arguments, environment: opa)
    #expect(some.code == 13, "\(some.errorText)")
    #expect(try some.failures() == ["erp 77"], "\(some.outputText)")
    #expect(try some.names("settled") == ["crm"])
    #expect(try some.failed() == ["erp"])
  }

  @Test("of a rotation by tag because it is not granted is an error of its own: 13, or 77 if all are")
  func rotated() async throws {
    let place = try await Self.place()
    let opa = try await place.addMember("opa", "operator")
    let none = try await place.relatch("rotate", "--tag", "prod", "--json", environment: opa)
    #expect(none.code == 77, "\(none.errorText)")
    #expect(try none.failures() == ["crm 77", "erp 77"], "\(none.outputText)")
    #expect(try await place.relatch("grant", "crm", "opa").code == 0)
    let rotated = try await place.relatch("rotate", "--tag", "prod", "--json", environment: opa)
    #expect(rotated.code == 13, "\(rotated.errorText)")
    #expect(try rotated.failures() == ["erp 77"], "\(rotated.outputText)")
    #expect(try rotated.names("promoted") == ["crm"])
  }

  @Test("because it is not granted runs none of its hooks: nothing was tried, and the hooks belong to others")
  func hooks() async throws {
    let place = try await Self.place()
    let opa = try await place.addMember("opa", "operator", grants: ["crm"])
    for name in ["crm", "erp"] {
      let told = place.folder.appendingPathComponent("told-\(name)").path
      let hook = try await place.relatch("hook", "add", name, "--on", "failed", "--", "/usr/bin/touch", told)
      #expect(hook.code == 0, "\(hook.errorText)")
    }
    try await place.org.fault("unavailable", "POST", "*/staged")
    for verb in [["rotate"], ["revoke", "--reason", "x"]] {
      let failed = try await place.run(Programs.relatch, verb + ["--tag", "prod", "--json"], environment: opa)
      #expect(failed.code == 13, "\(failed.errorText)")
      #expect(try failed.failures() == ["crm 69", "erp 77"], "\(failed.outputText)")
    }
    let files = try FileManager.default.contentsOfDirectory(atPath: place.folder.path)
    #expect(files.contains("told-crm") && !files.contains("told-erp"), "\(files)")
  }

  @Test("while the others of a found file fail of themselves still makes the exit code 13")
  func file() async throws {
    let place = try await Self.place()
    let leaked = try await place.org.primary()
    try await place.damage("erp")
    try await place.org.fault("unavailable", "POST", "*/staged")
    let revoked = try await place.relatch(
      "revoke", "--pair-file", "-", "--reason", "x", "--json", stdin: leaked.document)
    #expect(revoked.code == 13, "\(revoked.errorText)")
    #expect(try revoked.failures() == ["crm 69", "erp 65"], "\(revoked.outputText)")
  }

  @Test("because it is not granted is counted in a message, which does not say that there is nothing")
  func told() async throws {
    let place = try await Self.place()
    let opa = try await place.addMember("opa", "operator")
    let sink = place.folder.appendingPathComponent("pair.json")
    #expect(try await place.relatch("sink", "add", "crm", sink.path).code == 0)
    for (arguments, count) in [(["resume"], 1), (["rotate", "--all"], 2)] {
      let told = try await place.run(Programs.relatch, arguments, environment: opa)
      #expect(told.code == 0 && told.output.isEmpty, "\(told.outputText)")
      #expect(told.errorText.contains("left out: \(count) not granted to opa"), "\(told.errorText)")
      #expect(!told.errorText.contains("there is nothing"), "\(told.errorText)")
    }
    expectFailure(try await place.relatch("drill", environment: opa), 77, "2 marked for drills are not granted to opa")
    #expect(try await place.relatch("grant", "crm", "opa").code == 0)
    let drill = try await place.relatch("drill", environment: opa)
    #expect(drill.code == 0 && drill.errorText.contains("left out: 1 not granted to opa"), "\(drill.errorText)")
  }
}
