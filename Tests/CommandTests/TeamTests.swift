import Foundation
import Testing

@Suite("A member with a grant on one credential opens only that one")
struct GrantTests {
  /// A cron host with a grant on `crm`, one of three credentials that each administer themselves.
  private static func place() async throws -> (place: Workplace, cron: [String: String]) {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "3"], addsAdmin: false)
    for (number, name) in ["crm", "erp", "hr"].enumerated() {
      try await place.add(name, app: number + 1, admin: "self", policy: ["propagation=0s", "max-age=90d"])
    }
    return (place, try await place.addMember("cron", "operator", grants: ["crm"]))
  }

  @Test("They rotate and retire it, and whatever they try with another ends with 77")
  func rotates() async throws {
    let (place, cron) = try await Self.place()
    let old = try await place.org.primary()
    let rotated = try await place.relatch("rotate", "crm", environment: cron)
    #expect(rotated.code == 0, "\(rotated.errorText)")
    #expect(try await place.holdsPrimary("crm"), "the owner reads what the member has made")
    #expect(try await place.pair("crm", environment: cron) == place.org.primary())
    #expect(try await place.relatch("retire", "crm", environment: cron).code == 0)
    #expect(try await !place.org.grants(old))

    func refused(_ arguments: [String]) async throws {
      expectFailure(try await place.run(Programs.relatch, arguments, environment: cron), 77, "holds no grant on")
    }
    let planned = try await place.relatch("plan", environment: cron)
    #expect(planned.code == 0 && planned.outputText.hasPrefix("crm: "), "\(planned.outputText)")
    #expect(!planned.outputText.contains("erp") && planned.errorText.contains("left out: 2 not granted"))
    for name in ["erp", "hr"] {
      for stage in ["active", "staged", "previous"] {
        let tried = try await place.relatch("read", name, "--stage", stage, environment: cron)
        #expect(tried.code == (stage == "active" ? 77 : tried.code) && tried.code != 0 && tried.output.isEmpty)
      }
      try await refused(["read", name])
      try await refused(["rotate", name])
      try await refused(["rotate", name, "--replace-previous"])
    }
    // What others have begun, and what they owe.
    #expect(try await place.relatch("rotate", "hr").code == 0)
    try await place.org.fault("unavailable", "PATCH", "*")
    #expect(try await place.relatch("rotate", "erp").code == 69)
    try await place.org.clearFaults()
    _ = try await place.org.newRequests()
    for verb in ["resume", "abort", "rotate"] { try await refused([verb, "erp"]) }
    for rule in ["tags=none", "drill=yes", "grace=0s"] { try await refused(["policy", "hr", rule]) }
    #expect(try await place.relatch("policy", "crm", "grace=1h", environment: cron).code == 0)
    try await refused(["retire", "hr"])
    try await refused(["retire", "hr", "--undelivered"])
    #expect(try await place.org.newRequests() == 0, "the provider was asked nothing")
    #expect(try await place.relatch("resume", environment: cron).code == 0, "what it cannot open is left to others")
    #expect(try await place.relatch("rotate", "--due", environment: cron).code == 0)
    #expect(try await place.org.newRequests() == 0)
    #expect(try await place.relatch("resume", "erp").code == 0)
    #expect(try await place.holdsPrimary("erp", ofApp: 2))
    #expect(try await place.logIsIntact())
  }

  @Test("--due and --all leave credentials of others to those others")
  func due() async throws {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "2"], addsAdmin: false)
    for (number, name) in ["crm", "erp"].enumerated() {
      try await place.add(
        name, app: number + 1, admin: "self", policy: ["propagation=0s", "max-age=90d"],
        ["--created", "2020-01-01T00:00:00Z"])
    }
    let cron = try await place.addMember("cron", "operator", grants: ["crm"])
    let run = try await place.relatch("rotate", "--due", environment: cron)
    #expect(run.code == 0 && run.outputText.contains("crm: version 2 is active"), "\(run.errorText)")
    #expect(try await place.org.consumer(ofApp: 2).slot == nil)
    #expect(try await place.relatch("retire", "crm", environment: cron).code == 0)
    let all = try await place.relatch("rotate", "--all", environment: cron)
    #expect(all.code == 0 && all.outputText.contains("crm: version 3 is active"), "\(all.errorText)")
    #expect(try await place.org.consumer(ofApp: 2).slot == nil)
    #expect(try await place.planned() == ["erp": "age"])
  }

  @Test(
    "A separate program that tries every key within reach opens only that credential's pairs",
    .enabled(if: Intruder.isAvailable, "needs age, and python3 with PyNaCl"))
  func intruder() async throws {
    let (place, _) = try await Self.place()
    for name in ["crm", "erp"] { #expect(try await place.relatch("rotate", name).code == 0) }
    let intruder = Intruder(place: place)
    let found = try await intruder.pairs(["cron"], in: [place.vault.path])
    let current = try await place.org.primary()
    #expect(Set(found.map { "\($0.credential) \($0.version)" }) == ["crm 1", "crm 2"])
    #expect(found.contains { $0.version == 2 && $0.pair == current })
    // The same program with an owner's identity opens everything, so it works.
    try FileManager.default.copyItem(atPath: place.identity.path, toPath: place.folder.path + "/identity-owner")
    let all = try await intruder.pairs(["owner"], in: [place.vault.path])
    #expect(Set(all.map { "\($0.credential) \($0.version)" }) == ["crm 1", "crm 2", "erp 1", "erp 2", "hr 1"])
    // After a rekey it opens neither more nor less.
    #expect(try await place.relatch("rekey").code == 0)
    let later = try await intruder.pairs(["cron"], in: [place.vault.path])
    #expect(Set(later.map { "\($0.credential) \($0.version)" }) == ["crm 1", "crm 2"])
  }
}

