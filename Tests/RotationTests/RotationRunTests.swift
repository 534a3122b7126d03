import Audit
import Rotation
import Storage
import Synchronization
import Testing
import Vault

@Suite("A run against a provider in memory")
struct RotationRunTests {
  @Test("does not delete the replaced pair while the active one is refused")
  func lastKeyIsKept() async throws {
    let bench = try await Bench()
    _ = try await bench.run()
    // The secret of the primary pair was changed at the provider, and its identifier kept.
    bench.provider.state.withLock { _ = $0.refused.insert("id-2") }
    for _ in 1...2 { #expect(await bench.code(.retire) == .provider(.refused)) }
    #expect(!bench.provider.calls.contains { $0.hasPrefix("delete") })
    #expect(try await bench.state() == .owed)
    #expect(try await bench.leaseHolder() == nil)
    bench.provider.state.withLock { _ = $0.refused.remove("id-2") }
    #expect(try await bench.run(.retire) == .settled(active: 2))
  }

  @Test("says that a pair was gone when it was to be promoted, and not that it was refused")
  func goneBeforePromotion() async throws {
    let bench = try await Bench()
    bench.provider.state.withLock { state in
      state.meanwhile = { [unowned bench] call in
        guard call == "promote" else { return }
        bench.provider.state.withLock { state in
          state.slot = nil
          state.refused.insert("id-2")
        }
      }
    }
    #expect(try await bench.run() == .rejected(active: 1, isGone: true))
    bench.provider.state.withLock { state in
      state.meanwhile = { _ in }
      state.refused.insert("id-3")
    }
    #expect(try await bench.run() == .rejected(active: 1))
  }

  @Test("tries the pair again just before promotion if looking took too long")
  func slowLook() async throws {
    let bench = try await Bench()
    bench.provider.state.withLock { state in
      state.trouble = { [unowned bench] call throws(ProviderError) in
        let calls = bench.provider.calls
        guard call == "observe", calls.count(where: { $0 == "observe" }) == 2 else { return }
        bench.now.withLock { $0 = $0 + .seconds(601) }
      }
    }
    guard case .promoted = try await bench.run() else {
      Issue.record("expected a promotion")
      return
    }
    let calls = bench.provider.calls
    let promoted = try #require(calls.firstIndex(of: "promote"))
    #expect(calls[..<promoted].count { $0 == "grant id-2" } == 2)
  }

  @Test("tries the replaced pair twice over a connection of its own each time, and the new one in between")
  func proof() async throws {
    let bench = try await Bench(policy: ["grace": "0s"])
    #expect(try await bench.run() == .settled(active: 2))
    #expect(bench.provider.calls.suffix(3) == ["grant id-1", "grant id-2", "grant id-1"])
    #expect(bench.provider.state.withLock { $0.triedAnew } == ["id-2", "id-1", "id-1"])
  }

  @Test("does not take a promoted pair for verified while another is primary, although it is granted a token")
  func anotherIsPrimary() async throws {
    let bench = try await Bench()
    bench.provider.state.withLock { state in
      state.trouble = { [unowned bench] call throws(ProviderError) in
        guard call == "grant id-2", bench.provider.calls.contains("promote") else { return }
        throw ProviderError(.notPermitted, "not now")
      }
    }
    #expect(await bench.code() == .outstanding)
    #expect(try await bench.state() == .promoted)
    bench.provider.state.withLock { state in
      state.trouble = { _ throws(ProviderError) in }
      state.primary = "id-9"
    }
    #expect(await bench.code(.resume) == .outstanding)
    #expect(try await bench.state() == .promoted)
    bench.provider.state.withLock { $0.primary = "id-2" }
    guard case .promoted(active: 2, _, _) = try await bench.run(.resume) else {
      Issue.record("expected the rotation to go on")
      return
    }
  }

  @Test("deletes neither a replaced nor a given-up pair while another than the active one is primary")
  func nothingDeletedBesideAnother() async throws {
    let bench = try await Bench()
    _ = try await bench.run()
    bench.provider.state.withLock { $0.primary = "id-9" }
    // The active pair is granted a token nonetheless.
    #expect(await bench.code(.retire) == .foreignPrimary)
    bench.provider.state.withLock { $0.primary = "id-2" }
    #expect(try await bench.run(.retire) == .settled(active: 2))
    bench.provider.state.withLock { state in
      state.calls = []
      state.trouble = { call throws(ProviderError) in
        if call == "grant id-3" { throw ProviderError(.notPermitted, "not now") }
      }
    }
    #expect(await bench.code() == .provider(.notPermitted))
    bench.provider.state.withLock { $0.primary = "id-9" }
    #expect(await bench.code(.abort) == .foreignPrimary)
    #expect(!bench.provider.calls.contains { $0.hasPrefix("delete") })
  }

  /// A bench whose run was cut off when it asked for `call`: what came of that, nobody knows.
  private func cutOff(at call: String) async throws -> Bench {
    let bench = try await Bench()
    let isAsked = Mutex(false)
    bench.provider.state.withLock { state in
      state.trouble = { asked throws(ProviderError) in
        if asked.hasPrefix(call) { isAsked.withLock { $0 = true } }
        if isAsked.withLock({ $0 }) { throw ProviderError(.unreachable, "lost", mayHaveActed: true) }
        if call == "delete", asked == "grant id-2" { throw ProviderError(.notPermitted, "not now") }
      }
    }
    #expect(await bench.code() != nil)
    if call == "delete" { #expect(await bench.code(.abort) != nil) }
    bench.provider.state.withLock { state in
      state.trouble = { _ throws(ProviderError) in }
      state.calls = []
    }
    return bench
  }

  @Test("leaves a staged pair alone that may not be what an earlier run asked for, and whose secret is not shown")
  func strangerInSlot() async throws {
    let bench = try await cutOff(at: "stage")
    bench.provider.state.withLock { state in
      state.slot = ("id-9", .staged)
      state.nextSecret = { _ in nil }
    }
    #expect(await bench.code(.resume) == .provider(.configuration))
    #expect(bench.provider.calls == ["observe"])
    #expect(try await bench.state() == .staging)
  }

  @Test(
    "concludes nothing about a request whose answer was lost while another pair is primary",
    arguments: [("stage", RotationState.staging), ("promote", .promoting), ("delete", .discarding)])
  func lostBesideAnother(call: String, state: RotationState) async throws {
    let bench = try await cutOff(at: call)
    #expect(try await bench.state() == state)
    bench.provider.state.withLock { state in
      state.primary = "id-9"
      state.slot = call == "stage" ? ("id-2", .staged) : nil
    }
    #expect(await bench.code(.resume) == .foreignPrimary)
    #expect(try await bench.state() == state)
    #expect(bench.provider.calls == ["observe"])
  }

  @Test("gives up a pair that is refused longer after it was staged than a new pair may take, however rarely it runs")
  func windowSinceStaging() async throws {
    let bench = try await Bench(policy: ["propagation": "10m"])
    bench.provider.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if call == "grant id-2" { throw ProviderError(.notPermitted, "not now") }
      }
    }
    #expect(await bench.code() == .provider(.notPermitted))
    bench.provider.state.withLock { state in
      state.trouble = { _ throws(ProviderError) in }
      state.refused = ["id-2"]
    }
    bench.now.withLock { $0 = $0 + .seconds(601) }
    #expect(try await bench.run(.resume) == .rejected(active: 1))
    #expect(bench.slept.withLock { $0.isEmpty })
  }

