import Audit
import Rotation
import Storage
import Synchronization
import Testing
import Vault

@Suite("A run in a vault that was restored")
struct ReconciliationTests {
  private func restored(_ bench: Bench) async throws {
    let end = try await bench.store.read { try VaultView($0).endpoint }
    try await bench.vault.logRestore(end, behind: nil, now: RotationMachineTests.start)
  }

  private func isReconciled(_ bench: Bench) async throws -> Bool {
    let credential = try await bench.credential()
    return try await bench.store.read { try VaultView($0).restoration(unreconciled: credential) } == nil
  }

  @Test("looks at the provider first, once after each restore, and then rotates")
  func compares() async throws {
    let bench = try await Bench()
    #expect(try await isReconciled(bench))
    for number in 1...2 {
      try await restored(bench)
      #expect(try await !isReconciled(bench))
      #expect(await bench.code(.resume) == .nothingUnfinished)
      #expect(bench.provider.calls.count == number && bench.provider.calls.last == "observe")
      #expect(try await isReconciled(bench))
      #expect(await bench.code(.resume) == .nothingUnfinished)
      #expect(bench.provider.calls.count == number)
    }
    #expect(
      try await bench.run()
        == .promoted(active: 2, previous: [1], graceEnds: bench.now.withLock { $0 } + .seconds(86_400)))
    try await bench.store.read { _ = try VaultView.verify($0) }
  }

  @Test("does nothing if the primary pair is a stranger's or the provider does not answer", arguments: [false, true])
  func stops(isSilent: Bool) async throws {
    let bench = try await Bench()
    try await restored(bench)
    bench.provider.state.withLock { state in
      state.primary = "id-9"
      state.slot = ("id-1", .replaced)
      if isSilent {
        state.trouble = { _ throws(ProviderError) in throw ProviderError(.unreachable, "nobody answers") }
      }
    }
    for goal in [
      RotationRunner.Goal.rotate, .rotateReplacingPrevious, .resume, .abort, .retire, .retireUndelivered,
      .deliver(again: true),
    ] {
      #expect(await bench.code(goal) == (isSilent ? .provider(.unreachable) : .foreignPrimary))
    }
    #expect(Set(bench.provider.calls) == ["observe"])
    #expect(try await !isReconciled(bench))
  }

  @Test("does nothing if a pair was made for the credential after the backup and none is called primary")
  func madeSince() async throws {
    let bench = try await Bench()
    try await restored(bench)
    bench.provider.state.withLock { state in
      state.slot = ("id-9", .staged)
      state.nextSecret = { _ in nil }
      state.marks = true
    }
    for goal in [RotationRunner.Goal.rotate, .rotateReplacingPrevious, .resume, .retire] {
      #expect(await bench.code(goal) == .foreignPrimary)
    }
    #expect(Set(bench.provider.calls) == ["observe"])
    #expect(try await !isReconciled(bench))
    bench.provider.state.withLock { $0.slot = nil }
    #expect(await bench.code(.resume) == .nothingUnfinished)
    #expect(try await isReconciled(bench))
  }

  @Test("does nothing before a person says so if the provider does not show pairs that the vault lacks")
  func unseen() async throws {
    let bench = try await Bench()
    try await restored(bench)
    bench.provider.state.withLock { $0.showsUnknownPairs = false }
    for goal in [RotationRunner.Goal.rotate, .rotateReplacingPrevious, .resume, .retire] {
      #expect(await bench.code(goal) == .foreignPrimary)
    }
    #expect(Set(bench.provider.calls) == ["observe"])
    #expect(try await !isReconciled(bench))
    #expect(await bench.code(.adopt(nil)) == .nothingUnfinished)
    #expect(try await isReconciled(bench))
    #expect(Set(bench.provider.calls) == ["observe"])
    #expect(await bench.code(.resume) == .nothingUnfinished)
  }

  @Test("takes the pair that a person gives for the one in use if the provider shows no others, and asks nothing more")
  func givenUnseen() async throws {
    let bench = try await Bench()
    try await restored(bench)
    bench.provider.state.withLock { state in
      state.showsUnknownPairs = false
      state.primary = "id-9"
      state.refused = ["id-1"]
    }
    let given = OfferedPair(try FakeProvider.pair("id-9"))
    guard case .promoted(active: 2, previous: [1], _) = try await bench.run(.adopt(given)) else {
      Issue.record("not adopted")
      return
    }
    #expect(try await isReconciled(bench))
    #expect(try await bench.run(.retire) == .settled(active: 2))
    try await bench.store.read { _ = try VaultView.verify($0) }
  }

  @Test("does not accept from a person that nothing came after the backup if it sees that something did")
  func seenSince() async throws {
    let bench = try await Bench()
    try await restored(bench)
    bench.provider.state.withLock { state in
      state.slot = ("id-9", .staged)
      state.nextSecret = { _ in nil }
      state.marks = true
    }
    #expect(await bench.code(.adopt(nil)) == .foreignPrimary)
    #expect(try await !isReconciled(bench))
  }

  @Test(
    "by a schedule asks nothing while nothing is due, and then less and less often, as the provider asks",
    arguments: [nil, 7200])
  func scheduled(retryAfter: Int?) async throws {
    let bench = try await Bench(policy: ["max-age": "30d"])
    try await restored(bench)
    #expect(await bench.code(.scheduled) == .notDue)
    #expect(bench.provider.calls.isEmpty)
    bench.provider.state.withLock { state in
      state.primary = "id-9"
      guard let retryAfter else { return }
      state.trouble = { _ throws(ProviderError) in
        throw ProviderError(.limited, "too many", status: 429, retryAfter: .seconds(retryAfter))
      }
    }
    bench.now.withLock { $0 = $0 + .seconds(30 * 86_400) }
    let before = try await bench.store.read { try AuditLog.size(in: $0) }
    for _ in 1...120 {
      let code = await bench.code(.scheduled)
      #expect(code == .notDue || code == (retryAfter == nil ? .foreignPrimary : .provider(.limited)))
      bench.now.withLock { $0 = $0 + .seconds(60) }
    }
    // At 0, 1, 3, 7, 15, 31 and 63 minutes.
    #expect(bench.provider.calls.count == (retryAfter == nil ? 7 : 1), "\(bench.provider.calls)")
    #expect(Set(bench.provider.calls) == ["observe"])
    #expect(try await bench.store.read { try AuditLog.size(in: $0) } - before <= 24)
    #expect(try await bench.state() == .ready)
    #expect(try await !isReconciled(bench))
    bench.provider.state.withLock { state in
      state.primary = "id-1"
      state.trouble = { _ throws(ProviderError) in }
    }
    bench.now.withLock { $0 = $0 + .seconds(7200) }
    guard case .promoted(active: 2, _, _) = try await bench.run(.scheduled) else {
      Issue.record("expected the rotation to go on")
      return
    }
  }

  @Test("takes a credential that was added after the restore as it is")
  func addedSince() async throws {
    let bench = try await Bench()
    try await restored(bench)
    let added = try await bench.vault.add(
      name: "new", provider: "fake", settings: [:], policy: Policy(), admin: "crm", pair: FakeProvider.pair("id-7"),
      now: RotationMachineTests.start)
    #expect(try await bench.store.read { try VaultView($0).restoration(unreconciled: added) } == nil)
  }

  @Test("is known to full verification, which fails if the row that says so is gone")
  func rowRemoved() async throws {
    let bench = try await Bench()
    try await restored(bench)
    let rows = try await bench.store.read { try $0.rows(in: .journal) }
    #expect(rows.count == 1)
    try await bench.store.write { try $0.remove(rows[0].key, from: .journal) }
    await #expect(throws: VaultError(.corrupt, "")) {
      try await bench.store.read { _ = try VaultView.verify($0) }
    }
  }
}