@Suite("Removal of a member or a grant takes effect")
struct RemovalTests {
  private static let names = ["crm", "erp", "hr"]

  private static func place() async throws -> Workplace {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "3"], addsAdmin: false)
    for (number, name) in names.enumerated() { try await place.add(name, app: number + 1, admin: "self") }
    return place
  }

  private static func copy(_ place: Workplace, as name: String) throws -> String {
    let copy = place.folder.path + "/" + name
    try FileManager.default.copyItem(atPath: place.vault.path, toPath: copy)
    return copy
  }

  @Test(
    "What a removed member could open is planned, and after its rotation nothing they copied opens an active pair",
    .enabled(if: Intruder.isAvailable, "needs age, and python3 with PyNaCl"),
    arguments: ["operator", "owner"])
  func removed(role: String) async throws {
    let place = try await Self.place()
    let open = role == "owner" ? Self.names : ["crm", "erp"]
    let bob = try await place.addMember("bob", role, grants: role == "owner" ? [] : open)
    #expect(try await place.relatch("rotate", "crm", environment: bob).code == 0)
    #expect(try await place.relatch("retire", "crm", environment: bob).code == 0)
    let yesterday = try Self.copy(place, as: "yesterday")

    let removed = try await place.relatch("member", "remove", "bob", "--json")
    let withdrawal = try #require(try removed.objects().first, "\(removed.errorText)")
    #expect(withdrawal["type"] as? String == "withdrawal" && withdrawal["member"] as? String == "bob")
    #expect(withdrawal["exposed"] as? [String] == open)
    #expect(try place.keyFiles().count == 1)
    #expect(try await place.planned() == Dictionary(uniqueKeysWithValues: open.map { ($0, "exposed") }))
    let plan = try await place.relatch("plan", "--due", "--offline").outputText
    #expect(plan.contains("crm: due now: exposed to bob, since "), "\(plan)")
    #expect(try await place.relatch("plan", "--check", "--offline").code == 14)
    expectFailure(try await place.relatch("read", "crm", environment: bob), 77, "is not one of this vault's")
    #expect(try await place.relatch("log", "exposure", "--member", "bob", "--plan").outputText == open.lines)

    let intruder = Intruder(place: place)
    let known = try await intruder.pairs(["bob"], in: [yesterday])
    #expect(Set(known.map(\.credential)) == Set(open))
    let today = try Self.copy(place, as: "today")
    let rotated = try await place.relatch("rotate", "--due")
    #expect(rotated.code == 0, "\(rotated.errorText)")
    #expect(try await place.planned().isEmpty)
    #expect(try await place.run(Programs.relatch, ["retire"] + open).code == 0)
    let found = try await intruder.pairs(["bob"], in: [yesterday, today, place.vault.path])
    #expect(found == known, "nothing is opened that was not open before")
    for pair in found.map(\.pair) { #expect(try await !place.org.accepts(pair)) }
    for (number, name) in Self.names.enumerated() {
      let primary = try await place.org.primary(ofApp: number + 1)
      #expect(!found.contains { $0.pair == primary }, "\(name)")
      #expect(try await place.pair(name) == primary)
    }
    #expect(try await place.relatch("log", "exposure", "--member", "bob", "--plan").output.isEmpty)
    #expect(try await place.logIsIntact())
  }

  @Test(
    "A grant that is taken back ends for that credential only, and the member keeps the others",
    .enabled(if: Intruder.isAvailable, "needs age, and python3 with PyNaCl"))
  func ungranted() async throws {
    let place = try await Self.place()
    let bob = try await place.addMember("bob", "operator", grants: ["crm", "erp"])
    let yesterday = try Self.copy(place, as: "yesterday")
    let taken = try await place.relatch("ungrant", "crm", "bob")
    #expect(taken.code == 0 && taken.outputText.contains("exposed and due for rotation: crm"), "\(taken.errorText)")
    #expect(taken.errorText.contains("relatch rotate --due"))
    #expect(try await place.planned() == ["crm": "exposed"])
    expectFailure(try await place.relatch("read", "crm", environment: bob), 77)
    #expect(try await place.relatch("rotate", "erp", environment: bob).code == 0)
    #expect(try await place.relatch("rotate", "--due", environment: bob).code == 0, "that is for others")
    #expect(try await place.org.consumer(ofApp: 1).slot == nil)
    let rotated = try await place.relatch("rotate", "--exposed-to", "bob", "--json")
    #expect(rotated.code == 13 || rotated.code == 75, "erp is open to bob, and in its grace: \(rotated.outputText)")
    let found = try await Intruder(place: place).pairs(["bob"], in: [yesterday, place.vault.path])
    let primary = try await place.org.primary(ofApp: 1)
    #expect(try await place.pair("crm") == primary)
    #expect(!found.contains { $0.pair == primary } && found.contains { $0.credential == "erp" && $0.version == 2 })
  }

  @Test("Every command reports an exposed pair while it is exposed, and none does afterwards")
  func told() async throws {
    let place = try await Self.place()
    try await place.addMember("bob", "operator", grants: ["crm"])
    #expect(try await place.relatch("member", "remove", "bob").code == 0)
    let nobody = ["RELATCH_IDENTITY": "/nonexistent"]
    func texts() async throws -> [String] {
      var texts: [String] = []
      for arguments in [["status", "crm"], ["show", "crm"], ["plan", "crm", "--offline"]] {
        for form in [[], ["--json"]] {
          let told = try await place.run(Programs.relatch, arguments + form, environment: nobody)
          #expect(told.code == 0, "\(told.errorText)")
          texts.append(told.outputText)
        }
      }
      texts.append(try await place.relatch("list", "--json", environment: nobody).outputText)
      return texts
    }
    let during = try await texts()
    #expect(during.allSatisfy { $0.contains("bob") }, "\(during)")
    #expect(during.allSatisfy { !$0.hasPrefix("{") || $0.contains(#""exposure":{"since":""#) }, "\(during)")
    let status = try await place.relatch("status", "crm", "erp", "--json").objects()
    #expect((status[0]["schedule"] as? [String: Any])?["reason"] as? String == "exposed")
    #expect((status[0]["exposure"] as? [String: Any])?["version"] as? Int == 1)
    #expect(status[1]["exposure"] == nil)
    let metric = #"relatch_pair_exposed_timestamp_seconds{credential="crm",provider="salesforce"} "#
    let metrics = try await place.relatch("metrics", environment: nobody).outputText
    #expect(metrics.contains(metric) && !metrics.contains(metric.replacingOccurrences(of: "crm", with: "erp")))
    #expect(try await place.relatch("rotate", "crm").code == 0)
    #expect(try await texts().allSatisfy { !$0.contains("exposed") && !$0.contains("bob") })
    #expect(try await !place.relatch("metrics").outputText.contains("relatch_pair_exposed"))
  }
}

