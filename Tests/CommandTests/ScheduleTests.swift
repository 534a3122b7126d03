import Foundation
import Testing

@Suite("Credentials that are due by policy")
struct ScheduleTests {
  /// Long ago, so that any greatest age in a test is reached.
  private static let longAgo = ["--created", "2020-01-01T00:00:00Z"]
  private static let due = ["propagation=0s", "max-age=90d"]

  private func entries(_ place: Workplace) async throws -> Int {
    try await place.relatch("log", "list", environment: Workplace.outsider).outputText.split(separator: "\n").count
  }

  private func finding(_ check: String, _ outcome: Outcome) throws -> [String: Any]? {
    let findings = try outcome.objects().first?["findings"] as? [[String: Any]]
    return findings?.first { $0["check"] as? String == check }
  }

  @Test("--due, run again and again, rotates once, and then prints, requests and logs nothing")
  func once() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: Self.due, Self.longAgo)
    let first = try await place.relatch("rotate", "--due")
    #expect(first.code == 0 && first.outputText.contains("crm: version 2 is active"), "\(first.errorText)")
    #expect(try await place.holdsPrimary("crm"))
    let before = try await entries(place)
    #expect(try await place.org.newRequests() > 0)
    for options in [[], ["--quiet"], ["--json"], ["--jobs", "8"], []] {
      let again = try await place.run(Programs.relatch, ["rotate", "--due"] + options)
      #expect(again.code == 0 && again.output.isEmpty && again.errors.isEmpty, "\(again.errorText)")
    }
    #expect(try await place.org.newRequests() == 0)
    #expect(try await entries(place) == before)
    #expect(try await place.org.consumer().slot?.state == "Rotated")
    #expect(try await place.relatch("show", "crm").outputText.contains("2 active"))
  }

  @Test("Nothing is unlocked while nothing is due")
  func locked() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: Self.due)
    try FileManager.default.removeItem(at: place.identity)
    _ = try await place.org.newRequests()
    let run = try await place.relatch("rotate", "--due")
    #expect(run.code == 0 && run.output.isEmpty && run.errors.isEmpty, "\(run.errorText)")
    for arguments in [["--due"], ["--offline"], ["crm", "--offline"]] {
      #expect(try await place.run(Programs.relatch, ["plan", "--check"] + arguments).code == 0)
    }
    let plan = try await place.relatch("plan", "--offline")
    #expect(plan.code == 0 && plan.outputText.contains("crm: due at "), "\(plan.errorText)")
    let status = try await place.relatch("status", "crm", "--json").objects().first
    #expect((status?["schedule"] as? [String: Any])?["standing"] as? String == "waiting")
    #expect(status?["failed_attempts"] as? Int == 0)
    #expect(try await place.org.newRequests() == 0)
  }

  @Test("A debt is retired by --due after its grace, and not before", arguments: [0, 3600])
  func debt(grace: Int) async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: ["propagation=0s", "grace=\(grace)s"])
    let old = try await place.org.primary()
    // With no grace at all the first run also retires; then nothing is left for the second.
    #expect(try await place.relatch("rotate", "crm").code == 0)
    let run = try await place.relatch("rotate", "--due")
    #expect(run.code == 0, "\(run.errorText)")
    #expect(try await place.org.grants(old) == (grace > 0))
    #expect(try await place.relatch("status", "crm").outputText.contains("debt") == (grace > 0))
  }

  @Test("A closed window holds a schedule, but not a person")
  func window() async throws {
    let place = try await Workplace()
    // Opens in about a day and a half, whatever the time is now.
    let days = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"]
    let day = (Int(Date().timeIntervalSince1970) / 86_400 + 2) % 7
    try await place.add("crm", policy: Self.due + ["window=\(days[day]) 12:00-13:00"], Self.longAgo)
    let run = try await place.relatch("rotate", "--due")
    #expect(run.code == 0 && run.output.isEmpty && run.errors.isEmpty)
    let status = try await place.relatch("status", "crm")
    #expect(status.outputText.contains("its window is closed"), "\(status.outputText)")
    #expect(try await place.relatch("plan", "--check").code == 0, "held is not due")
    #expect(try await place.relatch("rotate", "crm").code == 0)
  }

  @Test("Of two credentials that must not rotate together, the first rotates and the second is held")
  func together() async throws {
    let place = try await Workplace(["--apps", "2"])
    try await place.add("b", app: 2, policy: Self.due, Self.longAgo)
    try await place.add("a", app: 1, policy: Self.due + ["not-together-with=b"], Self.longAgo)
    for _ in 1...2 { #expect(try await place.relatch("rotate", "--due", "--jobs", "2").code == 0) }
    #expect(try await place.org.consumer(ofApp: 1).slot?.state == "Rotated")
    #expect(try await place.org.consumer(ofApp: 2).slot == nil)
    let schedule = try await place.relatch("status", "b", "--json").objects().first?["schedule"] as? [String: Any]
    #expect(schedule?["obstacle"] as? String == "together" && schedule?["with"] as? String == "a")
    expectFailure(try await place.relatch("policy", "a", "not-together-with=nope"), 66, "nope")
  }

  @Test("A time zone that this machine does not know is refused, in a policy and when a credential is added")
  func unknownZone() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let refused = try await place.relatch("policy", "crm", "window=daily 01:00-02:00 Nowhere/Atlantis")
    expectFailure(refused, 78, "Nowhere/Atlantis")
    #expect(refused.errorText.contains("tzdata"))
    #expect(try await !place.relatch("policy", "crm").outputText.contains("window"))
    let idle = try await place.relatch("policy", "crm", "window=daily 01:00-02:00")
    #expect(idle.code == 0 && idle.errorText.contains("without max-age, window only holds back"), "\(idle.errorText)")
    #expect(try await place.relatch("policy", "crm").outputText.contains("window=daily 01:00-02:00"))
  }

  @Test(
    "--created must be a time in the past", arguments: ["yesterday", "2999-01-01T00:00:00Z", "2026-02-30T00:00:00Z"])
  func created(text: String) async throws {
    let place = try await Workplace()
    let pair = try await place.org.primary(ofApp: 1)
    let added = try await place.run(
      Programs.relatch, ["add", "crm", "--provider", "salesforce", "--set", "url=\(place.org.url)", "--created", text],
      stdin: pair.document)
    expectFailure(added, 64, "--created")
  }

  @Test("What is due and cannot be rotated by anybody is told each time (78), to those who can open it")
  func unrotatable() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    try await place.add("used", app: nil, policy: Self.due, Self.longAgo)
    let cron = try await place.addMember("cron", "operator", grants: ["crm"])
    for _ in 1...2 {
      let due = try await place.relatch("rotate", "--due")
      expectFailure(due, 78, "setting app is missing: there is nothing to rotate")
      #expect(due.errorText.contains("used") && !due.errorText.contains("admin"), "\(due.errorText)")
    }
    let others = try await place.relatch("rotate", "--due", environment: cron)
    #expect(others.code == 0 && others.errors.isEmpty, "\(others.errorText)")
  }

  @Test("The age of a pair counts from when it was made, as --created says")
  func age() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: ["max-age=3650d"], ["--created", "2020-01-01T02:00:00+02:00"])
    let status = try #require(try await place.relatch("status", "crm", "--json").objects().first)
    #expect(status["created"] as? String == "2020-01-01T00:00:00.000Z")
    #expect(status["age_limit"] as? String == "2029-12-29T00:00:00.000Z")
    #expect(try #require(status["age"] as? Int) > 86_400 * 365)
    let plan = try await place.relatch("plan", "crm", "--offline")
    #expect(plan.outputText.contains("crm: due at 2029-12-29T00:00:00.000Z"), "\(plan.outputText)")
    #expect(plan.outputText.contains("version 1 is active, made "), "\(plan.outputText)")
    #expect(plan.outputText.contains("the provider was not asked"))
  }

  @Test("plan --check ends with 14 if something is due, even if something stands in its way")
  func check() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: Self.due, Self.longAgo)
    for arguments in [["--check"], ["--check", "--due"], ["crm", "--check", "--offline"]] {
      #expect(try await place.run(Programs.relatch, ["plan"] + arguments).code == 14)
    }
    #expect(try await place.relatch("plan").code == 0)
    try await place.org.set("conditions", ["restSecretAccess": false])
    let plan = try await place.relatch("plan", "crm", "--check")
    #expect(plan.code == 14 && plan.outputText.contains("obstacle: "), "\(plan.outputText)")
    #expect(plan.outputText.contains("REST"))
    #expect(try await place.org.consumer().slot == nil, "a plan changes nothing")
  }

  @Test("plan finds no obstacle where there is none, and logs an entry for each pair it opened")
  func inOrder() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: Self.due)
    let before = try await entries(place)
    let plan = try await place.relatch("plan", "crm", "--json")
    let object = try #require(try plan.objects().first)
    #expect(object["type"] as? String == "plan" && object["action"] as? String == "wait")
    let findings = try #require(object["findings"] as? [[String: Any]])
    #expect(findings.allSatisfy { $0["level"] as? String == "ok" }, "\(plan.outputText)")
    #expect(
      findings.compactMap { $0["check"] as? String }
        == ["log", "disk", "provider", "primary", "slot", "secret", "token", "clock"])
    #expect(try await entries(place) == before + 2)
    _ = try await place.relatch("plan", "crm", "--offline")
    #expect(try await entries(place) == before + 2)
    #expect(try await place.logIsIntact())
  }

  @Test("plan names whose pair holds the slot, and when the slot becomes free")
  func slot() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: Self.due, Self.longAgo)
    #expect(try await place.relatch("rotate", "crm").code == 0)
    let owed = try #require(try finding("slot", await place.relatch("plan", "crm", "--json")))
    #expect(owed["level"] as? String == "obstacle" && owed["until"] is String)
    #expect((owed["hint"] as? String)?.contains("cuts off anyone who still uses version 1") == true)
    let text = try await place.relatch("plan", "crm").outputText
    #expect(text.contains("  obstacle: version 1, replaced and still accepted, holds the staging slot until its grace"))
    #expect(text.contains("; the provider ends it at "))
    let run = try await place.relatch("rotate", "--due")
    #expect(run.code == 0 && run.output.isEmpty && run.errors.isEmpty, "the grace is waited for: \(run.errorText)")
  }

  @Test("plan distinguishes what another vault left at the provider from what this vault made")
  func foreign() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: Self.due)
    let old = try await place.org.primary()
    #expect(try await place.relatch("rotate", "crm").code == 0)
    let settings = ["--set", "url=\(place.org.url)", "--set", "app=\(try await place.org.apps()[1].identifier)"]
    /// What a fresh vault with `pair` finds.
    func plan(_ pair: SimulatedOrg.IssuedPair) async throws -> Outcome {
      let other = try await Workplace()
      let admin = try await place.org.primary(ofApp: 0)
      _ = try await other.run(
        Programs.relatch, ["add", "root", "--provider", "salesforce", settings[0], settings[1]], stdin: admin.document)
      let added = try await other.run(
        Programs.relatch, ["add", "crm", "--provider", "salesforce", "--admin", "root"] + settings,
        stdin: pair.document)
      #expect(added.code == 0, "\(added.errorText)")
      return try await other.relatch("plan", "crm", "--json")
    }
    let replaced = try await plan(old)
    #expect(try finding("primary", replaced)?["level"] as? String == "obstacle", "\(replaced.outputText)")

    let occupied = try #require(try finding("slot", await plan(place.org.primary())))
    #expect(occupied["level"] as? String == "obstacle" && occupied["until"] is String, "\(occupied)")
    #expect((occupied["hint"] as? String)?.contains("--replace-previous crm` cuts it off") == true)

    #expect(try await place.relatch("retire", "crm").code == 0)
    try await place.org.fault("unavailable", "PATCH", "*")
    #expect(try await place.relatch("rotate", "crm").code == 69)
    let staged = try #require(try finding("slot", await plan(place.org.primary())))
    #expect(staged["level"] as? String == "obstacle")
    #expect((staged["text"] as? String)?.contains("a staged pair that is no version of this credential") == true)
    let own = try await place.relatch("plan", "crm", "--json")
    #expect(try finding("slot", own)?["level"] as? String == "ok", "\(own.outputText)")
    #expect(try own.objects().first?["action"] as? String == "wait", "the attempt that came to nothing is waited out")
  }

  @Test(
    "plan names what an administrator has to set right",
    arguments: ["clock", "token", "account", "permission", "unreachable"])
  func obstacles(what: String) async throws {
    let place = try await Workplace(["--apps", "2"])
    // Only the administrator's app may read credentials.
    try await place.add("crm", admin: what == "permission" ? "self" : "admin", policy: Self.due)
    let apps = try await place.org.apps().map(\.identifier)
    switch what {
    case "clock": try await place.org.set("clock", ["advance": 400])
    case "token": try await place.org.set("conditions", ["app": apps[1], "clientCredentialsFlow": false])
    case "account": try await place.org.set("conditions", ["app": apps[0], "runAsUser": "inactive"])
    case "permission": break
    default: try await place.org.fault("unavailable", nil, "*")
    }
    let plan = try await place.relatch("plan", "crm", "--json")
    #expect(plan.code == 0, "\(plan.errorText)")
    let expected = ["clock": ("clock", "obstacle"), "token": ("token", "warning")][what] ?? ("provider", "obstacle")
    #expect(try finding(expected.0, plan)?["level"] as? String == expected.1, "\(plan.outputText)")
    let text = try await place.relatch("plan", "crm").outputText
    #expect(text.contains("  \(expected.1): "), "\(text)")
    if what == "permission" { #expect(text.contains("External Client App Developer and View Client Secret")) }
  }

  @Test("An obstacle to --due is counted and shown, and the next attempt waits")
  func attempts() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: Self.due, Self.longAgo)
    try await place.org.set("conditions", ["restSecretAccess": false])
    expectFailure(try await place.relatch("rotate", "--due", "--quiet"), 78)
    let again = try await place.relatch("rotate", "--due")
    #expect(again.code == 0 && again.errors.isEmpty, "\(again.errorText)")
    let status = try await place.relatch("status", "crm", "--json").objects().first
    #expect(status?["failed_attempts"] as? Int == 1 && status?["next_attempt"] is String)
    #expect(try await place.relatch("status", "crm").outputText.contains("the last attempt came to nothing"))
    try await place.org.set("conditions", ["restSecretAccess": true])
    #expect(try await place.relatch("rotate", "crm").code == 0, "a person is not held")
  }

  @Test("A provider that asks to be left alone is left alone by every later run that no person started")
  func retryAfter() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: Self.due, Self.longAgo)
    try await place.org.fault("tooManyRequests", nil, "*/credentials/*", ["seconds": 3600])
    let limited = try await place.relatch("rotate", "--due", "--quiet")
    expectFailure(limited, 69, "too many requests")
    #expect(try await place.org.newRequests() > 0)
    let again = try await place.relatch("rotate", "--due")
    #expect(again.code == 0 && again.errors.isEmpty, "\(again.errorText)")
    #expect(try await place.org.newRequests() == 0)
    let status = try await place.relatch("status", "crm", "--json").objects().first
    let next = try #require(status?["next_attempt"] as? String)
    let form = ISO8601DateFormatter()
    form.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
    #expect(try #require(form.date(from: next)) > Date(timeIntervalSinceNow: 3000), "\(next)")
    try await place.org.clearFaults()
    #expect(try await place.relatch("rotate", "crm").code == 0, "a person is not held")
  }

  @Test("A credential that another run holds is left to that run")
  func held() async throws {
    let place = try await Workplace(["--apps", "2"])
    try await place.add("crm", policy: Self.due, Self.longAgo)
    try await place.org.fault("slow", "POST", "*/staged", ["seconds": 60])
    let running = try place.start(arguments: ["rotate", "crm"])
    try await running.wait("the first to have staged") { _, errors in errors.contains("asking for a new pair") }
    let run = try await place.relatch("rotate", "--due")
    #expect(run.code == 0 && run.output.isEmpty && run.errors.isEmpty, "\(run.errorText)")
    let plan = try await place.relatch("plan", "crm", "--offline", "--json")
    #expect(try finding("lease", plan)?["level"] as? String == "obstacle")
    running.send(SIGKILL)
    _ = try await running.outcome()
    try await place.org.clearFaults()
    #expect(try await place.relatch("rotate", "--due").code == 0, "what it left is continued")
    #expect(try await place.holdsPrimary("crm"))
  }
}
