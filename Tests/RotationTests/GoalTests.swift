import Audit
import JSON
import Rotation
import Synchronization
import Testing
import Vault

@Suite("The goal of a run")
struct GoalTests {
  private static let unreachable = ProviderError(.unreachable, "no answer")

  /// A bench whose rotation stopped at `call`; with `acts`, the provider has acted nevertheless.
  private func stopped(at call: String, acts: Bool = false) async throws -> Bench {
    let bench = try await Bench()
    bench.provider.state.withLock { state in
      state.trouble = { [unowned bench] asked throws(ProviderError) in
        guard asked == call else { return }
        if acts {
          bench.provider.state.withLock { state in
            guard let slot = state.slot else { return }
            state.slot = (state.primary, .replaced)
            state.primary = slot.id
          }
        }
        throw ProviderError(.malformed, "an answer that is none", mayHaveActed: acts)
      }
    }
    if acts {
      // Observing fails too, so the run ends with the outcome unknown.
      bench.provider.state.withLock { state in
        let trouble = state.trouble
        state.trouble = { [unowned bench] asked throws(ProviderError) in
          if asked == "observe", bench.provider.calls.contains(call) { throw ProviderError(.malformed, "nonsense") }
          try trouble(asked)
        }
      }
    }
    _ = await bench.code()
    bench.provider.state.withLock { $0.trouble = { _ throws(ProviderError) in } }
    return bench
  }

  @Test("a promoted pair is not given up while the old one is shown both as primary and as replaced")
  func lateToShow() async throws {
    let bench = try await Bench(policy: ["propagation": "5m"])
    bench.provider.state.withLock { $0.lateLooks = 5 }
    guard case .promoted(active: 2, previous: [1], _) = try await bench.run() else {
      Issue.record("expected version 2 to be promoted")
      return
    }
    #expect(try await bench.credential().versions.map(\.stage) == [.previous, .active])
  }

  @Test("resuming finishes what was begun, and begins nothing new")
  func resume() async throws {
    let bench = try await stopped(at: "grant id-2")
    #expect(try await bench.state() == .staged)
    guard case .promoted(active: 2, previous: [1], _) = try await bench.run(.resume) else {
      Issue.record("expected version 2 to be promoted")
      return
    }
    let calls = bench.provider.calls.count
    guard case .inGrace = await bench.code(.resume) else {
      Issue.record("expected the grace to go on")
      return
    }
    #expect(bench.provider.calls.count == calls, "in its grace nothing is asked")
    bench.now.withLock { $0 = $0 + .seconds(86_400) }
    #expect(try await bench.run(.resume) == .settled(active: 2))
    #expect(await bench.code(.resume) == .nothingUnfinished)
    #expect(try await bench.credential().rotation == 1)
  }

  @Test(
    "giving up before the promotion removes the staged pair and keeps the active one",
    arguments: ["grant id-2", "promote"])
  func abort(call: String) async throws {
    let bench = try await stopped(at: call)
    #expect(try await bench.run(.abort) == .abandoned(active: 1))
    #expect(bench.provider.state.withLock { $0.primary == "id-1" && $0.slot == nil })
    #expect(try await bench.state() == .failed)
    #expect(await bench.code(.abort) == .nothingUnfinished)
    guard case .promoted(active: 3, _, _) = try await bench.run() else {
      Issue.record("expected another rotation")
      return
    }
  }

  @Test("giving up a rotation that has asked for nothing ends it")
  func abortEarly() async throws {
    let bench = try await stopped(at: "observe")
    #expect(try await bench.state() == .ready)
    #expect(try await bench.run(.abort) == .abandoned(active: 1))
    #expect(!bench.provider.calls.contains("stage"))
  }

  @Test("a promotion that happened although its answer was lost cannot be given up")
  func abortTooLate() async throws {
    let bench = try await stopped(at: "promote", acts: true)
    #expect(try await bench.state() == .promoting)
    #expect(await bench.code(.abort) == .promotedAlready)
    #expect(try await bench.state() == .promoted)
    #expect(await bench.code(.abort) == .promotedAlready)
    guard case .promoted(active: 2, _, _) = try await bench.run(.resume) else {
      Issue.record("expected the rotation to be finished")
      return
    }
  }

