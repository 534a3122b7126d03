import Foundation
import Glibc
import Testing

@Suite("A leak and its revocation")
struct RevokeTests {
  @Test("A provider kind that does not exist, or that no credential has, is an error and not a successful revocation")
  func strangeProvider() async throws {
    let place = try await Workplace()
    expectFailure(try await place.relatch("revoke", "--provider", "salesforc", "--reason", "x"), 78, "salesforc")
    expectFailure(try await place.relatch("revoke", "--provider", "keycloak", "--reason", "x"), 66, "keycloak")
  }

  @Test("The leaked pair is refused when the command ends, and its replacement is delivered before that")
  func one() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: ["propagation=0s", "grace=30d", "window=sat 01:00-01:01"])
    let sink = place.folder.appendingPathComponent("pair.json").path
    #expect(try await place.relatch("sink", "add", "crm", sink).code == 0)
    let leaked = try await place.org.primary()
    let revoked = try await place.relatch("revoke", "crm", "--reason", "found in a public repository")
    #expect(revoked.code == 0 && revoked.outputText.contains("crm: version 2 is active; nothing is owed"))
    #expect(try await !place.org.grants(leaked))
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await place.org.consumer().slot == nil)
    let events = try await place.relatch("log", "list", "--json", environment: Workplace.outsider).objects().compactMap
    { $0["event"] as? String }
    let delivered = try #require(events.firstIndex(of: "delivery.done"))
    #expect(try delivered < #require(events.firstIndex(of: "rotation.deleted")))
    #expect(
      try #require(events.firstIndex(of: "credential.leaked")) < #require(events.firstIndex(of: "rotation.begun")))
    #expect(try await !place.relatch("status").outputText.contains("leaked"))
    #expect(try await place.logIsIntact())
    #expect(try await place.relatch("revoke", "crm").code == 64, "a reason is asked for")
    #expect(try await place.relatch("revoke", "--reason", "x").code == 64)
    #expect(try await place.relatch("revoke", "nope", "--reason", "x").code == 66)
  }

  @Test("A found file is searched, whatever its format, and nothing in it is printed")
  func pairFile() async throws {
    let place = try await Workplace(["--apps", "3"])
    for (name, app) in [("crm", 1), ("erp", 2), ("hr", 3)] { try await place.add(name, app: app) }
    let leaked = try await [place.org.primary(ofApp: 1), place.org.primary(ofApp: 2)]
    let file = place.folder.appendingPathComponent("found.txt")
    try Data("# deploy.sh\nexport ID=\(leaked[0].key) SECRET='\(leaked[0].secret)'\n".utf8).write(to: file)
    let revoked = try await place.relatch("revoke", "--pair-file", file.path, "--reason", "in a ticket")
    #expect(revoked.code == 0, "\(revoked.errorText)")
    #expect(revoked.outputText.contains("crm: version 1, which is active, is in the file; the provider accepts it"))
    #expect(revoked.outputText.contains("crm: version 2 is active; nothing is owed"))
    for text in [
      revoked.outputText, revoked.errorText,
      try await place.relatch("log", "list", environment: Workplace.outsider).outputText,
    ] {
      #expect(!text.contains(leaked[0].secret) && !text.contains(leaked[0].key))
    }
    #expect(try await !place.org.grants(leaked[0]))
    #expect(try await place.org.grants(leaked[1]), "others are left alone")
    #expect(try await place.holdsPrimary("erp", ofApp: 2), "others are left alone")

    // The same find again: its version is recognised, it is refused, and there is nothing to do.
    let again = try await place.relatch("revoke", "--pair-file", file.path, "--reason", "again", "--json")
    let found = try again.objects().first { $0["type"] as? String == "found" }
    #expect(again.code == 0 && found?["stage"] as? String == "retired" && found?["accepted"] as? Bool == false)
    #expect(try await place.holdsPrimary("crm"))

    let json = try await place.relatch("revoke", "--pair-file", "-", "--reason", "x", stdin: leaked[1].document)
    #expect(json.code == 0 && json.outputText.contains("erp: version 2 is active"), "\(json.errorText)")
    try Data("nothing of ours".utf8).write(to: file)
    expectFailure(
      try await place.relatch("revoke", "--pair-file", file.path, "--reason", "x"), 66, "contains no secret")
    expectFailure(try await place.relatch("revoke", "--pair-file", "/nonexistent", "--reason", "x"), 66)
    #expect(try await place.logIsIntact())
  }

  @Test("What the identity cannot open is not compared with a found file, and every such credential is told")
  func notGranted() async throws {
    let place = try await Workplace(["--apps", "2"])
    for (name, app) in [("crm", 1), ("erp", 2)] { try await place.add(name, app: app) }
    let bob = try await place.addMember("bob", "operator", grants: ["crm", "admin"])
    let (ours, theirs) = try await (place.org.primary(ofApp: 1), place.org.primary(ofApp: 2))
    func revoke(_ file: String, _ environment: [String: String]) async throws -> Outcome {
      try await place.relatch(
        "revoke", "--pair-file", "-", "--reason", "x", "--json", stdin: file, environment: environment)
    }
    let alone = try await revoke(theirs.document, bob)
    #expect(alone.code == 77, "\(alone.errorText)")
    let errors = try alone.objects().filter { $0["type"] as? String == "error" }
    #expect(errors.map { $0["credential"] as? String } == ["erp", nil])
    #expect(errors.map { $0["code"] as? Int } == [77, 77])
    let last = try #require(errors.last?["error"] as? String)
    #expect(last.contains("2 credentials that were compared with it; 1 could not be compared"), "\(last)")
    #expect(!alone.outputText.contains("never had"))
    let both = try await revoke("\(ours.secret)\n\(theirs.secret)", bob)
    #expect(both.code == 13, "\(both.errorText)")
    let told = try both.objects()
    #expect(told.compactMap { $0["code"] as? Int } == [77], "\(both.outputText)")
    #expect(told.filter { $0["outcome"] as? String == "settled" }.map { $0["credential"] as? String } == ["crm"])
    #expect(try await revoke(theirs.document, [:]).code == 0)
    let none = try await place.relatch("revoke", "--pair-file", "-", "--reason", "x", stdin: "nothing of ours")
    #expect(none.code == 66 && none.errorText.contains("never had"), "\(none.errorText)")
  }

  @Test("A found file may have a pair encoded, may be large, and if it is too large is to be cut")
  func encoded() async throws {
    let place = try await Workplace(["--apps", "2"])
    for (name, app) in [("crm", 1), ("erp", 2)] { try await place.add(name, app: app) }
    let (first, second) = try await (place.org.primary(ofApp: 1), place.org.primary(ofApp: 2))
    let file = place.folder.appendingPathComponent("found.yaml")
    let basic = Data("\(second.key):\(second.secret)".utf8).base64EncodedString()
    let text =
      "kind: Secret\ndata:\n  client_secret: \(Data(first.secret.utf8).base64EncodedString())\n"
      + String(repeating: "a line of a log\n", count: 70_000) + "Authorization: Basic \(basic)\n"
    try Data(text.utf8).write(to: file)
    let revoked = try await place.relatch("revoke", "--pair-file", file.path, "--reason", "in a ticket")
    #expect(revoked.code == 0, "\(revoked.errorText)")
    for pair in [first, second] { #expect(try await !place.org.grants(pair)) }
    try Data(count: 1 << 24 + 1).write(to: file)
    let large = try await place.relatch("revoke", "--pair-file", file.path, "--reason", "x")
    expectFailure(large, 64, "more than 16777216 bytes")
    #expect(large.errorText.contains("split -C 15M"))
  }

  @Test("A found file may have a pair as GitHub's contents have it, as a C array, or as PowerShell writes it")
  func wrapped() async throws {
    let place = try await Workplace(["--apps", "3"])
    for (name, app) in [("crm", 1), ("erp", 2), ("hr", 3)] { try await place.add(name, app: app) }
    let leaked = try await (1...3).asyncMap { try await place.org.primary(ofApp: $0) }
    let code = Data("# of the CRM\nCLIENT_SECRET=\(leaked[0].secret)\n".utf8).base64EncodedString(
      options: [.lineLength64Characters, .endLineWithLineFeed])
    let contents = try JSONSerialization.data(withJSONObject: ["encoding": "base64", "content": "\(code)\n"])
    var array = "unsigned char env[] = {"
    for (index, byte) in leaked[1].secret.utf8.enumerated() {
      array += (index % 12 == 0 ? "\n  " : " ") + String(format: "0x%02x,", byte)
    }
    let redirected = try #require("CLIENT_SECRET=\(leaked[2].secret)\r\n".data(using: .utf16))
    let file = place.folder.appendingPathComponent("found")
    for (content, name) in [(contents, "crm"), (Data("\(array)\n};\n".utf8), "erp"), (redirected, "hr")] {
      try content.write(to: file)
      let revoked = try await place.relatch("revoke", "--pair-file", file.path, "--reason", "in a ticket")
      #expect(
        revoked.code == 0 && revoked.outputText.contains("\(name): version 2 is active"),
        "\(name): \(revoked.errorText)")
    }
    for pair in leaked { #expect(try await !place.org.grants(pair)) }
  }

  @Test("A found pair that is refused already is not said to be all that is owed while another has its grace")
  func owedBeside() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: ["propagation=0s", "grace=1d"])
    let leaked = try await place.org.primary()
    for arguments in [["rotate"], ["retire"], ["rotate"]] {
      #expect(try await place.run(Programs.relatch, arguments + ["crm"]).code == 0)
    }
    let (text, json) = try await (
      place.relatch("revoke", "--pair-file", "-", "--reason", "x", stdin: leaked.document),
      place.relatch("revoke", "--pair-file", "-", "--reason", "x", "--json", stdin: leaked.document)
    )
    #expect(text.code == 0 && json.code == 0, "\(text.errorText)")
    #expect(!text.outputText.contains("nothing is owed"), "\(text.outputText)")
    #expect(
      text.outputText.contains("crm: version 3 is active; what leaked was seen to be refused; version 2 is still owed"),
      "\(text.outputText)")
    let outcome = try json.objects().first { $0["outcome"] as? String == "settled" }
    #expect(outcome?["active"] as? Int == 3 && outcome?["previous"] as? [Int] == [2], "\(json.outputText)")
    #expect(try await place.org.grants(place.org.primary()))
  }

  @Test("A find about a leak that is noted already is told with the name of that incident")
  func samePair() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let leaked = try await place.org.primary()
    try await place.org.fault("sessionEnded", "DELETE", "*")
    #expect(try await place.relatch("revoke", "crm", "--reason", "x").code == 12)
    let again = try await place.relatch(
      "revoke", "--pair-file", "-", "--reason", "y", "--json", stdin: leaked.document)
    let named = try again.objects().filter { ["found", "owed"].contains($0["type"] as? String) }
      .compactMap { $0["incident"] as? String }
    #expect(named.count == 2 && Set(named).count == 1, "\(again.outputText)")
    #expect(try await place.relatch("incident", try #require(named.first)).code == 12)
  }

  @Test("A revocation that did not wait for its deliveries says that the leak is ended all the same")
  func undelivered() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let hook = ["hook", "add", "crm", "--on", "promoted", "--name", "tell", "--", "/bin/false"]
    #expect(try await place.run(Programs.relatch, hook).code == 0)
    let leaked = try await place.org.primary()
    let kept = try await place.relatch("revoke", "crm", "--reason", "x")
    #expect(kept.code == 11 && kept.errorText.contains("has not arrived everywhere: tell"), "\(kept.errorText)")
    let ended = try await place.relatch("revoke", "crm", "--undelivered", "--reason", "x")
    let words = "has not arrived everywhere (what leaked was seen to be refused): tell"
    #expect(ended.code == 11 && ended.errorText.contains(words), "\(ended.errorText)")
    #expect(try await !place.org.grants(leaked))
  }

  @Test("A pair that the provider does not let end is owed, with a countdown, and a scheduled run settles it")
  func debt() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: ["propagation=0s", "grace=30d"])
    let leaked = try await place.org.primary()
    try await place.org.fault("sessionEnded", "DELETE", "*")
    let owed = try await place.relatch("revoke", "crm", "--reason", "x")
    #expect(owed.code == 12, "\(owed.errorText)")
    #expect(
      owed.outputText.contains("crm: owed: version 1 leaked") && owed.outputText.contains("ends it automatically in"))
    #expect(try await place.org.grants(leaked))
    #expect(try await place.holdsPrimary("crm"))
    let status = try await place.relatch("status", "crm")
    #expect(status.code == 12 && status.outputText.contains("versions up to 1 leaked"))
    // The pair that replaced it is not replaced again, unless it is reported as leaked too.
    let again = try await place.relatch("revoke", "crm", "--reason", "y")
    #expect(again.code != 0 && again.errorText.contains("add --up-to 2"), "\(again.errorText)")
    expectFailure(try await place.relatch("revoke", "crm", "--up-to", "3", "--reason", "y"), 66, "no version 3")
    #expect(try await place.relatch("revoke", "crm", "erp", "--up-to", "2", "--reason", "y").code == 64)
    let file = try await place.relatch("revoke", "crm", "--pair-file", "-", "--up-to", "2", "--reason", "y")
    expectFailure(file, 64, "--pair-file")
    try await place.org.clearFaults()
    #expect(try await place.relatch("resume").code == 0)
    let second = try await place.relatch("revoke", "crm", "--up-to", "2", "--reason", "y")
    #expect(second.code == 0 && second.outputText.contains("version 3 is active"), "\(second.errorText)")
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await !place.org.grants(leaked))
    #expect(try await place.relatch("status", "crm").code == 0)
    #expect(try await place.logIsIntact())
  }

  @Test("The administrator's own pair is replaced first, and then those that it administers")
  func administrator() async throws {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "3"], addsAdmin: false)
    try await place.add("zeus", app: 1, admin: "self")
    for (name, app) in [("crm", 2), ("erp", 3)] { try await place.add(name, app: app, admin: "zeus") }
    let leaked = try await (1...3).asyncMap { try await place.org.primary(ofApp: $0) }
    let revoked = try await place.relatch("revoke", "--all", "--reason", "the host was taken", "--jobs", "3")
    #expect(revoked.code == 0, "\(revoked.errorText)")
    for pair in leaked { #expect(try await !place.org.grants(pair)) }
    for (name, app) in [("zeus", 1), ("crm", 2), ("erp", 3)] { #expect(try await place.holdsPrimary(name, ofApp: app)) }
    let settled = try await place.relatch("log", "list", "--json", environment: Workplace.outsider).objects()
      .filter { $0["event"] as? String == "rotation.refused" }.compactMap { $0["credential"] as? String }
    #expect(settled.first == "zeus" && settled.count == 3)
  }

  @Test("A routine run at work is overtaken: it ends with 75 and makes no further request")
  func overtakes() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let leaked = try await place.org.primary()
    func asked() async throws -> [SimulatedOrg.Request] {
      try await place.org.requests().filter { $0.method == "POST" && $0.path.hasSuffix("/staged") }
    }
    try await place.org.fault("slow", "POST", "*/staged", count: 1, ["seconds": 5])
    let routine = try place.start(arguments: ["rotate", "crm", "--quiet"])
    for _ in 1...1000 where try await asked().isEmpty { try await Task.sleep(for: .milliseconds(10)) }
    let revoked = try await place.relatch("revoke", "crm", "--reason", "x")
    #expect(revoked.code == 0, "\(revoked.errorText)")
    #expect(try await !place.org.grants(leaked))
    let overtaken = try await routine.outcome()
    expectFailure(overtaken, 75, "crm: overtaken by ")
    #expect(overtaken.errorText.contains("`relatch status crm`") && !overtaken.errorText.contains("rotation/"))
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await place.org.consumer().slot == nil)
    let told = try await place.relatch("incident", "crm").outputText
    #expect(told.contains("a run that held it was overtaken (pid ") && !told.contains("boot "), "\(told)")
    // Every deletion has an entry, whichever run requested it.
    let deleted = try await place.org.requests().count { $0.method == "DELETE" && $0.acted }
    let events = try await place.relatch("log", "list", "--json").objects().compactMap { $0["event"] as? String }
    #expect(events.count { ["pair.cut-off", "rotation.deleted"].contains($0) } == deleted, "\(events)")
    #expect(!told.contains("did not happen yet: leaked"), "\(told)")
    #expect(try await place.logIsIntact())
  }

  @Test("Several leaks are all noted before the first is ended: any later run ends those that a killed one left")
  func killed() async throws {
    let place = try await Workplace(["--apps", "4"])
    let names = ["crm", "erp", "hr", "web"]
    for (index, name) in names.enumerated() { try await place.add(name, app: index + 1) }
    let leaked = try await (1...4).asyncMap { try await place.org.primary(ofApp: $0) }
    try await place.org.fault("slow", "POST", "*/staged", count: 1, ["seconds": 30])
    let revocation = try place.start(arguments: ["revoke"] + names + ["--reason", "the host was taken", "--jobs", "1"])
    for _ in 1...1000 where try await place.org.requests().count(where: { $0.path.hasSuffix("/staged") }) == 0 {
      try await Task.sleep(for: .milliseconds(10))
    }
    revocation.send(SIGKILL)
    _ = try await revocation.outcome()
    try await place.org.clearFaults()
    let noted = try await place.relatch("incident", "--json").objects().compactMap { $0["credential"] as? String }
    #expect(noted == names)
    #expect(try await place.relatch("status").code == 12)
    let resumed = try await place.relatch("resume")
    #expect(resumed.code == 0, "\(resumed.errorText)")
    for (index, name) in names.enumerated() {
      #expect(try await !place.org.grants(leaked[index]))
      #expect(try await place.holdsPrimary(name, ofApp: index + 1))
      let versions = try await place.relatch("show", name, "--json").objects().first?["versions"] as? [Any]
      #expect(versions?.count == 2, "\(name): replaced once")
    }
    let reports = try await place.relatch("log", "list", "--json", environment: Workplace.outsider).objects()
      .count { $0["event"] as? String == "credential.leaked" }
    #expect(reports == names.count)
    #expect(try await place.logIsIntact())
  }

  @Test("Many leaks at once are ended while routine runs go on, and each pair is replaced once")
  func manyBesideCron() async throws {
    let place = try await Workplace(["--apps", "6"])
    for app in 1...6 { try await place.add("app\(app)", app: app, policy: ["propagation=0s", "max-age=1h"]) }
    let leaked = try await (1...6).asyncMap { try await place.org.primary(ofApp: $0) }
    let cron = try (1...3).map { _ in try place.start(arguments: ["rotate", "--due", "--quiet"]) }
    let revoked = try await place.relatch("revoke", "--all", "--reason", "x", "--jobs", "6")
    // The administrator has nothing that Relatch could rotate: its leak is noted, and a person must replace it.
    #expect(revoked.code == 13 && revoked.errorText.contains("admin: "), "\(revoked.errorText)")
    for run in cron { #expect([0, 75, 13, 78].contains(try await run.outcome().code)) }
    for (app, pair) in zip(1...6, leaked) {
      #expect(try await !place.org.grants(pair))
      #expect(try await place.holdsPrimary("app\(app)", ofApp: app))
      let asked = try await place.org.requests(ofApp: place.org.apps()[app].identifier)
      #expect(asked.count { $0.method == "PATCH" && $0.acted } == 1, "app\(app)")
    }
    #expect(try await place.logIsIntact())
  }

  @Test(
    "A revocation on a full disk fits into the space that was reserved",
    .enabled(if: geteuid() == 0, "needs root to mount a small disk"))
  func fullDisk() async throws {
    let place = try await Workplace(addsAdmin: false)
    let disk = try Disk(in: place.folder, size: "24m")
    defer { disk.unmount() }
    let environment = ["RELATCH_VAULT": disk.path + "/vault", "XDG_STATE_HOME": disk.path + "/state"]
    #expect(try await place.relatch("init", environment: environment).code == 0)
    try await place.add("admin", app: nil, environment: environment)
    try await place.add("crm", environment: environment)
    let leaked = try await place.org.primary()
    try disk.fill(leaving: 0)
    expectFailure(try await place.relatch("rotate", "crm", "--quiet", environment: environment), 74)
    let revoked = try await place.relatch("revoke", "crm", "--reason", "x", environment: environment)
    #expect(revoked.code == 0 && revoked.errorText.contains("the disk is full"), "\(revoked.errorText)")
    #expect(try await !place.org.grants(leaked))
    #expect(try await place.pair("crm", environment: environment) == place.org.primary())
    disk.free()
    #expect(try await place.relatch("revoke", "crm", "--reason", "y", environment: environment).code == 0)
    #expect(FileManager.default.fileExists(atPath: disk.path + "/vault/reserve"), "it is set aside again")
    #expect(try await place.relatch("log", "verify", environment: environment).code == 0)
  }

  @Test("A drill revokes only what is marked for it, and reports how long that took")
  func drill() async throws {
    let place = try await Workplace(["--apps", "2"])
    try await place.add("crm")
    try await place.add("sandbox", app: 2, policy: ["propagation=0s", "drill=yes"])
    let (crm, old) = try await (place.org.primary(ofApp: 1), place.org.primary(ofApp: 2))
    expectFailure(try await place.relatch("drill", "crm"), 64, "not marked")
    let drill = try await place.relatch("drill")
    #expect(drill.code == 0 && drill.outputText.contains("time to revoke  "), "\(drill.errorText)")
    #expect(drill.outputText.contains("sandbox: version 1 leaked"))
    #expect(try await !place.org.grants(old))
    #expect(try await place.org.primary(ofApp: 1) == crm)
    let told = try await place.relatch("drill", "--json", "--contain").objects().last
    #expect(told?["type"] as? String == "incident" && told?["milliseconds"] is Int)
  }
}

extension Sequence {
  fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result] {
    var results: [Result] = []
    for element in self { results.append(try await transform(element)) }
    return results
  }
}
