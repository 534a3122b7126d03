import Foundation
import Testing

/// `zeus` administers itself and `crm`. What each test does to the org keeps the leaked pair of `zeus` accepted.
@Suite("What is made while a leaked pair of its administrator is accepted")
struct LeakedAdministratorTests {
  private let place: Workplace
  private let (zeus, crm): (SimulatedOrg.IssuedPair, SimulatedOrg.IssuedPair)
  private let (app, appOfZeus): (String, String)

  init() async throws {
    place = try await Workplace(["--every-app-is-admin", "--apps", "3"], addsAdmin: false)
    try await place.add("zeus", app: 1, admin: "self", policy: Self.policy)
    try await place.add("crm", app: 2, admin: "zeus", policy: Self.policy)
    (zeus, crm) = (try await place.org.primary(ofApp: 1), try await place.org.primary(ofApp: 2))
    let apps = try await place.org.apps()
    (appOfZeus, app) = (apps[1].identifier, apps[2].identifier)
  }

  private static let policy = ["propagation=0s", "grace=0s"]

  private func keepZeus() async throws { try await place.org.fault("sessionEnded", "DELETE", "*\(appOfZeus)*") }

  private func revoke() async throws -> Outcome {
    try await place.relatch("revoke", "--all", "--reason", "the host was taken")
  }

  private func active(_ name: String) async throws -> Int {
    try #require(try await place.relatch("status", name, "--json").objects().first?["active"] as? Int)
  }

  private func isReached(_ name: String) async throws -> Bool {
    try await place.relatch("status", name, "--json").objects().first?["reach"] != nil
  }

  /// Everything has ended: what leaked is refused, and `crm` has the version `number`.
  private func expectEnd(_ number: Int) async throws {
    #expect(try await !place.org.grants(zeus))
    #expect(try await !place.org.grants(crm))
    #expect(try await active("crm") == number)
    #expect(try await place.holdsPrimary("crm", ofApp: 2))
    #expect(try await active("zeus") == 2)
    for verb in ["status", "incident", "resume"] {
      let outcome = try await place.relatch(verb)
      #expect(outcome.code == 0, "\(verb): \(outcome.errorText)\(outcome.outputText)")
    }
    #expect(try await place.relatch("rotate", "--due").code == 0)
    #expect(try await active("crm") == number)
    #expect(try await place.logIsIntact())
  }

  @Test("is nothing, if that pair could be ended first: nothing is replaced twice")
  func ended() async throws {
    let revoked = try await revoke()
    #expect(revoked.code == 0, "\(revoked.errorText)")
    try await expectEnd(2)
  }