  @Test("keeps a pair that is refused until its time is over, although one run cannot try it that often")
  func windowBeyondOneRun() async throws {
    let bench = try await Bench(policy: ["propagation": "6h"])
    bench.provider.state.withLock { $0.refused = ["id-2"] }
    #expect(await bench.code() == .provider(.refused))
    #expect(try await bench.state() == .staged)
    bench.provider.state.withLock { $0.refused = [] }
    guard case .promoted(active: 2, _, _) = try await bench.run() else {
      Issue.record("expected version 2 to be promoted")
      return
    }
  }

  @Test("gives up a refused pair after a day, even if an older record says more")
  func olderPropagation() async throws {
    let bench = try await Bench()
    _ = try await bench.vault.change(now: RotationMachineTests.start) { change in
      var credential = try change.view.credential("crm")
      credential.policy.propagation = .seconds(3650 * 86_400)
      _ = try change.save(credential, .credentialPolicy, ["policy": credential.policy.json])
    }
    bench.provider.state.withLock { $0.refused = ["id-2"] }
    let began = bench.now.withLock { $0 }
    #expect(await bench.code() == .provider(.refused))
    bench.now.withLock { $0 = began + .seconds(86_400) }
    #expect(try await bench.run() == .rejected(active: 1))
  }

  @Test("waits three times for trouble that may pass, however long a new pair may be refused, and gives nothing up")
  func transient() async throws {
    for (grants, code) in [(0..., RotationError.Code.provider(.unreachable)), (1..., .outstanding)] {
      let bench = try await Bench(policy: ["propagation": "6h"])
      let asked = Counter()
      bench.provider.state.withLock { state in
        state.trouble = { call throws(ProviderError) in
          guard call == "grant id-2", grants.contains(asked.next() - 1) else { return }
          throw ProviderError(.unreachable, "nobody answers")
        }
      }
      #expect(await bench.code() == code)
      #expect(bench.slept.withLock { $0.count } == 3)
      let state = try await bench.state()
      #expect(state == (grants.lowerBound == 0 ? .staged : .promoted))
      // Refused is something else: that is waited for.
      bench.provider.state.withLock { state in
        state.trouble = { [unowned bench] call throws(ProviderError) in
          let hasWaited = bench.slept.withLock { $0.count } > 10
          if call == "grant id-2", !hasWaited { throw ProviderError(.refused, "not known yet") }
        }
      }
      guard case .promoted(active: 2, _, _) = try await bench.run() else {
        Issue.record("expected version 2 to be promoted")
        return
      }
    }
  }

