import Foundation
import Testing

@Suite("Settings and administrators that an owner changes")
struct SettingsTests {
  /// `admin`, `ops` and `crm`, which `admin` administers.
  private static func made() async throws -> (place: Workplace, apps: [String]) {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "3"])
    try await place.add("ops", app: 2, admin: "self")
    try await place.add("crm")
    return (place, try await place.org.apps().map(\.identifier))
  }

  private static func object(_ outcome: Outcome) throws -> [String: Any] {
    try #require(try outcome.objects().first { $0["type"] as? String == "settings" })
  }

  @Test("are shown as the arguments that would set them, and a change shows and logs the old and new values")
  func changed() async throws {
    let (place, apps) = try await Self.made()
    let url = place.org.url
    let shown = try await place.relatch("settings", "crm", environment: Workplace.outsider)
    #expect(shown.outputText == "app=\(apps[1])\nurl=\(url)\n--admin admin\n", "\(shown.errorText)")

    let pair = try await place.pair("crm")
    let changed = try await place.relatch("settings", "crm", "api-version=66.0", "--admin", "ops")
    #expect(changed.code == 0)
    #expect(changed.outputText == "api-version: none -> 66.0\nadmin: admin -> ops\n", "\(changed.errorText)")
    #expect(changed.errorText.contains("nothing was asked of the provider: `relatch plan crm` does that\n"))
    let log = try await place.relatch("log", "list", "crm", "--last", "1", "--json", environment: Workplace.outsider)
    let entry = try #require(try log.objects().first)
    #expect(entry["event"] as? String == "credential.rekeyed" && entry["admin"] as? String == "ops")
    #expect(entry["settings"] as? [String: String] == ["api-version": "66.0"])
    let before = entry["before"] as? [String: Any]
    #expect(before?["admin"] as? String == "admin")
    #expect((before?["settings"] as? [String: Any])?["api-version"] is NSNull)
    #expect(try await place.pair("crm") == pair)

    let unset = try await place.relatch("settings", "crm", "--unset", "api-version", "--admin", "self", "--json")
    let told = try Self.object(unset)
    #expect(told["admin"] as? String == "crm" && told["credential"] as? String == "crm")
    #expect(told["settings"] as? [String: String] == ["app": apps[1], "url": url])
    let was = told["before"] as? [String: Any]
    #expect(was?["admin"] as? String == "ops" && was?["settings"] as? [String: String] == ["api-version": "66.0"])
    let now = try await place.relatch("settings", "crm", "--json", environment: Workplace.outsider)
    let object = try Self.object(now)
    #expect(object["before"] == nil && object["admin"] as? String == "crm")
    #expect(try await place.logIsIntact())
  }

  @Test("that are set already change nothing and make no log entry")
  func unchanged() async throws {
    let (place, apps) = try await Self.made()
    func size() async throws -> Int {
      try await place.relatch("log", "export", environment: Workplace.outsider).outputText.split(separator: "\n").count
    }
    let before = try await size()
    let same = try await place.relatch(
      "settings", "crm", "app=\(apps[1])", "--admin", "admin", "--unset", "consumer", "--json")
    let was = try Self.object(same)["before"] as? [String: Any]
    #expect(same.code == 0 && was?.isEmpty == true)
    #expect(try await place.relatch("settings", "crm", "--admin", "admin").outputText == "crm: unchanged\n")
    #expect(try await size() == before)
  }

  @Test("are refused and unchanged if they are unknown, could not work, or name no administrator")
  func refused() async throws {
    let (place, _) = try await Self.made()
    let before = try await place.relatch("show", "crm", "--json").outputText
    func refuses(_ code: Int32, _ words: String, _ hint: String, _ arguments: String...) async throws {
      let run = try await place.run(Programs.relatch, ["settings", "crm"] + arguments)
      expectFailure(run, code, words)
      #expect(run.errorText.contains(hint), "\(run.errorText)")
    }
    let known = "its settings are url, app, consumer, api-version"
    try await refuses(64, #"has no setting "client""#, known, "client=x")
    try await refuses(64, #"has no setting "client""#, known, "--unset", "client")
    try await refuses(64, "expected KEY=VALUE", "url=https://", "app")
    try await refuses(64, #"settings "app" is given twice"#, "once", "app=0xI000000000001", "--unset", "app")
    try await refuses(78, "setting app does not begin with 0x", "GET /apps", "app=888000000000001")
    try await refuses(78, "login.salesforce.com does not grant", "My Domain", "url=https://login.salesforce.com")
    try await refuses(66, "nobody", "relatch list", "--admin", "nobody")
    expectFailure(try await place.relatch("settings", "nobody", "app=x"), 66)
    let cron = try await place.addMember("cron", "operator", grants: ["crm", "admin"])
    for change in [["api-version=66.0"], ["--admin", "self"]] {
      let run = try await place.run(Programs.relatch, ["settings", "crm"] + change, environment: cron)
      expectFailure(run, 77, "only owners")
    }
    #expect(try await place.relatch("show", "crm", "--json").outputText == before)
  }

  @Test("are the other vault's after a transfer, and a transferred credential administers nothing")
  func handedOver() async throws {
    let (place, _) = try await Self.made()
    let card = place.folder.path + "/bo.card"
    try await place.card(of: "bo").write(toFile: card, atomically: true, encoding: .utf8)
    for name in ["crm", "ops"] {
      let sent = try await place.relatch(
        "handoff", "send", name, "--to", card, "--transfer", "-o", place.folder.path + "/\(name).age")
      #expect(sent.code == 0, "\(sent.errorText)")
    }
    expectFailure(try await place.relatch("settings", "crm", "api-version=66.0"), 64, "crm: it was handed over")
    try await place.add("erp", app: 3)
    expectFailure(try await place.relatch("settings", "erp", "--admin", "ops"), 64, "ops was handed over")
  }

  @Test("are refused during a run and after an unanswered request, but not during a grace")
  func underWay() async throws {
    let (place, _) = try await Self.made()
    try await place.org.fault("slow", "POST", "*/staged", ["seconds": 60])
    let running = try place.start(arguments: ["rotate", "crm"])
    try await running.wait("the rotation to have asked") { _, errors in errors.contains("asking for a new pair") }
    let busy = try await place.relatch("settings", "crm", "--admin", "ops")
    expectFailure(busy, 75, "another run holds it (pid \(running.pid) ")
    running.send(SIGKILL)
    _ = try await running.outcome()
    let cut = try await place.relatch("settings", "crm", "--admin", "ops")
    expectFailure(cut, 75, "rotation 1 is not finished (staging)")
    #expect(cut.errorText.contains("`relatch resume crm`") && cut.errorText.contains("`relatch abort crm`"))
    try await place.org.clearFaults()
    #expect(try await place.relatch("abort", "crm").code == 0)
    #expect(try await place.relatch("settings", "crm", "--admin", "ops").code == 0)
    #expect(try await place.relatch("rotate", "crm").code == 0)
    #expect(try await place.relatch("settings", "crm", "--admin", "admin").code == 0)
    #expect(try await place.relatch("retire", "crm").code == 0)
    #expect(try await place.logIsIntact())
  }

  @Test("decide who drives the next rotation, and the log has what was opened for it")
  func anotherAdministrator() async throws {
    let (place, _) = try await Self.made()
    let old = try await place.org.primary()
    _ = try await place.org.newRequests()
    #expect(try await place.relatch("settings", "crm", "--admin", "ops").code == 0)
    #expect(try await place.org.newRequests() == 0)
    // Without the former administrator nothing is lost.
    #expect(try await place.relatch("remove", "admin").code == 0)
    let rotated = try await place.relatch("rotate", "crm")
    #expect(rotated.code == 0, "\(rotated.errorText)")
    #expect(try await place.holdsPrimary("crm"))
    let retired = try await place.relatch("retire", "crm")
    #expect(retired.code == 0, "\(retired.errorText)")
    #expect(try await !place.org.grants(old))
    let used = try await place.relatch("log", "list", "ops").outputText
    #expect(used.contains("pair.used  credential=ops  purpose=administers"), "\(used)")
    #expect(try await place.logIsIntact())
  }

  @Test("that point at another app stop the next rotation before it changes anything, and can be put back")
  func anotherApp() async throws {
    let (place, apps) = try await Self.made()
    let pairs = try await place.org.pairs()
    #expect(try await place.relatch("settings", "crm", "app=\(apps[3])").code == 0)
    expectFailure(try await place.relatch("rotate", "crm"), 78, "this credential's pair")
    #expect(try await place.org.pairs() == pairs)
    // The rotation that it began has requested nothing, so it does not block the change that fixes it.
    let mended = try await place.relatch("settings", "crm", "app=\(apps[1])")
    #expect(mended.code == 0, "\(mended.errorText)")
    #expect(try await place.relatch("rotate", "crm").code == 0)
    #expect(try await place.holdsPrimary("crm"))
  }

  @Test("that name another app during a rotation are refused, or leave its pairs behind, and end none")
  func anotherAppUnderWay() async throws {
    let (place, apps) = try await Self.made()
    try await place.org.fault("unavailable", "PATCH", "*")
    #expect(try await place.relatch("rotate", "crm").code == 69)
    try await place.org.clearFaults()
    #expect(try await place.org.consumer().slot?.state == "Active", "what Salesforce calls a staged pair")
    let pairs = try await place.org.pairs()
    let refused = try await place.relatch("settings", "crm", "app=\(apps[3])")
    expectFailure(refused, 75, "only where it was made")
    #expect(refused.errorText.contains("`relatch abort crm`") && refused.errorText.contains("version 1, 2 behind"))
    #expect(try await place.relatch("settings", "crm", "app=\(apps[3])", "--unanswered").code == 0)
    for verb in ["resume", "abort", "rotate"] {
      let run = try await place.relatch(verb, "crm")
      #expect([12, 78].contains(run.code), "\(verb): \(run.code) \(run.errorText)")
      #expect(try await place.pair("crm", "staged") != nil)
    }
    #expect(try await place.org.pairs() == pairs)
    #expect(try await place.relatch("settings", "crm", "app=\(apps[1])", "--unanswered").code == 0)
    // `abort` looked first, and gave up nothing.
    #expect(try await place.relatch("resume", "crm").code == 0)
    #expect(try await place.pair("crm", "staged") == nil)
    #expect(try await place.holdsPrimary("crm"))
    // Everything was seen where the settings point again.
    #expect(try await place.relatch("retire", "crm").code == 0)
    let shown = try await place.relatch("show", "crm", "--json").objects().first
    #expect(shown?["elsewhere"] == nil, "\(String(describing: shown))")
    #expect(try await place.logIsIntact())
  }

  @Test("that name another server than the administrator's are refused; a move names the credentials it leaves behind")
  func anotherServer() async throws {
    let (place, _) = try await Self.made()
    let other = "https://typo.my.salesforce.com"
    let refused = try await place.relatch("settings", "crm", "url=\(other)")
    expectFailure(refused, 78, "typo.my.salesforce.com is not the server of the administrator admin")
    let changed = try await place.relatch("settings", "crm", "url=\(other)", "--admin", "self")
    #expect(changed.outputText == "url: \(place.org.url) -> \(other)\nadmin: admin -> self\n")
    #expect(changed.errorText.contains("is the first to show a pair to typo.my.salesforce.com"), "\(changed.errorText)")
    let back = try await place.relatch("settings", "crm", "url=\(place.org.url)", "--admin", "admin")
    #expect(back.code == 0, "\(back.errorText)")
    let moved = try await place.relatch("settings", "admin", "url=\(other)")
    #expect(moved.code == 0 && moved.errorText.contains("crm: administered by admin"), "\(moved.errorText)")
  }

  /// A lost answer and a host that disappears are often one event.
  @Test("can leave a server that is gone, with its unanswered request, if an owner says so")
  func gone() async throws {
    let (place, _) = try await Self.made()
    try await place.org.fault("slow", "POST", "*/staged", ["seconds": 60])
    let running = try place.start(arguments: ["rotate", "crm"])
    try await running.wait("the rotation to have asked") { _, errors in errors.contains("asking for a new pair") }
    running.send(SIGKILL)
    _ = try await running.outcome()
    try await place.org.clearFaults()
    let moved = "url=" + place.org.url.replacingOccurrences(of: "127.0.0.1", with: "localhost")
    let cut = try await place.relatch("settings", "admin", moved)
    expectFailure(cut, 75, "crm")
    #expect(cut.errorText.contains("`relatch abort crm`") && cut.errorText.contains("--unanswered"))
    #expect(try await place.relatch("settings", "admin", moved, "--unanswered").code == 0)
    let own = try await place.relatch("settings", "crm", moved)
    expectFailure(own, 75, "rotation 1 is not finished (staging)")
    #expect(own.errorText.contains("--unanswered"))
    #expect(try await place.relatch("settings", "crm", moved, "--unanswered").code == 0)
    let log = try await place.relatch("log", "list", "crm", "--last", "1", "--json", environment: Workplace.outsider)
    #expect(try log.objects().first?["unanswered"] as? [String: String] == ["crm": "staging"])
    let rotated = try await place.relatch("rotate", "crm")
    #expect(rotated.code == 0, "\(rotated.errorText)")
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await place.logIsIntact())
  }

  @Test("that change to or from a leaked administrator name what its pair reaches")
  func leakedAdministrator() async throws {
    let (place, _) = try await Self.made()
    #expect(try await place.relatch("revoke", "admin", "--reason", "in a ticket").code == 78)
    for (administers, admin) in [("administered", "ops"), ("administers", "admin")] {
      let changed = try await place.relatch("settings", "crm", "--admin", admin)
      #expect(changed.code == 0)
      #expect(
        changed.errorText.contains("anyone who has the leaked pair of admin, which \(administers) it"),
        "\(changed.errorText)")
      #expect(changed.errorText.contains("`relatch revoke crm --reason TEXT`"), "\(changed.errorText)")
    }
    let told = try await place.relatch("settings", "crm", "--admin", "ops", "--json")
    let reached = try #require(try told.objects().first { $0["type"] as? String == "reached" })
    #expect(reached["administrator"] as? String == "admin" && reached["credentials"] as? [String] == ["crm"])
  }

  @Test("can give a leaked administrator its missing app, and the leak is then ended")
  func leakedWithoutApp() async throws {
    let (place, apps) = try await Self.made()
    let leaked = try await place.org.primary(ofApp: 0)
    #expect(try await place.relatch("revoke", "admin", "--reason", "in a ticket").code == 78)
    let given = try await place.relatch("settings", "admin", "app=\(apps[0])")
    #expect(given.code == 0, "\(given.errorText)")
    let resumed = try await place.relatch("resume", "admin")
    #expect(resumed.code == 0, "\(resumed.errorText)")
    #expect(try await !place.org.grants(leaked))
    #expect(try await place.holdsPrimary("admin", ofApp: 0))
  }

  @Test("that take the former administrator's reach from a member leave the credential exposed to that member")
  func exposed() async throws {
    let (place, _) = try await Self.made()
    let cron = try await place.addMember("cron", "operator", grants: ["crm", "admin"])
    _ = try await place.addMember("bob", "operator", grants: ["admin"])
    let changed = try await place.relatch("settings", "crm", "--admin", "ops")
    #expect(changed.errorText.contains("crm is exposed and due for rotation: exposed to bob"), "\(changed.errorText)")
    #expect(try await place.planned() == ["crm": "exposed"])
    expectFailure(try await place.relatch("rotate", "crm", environment: cron), 77, "relatch grant ops cron")
    #expect(try await place.relatch("rotate", "crm").code == 0)
    #expect(try await place.planned().isEmpty)
    #expect(try await place.pair("crm", environment: cron) == place.org.primary())
    #expect(try await place.logIsIntact())
  }

  @Test(
    "name all that is exposed with a credential that changes its administrator, and what is added under it",
    arguments: [[], ["--json"]])
  func exposedWith(format: [String]) async throws {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "4"])
    try await place.add("ops", app: 1)
    try await place.add("crm", app: 2, admin: "ops")
    _ = try await place.addMember("bob", "operator", grants: ["admin"])
    let changed = try await place.run(Programs.relatch, ["settings", "ops", "--admin", "self"] + format)
    if format.isEmpty {
      #expect(changed.errorText.contains("ops is exposed and due for rotation: exposed to bob"), "\(changed.errorText)")
      #expect(changed.errorText.contains("exposed with it and due for rotation: crm"), "\(changed.errorText)")
    } else {
      let object = try Self.object(changed)
      #expect((object["exposure"] as? [String: Any])?["to"] as? [String] == ["bob"], "\(object)")
      #expect(object["exposed"] as? [String] == ["crm"] && object["damaged"] == nil, "\(object)")
    }
    #expect(try await place.planned() == ["crm": "exposed", "ops": "exposed"])
    let added = try await place.add("erp", app: 3, admin: "ops")
    #expect(added.errorText.contains("erp is exposed and due for rotation: exposed to bob"), "\(added.errorText)")
    #expect(try await place.planned() == ["crm": "exposed", "erp": "exposed", "ops": "exposed"])
    #expect(try await place.logIsIntact())
  }
}
