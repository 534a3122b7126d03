import Age
import Audit
import Contracts
import JSON
import Rotation
import Sodium
import Storage
import Synchronization
import Testing
import Vault

/// Sinks and hooks in memory, which record what they were given.
final class FakeDelivery: PairDelivery {
  struct State: Sendable {
    var calls: [String] = []
    /// Names of those that cannot work, and of those that fail.
    var unusable: Set<String> = []
    var failing: Set<String> = []
    /// Called within each delivery; may throw instead of it.
    var within: @Sendable (String) async throws -> Void = { _ in }
    /// Called after the lease was kept alive.
    var after: @Sendable (String) async throws -> Void = { _ in }
  }

  let state = Mutex(State())

  var calls: [String] { state.withLock { $0.calls } }

  func check(_ delivery: DeliveryRecord) throws(DeliveryError) {
    guard !state.withLock({ $0.unusable.contains(delivery.name) }) else {
      throw DeliveryError(.unusable, "\(delivery.name) is broken", hint: "mend it")
    }
  }

  private func act(_ call: String, _ name: String, _ keepAlive: KeepAlive) async throws {
    let (fails, within, after) = state.withLock { state in
      state.calls.append(call)
      return (state.failing.contains(name), state.within, state.after)
    }
    try await within(name)
    try await keepAlive()
    try await after(name)
    if fails { throw DeliveryError(.failed, "it exited with 1", said: "words") }
  }

  func hand(
    _ pair: Pair, to delivery: DeliveryRecord, _ occasion: DeliveryOccasion, known: [Pair],
    keepAlive: @escaping KeepAlive
  ) async throws {
    let id = pair.clientID.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    #expect(known.count >= (occasion.previous == nil ? 1 : 2))
    try await act("\(delivery.name) \(id) \(occasion.version) \(occasion.previous ?? 0)", delivery.name, keepAlive)
  }

  func run(
    _ hook: DeliveryRecord, _ occasion: DeliveryOccasion, known: [Pair], keepAlive: @escaping KeepAlive
  ) async throws {
    try await act("\(hook.name) before \(occasion.version)", hook.name, keepAlive)
  }
}

@Suite("A run that has to deliver")
struct DeliveryRunTests {
  /// `hook`, then `file`, then `other`, which is another file; and `ask`, a hook before the rotation.
  private func bench(policy: [String: String] = [:], names: [String] = ["hook", "file", "other", "ask"]) async throws
    -> (Bench, FakeDelivery)
  {
    let delivery = FakeDelivery()
    let bench = try await Bench(policy: policy, delivery: delivery)
    for name in names {
      let kind: DeliverySettings.Kind =
        switch name {
        case "hook": .hook(HookSettings(occasion: .promoted, arguments: ["/bin/hook"]))
        case "ask": .hook(HookSettings(occasion: .before, arguments: ["/bin/ask"]))
        default: .file(FileSettings(path: "/\(name)", format: .json))
        }
      _ = try await bench.vault.addDelivery(
        DeliverySettings(name: name, kind: kind), to: "crm", now: RotationMachineTests.start)
    }
    return (bench, delivery)
  }