  @Test("a pair that somebody else has promoted cannot be given up", arguments: ["grant id-2", "promote"])
  func abortPromotedElsewhere(call: String) async throws {
    let bench = try await stopped(at: call)
    bench.provider.state.withLock { state in
      state.primary = "id-2"
      state.slot = ("id-1", .replaced)
    }
    #expect(await bench.code(.abort) == .promotedAlready)
    #expect(try await bench.journal(1).allSatisfy { $0.event != "rotation.abandoned" })
    guard case .promoted(active: 2, previous: [1], _) = try await bench.run(.resume) else {
      Issue.record("expected version 2 to be promoted")
      return
    }
  }

  @Test("a pair that was given up but is primary after all is adopted and not deleted", arguments: [true, false])
  func adoptGivenUp(isLost: Bool) async throws {
    let bench = try await stopped(at: "grant id-2")
    bench.provider.state.withLock { state in
      state.trouble = { [unowned bench] asked throws(ProviderError) in
        guard asked.hasPrefix("delete") || isLost && bench.provider.calls.contains(where: { $0.hasPrefix("delete") })
        else { return }
        throw ProviderError(.notPermitted, "not now", mayHaveActed: isLost)
      }
    }
    #expect(await bench.code(.abort) != nil)
    #expect(try await bench.state() == (isLost ? .discarding : .rejected))
    bench.provider.state.withLock { state in
      state.trouble = { _ throws(ProviderError) in }
      state.primary = "id-2"
      state.slot = ("id-1", .replaced)
    }
    for goal in [RotationRunner.Goal.resume, .rotate, .abort] { #expect(await bench.code(goal) == .foreignPrimary) }
    let goal = RotationRunner.Goal.adopt(OfferedPair(try FakeProvider.pair("id-2")))
    guard case .promoted(active: 3, previous: [1], _) = try await bench.run(goal) else {
      Issue.record("expected it to be adopted")
      return
    }
    #expect(bench.provider.calls.count { $0.hasPrefix("delete") } == 1)
    #expect(try await bench.credential().version(2)?.stage == .retired)
    #expect(try await bench.journal(1).last?.details["reason"] == "adopted")
    #expect(try await bench.run(.retire) == .settled(active: 3))
  }

  @Test("replacing the previous pair ends its grace and sees it refused before the new rotation begins")
  func replacePrevious() async throws {
    let bench = try await Bench()
    _ = try await bench.run()
    #expect(await bench.code() != nil, "the grace holds the slot")
    guard case .promoted(active: 3, previous: [2], _) = try await bench.run(.rotateReplacingPrevious) else {
      Issue.record("expected version 3 to be promoted")
      return
    }
    let calls = bench.provider.calls
    let deleted = try #require(calls.firstIndex(of: "delete handle-id-1"))
    #expect(try #require(calls.lastIndex(of: "stage")) > deleted)
    #expect(try await bench.credential().debts.map(\.number) == [2])
  }

  @Test("a replaced pair that the vault does not know is cut off only when a person says so")
  func foreignReplaced() async throws {
    let bench = try await Bench()
    bench.provider.state.withLock { $0.slot = ("id-9", .replaced) }
    #expect(await bench.code() == .provider(.occupied))
    #expect(!bench.provider.calls.contains { $0.hasPrefix("delete") })
    guard case .promoted(active: 2, _, _) = try await bench.run(.rotateReplacingPrevious) else {
      Issue.record("expected version 2 to be promoted")
      return
    }
    #expect(bench.provider.calls.contains("delete handle-id-9"))
  }

  @Test("a credential that administers itself continues with the new pair before that is promoted")
  func administrator() async throws {
    let bench = try await Bench()
    bench.provider.state.withLock { state in
      state.trouble = { [unowned bench] call throws(ProviderError) in
        guard call == "promote" else { return }
        guard bench.provider.state.withLock({ $0.administrator }) == "id-2" else {
          throw ProviderError(.notPermitted, "promoted with the session of the old pair")
        }
      }
    }
    #expect(await bench.code() == nil)
  }
}
