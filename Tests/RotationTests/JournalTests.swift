import Audit
import JSON
import Rotation
import Storage
import Testing
import Vault

@Suite("A journal that the engine cannot have written")
struct JournalTests {
  static let begun = ("rotation.begun", [String: JSONValue](), Duration.zero)

  static func event(
    _ name: String, _ details: [String: JSONValue] = [:], after: Duration = .zero
  ) -> (event: String, details: [String: JSONValue], after: Duration) {
    ("rotation.\(name)", details, after)
  }

  /// The events up to `verified`, and the details of that.
  static func verified(_ details: [String: JSONValue]) -> [(
    event: String, details: [String: JSONValue], after: Duration
  )] {
    let way = ["stage.intended", "staged", "validate.intended", "validated", "promote.intended", "promoted"]
    return [begun] + way.map { event($0) } + [event("verify.intended"), event("verified", details)]
  }

  static let journals: [[(event: String, details: [String: JSONValue], after: Duration)]] = [
    [event("stage.intended")],
    [event("staged")],
    [begun, event("promoted")],
    [begun, event("begun")],
    [begun, event("stage.intended"), event("promote.intended")],
    [begun, event("stage.intended"), event("nonsense")],
    [begun, ("credential.policy", [:], .zero)],
    [begun, event("stage.intended", after: .seconds(1)), event("stage.lost", after: .zero)],
    [begun, event("stage.intended", ["grace_ends": .string(RotationMachineTests.start.description)])],
    verified([:]),
    verified(["grace_ends": .string("tomorrow")]),
    verified(["grace_ends": .integer(0)]),
  ]

  @Test("is refused before anything is asked, and the lease is given back", arguments: journals.indices)
  func refused(index: Int) async throws {
    let bench = try await Bench()
    try await bench.forge(Self.journals[index])
    for goal in [RotationRunner.Goal.rotate, .retire] {
      #expect(await bench.code(goal) == .corruptJournal, "journal \(index)")
      #expect(bench.provider.calls.isEmpty)
      #expect(try await bench.leaseHolder() == nil)
    }
  }

  @Test("is refused if its end was cut off")
  func cutOff() async throws {
    let bench = try await Bench()
    _ = try await bench.run()
    let calls = bench.provider.calls.count
    try await bench.store.write { transaction in
      let last = try transaction.lastRow(in: .journal)
      if let last { try transaction.remove(last.key, from: .journal) }
    }
    // The record says how many steps there are, so that the vault itself refuses it.
    await #expect(throws: VaultError(.corrupt, "")) { _ = try await bench.run() }
    #expect(bench.provider.calls.count == calls)
  }

  /// Otherwise a schedule would look at it too late, or never again.
  @Test("is refused if its record claims a later step")
  func overtaken() async throws {
    let (ends, other) = (RotationMachineTests.start + .seconds(60), RotationMachineTests.start + .seconds(61))
    let owed = Self.verified(["grace_ends": .string(ends.description)])
    for (events, hasEnded, graceEnds) in [
      ([Self.begun], true, nil), ([Self.begun], false, ends), (owed, true, nil), (owed, false, other),
    ] {
      let bench = try await Bench()
      try await bench.forge(events)
      #expect(try await bench.state() == (events.count == 1 ? .ready : .owed))
      _ = try await bench.vault.change(now: other) { change in
        var credential = try change.view.credential("crm")
        credential.noteRotation(hasEnded: hasEnded, graceEnds: graceEnds)
        return try change.save(credential, .credentialPolicy)
      }
      #expect(await bench.code(.retire) == .corruptJournal)
    }
  }

  @Test("is refused if the newest entry about its rotation is no step of it")
  func besideItsSteps() async throws {
    let bench = try await Bench()
    try await bench.forge([Self.begun, Self.event("stage.intended")])
    #expect(try await bench.state() == .staging)
    _ = try await bench.vault.change(now: RotationMachineTests.start) { change in
      try change.save(change.view.credential("crm"), EventName("rotation.stage.lost"))
    }
    #expect(await bench.code() == .corruptJournal)
    #expect(bench.provider.calls.isEmpty)
  }

  @Test("is not one that was written before the policy changed: that one is read")
  func accepted() async throws {
    let bench = try await Bench()
    _ = try await bench.run()
    _ = try await bench.vault.setPolicy(of: "crm", now: RotationMachineTests.start) { try $0.set("grace", to: "1h") }
    #expect(try await bench.state() == .owed)
  }
}