  @Test(
    "is replaced once more by the run that finds that pair refused",
    arguments: [["resume"], ["rotate", "--due"], ["rotate", "--all"], ["revoke", "--all", "--reason", "x"]])
  func replaced(by command: [String]) async throws {
    try await keepZeus()
    let revoked = try await revoke()
    #expect(revoked.code == 12 || revoked.code == 13, "\(revoked.errorText)")
    #expect(
      revoked.errorText.contains("crm: version 2 is active, but was made while a leaked pair of zeus"),
      "\(revoked.errorText)")
    #expect(try await !place.org.grants(crm), "what leaked is ended all the same")
    let status = try await place.relatch("status", "crm")
    #expect(
      status.code == 12 && status.outputText.contains("may have been read with a leaked one of zeus"),
      "\(status.outputText)")
    let incident = try await place.relatch("incident", "crm")
    #expect(incident.code == 12 && incident.outputText.contains("owed: another pair"), "\(incident.outputText)")
    #expect(try await place.relatch("incident").code == 12)
    for _ in 0..<2 {
      #expect(try await place.relatch("resume", "crm").code == 12, "nothing is replaced before that")
      _ = try await place.relatch("rotate", "--due")
    }
    #expect(try await active("crm") == 2)

    try await place.org.clearFaults()
    #expect(try await place.relatch("resume", "zeus").code == 0)
    #expect(try await isReached("crm"), "only a run of crm ends that")
    let outcome = try await place.run(Programs.relatch, command)
    #expect(outcome.code == 0, "\(outcome.errorText)\(outcome.outputText)")
    #expect(try await !isReached("crm"))
    guard command[0] != "rotate" || command[1] != "--all", command[0] != "revoke" else {
      #expect(try await active("crm") == 3)
      return
    }
    try await expectEnd(3)
  }

  @Test("is given up, if it was only staged: it could be read before it was promoted")
  func staged() async throws {
    try await keepZeus()
    try await place.org.fault("sessionEnded", "PATCH", "*\(app)*")
    #expect(try await revoke().code == 13)
    #expect(try await active("crm") == 1)
    #expect(try await isReached("crm"))
    try await place.org.clearFaults()
    let resumed = try await place.relatch("resume")
    #expect(resumed.code == 0, "\(resumed.errorText)")
    try await expectEnd(3)
  }

  @Test(
    "is given up as well, if it was staged before either leak was reported, whether the leaks end together or one by one",
    arguments: [[["--all"]], [["zeus"], ["crm"]], [["zeus"], ["crm", "--up-to", "1"]]])
  func stagedBefore(leaks: [[String]]) async throws {
    try await place.org.fault("sessionEnded", "PATCH", "*\(app)*")
    #expect(try await place.relatch("rotate", "crm").code != 0)
    try await place.org.clearFaults()
    for leak in leaks {
      let revoked = try await place.run(Programs.relatch, ["revoke", "--reason", "the host was taken"] + leak)
      #expect(revoked.code == 0, "\(revoked.errorText)")
    }
    try await expectEnd(3)
  }

  @Test("waits for the whole chain, and for that without another version")
  func chain() async throws {
    try await place.add("ares", app: 3, admin: "crm", policy: Self.policy)
    try await keepZeus()
    #expect(try await revoke().code != 0)
    try await place.org.clearFaults()
    #expect(try await place.relatch("resume", "zeus").code == 0)
    #expect(try await place.relatch("policy", "ares", "not-together-with=crm").code == 0)
    for _ in 0..<2 {
      #expect(try await place.relatch("resume", "ares").code == 12)
      #expect(try await active("ares") == 2)
    }
    let due = try await place.relatch("rotate", "--due")
    #expect(due.code == 0, "\(due.errorText)")
    #expect(try await active("crm") == 3)
    #expect(try await place.relatch("resume").code == 0)
    #expect(try await active("ares") == 3)
    try await expectEnd(3)
  }

  @Test("is replaced at once if it is reported itself, and once more at the end")
  func reported() async throws {
    try await keepZeus()
    #expect(try await revoke().code != 0)
    let again = try await place.relatch("revoke", "crm", "--reason", "in a ticket")
    #expect(again.code == 12, "\(again.errorText)")
    #expect(try await active("crm") == 3)
    let incident = try await place.relatch("incident", "crm")
    #expect(incident.code == 12 && incident.outputText.contains("owed: another pair"), "\(incident.outputText)")
    expectFailure(try await place.relatch("remove", "crm", "--yes"), 64, "--forget-debts")
    try await place.org.clearFaults()
    #expect(try await place.relatch("resume").code == 0)
    try await expectEnd(4)
  }

  @Test("is replaced once its former administrator is removed with the debt of the leak")
  func removed() async throws {
    try await keepZeus()
    #expect(try await revoke().code != 0)
    try await place.add("hera", app: 3, admin: "self")
    #expect(try await place.relatch("settings", "crm", "--admin", "hera").code == 0)
    _ = try await place.relatch("rotate", "--due")
    #expect(try await active("crm") == 2, "another administrator does not end the reach of the former one")
    #expect(try await place.relatch("remove", "zeus", "--forget-debts", "--yes").code == 0)
    let due = try await place.relatch("rotate", "--due")
    #expect(due.code == 0, "\(due.errorText)")
    #expect(try await active("crm") == 3)
    #expect(try await place.relatch("status").code == 0)
  }

  @Test("waits without another version while a sink cannot take it")
  func undelivered() async throws {
    let folder = place.folder.appendingPathComponent("app")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    #expect(try await place.relatch("sink", "add", "crm", folder.path + "/pair.json").code == 0)
    #expect(try await place.relatch("deliver", "crm").code == 0)
    try FileManager.default.removeItem(at: folder)
    try await keepZeus()
    #expect(try await revoke().code == 13)
    for _ in 0..<2 { _ = try await place.relatch("resume") }
    #expect(try await active("crm") == 2)
    try await place.org.clearFaults()
    #expect(try await place.relatch("resume", "zeus").code == 0)
    #expect(try await place.relatch("resume", "crm").code == 11)
    #expect(try await place.org.grants(crm), "the sink still uses it")
    #expect(try await active("crm") == 2)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    #expect(try await place.relatch("resume", "crm").code == 12)
    let resumed = try await place.relatch("resume")
    #expect(resumed.code == 0, "\(resumed.errorText)")
    try await expectEnd(3)
    let delivered =
      try JSONSerialization.jsonObject(
        with: Data(contentsOf: folder.appendingPathComponent("pair.json"))) as? [String: Any]
    #expect(try await delivered?["client_secret"] as? String == place.org.primary(ofApp: 2).secret)
  }

  @Test("cannot be handed over")
  func handoff() async throws {
    try await keepZeus()
    #expect(try await revoke().code != 0)
    let card = try await place.card(of: "bo")
    let sent = try await place.relatch(
      "handoff", "send", "crm", "--transfer", "--to", "-", "-o", place.folder.path + "/x", stdin: card)
    expectFailure(sent, 75, "leaked one of zeus")
  }
}
