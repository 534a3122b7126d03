import Age
import Audit
import JSON
import Rotation
import Sodium
import Storage
import Synchronization
import Testing
import Vault

@Suite("A run for a leak")
struct LeakRunTests {
  private static func leak(upTo version: UInt64? = nil, containing: Bool = false) -> RotationRunner.Goal {
    .revoke(
      Revocation(incident: "2026-01-01-0f0f0f", reason: "a test", version: version, isContainment: containing))
  }

  private func bench(_ policy: [String: String] = [:]) async throws -> (Bench, FakeDelivery) {
    let delivery = FakeDelivery()
    let bench = try await Bench(policy: policy, delivery: delivery)
    _ = try await bench.vault.addDelivery(
      DeliverySettings(name: "file", kind: .file(FileSettings(path: "/file", format: .json))), to: "crm",
      now: RotationMachineTests.start)
    return (bench, delivery)
  }

  private func fail(_ calls: String..., in bench: Bench) {
    bench.provider.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if calls.contains(where: { call.hasPrefix($0) }) { throw ProviderError(.unreachable, "nobody answers") }
      }
    }
  }

  @Test("that contains the leak delivers nothing unproved, and neither does any later run")
  func unprovedGoesNowhere() async throws {
    let (bench, delivery) = try await bench()
    fail("delete", in: bench)
    #expect(await bench.code(Self.leak(containing: true)) != nil)
    #expect(try await bench.state() == .owed)
    #expect(try await bench.credential().version(in: .active)?.number == 2)
    // Nothing has ever been granted to the new pair, and now nothing is.
    fail("delete", "grant id-2", in: bench)
    for goal in [RotationRunner.Goal.deliver(again: false), .deliver(again: true), .resume, .rotate, .scheduled] {
      bench.now.withLock { $0 = $0 + .seconds(7 * 3600) }
      #expect(await bench.code(goal) != nil, "\(goal)")
      #expect(delivery.calls.isEmpty, "\(goal)")
    }
    fail(in: bench)
    #expect(try await bench.run(.resume) == .settled(active: 2))
    #expect(delivery.calls == ["file id-2 2 0"])
    let names = try await bench.events().map(\.event)
    #expect(
      try #require(names.firstIndex(of: "rotation.refused")) < #require(names.firstIndex(of: "delivery.intended")))
  }

  @Test("looks again before it deletes the leaked pair if a delivery has taken a while since the last look")
  func looksAgain() async throws {
    let (bench, delivery) = try await bench()
    let provider = bench.provider
    delivery.state.withLock { state in
      state.within = { [unowned bench] _ in
        bench.now.withLock { $0 = $0 + .seconds(6) }
        provider.state.withLock { $0.primary = "id-9" }
      }
    }
    #expect(await bench.code(Self.leak()) == .foreignPrimary)
    #expect(!provider.calls.contains { $0.hasPrefix("delete") })
    provider.state.withLock { $0.primary = "id-2" }
    #expect(try await bench.run(.resume) == .settled(active: 2))
  }

  @Test("keeps its lease however long each request takes, and however many requests separate two steps")
  func longRequests() async throws {
    let (bench, _) = try await bench(["grace": "1h"])
    _ = try await bench.run()
    // The replaced pair is deleted but not tried before the next rotation has ended: two debts are proved at once.
    bench.provider.state.withLock { state in
      state.meanwhile = { [unowned bench] _ in
        bench.now.withLock { $0 = $0 + .seconds(95) }
        let holder = try? await bench.leaseHolder()
        #expect(holder.map { $0.expires > bench.now.withLock { $0 }.milliseconds } == true)
      }
    }
    #expect(try await bench.run(Self.leak()) == .settled(active: 3))
    #expect(try await bench.credential().debts.isEmpty)
    let proofs = bench.provider.calls.suffix(6)
    #expect(proofs.filter { $0 == "grant id-3" }.count == 2, "\(proofs)")
  }

  @Test("never counts a version that does not exist yet as leaked, whatever number it is given")
  func beyond() async throws {
    let (bench, _) = try await bench(["grace": "0s"])
    #expect(try await bench.run(Self.leak(upTo: 1 << 40)) == .settled(active: 2))
    let credential = try await bench.credential()
    #expect(credential.leak == nil && credential.versions.map(\.stage) == [.retired, .active])
    #expect(try await bench.events().first { $0.event == "credential.leaked" }?.version == 1)
  }

  @Test("in a restored vault is noted before the comparison, and ends if the backup's rotation had gone on")
  func restored() async throws {
    let (bench, _) = try await bench(["grace": "30d"])
    fail("promote", in: bench)
    #expect(await bench.code() == .provider(.unreachable))
    bench.provider.state.withLock { state in
      state.primary = "id-2"
      state.slot = ("id-1", .replaced)
    }
    let end = try await bench.store.read { try VaultView($0).endpoint }
    try await bench.vault.logRestore(end, behind: nil, now: bench.now.withLock { $0 })
    fail("observe", in: bench)
    #expect(await bench.code(Self.leak()) == .provider(.unreachable))
    #expect(try await bench.credential().leak?.version == 1, "noted, whatever can be done about it")
    fail(in: bench)
    #expect(try await bench.run(Self.leak()) == .settled(active: 2))
    let credential = try await bench.credential()
    #expect(credential.leak == nil && credential.version(1)?.stage == .retired)
    #expect(bench.provider.state.withLock { $0.refused } == ["id-1"])
  }

  @Test("in a restored vault replaces a leaked staged pair that was promoted after the backup")
  func restoredStagedLeaked() async throws {
    let (bench, _) = try await bench()
    fail("promote", in: bench)
    #expect(await bench.code() == .provider(.unreachable))
    bench.provider.state.withLock { state in
      state.primary = "id-2"
      state.slot = ("id-1", .replaced)
    }
    let end = try await bench.store.read { try VaultView($0).endpoint }
    try await bench.vault.logRestore(end, behind: nil, now: bench.now.withLock { $0 })
    fail(in: bench)
    #expect(try await bench.run(Self.leak(upTo: 2)) == .settled(active: 3))
    #expect(bench.provider.state.withLock { $0.refused } == ["id-1", "id-2"])
  }

  @Test("is not held up by a replaced pair whose deletion did not happen")
  func deletedAgain() async throws {
    let (bench, _) = try await bench(["grace": "1h"])
    _ = try await bench.run()
    let asked = Counter()
    bench.provider.state.withLock { state in
      state.trouble = { [unowned bench] call throws(ProviderError) in
        let lies = call.hasPrefix("delete") && asked.next() == 1
        bench.provider.state.withLock { $0.lies = lies }
      }
    }
    #expect(try await bench.run(Self.leak()) == .settled(active: 3))
    #expect(bench.provider.state.withLock { $0.refused } == ["id-1", "id-2"])
    let intended = try await bench.events().last { $0.event == "rotation.stage.intended" }
    #expect(intended?.details["cut_off"] == "replaced" && intended?.details["accepted"] == 2)
    #expect(try await bench.credential().leak == nil)
  }

  @Test("does not cut off a replaced pair while the active one is refused, unless the run is a containment")
  func onlyOneThatWorks() async throws {
    let (bench, _) = try await bench(["grace": "1h"])
    _ = try await bench.run()
    let asked = Counter()
    bench.provider.state.withLock { state in
      state.trouble = { [unowned bench] call throws(ProviderError) in
        let lies = call.hasPrefix("delete") && asked.next() == 1
        bench.provider.state.withLock { state in
          state.lies = lies
          // From now on.
          if lies { state.refused.insert("id-2") }
        }
      }
    }
    #expect(await bench.code(Self.leak()) == .provider(.refused))
    #expect(bench.provider.calls.count { $0.hasPrefix("delete") } == 1)
    #expect(try await bench.run(Self.leak(containing: true)) == .settled(active: 3))
  }

  @Test("counts a pair that was given up and then adopted as refused only once its new version is refused")
  func adoptedAgain() async throws {
    let (bench, _) = try await bench(["grace": "1h"])
    fail("promote", in: bench)
    #expect(await bench.code() == .provider(.unreachable))
    fail("delete", in: bench)
    #expect(await bench.code(Self.leak(upTo: 2)) != nil)
    bench.provider.state.withLock { state in
      state.primary = "id-2"
      state.slot = ("id-1", .replaced)
    }
    fail("grant id-3", "stage", "delete", in: bench)
    let adopted = await bench.code(.adopt(OfferedPair(try FakeProvider.pair("id-2"))))
    let events = try await bench.events()
    #expect(
      events.contains { $0.event == "rotation.discarded" && $0.details["reason"] == "adopted" }, "\(adopted as Any)")
    #expect(try await bench.vault.read { try IncidentHistory($0).parts }.first?.owed.contains(2) == true)
    fail(in: bench)
    for _ in 1...3 where try await bench.credential().leak != nil {
      bench.now.withLock { $0 = $0 + .seconds(7200) }
      _ = await bench.code(.scheduled)
    }
    #expect(try await bench.credential().leak == nil)
    let end = try await bench.vault.read { view in
      let parts = try IncidentHistory(view).parts
      return (parts.first?.owed, try view.disagreements(with: parts))
    }
    #expect(end.0 == [])
    #expect(end.1 == [])
  }

  @Test("takes no staged pair that it finds, even after asking for one: it deletes that and stages another")
  func strangersPair() async throws {
    let (bench, _) = try await bench()
    let isDown = Mutex(false)
    bench.provider.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if call == "stage" { isDown.withLock { $0 = true } }
        if isDown.withLock({ $0 }) { throw ProviderError(.unreachable, "nobody answers", mayHaveActed: true) }
      }
    }
    #expect(await bench.code() == .provider(.unreachable))
    #expect(try await bench.state() == .staging)
    bench.provider.state.withLock { state in
      state.trouble = { _ throws(ProviderError) in }
      state.slot = ("id-9", .staged)
    }
    #expect(try await bench.run(Self.leak()) == .settled(active: 2))
    #expect(bench.provider.state.withLock { $0.primary } == "id-2")
    #expect(bench.provider.calls.contains("delete handle-id-9"))
    let lost = try await bench.events().last { $0.event == "rotation.stage.lost" }
    #expect(lost?.details["reason"] == "leaked")
  }

  @Test("retries a sink that lacks the new pair within five minutes, however often it has failed")
  func pauseOfDelivery() async throws {
    let (bench, delivery) = try await bench()
    delivery.state.withLock { $0.failing = ["file"] }
    for attempt in 1...8 {
      let outcome = try await bench.run(attempt == 1 ? Self.leak() : .scheduled)
      guard case .undelivered = outcome else {
        Issue.record("attempt \(attempt): \(outcome)")
        return
      }
      #expect(delivery.calls.count == attempt)
      bench.now.withLock { $0 = $0 + RotationSchedule.maximumPauseOfLeak }
    }
    delivery.state.withLock { $0.failing = [] }
    _ = try await bench.run(.scheduled)
    #expect(try await bench.credential().undelivered.isEmpty)
  }

  @Test("overtakes no other run for a member who may not open the credential, or if its reason holds a secret")
  func permission() async throws {
    let (bench, _) = try await bench()
    let bob = try Identity(AgeIdentity(generating: .system))
    let now = bench.now.withLock { $0 }
    try await bench.vault.addMember(bob.card(named: "bob", role: .auditor), now: now) { _, _ in }
    let vault = try await UnlockedVault(bench.store, identity: bob, keyFile: { _ in [] }, randomness: .system)
    let name = "rotation/\(try await bench.credential().id)"
    let lease = try await bench.store.write {
      try $0.acquireLease(name, holder: "routine", now: now.milliseconds, milliseconds: 300_000) { _ in false }
    }
    let timing = RotationTiming(now: { now }, sleep: { _ in }, randomness: .system)
    let runner = RotationRunner(
      vault: vault, timing: timing, holder: "bob", isGone: { _ in false }, progress: { _ in })
    await #expect(throws: VaultError(.notPermitted, "")) {
      _ = try await runner.run("crm", goal: Self.leak(), provider: bench.provider)
    }
    let telling = RotationRunner.Goal.revoke(Revocation(incident: "i", reason: "it is secret-of-id-1"))
    #expect(await bench.code(telling) == .vetoed)
    #expect(try await bench.leaseHolder()?.fencing == lease.fencing)
    #expect(try await bench.credential().leak == nil)

    // A member who may overtakes the run; the step that does so names whom it overtook, whatever comes of it.
    fail("observe", in: bench)
    #expect(await bench.code(Self.leak()) == .provider(.unreachable))
    let note = try await bench.events().last { $0.event == "credential.leaked" }
    #expect(note?.details["overtook"] == "routine")
    #expect(try await bench.credential().leak != nil)
  }

  @Test("overtakes no other run for a leak that was noted ahead, and that is over when its turn comes")
  func overAhead() async throws {
    let (bench, _) = try await bench()
    #expect(try await bench.run(Self.leak()) == .settled(active: 2))
    let now = bench.now.withLock { $0 }
    let timing = RotationTiming(now: { now }, sleep: { _ in }, randomness: .system)
    let runner = RotationRunner(
      vault: bench.vault, timing: timing, holder: "bench", isGone: { _ in false }, progress: { _ in })
    var found = Revocation(incident: "i", reason: "found again", version: 1)
    #expect(try await runner.note(["crm": found]) == ["crm"])
    found.isNoted = true
    let name = "rotation/\(try await bench.credential().id)"
    let lease = try await bench.store.write {
      try $0.acquireLease(name, holder: "routine", now: now.milliseconds, milliseconds: 300_000) { _ in false }
    }
    #expect(try await bench.run(.revoke(found)) == .settled(active: 2))
    #expect(try await bench.leaseHolder()?.fencing == lease.fencing)
  }

  @Test("that contained the leak with a pair that never works replaces that pair in a later run")
  func uselessReplacement() async throws {
    let (bench, delivery) = try await bench()
    bench.provider.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if call == "grant id-2" { throw ProviderError(.refused, "refused", status: 400) }
      }
    }
    #expect(await bench.code(Self.leak(containing: true)) == .outstanding)
    #expect(try await bench.state() == .deleted)
    bench.now.withLock { $0 = $0 + RotationSchedule.maximumPauseOfLeak }
    #expect(try await bench.run(.scheduled) == .settled(active: 3))
    #expect(bench.provider.state.withLock { $0.refused } == ["id-1", "id-2"])
    #expect(delivery.calls == ["file id-3 3 2"])
    #expect(try await bench.credential().leak == nil)
  }

  @Test("that contained the leak replaces the pair that is refused only once it has had the time of a new pair")
  func notYetUseless() async throws {
    let (bench, _) = try await bench(["propagation": "1h"])
    bench.provider.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if call == "grant id-2" { throw ProviderError(.refused, "refused", status: 400) }
      }
    }
    #expect(await bench.code(Self.leak(containing: true)) == .outstanding)
    let promoted = try #require(try await bench.credential().version(in: .active)?.since)
    bench.now.withLock { $0 = promoted + .seconds(1800) }
    #expect(await bench.code(.resume) == .outstanding)
    #expect(bench.provider.calls.count { $0 == "stage" } == 1)
    bench.now.withLock { $0 = promoted + .seconds(3600) }
    #expect(try await bench.run(.resume) == .settled(active: 3))
  }

  @Test("does not wait for a refused new pair as long as a policy says, but an hour at most")
  func endlessPropagation() async throws {
    let (bench, _) = try await bench(["propagation": "1d"])
    bench.provider.state.withLock { $0.refused = ["id-2"] }
    let began = bench.now.withLock { $0 }
    #expect(await bench.code(Self.leak()) == .provider(.refused))
    bench.now.withLock { $0 = began + .seconds(3600) }
    #expect(try await bench.run(.resume) == .rejected(active: 1, isLeaked: true))
  }

  @Test("that contained the leak continues after a second pair is refused as well, and delivers neither of them")
  func uselessReplacements() async throws {
    let (bench, delivery) = try await bench()
    bench.provider.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if call == "grant id-2" || call == "grant id-3" { throw ProviderError(.refused, "refused", status: 400) }
      }
    }
    #expect(await bench.code(Self.leak(containing: true)) == .outstanding)
    #expect(try await bench.run(.resume) == .rejected(active: 2))
    #expect(try await bench.credential().leak != nil)
    for goal in [RotationRunner.Goal.deliver(again: true), .scheduled] {
      #expect(await bench.code(goal) != nil, "\(goal)")
      #expect(delivery.calls.isEmpty, "\(goal)")
    }
    bench.now.withLock { $0 = $0 + RotationSchedule.maximumPauseOfLeak }
    #expect(try await bench.run(.scheduled) == .settled(active: 4))
    #expect(delivery.calls == ["file id-4 4 2"])
  }

  @Test("continues when its pair is adopted again, after what followed the first adoption failed")
  func adoptionCutOff() async throws {
    let (bench, _) = try await bench()
    bench.provider.state.withLock { state in
      state.primary = "id-9"
      state.slot = ("id-1", .replaced)
      state.trouble = { call throws(ProviderError) in
        if call == "stage" { throw ProviderError(.notPermitted, "not now") }
      }
    }
    #expect(await bench.code(Self.leak()) == .foreignPrimary)
    let offer = RotationRunner.Goal.adopt(OfferedPair(try FakeProvider.pair("id-9")))
    #expect(await bench.code(offer) == .outstanding)
    #expect(await bench.code(offer) == .provider(.notPermitted))
    fail(in: bench)
    #expect(try await bench.run(offer) == .settled(active: 3))
    #expect(try await bench.credential().leak == nil)
  }

  @Test("does not end when a staged pair that leaked is given up: that pair is owed")
  func abortedStaged() async throws {
    let (bench, _) = try await bench()
    fail("promote", in: bench)
    #expect(await bench.code() == .provider(.unreachable))
    fail("observe", in: bench)
    _ = await bench.code(Self.leak(upTo: 2))
    fail(in: bench)
    #expect(try await bench.credential().leak != nil)
    #expect(await bench.code(.abort) == .outstanding)
    #expect(try await bench.credential().version(2)?.stage == .previous)
    #expect(try await bench.run(.resume) == .settled(active: 3))
  }

  @Test("counts a pair that is adopted during it as leaked too, and replaces it")
  func adoption() async throws {
    let (bench, _) = try await bench()
    bench.provider.state.withLock { state in
      state.primary = "id-9"
      state.slot = ("id-1", .replaced)
    }
    #expect(await bench.code(Self.leak()) == .foreignPrimary)
    #expect(try await bench.run(.adopt(OfferedPair(FakeProvider.pair("id-9")))) == .settled(active: 3))
    #expect(try await bench.credential().leak == nil)
    #expect(bench.provider.state.withLock { $0.refused } == ["id-1", "id-9"])
  }

  @Test("in which a staged pair leaked is not over after one refusal: it must be seen refused with the others")
  func stagedRefusedOnce() async throws {
    let (bench, delivery) = try await bench()
    fail("promote", in: bench)
    #expect(await bench.code() == .provider(.unreachable))
    let asked = Counter()
    bench.provider.state.withLock { state in
      // The deleted pair is still accepted, except that an outage refuses it once.
      state.meanwhile = { [unowned bench] call in
        if call == "grant id-2" { bench.provider.state.withLock { _ = $0.refused.remove("id-2") } }
      }
      state.trouble = { call throws(ProviderError) in
        if call == "grant id-2", asked.next() == 1 { throw ProviderError(.refused, "a page", status: 403) }
      }
    }
    let outcome = try await bench.run(Self.leak(upTo: 2))
    #expect(outcome == .stillAccepted(active: 3, previous: [1, 2]))
    // Nobody ever had the pair that was given up.
    #expect(delivery.calls == ["file id-3 3 1"])
    let credential = try await bench.credential()
    #expect(credential.leak != nil && credential.version(2)?.stage == .previous)
    #expect(try await bench.events().last { $0.event == "rotation.discarded" }?.details["reason"] == "owed")
    let parts = try await bench.vault.read { try IncidentHistory($0).parts }
    #expect(parts.first?.owed.contains(2) == true)
    #expect(try await bench.vault.read { try $0.disagreements(with: parts) } == [])
    bench.provider.state.withLock { state in
      state.meanwhile = { _ in }
      state.refused.insert("id-2")
    }
    #expect(try await bench.run(.resume) == .settled(active: 3))
    #expect(try await bench.credential().leak == nil)
    let end = try await bench.vault.read { try IncidentHistory($0).parts }
    #expect(end.first?.owed == [])
    #expect(try await bench.vault.read { try $0.disagreements(with: end) } == [])
  }

  @Test("deletes a leaked staged pair again if it is back in the slot when the next one is to be staged")
  func stagedIsBack() async throws {
    let (bench, _) = try await bench()
    fail("promote", in: bench)
    #expect(await bench.code() == .provider(.unreachable))
    let looks = Counter()
    bench.provider.state.withLock { state in
      state.trouble = { _ throws(ProviderError) in }
      state.meanwhile = { [unowned bench] call in
        // The third look is the one before the next pair is staged.
        guard call == "observe", bench.provider.calls.contains("delete handle-id-2"), looks.next() == 2 else { return }
        bench.provider.state.withLock { $0.slot = ("id-2", .staged) }
      }
    }
    #expect(try await bench.run(Self.leak(upTo: 2)) == .settled(active: 3))
    #expect(bench.provider.calls.count { $0 == "delete handle-id-2" } == 2)
    #expect(bench.provider.state.withLock { $0.refused } == ["id-1", "id-2"])
  }

  @Test(
    "whose second refusal is worded differently is over only if the new pair is accepted after that too",
    arguments: [true, false])
  func otherWords(isOut: Bool) async throws {
    let (bench, _) = try await bench()
    let tried = Counter()
    let isPage = Mutex(false)
    bench.provider.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if call == "grant id-1", tried.next() == 2 {
          isPage.withLock { $0 = isOut }
          throw ProviderError(.refused, "a page", status: 403)
        }
        if call == "grant id-2", isPage.withLock({ $0 }) { throw ProviderError(.refused, "a page", status: 403) }
      }
    }
    if isOut {
      #expect(await bench.code(Self.leak()) == .outstanding)
      #expect(try await bench.credential().leakedDebts.map(\.number) == [1])
    } else {
      #expect(try await bench.run(Self.leak()) == .settled(active: 2))
      #expect(bench.provider.calls.suffix(4) == ["grant id-1", "grant id-2", "grant id-1", "grant id-2"])
    }
  }

  @Test("that contains the leak records that a pair which was already primary was not proved")
  func primaryAlready() async throws {
    let (bench, _) = try await bench()
    fail("grant id-2", in: bench)
    #expect(await bench.code() != nil)
    #expect(try await bench.state() == .staged)
    bench.provider.state.withLock { state in
      state.primary = "id-2"
      state.slot = ("id-1", .replaced)
    }
    fail(in: bench)
    #expect(try await bench.run(Self.leak(containing: true)) == .settled(active: 2))
    let intended = try await bench.journal(1).last { $0.event == "rotation.promote.intended" }
    #expect(intended?.details["unproved"] == true)
  }

  @Test("that names the version which replaced the leaked one replaces that version as well")
  func newerVersion() async throws {
    let (bench, _) = try await bench()
    fail("delete", in: bench)
    #expect(await bench.code(Self.leak()) != nil)
    fail(in: bench)
    #expect(try await bench.run(Self.leak(upTo: 2)) == .settled(active: 3))
    #expect(bench.provider.state.withLock { $0.refused } == ["id-1", "id-2"])
  }

  @Test("delivers again if it overtook a run, which may have delivered after it")
  func deliversAgain() async throws {
    let (bench, delivery) = try await bench()
    let name = "rotation/\(try await bench.credential().id)"
    let now = bench.now.withLock { $0 }
    _ = try await bench.store.write {
      try $0.acquireLease(name, holder: "routine", now: now.milliseconds, milliseconds: 300_000) { _ in false }
    }
    #expect(try await bench.run(Self.leak()) == .settled(active: 2))
    #expect(delivery.calls == ["file id-2 2 1", "file id-2 2 0"])
    let log = try await bench.events()
    let refused = try #require(log.first { $0.event == "rotation.refused" })
    let forgotten = try #require(log.first { $0.event == "delivery.failed" && $0.details["reason"] == "overtaken" })
    let done = try #require(log.last { $0.event == "delivery.done" })
    // What the other run has begun may continue for some seconds.
    #expect(refused.time <= forgotten.time && done.time >= now + .seconds(15))
    #expect(try await bench.credential().undelivered == [])
  }

  @Test("forgets what was delivered if it overtook a run and then fails: that run may have delivered after it")
  func forgetsIfItFails() async throws {
    let (bench, _) = try await bench()
    _ = try await bench.run(.deliver(again: false))
    #expect(try await bench.credential().undelivered.isEmpty)
    let name = "rotation/\(try await bench.credential().id)"
    let now = bench.now.withLock { $0 }
    _ = try await bench.store.write {
      try $0.acquireLease(name, holder: "routine", now: now.milliseconds, milliseconds: 300_000) { _ in false }
    }
    fail("observe", in: bench)
    #expect(await bench.code(Self.leak()) == .provider(.unreachable))
    #expect(try await bench.credential().undelivered.map(\.name) == ["file"])
  }

  @Test(
    "delivers again after overtaking a run even if the leaked pair is still accepted; if it dies, the next run does"
  )
  func deliversAgainUnsettled() async throws {
    for dies in [false, true] {
      let (bench, delivery) = try await bench()
      let name = "rotation/\(try await bench.credential().id)"
      let now = bench.now.withLock { $0 }
      _ = try await bench.store.write {
        try $0.acquireLease(name, holder: "routine", now: now.milliseconds, milliseconds: 300_000) { _ in false }
      }
      bench.provider.state.withLock { state in
        state.meanwhile = { [unowned bench] call in
          if call == "grant id-1" { bench.provider.state.withLock { _ = $0.refused.remove("id-1") } }
        }
      }
      struct Died: Error {}
      let times = Counter()
      delivery.state.withLock { state in state.within = { _ in if times.next() == 2, dies { throw Died() } } }
      let outcome = try? await bench.run(Self.leak())
      #expect(delivery.calls.count == 2)
      if dies {
        #expect(try await bench.credential().undelivered.map(\.name) == ["file"])
        _ = try await bench.run(.resume)
        #expect(delivery.calls.count == 3)
      } else if case .stillAccepted? = outcome {
      } else {
        Issue.record("expected that it is accepted: \(outcome as Any)")
      }
      #expect(try await bench.credential().undelivered == [])
    }
  }

  @Test("that contains the leak and overtook a run reports what a sink still lacks, after a second try")
  func containedWhileOvertaking() async throws {
    let (bench, delivery) = try await bench()
    let name = "rotation/\(try await bench.credential().id)"
    let now = bench.now.withLock { $0 }
    _ = try await bench.store.write {
      try $0.acquireLease(name, holder: "routine", now: now.milliseconds, milliseconds: 300_000) { _ in false }
    }
    delivery.state.withLock { $0.failing = ["file"] }
    guard case .undelivered(active: 2, _, _) = try await bench.run(Self.leak(containing: true)) else {
      Issue.record("expected a shortfall")
      return
    }
    #expect(delivery.calls.count == 2)
    #expect(try await bench.credential().undelivered.map(\.name) == ["file"])
  }

  @Test("calls a stranger's pair that is listed, but not found, ended only once it is", arguments: [0, 1, 9])
  func notFound(answers: Int) async throws {
    let (bench, system) = (try await Bench(), FakeSystem(.overlap, accepting: ["id-1", "id-9"]))
    let asked = Counter()
    system.state.withLock { state in
      state.listed = ["id-9"]
      state.trouble = { [unowned system] call throws(ProviderError) in
        guard call == "delete handle-id-9" else { return }
        // It is listed for a moment although somebody has deleted it.
        if answers == 0 { system.state.withLock { $0.accepted.removeAll { $0 == "id-9" } } }
        guard answers == 0 || asked.next() <= answers else { return }
        throw ProviderError(.notFound, "there is no such pair")
      }
    }
    let code = await bench.code(Self.leak(), at: system)
    let isThere = answers == 9
    #expect(code == (isThere ? .outstanding : nil))
    #expect(system.state.withLock(\.accepted) == (isThere ? ["id-9", "id-2"] : ["id-2"]))
    #expect(try await bench.credential().leak == nil, "what leaked does not wait for it")
    let told = try await bench.events().map(\.event).filter { $0.hasPrefix("pair.") && $0.hasSuffix("cut-off") }
    #expect(told == [[], ["pair.not-cut-off", "pair.cut-off"], ["pair.not-cut-off"]][min(answers, 2)])
    let moments = try await bench.vault.read { try IncidentHistory($0).parts.flatMap(\.moments) }
    #expect(moments.map(\.entry.event).filter(told.contains) == told, "the incident tells it")
    #expect(moments.contains { $0.entry.details["handle"] == "handle-id-9" } == !told.isEmpty)
  }

  @Test("ends the leaked pair before a newer one that is owed, but did not leak")
  func leakedFirst() async throws {
    let (bench, system) = (try await Bench(policy: ["grace": "1h"]), FakeSystem(.overlap))
    _ = try await bench.run(at: system)
    let now = bench.now.withLock { $0 }
    let sealed = try await bench.vault.seal(try FakeProvider.pair("id-8"), of: "crm", version: 3)
    _ = try await bench.vault.change(now: now) { change in
      var credential = try change.view.credential("crm")
      _ = try credential.addStaged(handle: nil, expires: nil, now: now)
      try credential.oweStaged(now: now)
      try change.storePair(sealed, of: credential)
      return try change.save(credential, EventName("credential.policy"))
    }
    system.state.withLock { $0.accepted.insert("id-8", at: 0) }
    #expect(try await bench.run(Self.leak(upTo: 1), at: system) == .settled(active: 2))
    #expect(
      system.calls.filter { $0.hasPrefix("delete") } == ["delete handle-id-1", "delete handle-id-8"], "\(system.calls)")
  }

  @Test("is known only by entries that changed the record: a member's mere entries end no incident and begin none")
  func words() async throws {
    let (bench, _) = try await bench()
    fail("delete", in: bench)
    #expect(await bench.code(Self.leak()) != nil)
    _ = try await bench.vault.change(now: bench.now.withLock { $0 }) { change in
      try change.log(EventName("rotation.refused"), about: "crm", ["refused": .array([.object(["version": 1])])])
      try change.log(.credentialLeaked, about: "crm", ["incident": "forged", "reason": "x", "version": 2])
    }
    let parts = try await bench.vault.read { try IncidentHistory($0).parts }
    #expect(parts.map(\.incident) == ["2026-01-01-0f0f0f"] && parts.first?.owed == [1])
    fail(in: bench)
    #expect(try await bench.run(.resume) == .settled(active: 2))
    #expect(try await bench.vault.read { try IncidentHistory($0).parts }.first?.owed == [])
  }
}