@Suite("What somebody could have opened")
struct MemberExposureTests {
  private func exposures(_ place: Workplace, _ more: String...) async throws -> [String: [String: Any]] {
    let told = try await place.run(
      Programs.relatch, ["log", "exposure", "--member", "bob", "--json"] + more,
      environment: ["RELATCH_IDENTITY": "/nonexistent"])
    #expect(told.code == 0, "\(told.errorText)")
    return try told.objects().reduce(into: [:]) { $0[$1["credential"] as? String ?? ""] = $1 }
  }

  @Test("is derived from the log only: what was read, what was rotated since, and what was not")
  func told() async throws {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "3"], addsAdmin: false)
    for (number, name) in ["crm", "erp", "hr"].enumerated() {
      try await place.add(name, app: number + 1, admin: "self")
    }
    expectFailure(try await place.relatch("log", "exposure", "--member", "bob"), 66, "bob")
    let bob = try await place.addMember("bob", "operator")
    let nothing = try await place.relatch("log", "exposure", "--member", "bob")
    #expect(nothing.code == 0 && nothing.output.isEmpty && nothing.errorText.contains("could open nothing"))
    for name in ["crm", "erp"] { #expect(try await place.relatch("grant", name, "bob").code == 0) }
    for _ in 1...2 { #expect(try await place.relatch("read", "crm", environment: bob).code == 0) }

    var found = try await exposures(place)
    #expect(found.keys.sorted() == ["crm", "erp"])
    #expect(found.values.allSatisfy { $0["type"] as? String == "exposure" && $0["member"] as? String == "bob" })
    #expect(found["crm"]?["standing"] as? String == "open" && found["crm"]?["reads"] as? Int == 2)
    #expect(found["crm"]?["last_read"] is String && found["crm"]?["until"] == nil)
    #expect(found["erp"]?["reads"] as? Int == 0 && found["erp"]?["last_read"] == nil)
    let text = try await place.relatch("log", "exposure", "--member", "bob")
    #expect(text.outputText.contains("crm: versions up to 1, from ") && text.outputText.contains("read 2 times"))
    #expect(text.errorText.contains("relatch: warning: bob can still open"), "\(text.errorText)")

    #expect(try await place.relatch("ungrant", "erp", "bob").code == 0)
    found = try await exposures(place)
    #expect(found["erp"]?["standing"] as? String == "exposed" && found["erp"]?["rotate"] as? Bool == true)
    #expect(found["erp"]?["until"] is String)
    #expect(try await exposures(place, "--since", "2999-01-01T00:00:00Z").keys.sorted() == ["crm"])
    #expect(try await place.relatch("rotate", "erp").code == 0)
    found = try await exposures(place)
    #expect(found["erp"]?["standing"] as? String == "rotated" && found["erp"]?["rotate"] as? Bool == false)
    #expect(found["erp"]?["owed"] as? [Int] == [1] && found["erp"]?["active"] as? Int == 2)
    #expect(try await place.relatch("log", "exposure", "--member", "bob", "--plan", "--quiet").outputText == "crm\n")
    #expect(try await place.relatch("retire", "erp").code == 0)
    #expect(try await exposures(place)["erp"]?["owed"] as? [Int] == [])

    #expect(try await place.relatch("member", "remove", "bob").code == 0)
    let plan = try await place.relatch("log", "exposure", "--member", "bob", "--plan")
    #expect(plan.outputText == "crm\n" && plan.errors.isEmpty, "\(plan.errorText)")
    let rotated = try await place.relatch("rotate", "--exposed-to", "bob")
    #expect(rotated.code == 0 && rotated.outputText.hasPrefix("crm: version 2 is active"), "\(rotated.errorText)")
    let done = try await place.relatch("rotate", "--exposed-to", "bob")
    #expect(done.code == 0 && done.output.isEmpty && done.errorText.contains("nothing to rotate"))
    // A credential that was removed, and another of the same name.
    #expect(try await place.relatch("remove", "crm", "--forget-debts").code == 0)
    #expect(try await exposures(place)["crm"]?["standing"] as? String == "removed")
    try await place.add("crm", admin: "self")
    #expect(try await exposures(place)["crm"]?["standing"] as? String == "removed")
    #expect(try await place.relatch("log", "exposure", "--member", "bob", "--plan").output.isEmpty)
    expectFailure(try await place.relatch("log", "exposure", "--member", "bob", "--since", "yesterday"), 64, "--since")
    for moment in ["today", "7d", "2026-01-01", "2026-01-01T00:00:00Z"] {
      #expect(try await exposures(place, "--since", moment)["crm"] != nil, "\(moment)")
      let listed = try await place.relatch("log", "list", "--since", moment, "--last", "1")
      #expect(listed.code == 0 && !listed.output.isEmpty, "\(listed.errorText)")
    }
    #expect(try await place.relatch("log", "list", "--until", "2026-01-01").output.isEmpty)
    for moment in ["2026-13-01", "7", "-7d", ""] {
      #expect(try await place.relatch("log", "list", "--since=\(moment)").code == 64, "\(moment)")
    }
    expectFailure(try await place.relatch("rotate", "crm", "--exposed-to", "bob"), 64)
  }
}

