import Audit
import JSON
import Storage
import Testing
import Vault

@testable import relatch

@Suite("An incident in a log that somebody wrote to do harm")
struct IncidentReportTests {
  private static let harm = "\u{1B}]0;owned\u{07}\u{1B}[2J\u{202E}\u{2028}"

  private static func log(_ event: String, _ fields: [String: JSONValue], in vault: UnlockedVault) async throws {
    try await vault.change(now: vaultMoment) { change in _ = try change.log(EventName(event), fields) }
  }

  @Test func `is told in lines of our own alone, on a terminal and in a page`() async throws {
    let vault = try await vault(adding: ["crm"])
    let name = "inc\(Self.harm)\ncrm  crm  reported 2026-11-01T00:00:00.000Z  refused"
    try await Self.log(
      "delivery.done",
      ["credential": "crm", "delivery": .string("sink\(Self.harm)\n"), "record": "AAAA", "version": 1], in: vault)
    try await Self.log(
      "handoff.sent",
      ["credential": "crm", "recipient": .string("age1\(Self.harm)\n"), "versions": .array([1])], in: vault)
    try await Self.log(
      "credential.leaked",
      ["credential": "crm", "incident": .string(name), "reason": "x", "record": "AAAA", "version": 1], in: vault)
    let (parts, report) = try await vault.read { view in
      let parts = try IncidentHistory(view).parts
      return (parts, try IncidentReport(of: name, parts, in: view, now: vaultMoment))
    }
    #expect(parts.map(\.incident) == [name])
    let lines = parts.map { $0.line($0.standing) }
    for text in lines + [report.text, report.page] {
      #expect(text.contains(#"inc\u{1B}]0;owned\u{7}"#), "\(text)")
      let hidden = text.unicodeScalars.filter { $0 != "\n" && VisibleText.hides($0) }
      #expect(hidden.isEmpty, "\(hidden.map(\.value))")
      #expect(!text.split(separator: "\n").contains { $0.hasPrefix("crm  crm  reported") })
    }
    #expect(lines.allSatisfy { !$0.contains("\n") })
    #expect(report.text.contains(#"it was delivered to sink\u{1B}"#) && report.text.contains(#"open to age1\u{1B}"#))
  }

  @Test func `says of each version alone whether it was refused before it was reported`() async throws {
    let vault = try await vault(adding: ["crm"])
    func log(_ event: String, _ fields: [String: JSONValue]) async throws {
      try await Self.log(event, ["credential": "crm", "record": "AAAA"].merging(fields) { $1 }, in: vault)
    }
    func part() async throws -> (IncidentHistory.Part, IncidentReport) {
      try await vault.read { view in
        let parts = try IncidentHistory(view).parts
        return (try #require(parts.first), try IncidentReport(of: "i", parts, in: view, now: vaultMoment))
      }
    }
    func refused(_ version: Int) -> [String: JSONValue] {
      ["refused": .array([.object(["version": .integer(version)])]), "rotation": 1, "step": 9]
    }
    // What is refused must be there.
    try await log("rotation.staged", ["rotation": 1, "step": 8, "version": 2])
    try await log("rotation.refused", refused(1))
    try await log("leak.tried", ["accepted": true, "incident": "i", "version": 2])
    try await log("credential.leaked", ["incident": "i", "reason": "x", "version": 2])
    // Its version 1 is found as well.
    try await log("credential.leaked", ["incident": "i", "reason": "x", "version": 1])
    var (history, report) = try await part()
    #expect(history.leaked == [1, 2] && history.owed == [2] && !report.wasRefusedBefore)
    #expect(!report.text.contains("before it was reported"))
    try await log("rotation.refused", refused(2))
    // Reported once more, after that.
    try await log("credential.leaked", ["incident": "i", "reason": "x", "version": 2])
    (history, report) = try await part()
    #expect(history.acceptedAgain.isEmpty && history.standing == .refused && !report.wasRefusedBefore)
    #expect(report.ended != nil)
    try await log("leak.tried", ["accepted": true, "incident": "i", "version": 1])
    #expect(try await part().0.acceptedAgain == [1])
  }

  @Test func `names a stranger's pair that was not found as long as nobody has deleted it`() async throws {
    let vault = try await vault(adding: ["crm"])
    func log(_ event: String, _ fields: [String: JSONValue]) async throws -> (text: String, json: String) {
      try await Self.log(event, ["credential": "crm"].merging(fields) { $1 }, in: vault)
      let report = try await vault.read { view in
        try IncidentReport(of: "i", IncidentHistory(view).parts, in: view, now: vaultMoment)
      }
      return (report.text, report.json.line)
    }
    let stranger: [String: JSONValue] = ["handle": "k9", "place": "staged", "reason": "leak"]
    _ = try await log("credential.leaked", ["incident": "i", "reason": "x", "record": "AAAA", "version": 1])
    var told = try await log("pair.not-cut-off", stranger)
    #expect(told.text.contains("k9") && told.text.contains("may be accepted"), "\(told.text)")
    #expect(told.json.contains(#""not_cut_off":["#))
    told = try await log("pair.cut-off", stranger)
    #expect(!told.text.contains("may be accepted") && told.text.contains("find out who made it"), "\(told.text)")
    #expect(!told.json.contains("not_cut_off"))
  }

  @Test func `tells of the next attempt only while that is to come`() async throws {
    let vault = try await vault(adding: ["crm"])
    try await vault.change(now: vaultMoment) { change in
      var credential = try change.view.credential("crm")
      credential.noteLeak(incident: "i", version: 1, now: vaultMoment)
      credential = try change.save(
        credential, .credentialLeaked, ["containment": false, "incident": "i", "reason": "x", "version": 1])
      credential.rotation += 1
      for (step, event) in ["rotation.begun", "rotation.stage.intended", "rotation.stage.postponed"].enumerated() {
        credential = try change.saveStep(credential, step: UInt32(step), EventName(event))
      }
    }
    func next(after seconds: Int) async throws -> (json: Bool, text: Bool, owed: Timestamp?) {
      try await vault.read { view in
        let now = vaultMoment + .seconds(seconds)
        let report = try IncidentReport(of: "i", IncidentHistory(view).parts, in: view, now: now)
        let owed = try #require(try OwedLeak(of: view.credential("crm"), in: view, now: now))
        return (report.json.line.contains("next_attempt"), report.text.contains("tried again in"), owed.next)
      }
    }
    let soon = try await next(after: 1)
    #expect(soon.json && soon.text && soon.owed != nil)
    let later = try await next(after: 7200)
    #expect(!later.json && !later.text && later.owed == nil)
  }

  @Test func `is none of what was no credential then: verification looks at no record of it`() async throws {
    let vault = try await vault(adding: ["crm"])
    let fields: [String: JSONValue] = ["incident": "i", "reason": "x", "record": "AAAA", "version": 1]
    try await Self.log("credential.leaked", fields.merging(["credential": "x"]) { $1 }, in: vault)
    _ = try await vault.remove("crm", forgettingDebts: true, now: vaultMoment)
    try await Self.log("credential.leaked", fields.merging(["credential": "crm"]) { $1 }, in: vault)
    #expect(try await vault.read { try IncidentHistory($0).parts }.isEmpty)
  }
}