  @Test("asks first, delivers after it has verified, files before hooks, and logs each delivery before and after")
  func order() async throws {
    let (bench, delivery) = try await bench()
    let look: @Sendable (String) async throws -> Void = { [unowned bench] name in
      if name == "ask" { #expect(bench.provider.calls.isEmpty) }
      let state = try await bench.state()
      if name == "file" { #expect(state == .owed) }
    }
    delivery.state.withLock { $0.within = look }
    guard case .promoted(active: 2, previous: [1], graceEnds: _) = try await bench.run() else {
      Issue.record("expected a promotion")
      return
    }
    #expect(delivery.calls == ["ask before 1", "file id-2 2 1", "other id-2 2 1", "hook id-2 2 1"])
    #expect(try await bench.credential().undelivered == [])
    let events = try await bench.events().map(\.event)
    let verified = try #require(events.firstIndex(of: "rotation.verified"))
    let pair = ["delivery.intended", "delivery.done"]
    #expect(Array(events[(verified + 1)...]) == pair + pair + pair)
  }

  @Test("by a schedule in a restored vault counts a look that fails as an attempt to deliver, and delivers nothing")
  func restored() async throws {
    let (bench, delivery) = try await bench(policy: ["grace": "0s"])
    delivery.state.withLock { $0.failing = ["file", "other", "ask"] }
    _ = await bench.code()
    delivery.state.withLock { $0.failing = ["file", "other"] }
    _ = await bench.code()
    delivery.state.withLock { $0.failing = [] }
    let end = try await bench.store.read { try VaultView($0).endpoint }
    try await bench.vault.logRestore(end, behind: nil, now: bench.now.withLock { $0 })
    bench.provider.state.withLock { $0.primary = "id-9" }
    let (looks, delivered) = (bench.provider.calls.count, delivery.calls.count)
    for _ in 1...60 {
      bench.now.withLock { $0 = $0 + .seconds(60) }
      let code = await bench.code(.scheduled)
      #expect(code == .notDue || code == .foreignPrimary)
    }
    let asked = bench.provider.calls.count - looks
    #expect((4...8).contains(asked), "\(asked) looks in an hour")
    #expect(delivery.calls.count == delivered)
    let tried = try await bench.credential().undelivered.filter(\.isFile).map(\.attempts)
    #expect(tried.allSatisfy { $0 > 3 })
    #expect(try await bench.events().last?.details["reason"] == "foreign-primary")
  }

  @Test("finishes although a sink fails: hooks wait for the sink, and later runs deliver only what is missing")
  func retried() async throws {
    let (bench, delivery) = try await bench()
    delivery.state.withLock { $0.failing = ["file"] }
    guard case .undelivered(active: 2, previous: [1], let shortfalls) = try await bench.run() else {
      Issue.record("expected a shortfall")
      return
    }
    #expect(shortfalls.map(\.name) == ["file", "hook"] && shortfalls.map(\.error.code) == [.failed, .waits])
    #expect(try await bench.state() == .owed)
    #expect(delivery.calls == ["ask before 1", "file id-2 2 1", "other id-2 2 1"])
    let failed = try #require(try await bench.events().last)
    #expect(failed.event == "delivery.done", "the other sink's")
    let entry = try #require(try await bench.events().first { $0.event == "delivery.failed" })
    #expect(entry.details["delivery"] == "file" && entry.details["version"] == 2 && entry.details["reason"] == "failed")
    #expect(!String(decoding: entry.bytes, as: UTF8.self).contains("words"))
    var record = try await bench.credential().deliveries[1]
    #expect(record.attempts == 1 && record.delivered == nil)

    _ = try await bench.run()
    record = try await bench.credential().deliveries[1]
    #expect(record.attempts == 2)
    let asked = bench.provider.calls.count
    delivery.state.withLock { state in
      state.failing = []
      state.calls = []
    }
    guard case .promoted(active: 2, previous: [1], graceEnds: _) = try await bench.run() else {
      Issue.record("expected the promotion")
      return
    }
    #expect(delivery.calls == ["file id-2 2 1", "hook id-2 2 1"])
    #expect(bench.provider.calls.count == asked)
    // Within the grace, with nothing left to deliver, nothing changes.
    guard case .inGrace? = await bench.code() else {
      Issue.record("expected the grace")
      return
    }
  }

  @Test("does not retire the old pair before the active one is delivered, on schedule or by hand, unless told to")
  func retirement() async throws {
    let (bench, delivery) = try await bench(policy: ["grace": "1h"])
    delivery.state.withLock { $0.failing = ["hook"] }
    _ = try await bench.run()
    bench.now.withLock { $0 = $0 + .seconds(7200) }
    for goal in [RotationRunner.Goal.rotate, .retire] {
      guard case .undelivered = try await bench.run(goal) else {
        Issue.record("expected a shortfall: \(goal)")
        return
      }
      #expect(!bench.provider.calls.contains { $0.hasPrefix("delete") })
    }
    #expect(try await bench.run(.retireUndelivered) == .settled(active: 2))
    #expect(try await bench.credential().undelivered.map(\.name) == ["hook"])
    // What is still missing is delivered without a rotation.
    delivery.state.withLock { $0.failing = [] }
    #expect(try await bench.run(.deliver(again: false)) == .delivered(active: 2, to: ["hook"]))
    #expect(try await bench.run(.deliver(again: false)) == .delivered(active: 2, to: []))
  }

  @Test("that must not wait still serves every sink it can before the old pair ends")
  func servedFirst() async throws {
    let leak = RotationRunner.Goal.revoke(
      Revocation(incident: "it", reason: "seen in a ticket", version: 1, evenIfUndelivered: true))
    for goal in [RotationRunner.Goal.retireUndelivered, .rotateReplacingPrevious, leak] {
      let (bench, delivery) = try await bench(policy: ["grace": "1h"], names: ["file", "other"])
      delivery.state.withLock { $0.failing = ["file", "other"] }
      _ = try await bench.run()
      delivery.state.withLock { state in
        state.failing = ["other"]
        state.calls = []
        state.within = { [unowned bench] name in
          guard name == "file", delivery.calls.count == 1 else { return }
          #expect(!bench.provider.calls.contains { $0.hasPrefix("delete") }, "\(goal)")
        }
      }
      _ = try await bench.run(goal)
      #expect(delivery.calls.first == "file id-2 2 1", "\(goal)")
      #expect(bench.provider.calls.contains("delete handle-id-1"), "\(goal)")
    }
  }

  @Test("serves a sink that lacks the pair even while the deleted old pair is still accepted")
  func whileStillAccepted() async throws {
    for goal in [RotationRunner.Goal.resume, .scheduled, .rotate] {
      let (bench, delivery) = try await bench(policy: ["grace": "1h"], names: ["file"])
      bench.provider.state.withLock { state in
        state.meanwhile = { [unowned bench] call in
          if call == "grant id-1" { bench.provider.state.withLock { _ = $0.refused.remove("id-1") } }
        }
      }
      delivery.state.withLock { $0.failing = ["file"] }
      _ = try await bench.run()
      guard case .stillAccepted = try await bench.run(.retireUndelivered) else {
        Issue.record("expected that the old pair is accepted")
        return
      }
      delivery.state.withLock { $0.failing = [] }
      bench.now.withLock { $0 = $0 + .seconds(600) }
      _ = try? await bench.run(goal)
      #expect(try await bench.credential().undelivered == [], "\(goal)")
      #expect(try await bench.state().map { [.deleted, .proving].contains($0) } == true, "\(goal)")
    }
  }

  @Test("gives nothing to a sink that no present owner added, serves the others, and reports 11 after a leak")
  func strangers() async throws {
    let (bench, delivery) = try await bench(names: ["file"])
    let two = try Identity(AgeIdentity(generating: .system))
    let kept = Mutex<[UInt8]>([])
    let start = RotationMachineTests.start
    let card = try two.card(named: "two", role: .owner)
    try await bench.vault.addMember(card, now: start) { _, file in kept.withLock { $0 = file } }
    var vault = try await UnlockedVault(
      bench.store, identity: two, keyFile: { _ in kept.withLock { $0 } }, randomness: .system)
    _ = try await vault.addDelivery(
      DeliverySettings(name: "other", kind: .file(FileSettings(path: "/other", format: .json))), to: "crm", now: start)
    _ = try await vault.addDelivery(
      DeliverySettings(name: "late", kind: .hook(HookSettings(occasion: .promoted, arguments: ["/bin/late"]))),
      to: "crm",
      now: start)
    let left = try await vault.read { view in
      try view.members.filter { $0.name == "alice" }.flatMap { try view.legacy(of: $0) }
    }
    #expect(left.contains(.delivery(word: "sink", "file", credential: "crm")), "\(left)")
    _ = try await vault.removeMember("alice", now: start) { _, file in kept.withLock { $0 = file } }
    vault = try await UnlockedVault(
      bench.store, identity: two, keyFile: { _ in kept.withLock { $0 } }, randomness: .system)
    let timing = RotationTiming(
      now: { bench.now.withLock { $0 } }, sleep: { time in bench.now.withLock { $0 = $0 + time } }, randomness: .system)
    let runner = RotationRunner(
      vault: vault, timing: timing, holder: "two", isGone: { _ in false }, delivery: delivery, progress: { _ in })
    // Nothing begins without a leak.
    await #expect(throws: VaultError(.notPermitted, "")) {
      _ = try await runner.run("crm", goal: .rotate, provider: bench.provider)
    }
    #expect(bench.provider.calls.isEmpty)
    let leak = RotationRunner.Goal.revoke(Revocation(incident: "it", reason: "seen in a ticket"))
    guard
      case .undelivered(active: 2, previous: [1], let lacking) = try await runner.run(
        "crm", goal: leak, provider: bench.provider)
    else {
      Issue.record("expected a shortfall")
      return
    }
    #expect(lacking.map(\.name) == ["file"] && lacking.first?.error.hint?.contains("sink remove crm file") == true)
    // No hook waits for a sink that can get nothing any more. The attempt counts, so that no schedule comes back each
    // minute.
    #expect(delivery.calls == ["other id-2 2 1", "late id-2 2 1"])
    #expect(try await bench.credential().undelivered.first?.attempts == 1)
  }

  @Test("tries a file again after its pause even if a hook waits for it")
  func pausedBeforeHook() async throws {
    let (bench, delivery) = try await bench(policy: ["grace": "1d"], names: ["hook", "file"])
    delivery.state.withLock { $0.failing = ["file"] }
    _ = try await bench.run()
    let before = delivery.calls.count
    bench.now.withLock { $0 = $0 + .seconds(30) }
    #expect(await bench.code(.scheduled) == .notDue)
    #expect(delivery.calls.count == before)
    bench.now.withLock { $0 = $0 + .seconds(31) }
    _ = try? await bench.run(.scheduled)
    #expect(delivery.calls.count == before + 1)
  }

  @Test("that must not wait ends the old pair before it runs a hook, which may hang")
  func hookLast() async throws {
    let leak = RotationRunner.Goal.revoke(
      Revocation(incident: "it", reason: "seen in a ticket", version: 1, evenIfUndelivered: true))
    for goal in [RotationRunner.Goal.retireUndelivered, leak] {
      let (bench, delivery) = try await bench(policy: ["grace": "1h"], names: ["hook"])
      delivery.state.withLock { $0.failing = ["hook"] }
      _ = try await bench.run()
      delivery.state.withLock { state in
        state.failing = []
        state.calls = []
        state.within = { [unowned bench] _ in #expect(bench.provider.calls.contains("delete handle-id-1"), "\(goal)") }
      }
      #expect(try await bench.run(goal) == .settled(active: 2), "\(goal)")
      #expect(delivery.calls.count == 1)
      #expect(try await bench.credential().undelivered == [])
    }
  }

  @Test("lets a slow hook finish while the store is busy, as long as the lease lasts")
  func busyStore() async throws {
    let (bench, delivery) = try await bench(names: ["hook"])
    let isBusy = Mutex(false)
    let store = WatchedStore(
      bench.store, before: { if isBusy.withLock({ $0 }) { throw StorageError(.busy, "database is locked") } })
    let timing = RotationTiming(
      now: { bench.now.withLock { $0 } }, sleep: { time in bench.now.withLock { $0 = $0 + time } }, randomness: .system)
    let runner = RotationRunner(
      vault: try await bench.vault(in: store), timing: timing, holder: "bench", isGone: { _ in false },
      delivery: delivery,
      progress: { _ in })
    delivery.state.withLock { state in state.within = { _ in isBusy.withLock { $0 = true } } }
    delivery.state.withLock { state in state.after = { _ in isBusy.withLock { $0 = false } } }
    #expect(
      try await runner.run("crm", goal: .deliver(again: false), provider: bench.provider)
        == .delivered(active: 1, to: ["hook"]))
    // Not when the lease is nearly over: another run may have it soon.
    delivery.state.withLock { state in
      state.within = { _ in
        isBusy.withLock { $0 = true }
        bench.now.withLock { $0 = $0 + .seconds(330) }
      }
    }
    await #expect(throws: StorageError(.busy, "")) {
      _ = try await runner.run("crm", goal: .deliver(again: true), provider: bench.provider)
    }
    // A file is put in its place only under the lease.
    bench.now.withLock { $0 = $0 + .seconds(600) }
    let file = DeliverySettings(name: "file", kind: .file(FileSettings(path: "/file", format: .json)))
    _ = try await bench.vault.addDelivery(file, to: "crm", now: RotationMachineTests.start)
    delivery.state.withLock { state in state.within = { _ in isBusy.withLock { $0 = true } } }
    isBusy.withLock { $0 = false }
    await #expect(throws: StorageError(.busy, "")) {
      _ = try await runner.run("crm", goal: .deliver(again: false), provider: bench.provider)
    }
  }

  @Test("delivers before it retires a pair by hand")
  func retireDelivers() async throws {
    let (bench, delivery) = try await bench()
    delivery.state.withLock { $0.failing = ["other"] }
    _ = try await bench.run()
    delivery.state.withLock { state in
      state.failing = []
      state.calls = []
    }
    #expect(try await bench.run(.retire) == .settled(active: 2))
    #expect(delivery.calls == ["other id-2 2 1", "hook id-2 2 1"])
  }

  @Test("is stopped by a hook before it asks the provider for anything, and counts the attempt")
  func veto() async throws {
    let (bench, delivery) = try await bench()
    delivery.state.withLock { $0.failing = ["ask"] }
    for attempt in 1...2 {
      #expect(await bench.code() == .vetoed)
      #expect(bench.provider.calls.isEmpty)
      #expect(try await bench.state() == .ready)
      let failures = try await bench.store.read { transaction in
        let view = try VaultView(transaction)
        return try RotationJournal(view, of: view.credential("crm"))?.failedAttempts
      }
      #expect(failures == attempt)
    }
    delivery.state.withLock { $0.failing = [] }
    guard case .promoted(active: 2, previous: [1], graceEnds: _) = try await bench.run() else {
      Issue.record("expected a promotion")
      return
    }
    #expect(try await bench.credential().rotation == 1)
  }

  @Test("asks the provider for nothing while a sink obviously cannot work")
  func broken() async throws {
    let (bench, delivery) = try await bench()
    delivery.state.withLock { $0.unusable = ["other"] }
    #expect(await bench.code() == .cannotDeliver)
    #expect(try await bench.state() == .ready)
    #expect(bench.provider.calls.isEmpty && delivery.calls.isEmpty)
    // A sink that was repaired and broke again also stops an attempt that waits.
    delivery.state.withLock { state in
      state.unusable = []
      state.failing = ["ask"]
    }
    #expect(await bench.code() == .vetoed)
    delivery.state.withLock { $0.unusable = ["other"] }
    #expect(await bench.code() == .cannotDeliver)
    #expect(bench.provider.calls.isEmpty)
    #expect(try await bench.state() == .ready)
  }

  @Test("that dies between a delivery and its record delivers again; a run that lost its lease records nothing")
  func atLeastOnce() async throws {
    struct Died: Error {}
    let (bench, delivery) = try await bench(names: ["file", "other"])
    delivery.state.withLock { state in state.within = { if $0 == "other" { throw Died() } } }
    await #expect(throws: Died.self) { _ = try await bench.run() }
    #expect(try await bench.credential().deliveries.map(\.delivered) == [2, nil])
    #expect(try await bench.credential().deliveries.map(\.attempts) == [0, 1])

    // Another run takes the lease from a run that was stopped for too long.
    let takeOver: @Sendable (String) async throws -> Void = { [unowned bench] _ in
      let id = try await bench.credential().id
      let later = bench.now.withLock { $0 }.milliseconds + 3_600_000
      try await bench.store.write { transaction in
        _ = try transaction.acquireLease(
          "rotation/\(id)", holder: "another", now: later, milliseconds: 1, isGone: { _ in true })
      }
    }
    delivery.state.withLock { $0.within = takeOver }
    await #expect(throws: StorageError.self) { _ = try await bench.run() }
    #expect(try await bench.credential().deliveries.map(\.delivered) == [2, nil])
    delivery.state.withLock { state in
      state.within = { _ in }
      state.calls = []
    }
    bench.now.withLock { $0 = $0 + .seconds(7200) }
    _ = try await bench.run()
    #expect(delivery.calls == ["other id-2 2 1"])
  }

  @Test("delivers the active pair, again if told to, but not while another pair is about to become active")
  func deliver() async throws {
    let (bench, delivery) = try await bench()
    #expect(try await bench.run(.deliver(again: false)) == .delivered(active: 1, to: ["file", "other", "hook"]))
    #expect(try await bench.run(.deliver(again: true)) == .delivered(active: 1, to: ["file", "other", "hook"]))
    #expect(delivery.calls.count == 6 && delivery.calls.allSatisfy { $0.hasSuffix("id-1 1 0") })
    #expect(bench.provider.calls.isEmpty)
    bench.provider.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if call == "promote" { throw ProviderError(.malformed, "lost", mayHaveActed: true) }
        if call == "observe", bench.provider.calls.contains("promote") { throw ProviderError(.malformed, "lost") }
      }
    }
    _ = await bench.code()
    #expect(try await bench.state() == .promoting)
    #expect(await bench.code(.deliver(again: false)) == .held)
  }

  @Test("that delivers again and fails leaves the pair missing there, for later runs to deliver before they retire any")
  func againInVain() async throws {
    let (bench, delivery) = try await bench()
    _ = try await bench.run()
    #expect(try await bench.credential().undelivered == [])
    delivery.state.withLock { state in
      state.failing = ["other"]
      state.calls = []
    }
    guard case .undelivered = try await bench.run(.deliver(again: true)) else {
      Issue.record("expected a shortfall")
      return
    }
    // The other sink gets it again.
    #expect(delivery.calls == ["file id-2 2 1", "other id-2 2 1"])
    #expect(try await bench.credential().undelivered.map(\.name) == ["other", "hook"])
    guard case .undelivered = try await bench.run(.retire) else {
      Issue.record("expected that nothing is retired")
      return
    }
    #expect(!bench.provider.calls.contains { $0.hasPrefix("delete") })
    delivery.state.withLock { state in
      state.failing = []
      state.calls = []
    }
    #expect(try await bench.run(.retire) == .settled(active: 2))
    #expect(delivery.calls == ["other id-2 2 1", "hook id-2 2 1"])
  }

  @Test("that the schedule starts retries after growing pauses, and retires nothing in between")
  func schedule() async throws {
    let (bench, delivery) = try await bench(policy: ["grace": "90s"], names: ["file"])
    delivery.state.withLock { $0.failing = ["file"] }
    _ = try await bench.run()
    // The third attempt comes when the grace is over: the debt waits with it.
    for pause in [60, 120, 240] {
      #expect(await bench.code(.scheduled) == .notDue, "\(pause)")
      bench.now.withLock { $0 = $0 + .seconds(pause - 1) }
      #expect(await bench.code(.scheduled) == .notDue, "\(pause)")
      bench.now.withLock { $0 = $0 + .seconds(1) }
      guard case .undelivered(active: 2, previous: [1], _) = try await bench.run(.scheduled) else {
        Issue.record("expected a shortfall after \(pause) s")
        return
      }
    }
    #expect(!bench.provider.calls.contains { $0.hasPrefix("delete") })
    delivery.state.withLock { $0.failing = [] }
    bench.now.withLock { $0 = $0 + .seconds(480) }
    #expect(try await bench.run(.scheduled) == .delivered(active: 2, to: ["file"]))
    #expect(try await bench.run(.scheduled) == .settled(active: 2))
    #expect(await bench.code(.scheduled) == .notDue)
  }

  @Test("that is scheduled or resumes serves sinks that were added since, without a rotation or a policy")
  func addedSince() async throws {
    for goal in [RotationRunner.Goal.scheduled, .resume] {
      let (bench, delivery) = try await bench(names: ["file"])
      #expect(try await bench.run(goal) == .delivered(active: 1, to: ["file"]))
      #expect(delivery.calls == ["file id-1 1 0"] && bench.provider.calls.isEmpty)
      #expect(await bench.code(goal) == (goal == .resume ? .nothingUnfinished : .notDue))
    }
  }

  /// How the replaced pair comes to be deleted.
  enum Ending: CaseIterable { case noGrace, afterGrace, leak }

  @Test("ends no pair before a sink that was added during a request has the next one", arguments: Ending.allCases)
  func addedWhileAsked(_ ending: Ending) async throws {
    let (bench, delivery) = try await bench(policy: ["grace": ending == .noGrace ? "0s" : "1h"], names: ["file"])
    if ending == .afterGrace {
      _ = try await bench.run()
      bench.now.withLock { $0 = $0 + .seconds(7200) }
    }
    // The last grant before the deletion: the verifying one, or the one that shows that the active pair still works.
    let asked = Mutex(0)
    let isLast: @Sendable (String) -> Bool = { call in
      call == "grant id-2"
        && asked.withLock {
          $0 += 1; return $0 == (ending == .afterGrace ? 1 : 2)
        }
    }
    bench.provider.state.withLock { state in
      state.meanwhile = { [unowned bench] call in
        guard isLast(call) else { return }
        let late = DeliverySettings(name: "late", kind: .file(FileSettings(path: "/late", format: .json)))
        _ = try? await bench.vault.addDelivery(late, to: "crm", now: RotationMachineTests.start)
      }
    }
    delivery.state.withLock { state in
      state.calls = []
      state.within = { [unowned bench] _ in #expect(!bench.provider.calls.contains { $0.hasPrefix("delete") }) }
    }
    let goal: RotationRunner.Goal =
      switch ending {
      case .noGrace: .rotate
      case .afterGrace: .resume
      case .leak: .revoke(Revocation(incident: "it", reason: "seen in a ticket"))
      }
    #expect(try await bench.run(goal) == .settled(active: 2))
    #expect(delivery.calls.contains("late id-2 2 1"))
    #expect(try await bench.credential().undelivered == [])
    let intents = try await bench.journal(1).filter { $0.event == "rotation.retire.intended" }
    #expect(intents.count == 1)
  }

  @Test("that replaces the previous pair waits for no sink, and delivers the newest pair")
  func replacing() async throws {
    let (bench, delivery) = try await bench(names: ["file"])
    delivery.state.withLock { $0.failing = ["file"] }
    _ = try await bench.run()
    guard case .undelivered(active: 3, previous: [2], _) = try await bench.run(.rotateReplacingPrevious) else {
      Issue.record("expected another rotation")
      return
    }
    // Every sink that can be served is served before the pair that it uses ends.
    #expect(delivery.calls == ["file id-2 2 1", "file id-2 2 1", "file id-3 3 2"])
  }

  @Test("delivers nothing to a sink that is removed before its turn")
  func removedBefore() async throws {
    let (bench, delivery) = try await bench(names: ["file", "other"])
    let remove: @Sendable (String) async throws -> Void = { [unowned bench] name in
      guard name == "file" else { return }
      _ = try await bench.vault.removeDelivery("other", from: "crm", now: RotationMachineTests.start)
    }
    delivery.state.withLock { $0.within = remove }
    _ = try await bench.run(.deliver(again: false))
    #expect(delivery.calls == ["file id-1 1 0"])
  }

  @Test("records nothing for a sink that replaced another during its delivery")
  func removed() async throws {
    let (bench, delivery) = try await bench(names: ["file"])
    let replace: @Sendable (String) async throws -> Void = { [unowned bench] _ in
      _ = try await bench.vault.removeDelivery("file", from: "crm", now: RotationMachineTests.start)
      let other = DeliverySettings(name: "file", kind: .file(FileSettings(path: "/elsewhere", format: .json)))
      _ = try await bench.vault.addDelivery(other, to: "crm", now: RotationMachineTests.start)
    }
    delivery.state.withLock { $0.within = replace }
    _ = try await bench.run(.deliver(again: false))
    #expect(try await bench.credential().deliveries.map(\.delivered) == [nil])
  }
}
