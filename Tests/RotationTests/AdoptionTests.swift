import Audit
import Rotation
import Storage
import Synchronization
import Testing
import Vault

@Suite("Adopting the provider's primary pair")
struct AdoptionTests {
  private func offer(_ id: String) throws -> RotationRunner.Goal { .adopt(OfferedPair(try FakeProvider.pair(id))) }

  @Test("saves and proves the pair before it becomes active, and leaves the replaced pair owed")
  func adopts() async throws {
    let bench = try await Bench()
    bench.provider.state.withLock { state in
      state.primary = "id-9"
      state.slot = ("id-1", .replaced)
    }
    #expect(await bench.code(.rotate) == .foreignPrimary)
    guard case .promoted(active: 2, previous: [1], _) = try await bench.run(offer("id-9")) else {
      Issue.record("not promoted")
      return
    }
    let calls = bench.provider.calls
    #expect(!calls.contains { ["stage", "promote", "delete"].contains($0) }, "\(calls)")
    let journal = try await bench.store.read { transaction in
      let view = try VaultView(transaction)
      return try view.journal(of: view.credential("crm"), rotation: 2).map(\.event)
    }
    #expect(
      journal
        == [
          "begun", "stage.intended", "staged", "validate.intended", "validated", "promote.intended", "promoted",
          "verify.intended", "verified",
        ].map { "rotation." + $0 })
    #expect(try await bench.run(.retire) == .settled(active: 2))
  }

  @Test("does not delete a pair that was given up because for a moment it was not shown: it is in use")
  func notShown() async throws {
    let (bench, system) = (try await Bench(), FakeSystem(.overlap, accepting: ["id-1", "id-9"]))
    let grants = Counter()
    system.state.withLock { state in
      state.trouble = { [unowned system] call throws(ProviderError) in
        guard call == "grant id-9", grants.next() == 2 else { return }
        // The looks before and after promotion.
        system.state.withLock { $0.past = (["id-1"], 2) }
      }
    }
    #expect(await bench.code(try offer("id-9"), at: system) == .outstanding)
    #expect(try await bench.state() == .rejected)
    #expect(await bench.code(.resume, at: system) == .outstanding)
    #expect(!system.calls.contains { $0.hasPrefix("delete") })
    guard case .promoted(active: 3, previous: [1], _) = try await bench.run(offer("id-9"), at: system) else {
      Issue.record("not adopted")
      return
    }
  }

  @Test("changes nothing if the pair is refused, is already known or is not the primary pair")
  func refusals() async throws {
    let bench = try await Bench()
    #expect(await bench.code(try offer("id-1")) == .nothingUnfinished)
    #expect(await bench.code(try offer("id-8")) == .foreignPrimary)
    bench.provider.state.withLock { state in
      state.primary = "id-9"
      state.refused = ["id-9"]
    }
    #expect(await bench.code(try offer("id-8")) == .foreignPrimary)
    #expect(await bench.code(.adopt(nil)) == .provider(.configuration))
    #expect(await bench.code(try offer("id-9")) == .provider(.refused))
    let credential = try await bench.credential()
    #expect(credential.rotation == 0 && credential.versions.count == 1)
  }

  @Test("waits for a rotation whose pair is staged")
  func underWay() async throws {
    let bench = try await Bench()
    bench.provider.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if call == "promote" { throw ProviderError(.notPermitted, "not now") }
      }
    }
    _ = await bench.code()
    #expect(try await bench.credential().version(in: .staged) != nil)
    bench.provider.state.withLock { state in
      state.trouble = { _ throws(ProviderError) in }
      state.primary = "id-9"
    }
    #expect(await bench.code(try offer("id-9")) == .held)
  }
}