@Suite("A credential that was removed and added again")
struct AddedAgainTests {
  @Test("is named as perhaps the same pair to whoever asks for what somebody could open, and that is not success")
  func told() async throws {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "2"], addsAdmin: false)
    for (number, name) in ["crm", "erp"].enumerated() { try await place.add(name, app: number + 1, admin: "self") }
    let bob = try await place.addMember("bob", "operator", grants: ["crm", "erp"])
    for name in ["crm", "erp"] { #expect(try await place.relatch("read", name, environment: bob).code == 0) }
    let removed = try await place.relatch("remove", "crm")
    #expect(removed.code == 0 && removed.errorText.contains("bob"), "\(removed.errorText)")
    #expect(try await place.relatch("remove", "erp").code == 0)
    try await place.add("crm", admin: "self")
    let left = try await place.relatch("member", "remove", "bob")
    #expect(left.code == 0 && left.errorText.contains("crm was removed at "), "\(left.errorText)")

    let revoked = try await place.relatch("revoke", "--exposed-to", "bob", "--reason", "stolen")
    #expect(revoked.code == 12, "\(revoked.errorText)")
    #expect(
      revoked.errorText.contains("warning: crm was removed at ")
        && revoked.errorText.contains("`relatch revoke crm --reason TEXT`"), "\(revoked.errorText)")
    // Nobody can end it here.
    #expect(revoked.errorText.contains("warning: erp was removed at "), "\(revoked.errorText)")
    let rotated = try await place.relatch("rotate", "--exposed-to", "bob")
    #expect(rotated.code == 12 && rotated.errorText.contains("warning: crm was removed at "), "\(rotated.errorText)")

    let pair = try await place.org.primary(ofApp: 1)
    #expect(try await place.relatch("revoke", "crm", "--reason", "stolen").code == 0)
    #expect(try await !place.org.accepts(pair))
    let over = try await place.relatch("revoke", "--exposed-to", "bob", "--reason", "stolen")
    #expect(over.code == 0 && !over.errorText.contains("crm was removed"), "\(over.errorText)")
    #expect(over.errorText.contains("erp was removed at "), "\(over.errorText)")
  }
}