  @Test("stages nothing if it has lost its lease while it cleared the slot")
  func overtakenWhileClearing() async throws {
    let bench = try await Bench()
    let lease = "rotation/\(try await bench.credential().id)"
    bench.provider.state.withLock { state in
      state.slot = ("id-9", .expired)
      state.meanwhile = { [unowned bench] call in
        guard call == "delete handle-id-9" else { return }
        let now = bench.now.withLock { $0 }
        await #expect(throws: Never.self) {
          try await bench.store.write {
            _ = try $0.acquireLease(lease, holder: "other", now: now.milliseconds, milliseconds: 300_000) { _ in true }
          }
        }
      }
    }
    await #expect(throws: StorageError.self) { _ = try await bench.run() }
    #expect(bench.provider.calls.last == "delete handle-id-9")
  }

  @Test("finishes even if its clock is set back by a day")
  func clockSetBack() async throws {
    let bench = try await Bench(policy: ["propagation": "10m"])
    bench.provider.state.withLock { state in
      state.trouble = { [unowned bench] call throws(ProviderError) in
        let calls = bench.provider.calls
        if calls.count == 3 { bench.now.withLock { $0 = $0 + .seconds(-86_400) } }
        if call == "grant id-2", calls.count < 8 { throw ProviderError(.refused, "not yet") }
      }
    }
    guard case .promoted = try await bench.run() else {
      Issue.record("expected a promotion")
      return
    }
    #expect(try await bench.state() == .owed)
  }

  @Test(
    "removes a staged pair that cannot be saved, and stages another",
    arguments: [nil, "", "a\u{7}b", String(repeating: "x", count: 5000)])
  func unfit(secret: String?) async throws {
    let bench = try await Bench()
    bench.provider.state.withLock { state in
      state.nextSecret = { number in number == 2 ? secret : "secret-\(number)" }
    }
    guard case .promoted(active: 2, previous: [1], graceEnds: _) = try await bench.run() else {
      Issue.record("expected a promotion")
      return
    }
    #expect(bench.provider.calls.count { $0 == "stage" } == 2)
    #expect(bench.provider.calls.contains("delete handle-id-2"))
  }

  @Test("never asks more than its budget, and pauses between failed attempts", arguments: RotationStep.allCases)
  func budget(step: RotationStep) async throws {
    let bench = try await Bench(policy: ["propagation": "30m"])
    if step == .retire || step == .prove { _ = try await bench.run() }
    let before = bench.provider.calls.count
    let word = ["validate": "grant", "verify": "grant", "prove": "grant", "retire": "delete", "discard": "delete"]
    let call = word[step.rawValue] ?? step.rawValue
    bench.provider.state.withLock { state in
      if step == .discard { state.refused.insert("id-2") }
      state.trouble = { asked throws(ProviderError) in
        if asked.hasPrefix(call) { throw ProviderError(.unreachable, "gone", mayHaveActed: call != "grant") }
      }
    }
    for run in 1...3 {
      do {
        _ = try await bench.run(step == .retire || step == .prove ? .retire : .rotate)
        Issue.record("\(step): expected the run to fail")
      } catch let error as RotationError {
        // A pair that was given up and may still be accepted must be reported.
        #expect(
          error.code == (step == .discard ? .outstanding : .provider(.unreachable)) || error.code == .unresolved,
          "\(step): \(error)")
      }
      #expect(bench.provider.calls.count - before <= run * 122)
      #expect(try await bench.leaseHolder() == nil)
    }
    let asked = bench.provider.calls.dropFirst(before).count { $0.hasPrefix(call) }
    let pauses = bench.slept.withLock { $0.count }
    #expect(pauses >= asked - 4, "\(step): \(asked) asked, \(pauses) pauses")
    bench.provider.state.withLock { $0.trouble = { _ throws(ProviderError) in } }
    _ = try await bench.run(step == .retire || step == .prove ? .retire : .rotate)
    #expect(try await bench.credential().version(in: .active) != nil)
    let last = try await bench.state()
    #expect(last == .owed || last == .settled || last == .failed, "\(step): \(String(describing: last))")
  }

  @Test("notices in the proof of refusal that a deletion did not happen, and deletes again")
  func deletedNotReally() async throws {
    let bench = try await Bench()
    _ = try await bench.run()
    bench.provider.state.withLock { state in
      state.trouble = { [unowned bench] call throws(ProviderError) in
        // The first deletion only claims to have happened.
        let deletions = bench.provider.calls.count { $0.hasPrefix("delete") }
        bench.provider.state.withLock { $0.lies = deletions <= 1 }
      }
    }
    #expect(try await bench.run(.retire) == .settled(active: 2))
    #expect(bench.provider.calls.count { $0.hasPrefix("delete") } == 2)
  }

  @Test("does not show a promotion whose answer was lost as an obstacle, in a plan or a checklist: it is the run's own")
  func planAfterLostPromotion() async throws {
    let bench = try await Bench()
    bench.provider.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if call == "promote" || call == "observe" && bench.provider.calls.contains("promote") {
          throw ProviderError(.unreachable, "lost", mayHaveActed: true)
        }
      }
    }
    #expect(await bench.code() == .outstanding)
    #expect(try await bench.state() == .promoting)
    bench.provider.state.withLock { state in
      state.trouble = { _ throws(ProviderError) in }
      state.primary = "id-2"
      state.slot = ("id-1", .replaced)
    }
    let (credential, journal) = try await bench.vault.read { view in
      let credential = try view.credential("crm")
      return (credential, try RotationJournal(view, of: credential))
    }
    let preflight = RotationPreflight(
      credential: credential, journal: journal,
      pairs: [1: try FakeProvider.pair("id-1"), 2: try FakeProvider.pair("id-2")])
    let findings = await preflight.findings(asking: bench.provider, clock: { RotationMachineTests.start })
    #expect(!findings.contains { $0.level == .obstacle }, "\(findings)")
    #expect(findings.contains { $0.check == .primary && $0.text.hasPrefix("version 2 was promoted") })
    let seen = try await bench.provider.observe(known: preflight.known)
    let lines = preflight.lines(in: seen, now: RotationMachineTests.start)
    #expect(lines.map(\.step) == [.primary, .slot] && lines.allSatisfy { $0.verdict == .ok }, "\(lines)")
    guard case .promoted = try await bench.run(.resume) else {
      Issue.record("expected the rotation to go on")
      return
    }
  }
}
