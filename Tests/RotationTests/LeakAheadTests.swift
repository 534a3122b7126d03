import Audit
import JSON
import Rotation
import Storage
import Synchronization
import Testing
import Vault

@Suite("A run for a leak, ahead of other runs")
struct LeakAheadTests {
  private static func leak(containing: Bool = false) -> RotationRunner.Goal {
    .revoke(Revocation(incident: "2026-01-01-0f0f0f", reason: "a test", isContainment: containing))
  }

  @Test(
    "overtakes every run but another containment if it contains, and otherwise only runs that are not for a leak",
    arguments: [("", true, true), (" revoking", false, true), (" containing", false, false)])
  func overtaking(mark: String, byPlain: Bool, byContainment: Bool) async throws {
    for (isContaining, overtakes) in [(false, byPlain), (true, byContainment)] {
      let bench = try await Bench()
      let name = "rotation/\(try await bench.credential().id)"
      let now = bench.now.withLock { $0 }
      _ = try await bench.store.write {
        try $0.acquireLease(name, holder: "pid 1\(mark)", now: now.milliseconds, milliseconds: 300_000) { _ in false }
      }
      let code = await bench.code(Self.leak(containing: isContaining))
      #expect(code == (overtakes ? nil : .held), "\(mark) by containment: \(isContaining)")
      let notes = try await bench.events().filter { $0.event == "credential.leaked" }
      #expect(notes.map { $0.details["overtook"] } == (overtakes ? ["pid 1"] : []))
    }
  }

  @Test("replaces a leaked pair that was being verified, although a sink takes neither it nor its replacement")
  func leakedBeforeVerified() async throws {
    let delivery = FakeDelivery()
    let bench = try await Bench(policy: ["grace": "30d"], delivery: delivery)
    _ = try await bench.vault.addDelivery(
      DeliverySettings(name: "file", kind: .file(FileSettings(path: "/file", format: .json))), to: "crm",
      now: RotationMachineTests.start)
    let isPromoted = Mutex(false)
    bench.provider.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if call == "promote" { isPromoted.withLock { $0 = true } }
        if call == "grant id-2", isPromoted.withLock({ $0 }) { throw ProviderError(.unreachable, "nobody answers") }
      }
    }
    #expect(await bench.code() == .outstanding)
    #expect(try await [.promoted, .verifying].contains(bench.state()))
    bench.provider.state.withLock { $0.trouble = { _ throws(ProviderError) in } }
    delivery.state.withLock { $0.failing = ["file"] }
    let outcome = try await bench.run(Self.leak())
    guard case .undelivered(let active, let previous, _) = outcome else {
      Issue.record("\(outcome)")
      return
    }
    #expect(active == 3 && previous.contains(2))
    delivery.state.withLock { $0.failing = [] }
    #expect(try await bench.run(.resume) == .settled(active: 3))
    #expect(bench.provider.state.withLock { $0.refused } == ["id-1", "id-2"])
  }

  @Test("leaves the log and the record in disagreement if a member forges either, and the disagreement is found")
  func disagreement() async throws {
    let bench = try await Bench()
    bench.provider.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if call.hasPrefix("delete") { throw ProviderError(.unreachable, "nobody answers") }
      }
    }
    #expect(await bench.code(Self.leak()) != nil)
    func disagreements() async throws -> [String] {
      try await bench.vault.read { try $0.disagreements(with: IncidentHistory($0).parts) }
    }
    #expect(try await disagreements() == [])
    // A member with a program of their own: the entry and the record vouch for each other, and the record keeps the
    // debt.
    let now = bench.now.withLock { $0 }
    _ = try await bench.vault.change(now: now) { change in
      let credential = try change.view.credential("crm")
      return try change.saveStep(
        credential, step: credential.steps, EventName("rotation.refused"),
        ["refused": .array([.object(["version": 1])])])
    }
    #expect(try await bench.vault.read { try IncidentHistory($0).parts.first?.owed } == [])
    #expect(try await disagreements() == ["crm"])
    // And the reverse: a record without the leak, beside an entry that does not mention it.
    let other = try await Bench()
    other.provider.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if call.hasPrefix("delete") { throw ProviderError(.unreachable, "nobody answers") }
      }
    }
    #expect(await other.code(Self.leak()) != nil)
    _ = try await other.vault.change(now: now) { change in
      var credential = try change.view.credential("crm")
      for debt in credential.debts { try credential.retire(debt.number, now: now) }
      return try change.save(credential, .credentialPolicy, ["policy": credential.policy.json])
    }
    #expect(try await other.credential().leak == nil)
    #expect(
      try await other.vault.read { try $0.disagreements(with: IncidentHistory($0).parts) } == ["crm"])
  }
}