@Suite("A pair within reach of an administrator that a member could open")
struct AdministeredExposureTests {
  @Test("is named by every command that names what they could open, and rotated after the administrator")
  func administered() async throws {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "4"], addsAdmin: false)
    try await place.add("zeus", app: 1, admin: "self")
    try await place.add("crm", app: 2, admin: "zeus")
    try await place.add("erp", app: 3, admin: "crm")
    try await place.add("hr", app: 4, admin: "self")
    try await place.addMember("cron", "operator", grants: ["zeus"])
    func exposed(_ arguments: String...) async throws -> [String] {
      let told = try await place.run(Programs.relatch, ["log", "exposure", "--member", "cron"] + arguments)
      #expect(told.code == 0, "\(told.errorText)")
      return told.outputText.split(separator: "\n").map(String.init)
    }
    let open = try await exposed()
    #expect(
      open.count == 3 && open[0].hasPrefix("crm: versions up to 1, ")
        && open[0].contains("at the provider through zeus"))
    let removed = try await place.relatch("member", "remove", "cron")
    #expect(removed.outputText.contains("due for rotation: crm, erp, zeus"), "\(removed.outputText)")
    #expect(try await exposed("--plan") == ["crm", "erp", "zeus"])
    let object = try await place.relatch("log", "exposure", "--member", "cron", "--json").objects().first
    #expect(object?["credential"] as? String == "crm" && object?["through"] as? String == "zeus")

    let rotated = try await place.relatch("rotate", "--exposed-to", "cron")
    #expect(rotated.code == 0, "\(rotated.errorText)")
    #expect(rotated.errorText.contains("relatch: warning: zeus: version 1 is still accepted"), "\(rotated.errorText)")
    let steps = try await place.relatch("log", "list", "--json").objects().map {
      "\($0["event"] as? String ?? "") \($0["credential"] as? String ?? "")"
    }
    for (first, second) in [("zeus", "crm"), ("crm", "erp")] {
      let verified = try #require(steps.firstIndex(of: "rotation.verified \(first)"))
      #expect(verified < (steps.firstIndex(of: "rotation.begun \(second)") ?? 0), "\(first) before \(second)")
    }
    #expect(try await !place.relatch("status").outputText.contains("exposed"))
    // The new pairs were made while the old pair of the one that administers them was accepted.
    #expect(try await exposed("--plan") == ["crm", "erp"])
    for left in [["erp"], []] {
      #expect(try await place.relatch("retire", "zeus", "crm", "erp").code == 0)
      #expect(try await place.relatch("rotate", "--exposed-to", "cron").code == 0)
      #expect(try await exposed("--plan") == left)
    }
    #expect(try await place.relatch("rotate", "--exposed-to", "cron").errorText.contains("nothing to rotate"))
  }

  @Test("is rotated after the administrator by a schedule, too, which says what the old pair can still read")
  func scheduled() async throws {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "3"], addsAdmin: false)
    try await place.add("zeus", app: 1, admin: "self")
    try await place.add("crm", app: 2, admin: "zeus")
    try await place.add("apps", app: 3, admin: "zeus")
    try await place.addMember("cron", "operator", grants: ["zeus"])
    #expect(try await place.relatch("member", "remove", "cron").code == 0)
    let rotated = try await place.relatch("rotate", "--due")
    #expect(rotated.code == 0, "\(rotated.errorText)")
    #expect(
      rotated.errorText.contains(
        "zeus: version 1 is still accepted and can read the new pairs of what it administers; if cron is not to be"
          + " trusted: `relatch retire zeus`, then `relatch rotate apps crm`"), "\(rotated.errorText)")
    let steps = try await place.relatch("log", "list", "--json").objects().map {
      "\($0["event"] as? String ?? "") \($0["credential"] as? String ?? "")"
    }
    let verified = try #require(steps.firstIndex(of: "rotation.verified zeus"))
    for name in ["apps", "crm"] { #expect(verified < (steps.firstIndex(of: "rotation.begun \(name)") ?? 0), "\(name)") }
    #expect(try await place.relatch("rotate", "--due").errors.isEmpty)
  }

  @Test("is rotated by a schedule while the administrator waits for its window, which is told")
  func waiting() async throws {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "2"], addsAdmin: false)
    let days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
    let day = days[(Calendar.current.component(.weekday, from: .now) + 2) % 7]
    try await place.add("zeus", app: 1, admin: "self", policy: ["propagation=0s", "window=\(day) 12:00-13:00"])
    try await place.add("crm", app: 2, admin: "zeus")
    try await place.addMember("cron", "operator", grants: ["zeus"])
    #expect(try await place.relatch("member", "remove", "cron").code == 0)
    let rotated = try await place.relatch("rotate", "--due")
    #expect(
      rotated.errorText.contains("zeus: version 1 is still accepted")
        && rotated.errorText.contains("`relatch rotate zeus`, `relatch retire zeus`, then `relatch rotate crm`"),
      "\(rotated.errorText)")
    let plan = try await place.relatch("log", "exposure", "--member", "cron", "--plan")
    #expect(plan.outputText == "crm\nzeus\n")
  }

  @Test("is revoked with the administrator")
  func revoked() async throws {
    let place = try await Workplace(["--every-app-is-admin", "--apps", "2"], addsAdmin: false)
    try await place.add("zeus", app: 1, admin: "self")
    try await place.add("crm", app: 2, admin: "zeus")
    try await place.addMember("cron", "operator", grants: ["zeus"])
    #expect(try await place.relatch("ungrant", "zeus", "cron").code == 0)
    let known = try await [place.org.primary(ofApp: 1), place.org.primary(ofApp: 2)]
    let revoked = try await place.relatch("revoke", "--exposed-to", "cron", "--reason", "x")
    #expect(revoked.code == 0, "\(revoked.errorText)")
    for pair in known { #expect(try await !place.org.grants(pair)) }
  }
}

extension [String] {
  /// One on each line.
  fileprivate var lines: String { map { $0 + "\n" }.joined() }
}
