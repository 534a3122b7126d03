import Foundation
import Testing

@Suite("Many credentials, and rotations that were begun")
struct ManyTests {
  @Test("Many credentials are rotated with one session of the administrator, and the summary counts them")
  func jobs() async throws {
    let place = try await Workplace(["--apps", "12"])
    for number in 1...12 { try await place.add("app\(number)", app: number) }
    func comparisons() async throws -> Int {
      try await place.relatch("log", "list", environment: Workplace.outsider).outputText.split(separator: "\n")
        .count { $0.contains("purpose=comparison") }
    }
    #expect(try await comparisons() == 12, "the administrator has no app: each might have had its pair")
    let path = "*/credentials/\(try await place.org.apps()[5].identifier)*"
    try await place.org.fault("garbage", "GET", path)
    let rotated = try await place.relatch("rotate", "--all", "--jobs", "12")
    #expect(rotated.code == 13, "\(rotated.errorText)")
    #expect(rotated.outputText.split(separator: "\n").count == 11, "a line for each that was rotated")
    #expect(rotated.errorText.contains("promoted  11") && rotated.errorText.contains("app5        69"))
    #expect(!rotated.errorText.contains("is proved"), "the steps of many are noise")
    for number in 1...12 { #expect(try await place.holdsPrimary("app\(number)", ofApp: number)) }
    #expect(try await place.org.consumer(ofApp: 5).slot == nil)
    let uses = try await place.relatch("log", "list", environment: Workplace.outsider).outputText.split(separator: "\n")
      .filter {
        $0.contains("pair.used") && $0.contains("administers")
      }
    #expect(uses.count == 1)

    try await place.org.clearFaults()
    let summary = try await place.relatch("retire", "app1", "app2", "app5", "--json").objects().last
    #expect(summary?["type"] as? String == "summary" && (summary?["failed"] as? [String])?.isEmpty == true)
    #expect((summary?["outcomes"] as? [String: Int]) == ["nothing-owed": 1, "settled": 2])
    #expect(try await comparisons() == 12, "the runs have opened it anyway, and none has another's app")
    #expect(try await place.logIsIntact())
  }

  @Test("Many are rotated at once though each promotion ends the token that they share")
  func endedTokens() async throws {
    let place = try await Workplace(["--apps", "12", "--reading", "rotateEndsTokens=caller"])
    let names = (1...12).map { "app\($0)" }
    for (index, name) in names.enumerated() { try await place.add(name, app: index + 1) }
    for _ in 1...3 {
      let rotated = try await place.run(
        Programs.relatch, ["rotate", "--replace-previous", "--jobs", "12"] + names)
      #expect(rotated.code == 0, "\(rotated.errorText)")
    }
    for number in 1...12 { #expect(try await place.holdsPrimary("app\(number)", ofApp: number)) }
  }

  @Test("No more are worked on at once than the process may have connections, and one that may have too few ends")
  func fewOpenFiles() async throws {
    let place = try await Workplace(["--apps", "56"])
    for number in 1...56 { try await place.add("app\(number)", app: number) }
    // All of them wait for the org at the same time, if they may.
    try await place.org.fault("slow", "GET", "*", ["seconds": 0.01])
    func rotate(_ limit: Int) async throws -> Outcome {
      try await place.run(
        "/bin/bash", ["-c", "ulimit -n \(limit); exec \"$0\" rotate --all --jobs 56", Programs.relatch])
    }
    for limit in [10, 63] {
      expectFailure(try await rotate(limit), 74, "this process may open \(limit) files (ulimit -n), and needs 64")
    }
    let rotated = try await rotate(64)
    #expect(rotated.code == 0, "\(rotated.errorText)")
    // A process raises what it may.
    let raised = try await place.run(
      "/bin/bash", ["-c", "ulimit -S -n 10; exec \"$0\" rotate --due --jobs 56", Programs.relatch])
    #expect(raised.code == 0, "\(raised.errorText)")
  }

  @Test("An invalid number of jobs is refused", arguments: ["0", "-1", "1001", "many"])
  func badJobs(_ jobs: String) async throws {
    let place = try await Workplace(addsAdmin: false)
    #expect(try await place.relatch("rotate", "--all", "--jobs=\(jobs)").code == 64)
  }

  @Test("An interrupted rotation is resumed or given up, and without one nothing is unlocked")
  func resumeAndAbort() async throws {
    let place = try await Workplace(["--apps", "2"])
    try await place.add("crm")
    try await place.add("erp", app: 2)
    let old = try await place.org.primary(ofApp: 2)
    // Promotion is refused permanently: both rotations stop with a proved pair in the slot.
    try await place.org.fault("unavailable", "PATCH", "*")
    #expect(try await place.relatch("rotate", "crm", "erp").code == 13)
    try await place.org.clearFaults()

    let aborted = try await place.relatch("abort", "erp")
    #expect(
      aborted.code == 0 && aborted.outputText.contains("erp: given up; version 1 is active"), "\(aborted.errorText)")
    #expect(try await place.org.consumer(ofApp: 2).slot == nil)
    #expect(try await place.pair("erp") == old)

    let resumed = try await place.relatch("resume")
    #expect(resumed.code == 0 && resumed.outputText.contains("crm: version 2 is active"), "\(resumed.errorText)")
    #expect(try await place.holdsPrimary("crm"))
    expectFailure(try await place.relatch("abort", "crm"), 64, "promoted already")
    #expect(try await place.relatch("retire", "crm").code == 0)

    try FileManager.default.removeItem(at: place.identity)
    let nothing = try await place.relatch("resume")
    #expect(nothing.code == 0 && nothing.output.isEmpty && nothing.errorText.contains("nothing to resume"))
  }

  @Test("A credential in its grace is not unfinished, and resuming it promotes nothing")
  func inGrace() async throws {
    let place = try await Workplace(["--apps", "2"])
    for (name, app) in [("crm", 1), ("erp", 2)] { try await place.add(name, app: app) }
    #expect(try await place.relatch("rotate", "crm", "erp").code == 0)
    let log = try LocalSyslog(place.folder.appendingPathComponent("log").path)
    let named = try await place.relatch("resume", "crm", "erp", "--json", "--syslog", log.path)
    #expect(named.code == 0, "\(named.errorText)")
    let objects = try named.objects()
    #expect(objects.filter { $0["outcome"] as? String == "in-grace" && $0["grace_ends"] is String }.count == 2)
    #expect(objects.last?["outcomes"] as? [String: Int] == ["in-grace": 2])
    #expect(log.messages().isEmpty)
    let said = try await place.relatch("resume", "crm").outputText
    #expect(said.contains("crm: no rotation is unfinished; version 1, replaced, is left alone until "), "\(said)")
    let all = try await place.relatch("resume")
    #expect(all.code == 0 && all.output.isEmpty && all.errorText.contains("nothing to resume"), "\(all.errorText)")
  }

  @Test("--replace-previous cuts off a replaced pair in its grace")
  func replacePrevious() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: ["propagation=0s", "grace=24h"])
    let first = try await place.org.primary()
    #expect(try await place.relatch("rotate", "crm").code == 0)
    let second = try await place.org.primary()
    let held = try await place.relatch("rotate", "crm")
    expectFailure(held, 75, "left alone until")
    #expect(held.errorText.contains("--replace-previous"))
    #expect(try await place.org.grants(first))
    let replaced = try await place.relatch("rotate", "crm", "--replace-previous")
    #expect(replaced.code == 0 && replaced.outputText.contains("version 3 is active"), "\(replaced.errorText)")
    #expect(try await !place.org.grants(first))
    #expect(try await place.org.grants(second), "the second is now in its grace")
    #expect(try await place.holdsPrimary("crm"))
  }
}
