import Audit
import JSON
import Rotation
import Sodium
import Storage
import Synchronization
import Testing
import Vault

@Suite("At a provider without a primary pair")
struct ReplacementTests {
  private func restored(_ bench: Bench) async throws {
    let end = try await bench.store.read { try VaultView($0).endpoint }
    try await bench.vault.logRestore(end, behind: nil, now: bench.now.withLock { $0 })
  }

  private func fail(_ calls: String..., in system: FakeSystem, as code: ProviderError.Code = .notPermitted) {
    system.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if calls.contains(where: { call.hasPrefix($0) }) { throw ProviderError(code, "not now") }
      }
    }
  }

  private func offer(_ id: String) throws -> RotationRunner.Goal { .adopt(OfferedPair(try FakeProvider.pair(id))) }

  private func leak(upTo version: UInt64) -> RotationRunner.Goal {
    .revoke(Revocation(incident: "2026-01-01-0f0f0f", reason: "a test", version: version))
  }

  private func names(_ bench: Bench, _ number: UInt64) async throws -> [String] {
    try await bench.journal(number).map { String($0.event.dropFirst("rotation.".count)) }
  }

  @Test("a pair that ends as the next one is made must be granted a token first, or the next would be refused too")
  func provedBeforeCutOver() async throws {
    for policy in [["grace": "0s"], ["max-age": "1h"]] {
      let (bench, system) = (try await Bench(policy: policy), FakeSystem(.cutOver))
      let goal = policy["grace"] == nil ? RotationRunner.Goal.scheduled : .rotate
      bench.now.withLock { $0 = $0 + .seconds(7200) }
      system.state.withLock { $0.refused = ["id-1"] }
      #expect(await bench.code(goal, at: system) == .provider(.refused))
      system.state.withLock { $0.refused = [] }
      fail("grant", in: system, as: .configuration)
      #expect(await bench.code(goal, at: system) == (goal == .scheduled ? .notDue : .provider(.configuration)))
      #expect(!system.calls.contains("stage"))
      #expect(try await bench.state() == .ready)
      fail(in: system)
      bench.now.withLock { $0 = $0 + .seconds(7200) }
      _ = try await bench.run(goal, at: system)
      #expect(try await bench.credential().version(in: .active)?.number == 2)
    }
  }

  @Test(
    "a refused pair is replaced anyway if a person says so, it leaked, or an earlier request may have ended it"
  )
  func refusedBeforeCutOver() async throws {
    for goal in [RotationRunner.Goal.rotateReplacingPrevious, leak(upTo: 1)] {
      let (bench, system) = (try await Bench(policy: ["grace": "0s"]), FakeSystem(.cutOver))
      system.state.withLock { $0.refused = ["id-1"] }
      _ = try await bench.run(goal, at: system)
      #expect(try await bench.credential().version(in: .active)?.number == 2, "\(goal)")
    }
    // The answer is lost, and no new pair is there: this very request may have ended the old one.
    let (bench, system) = (try await Bench(policy: ["grace": "0s"]), FakeSystem(.cutOver))
    system.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if call == "stage" { throw ProviderError(.unreachable, "lost", mayHaveActed: true) }
      }
    }
    #expect(await bench.code(at: system) != nil)
    fail(in: system)
    system.state.withLock { $0.refused = ["id-1"] }
    bench.now.withLock { $0 = $0 + .seconds(1200) }
    _ = try await bench.run(at: system)
    #expect(try await bench.credential().version(in: .active)?.number == 2)
  }

  // MARK: - A pair that the vault already has

  @Test("an answer with the old pair is not saved as a new one: the run looks for what was made and finds it")
  func answeredOld() async throws {
    let (bench, system) = (try await Bench(policy: ["grace": "0s"]), FakeSystem(.cutOver))
    system.state.withLock { state in
      state.answersOld = (true, true)
      state.lag = 1
    }
    #expect(try await bench.run(at: system) == .settled(active: 2))
    #expect(system.calls.count { $0 == "stage" } == 1)
    #expect(system.calls.last { $0.hasPrefix("grant") } == "grant id-1")
    #expect(system.calls.contains("grant id-2"))
    #expect(try await names(bench, 1).prefix(4) == ["begun", "stage.intended", "stage.lost", "staged"])
    #expect(try await bench.journal(1)[2].details["reason"] == .string("known"))
  }

  @Test(
    "a request that makes no new pair is reported, nothing is saved, and the same run does not ask again",
    arguments: [Replacement.overlap, .cutOver])
  func madeNone(_ replacement: Replacement) async throws {
    let (bench, system) = (try await Bench(policy: ["grace": "0s"]), FakeSystem(replacement))
    system.state.withLock { $0.answersOld = (true, false) }
    for goal in [RotationRunner.Goal.rotate, leak(upTo: 1)] {
      do {
        _ = try await bench.run(goal, at: system)
        Issue.record("replaced by itself")
      } catch let error as RotationError {
        #expect("\(error)".contains("version 1"), "\(error)")
        if replacement == .overlap { #expect(error.code == .provider(.configuration), "\(error)") }
      }
      #expect(try await bench.credential().versions.map(\.number) == [1])
    }
    #expect(system.calls.count { $0 == "stage" } == (replacement == .overlap ? 2 : 1))
    #expect(system.state.withLock(\.accepted) == ["id-1"])
    // Once that is fixed, the next run succeeds.
    system.state.withLock { $0.answersOld.isSo = false }
    bench.now.withLock { $0 = $0 + .seconds(1200) }
    #expect(try await bench.run(at: system) == .settled(active: 2))
  }

  // MARK: - After a restore

  @Test(
    "a restored vault takes its active pair for the one in use only if no other was made since",
    arguments: [true, false], [true, false])
  func overlapRestored(isThere: Bool, isMarked: Bool) async throws {
    let (bench, system) = (try await Bench(policy: ["max-age": "1h"]), FakeSystem(.overlap))
    try await restored(bench)
    bench.now.withLock { $0 = $0 + .seconds(3600) }
    system.state.withLock { state in
      state.accepted = isThere ? ["id-1", "id-9"] : ["id-9"]
      if isMarked { state.marked = ["id-9"] } else { state.listed = ["id-9"] }
    }
    var goals = [RotationRunner.Goal.rotate, .rotateReplacingPrevious, .resume, .abort, .retire, .scheduled]
    if isThere { goals.append(.adopt(nil)) }
    for goal in goals { #expect(await bench.code(goal, at: system) == .foreignPrimary, "\(goal)") }
    #expect(Set(system.calls) == ["observe"])
    #expect(system.state.withLock { $0.accepted }.contains("id-9"))
    // A person who has the pair says that it is in use.
    guard case .promoted(active: 2, previous: [1], _) = try await bench.run(offer("id-9"), at: system) else {
      Issue.record("not adopted")
      return
    }
    #expect(try await bench.run(.retire, at: system) == .settled(active: 2))
    #expect(system.state.withLock { $0.accepted } == ["id-9"])
  }

  @Test("a leak ends no pair that a restored vault lacks and that may be in use", arguments: [true, false])
  func restoredLeak(isMarked: Bool) async throws {
    let (bench, system) = (try await Bench(), FakeSystem(.overlap))
    try await restored(bench)
    system.state.withLock { state in
      state.accepted = ["id-1", "id-9"]
      if isMarked { state.marked = ["id-9"] } else { state.listed = ["id-9"] }
    }
    #expect(await bench.code(leak(upTo: 1), at: system) == .foreignPrimary)
    #expect(Set(system.calls) == ["observe"])
    #expect(system.state.withLock { $0.accepted } == ["id-1", "id-9"])
  }

  @Test("a restored vault adopts no pair while a third is there that may be in use")
  func severalMadeSince() async throws {
    let (bench, system) = (try await Bench(), FakeSystem(.overlap))
    try await restored(bench)
    system.state.withLock { state in
      state.accepted = ["id-1", "id-8", "id-9"]
      state.marked = ["id-8", "id-9"]
    }
    #expect(await bench.code(try offer("id-9"), at: system) == .foreignPrimary)
    // A pair that is not there does not show either that nothing came after the backup.
    system.state.withLock { $0.accepted = ["id-1"] }
    #expect(await bench.code(try offer("id-7"), at: system) == .foreignPrimary)
    #expect(try await bench.credential().reconciled == 0)
    #expect(Set(system.calls) == ["observe"])
    system.state.withLock { $0.accepted = ["id-1", "id-9"] }
    _ = try await bench.run(offer("id-9"), at: system)
    #expect(try await bench.credential().version(in: .active)?.number == 2)
  }

  @Test(
    "a restored vault whose pair ended elsewhere does nothing until the new pair is adopted", arguments: [true, false])
  func cutOverRestored(isStaged: Bool) async throws {
    let (bench, system) = (try await Bench(policy: ["max-age": "1h"]), FakeSystem(.cutOver))
    if isStaged {
      fail("grant id-2", in: system)
      #expect(await bench.code(at: system) == .provider(.notPermitted))
      fail(in: system)
    }
    try await restored(bench)
    bench.now.withLock { $0 = $0 + .seconds(3600) }
    system.state.withLock { $0.accepted = ["id-9"] }
    let before = system.calls.count
    for goal in [RotationRunner.Goal.rotate, .rotateReplacingPrevious, .resume, .abort, .retire, .scheduled] {
      #expect(await bench.code(goal, at: system) == .foreignPrimary, "\(goal)")
    }
    #expect(Set(system.calls[before...]) == ["observe"])
    #expect(await bench.code(try offer("id-8"), at: system) == .foreignPrimary)
    #expect(try await bench.credential().version(in: .active)?.number == 1)

    // The pair staged in the backup is nowhere and is refused: it does not block the one that is in use now.
    let adopted: UInt64 = isStaged ? 3 : 2
    guard case .promoted(active: adopted, previous: [1], _) = try await bench.run(offer("id-9"), at: system) else {
      Issue.record("not adopted")
      return
    }
    if isStaged {
      #expect(try await names(bench, 1).suffix(3) == ["abandoned", "discard.intended", "discarded"])
      #expect(try await bench.credential().version(2)?.stage == .retired)
    }
    #expect(try await bench.run(.retire, at: system) == .settled(active: adopted))
    try await bench.store.read { _ = try VaultView.verify($0) }
  }

  @Test("a restored vault finishes the rotation that the backup had begun", arguments: ["stage", "grant id-2"])
  func restoredUnderWay(_ call: String) async throws {
    let (bench, system) = (try await Bench(), FakeSystem(.cutOver))
    let isLost = Mutex(false)
    system.state.withLock { state in
      state.trouble = { name throws(ProviderError) in
        if name == call { isLost.withLock { $0 = true } }
        if isLost.withLock({ $0 }) { throw ProviderError(.unreachable, "nobody answers", mayHaveActed: true) }
      }
    }
    #expect(await bench.code(at: system) == .provider(.unreachable))
    // The provider has acted nevertheless.
    system.state.withLock { state in
      state.trouble = { _ throws(ProviderError) in }
      state.accepted = ["id-2"]
    }
    try await restored(bench)
    guard case .promoted(active: 2, previous: [1], _) = try await bench.run(.resume, at: system) else {
      Issue.record("not finished")
      return
    }
    #expect(try await bench.run(.retire, at: system) == .settled(active: 2))
  }

  @Test(
    "a pair that was staged in the backup may be in use, so it is not deleted before it is replaced",
    arguments: [true, false])
  func stagedInBackup(isLeaked: Bool) async throws {
    let (bench, system) = (try await Bench(), FakeSystem(.overlap))
    fail("grant id-2", in: system)
    #expect(await bench.code(at: system) == .provider(.notPermitted))
    fail(in: system)
    try await restored(bench)
    // Compared with the provider by a run that could not continue.
    #expect(await bench.code(.retire, at: system) != nil)
    #expect(await bench.code(.abort, at: system) == .promotedAlready)
    #expect(system.state.withLock { $0.accepted } == ["id-1", "id-2"])
    if isLeaked {
      #expect(try await bench.run(leak(upTo: 2), at: system) == .settled(active: 3))
      let calls = system.calls
      let deleted = try #require(calls.firstIndex(of: "delete handle-id-2"))
      #expect(try #require(calls.lastIndex(of: "stage")) < deleted, "\(calls)")
      return
    }
    guard case .promoted(active: 2, previous: [1], _) = try await bench.run(.resume, at: system) else {
      Issue.record("not promoted")
      return
    }
    // A pair staged after the restore is given up as usual.
    #expect(try await bench.run(.retire, at: system) == .settled(active: 2))
    bench.now.withLock { $0 = $0 + .seconds(60) }
    fail("grant id-3", in: system)
    #expect(await bench.code(at: system) == .provider(.notPermitted))
    fail(in: system)
    #expect(try await bench.run(.abort, at: system) == .abandoned(active: 2))
  }

  // MARK: - What is adopted

  enum Before: CaseIterable { case nothing, restore, leak }

  /// A bench that has taken over id-9 from beside its active pair, and could not prove it.
  private func cutAdoption(_ before: Before = .nothing, failing code: ProviderError.Code = .notPermitted) async throws
    -> (Bench, FakeSystem)
  {
    let (bench, system) = (try await Bench(), FakeSystem(.overlap, accepting: ["id-1", "id-9"]))
    system.state.withLock { $0.listed = ["id-9"] }
    switch before {
    case .nothing: break
    case .restore: try await restored(bench)
    case .leak:
      fail("observe", in: system)
      #expect(await bench.code(leak(upTo: 1), at: system) == .provider(.notPermitted))
    }
    let grants = Counter()
    system.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        guard call == "grant id-9" else { return }
        guard grants.next() == 1 else { throw ProviderError(code, "not now") }
      }
    }
    #expect(await bench.code(try offer("id-9"), at: system) == .provider(code))
    #expect(try await bench.state() == .staged)
    fail(in: system)
    return (bench, system)
  }

  @Test(
    "a pair that is being adopted is in use: it cannot be given up, and is deleted only once it is replaced",
    arguments: Before.allCases)
  func adoptedStays(before: Before) async throws {
    let (bench, system) = try await cutAdoption(before)
    #expect(await bench.code(.abort, at: system) == .promotedAlready)
    #expect(!system.calls.contains { $0.hasPrefix("delete") })
    if before == .leak {
      #expect(try await bench.run(.resume, at: system) == .settled(active: 3))
      let calls = system.calls
      #expect(
        try #require(calls.firstIndex(of: "stage")) < #require(calls.firstIndex(of: "delete handle-id-9")), "\(calls)")
      return
    }
    guard case .promoted(active: 2, previous: [1], _) = try await bench.run(.resume, at: system) else {
      Issue.record("not promoted")
      return
    }
    #expect(system.state.withLock { $0.accepted } == ["id-1", "id-9"])
  }

  @Test("a pair that is being adopted and is refused is kept until it is gone at the provider")
  func adoptedRefused() async throws {
    let (bench, system) = try await cutAdoption(failing: .refused)
    system.state.withLock { $0.refused = ["id-9"] }
    bench.now.withLock { $0 = $0 + .seconds(86_400) }
    #expect(await bench.code(.resume, at: system) == .provider(.refused))
    #expect(await bench.code(.abort, at: system) == .promotedAlready)
    system.state.withLock { $0.accepted = ["id-1"] }
    #expect(try await bench.run(.abort, at: system) == .abandoned(active: 1))
    #expect(!system.calls.contains { $0.hasPrefix("delete") })
  }

  @Test("a pair that leaked while it was being adopted, and that is refused, is given up")
  func adoptedLeakedAndRefused() async throws {
    let (bench, system) = try await cutAdoption(.leak)
    system.state.withLock { $0.refused = ["id-9"] }
    #expect(try await bench.run(.resume, at: system) == .settled(active: 3))
    #expect(system.state.withLock { $0.accepted } == ["id-2"])
  }

  @Test("a pair that was given up, but that a person says is in use, is adopted and not deleted")
  func adoptedAfterGivenUp() async throws {
    let (bench, system) = (try await Bench(), FakeSystem(.overlap))
    fail("grant id-2", in: system)
    #expect(await bench.code(at: system) == .provider(.notPermitted))
    fail("delete", in: system)
    #expect(await bench.code(.abort, at: system) != nil)
    #expect(try await bench.state() == .rejected)
    fail(in: system)
    guard case .promoted(active: 3, previous: [1], _) = try await bench.run(offer("id-2"), at: system) else {
      Issue.record("not adopted")
      return
    }
    #expect(try await bench.credential().version(2)?.stage == .retired)
    #expect(try await bench.journal(1).last?.details["reason"] == "adopted")
    #expect(system.state.withLock { $0.accepted } == ["id-1", "id-2"])
  }

  @Test("nothing is adopted beside the active pair while a replaced one is owed that can be retired")
  func adoptedWhileOwed() async throws {
    let (bench, system) = (try await Bench(policy: ["grace": "1d"]), FakeSystem(.overlap))
    _ = try await bench.run(at: system)
    system.state.withLock { state in
      state.accepted.append("id-9")
      state.listed = ["id-9"]
    }
    #expect(await bench.code(try offer("id-9"), at: system) == .held)
    #expect(try await bench.state() == .owed)
    #expect(try await bench.run(.retire, at: system) == .settled(active: 2))
    guard case .promoted(active: 3, previous: [2], _) = try await bench.run(offer("id-9"), at: system) else {
      Issue.record("not adopted")
      return
    }
  }

  /// A bench whose rotation ended without its pair, and that owes a pair of the rotation before.
  private func leftOwing(_ delivery: any PairDelivery = NoDelivery()) async throws -> (Bench, FakeSystem) {
    let (bench, system) = (try await Bench(policy: ["grace": "1d"], delivery: delivery), FakeSystem(.overlap))
    _ = try await bench.run(at: system)
    // A list that is out of date: it does not show the owed pair.
    system.state.withLock { state in
      state.accepted = ["id-2", "id-9"]
      state.listed = ["id-9"]
      let grants = Counter()
      state.trouble = { call throws(ProviderError) in
        guard call == "grant id-9" else { return }
        guard grants.next() == 1 else { throw ProviderError(.notPermitted, "not now") }
      }
    }
    #expect(await bench.code(try offer("id-9"), at: system) == .provider(.notPermitted))
    system.state.withLock { $0.accepted = ["id-1", "id-2"] }
    fail(in: system)
    #expect(try await bench.run(.abort, at: system) == .abandoned(active: 2))
    #expect(try await bench.credential().debts.map(\.number) == [1])
    return (bench, system)
  }

  @Test("a debt that a failed rotation left is ended by the next rotation, unless its grace has not ended")
  func leftOwed() async throws {
    let (bench, system) = try await leftOwing()
    #expect(await bench.code(.retire, at: system) == .unresolved)
    #expect(await bench.code(at: system) == .provider(.occupied))
    bench.now.withLock { $0 = $0 + .seconds(86_400) }
    guard case .promoted(active: 4, previous: [1, 2], _) = try await bench.run(at: system) else {
      Issue.record("not promoted")
      return
    }
    #expect(system.calls.suffix(from: try #require(system.calls.lastIndex(of: "delete handle-id-1"))).contains("stage"))
    #expect(try await bench.run(.retire, at: system) == .settled(active: 4))
    #expect(try await bench.credential().debts.isEmpty)
  }

  @Test("such a debt is not ended while the provider's clock says that its grace has not ended")
  func leftOwedByTheProvidersClock() async throws {
    let (bench, system) = try await leftOwing()
    bench.now.withLock { $0 = $0 + .seconds(86_400) }
    let now = bench.now.withLock { $0 }
    system.state.withLock { $0.time = now + .seconds(-3600) }
    #expect(await bench.code(at: system) == .provider(.configuration))
    #expect(system.state.withLock { $0.accepted } == ["id-1", "id-2"])
  }

  @Test("such a debt is not ended while a sink lacks the active pair")
  func leftOwedUndelivered() async throws {
    let (bench, system) = try await leftOwing(FakeDelivery())
    _ = try await bench.vault.addDelivery(
      DeliverySettings(name: "file", kind: .file(FileSettings(path: "/file", format: .json))), to: "crm",
      now: bench.now.withLock { $0 })
    bench.now.withLock { $0 = $0 + .seconds(86_400) }
    #expect(await bench.code(at: system) == .provider(.occupied))
    #expect(system.state.withLock { $0.accepted } == ["id-1", "id-2"])
    _ = try await bench.run(.deliver(again: false), at: system)
    guard case .promoted(active: 4, previous: [1, 2], _) = try await bench.run(at: system) else {
      Issue.record("not promoted")
      return
    }
  }

  @Test("a debt that a failed rotation left is cut off if a person says so")
  func leftOwedCutOff() async throws {
    let (bench, system) = try await leftOwing()
    guard case .promoted(active: 4, previous: [1, 2], _) = try await bench.run(.rotateReplacingPrevious, at: system)
    else {
      Issue.record("not promoted")
      return
    }
    #expect(system.calls.contains("delete handle-id-1"))
  }

  // MARK: - A request that acts late

  /// A system whose first request to stage is given up before it has acted.
  private func slow() async throws -> (Bench, FakeSystem) {
    let (bench, system) = (try await Bench(), FakeSystem(.cutOver))
    let asked = Counter()
    system.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        guard call == "stage", asked.next() == 1 else { return }
        throw ProviderError(.unreachable, "no answer in time", mayHaveActed: true)
      }
    }
    return (bench, system)
  }

  @Test("a request that ends the old pair is waited for by the run that made it", arguments: [1, 3])
  func actsLate(looks: Int) async throws {
    let (bench, system) = try await slow()
    let trouble = system.state.withLock { $0.trouble }
    let seen = Counter()
    system.state.withLock { state in
      state.trouble = { [unowned system] call throws(ProviderError) in
        if call == "observe", system.calls.contains("stage"), seen.next() == looks + 1 {
          system.state.withLock { $0.accepted = ["id-9"] }
        }
        try trouble(call)
      }
    }
    guard case .promoted(active: 2, previous: [1], _) = try await bench.run(at: system) else {
      Issue.record("not promoted")
      return
    }
    #expect(system.state.withLock { $0.accepted } == ["id-9"])
    #expect(system.calls.count { $0 == "stage" } == 1)
  }

  @Test("a request that ends the old pair is not made again for a while", arguments: [true, false])
  func actsMuchLater(acts: Bool) async throws {
    let (bench, system) = try await slow()
    #expect(await bench.code(at: system) == .provider(.unreachable))
    #expect(try await bench.state() == .staging)
    for goal in [RotationRunner.Goal.rotate, .abort, .resume] {
      bench.now.withLock { $0 = $0 + .seconds(120) }
      #expect(await bench.code(goal, at: system) == .unresolved, "\(goal)")
      #expect(try await bench.state() == .staging)
    }
    if acts { system.state.withLock { $0.accepted = ["id-9"] } }
    bench.now.withLock { $0 = $0 + .seconds(3600) }
    guard case .promoted(active: 2, previous: [1], _) = try await bench.run(at: system) else {
      Issue.record("not promoted")
      return
    }
    #expect(system.state.withLock { $0.accepted } == [acts ? "id-9" : "id-2"])
    #expect(system.calls.count { $0 == "stage" } == (acts ? 1 : 2))
  }

  @Test("a containment does not wait for a request that may still act")
  func containmentWaitsForNothing() async throws {
    let (bench, system) = try await slow()
    #expect(await bench.code(at: system) == .provider(.unreachable))
    let goal = RotationRunner.Goal.revoke(
      Revocation(incident: "2026-01-01-0f0f0f", reason: "a test", isContainment: true))
    #expect(try await bench.run(goal, at: system) == .settled(active: 2))
    #expect(system.state.withLock { $0.accepted } == ["id-2"])
  }

  @Test(
    "a containment makes the only remaining pair active, unproved, and continues", arguments: [true, false])
  func containmentOfTheLast(isPromoting: Bool) async throws {
    let (bench, system) = (try await Bench(), FakeSystem(.overlap))
    if isPromoting {
      try await forgePromoting(bench)
    } else {
      fail("grant id-2", in: system)
      #expect(await bench.code(at: system) == .provider(.notPermitted))
      fail(in: system)
    }
    // Somebody has deleted the leaked pair at the provider.
    system.state.withLock { state in
      state.accepted = ["id-2"]
      state.calls = []
    }
    let goal = RotationRunner.Goal.revoke(
      Revocation(incident: "2026-01-01-0f0f0f", reason: "a test", isContainment: true))
    #expect(try await bench.run(goal, at: system) == .settled(active: 2))
    #expect(system.calls.count < 15, "\(system.calls)")
    let intended = try await bench.journal(1).last { $0.event == "rotation.promote.intended" }
    #expect(intended?.details["unproved"] == true)
    #expect(try await bench.credential().leak == nil)
  }

  // MARK: - Servers that have not heard

  @Test("the leaked pair is deleted only once several servers accept the new one, even if one did at once")
  func unheard() async throws {
    let (bench, system) = (try await Bench(policy: ["propagation": "1m"]), FakeSystem(.overlap))
    system.state.withLock { $0.unheard = 2 }
    let found = Mutex<[String]>([])
    system.state.withLock { state in
      state.trouble = { [unowned system] call throws(ProviderError) in
        guard call.hasPrefix("delete") else { return }
        found.withLock { $0 = system.state.withLock { $0.grantsAnew } }
      }
    }
    let goal = RotationRunner.Goal.revoke(Revocation(incident: "2026-01-01-0f0f0f", reason: "a test"))
    #expect(try await bench.run(goal, at: system) == .settled(active: 2))
    #expect(
      found.withLock { $0 } == ["id-2 false", "id-2 false", "id-2 true", "id-2 true", "id-2 true"],
      "a refusal begins the count again")
  }

  @Test("a new pair that only the first server accepts is not delivered or settled, and the old one is kept")
  func heardByOne() async throws {
    let (bench, system) = (try await Bench(), FakeSystem(.overlap))
    system.state.withLock { $0.unheard = .max }
    let goal = RotationRunner.Goal.revoke(Revocation(incident: "2026-01-01-0f0f0f", reason: "a test"))
    let code = await bench.code(goal, at: system)
    #expect(code == .outstanding)
    let state = try await bench.state()
    #expect(state == .promoted)
    #expect(system.state.withLock { $0.accepted } == ["id-1", "id-2"])
    system.state.withLock { $0.unheard = 0 }
    #expect(try await bench.run(.resume, at: system) == .settled(active: 2))
    #expect(system.state.withLock { $0.accepted } == ["id-2"])
  }

  // MARK: - Proofs

  /// What a program leaves that died an hour ago between the intent and the promotion of id-2, which was proved.
  private func forgePromoting(_ bench: Bench) async throws {
    let start = RotationMachineTests.start
    let pair = try FakeProvider.pair("id-2")
    let sealed = try await bench.vault.seal(pair, of: "crm", version: 2)
    try await bench.forge([
      ("rotation.begun", [:], .zero), ("rotation.stage.intended", [:], .zero), ("rotation.staged", [:], .zero),
      ("rotation.validate.intended", [:], .zero), ("rotation.validated", [:], .zero),
      ("rotation.promote.intended", [:], .zero),
    ])
    _ = try await bench.vault.change(now: start) { change in
      var credential = try change.view.credential("crm")
      _ = try credential.addStaged(handle: nil, expires: nil, now: start)
      try change.storePair(sealed, of: credential)
      return try change.save(credential, EventName("credential.policy"))
    }
    bench.now.withLock { $0 = $0 + .seconds(3600) }
  }

  @Test("the only remaining pair is proved again before it becomes active, even if it was proved before")
  func provedAnew() async throws {
    let (bench, system) = (try await Bench(), FakeSystem(.overlap))
    system.state.withLock { $0.accepted = ["id-2"] }
    try await forgePromoting(bench)
    guard case .promoted(active: 2, previous: [1], _) = try await bench.run(at: system) else {
      Issue.record("not promoted")
      return
    }
    #expect(
      try await names(bench, 1).suffix(7)
        == [
          "promote.postponed", "validate.intended", "validated", "promote.intended", "promoted", "verify.intended",
          "verified",
        ])
  }

  // MARK: - Rows that no run wrote

  @Test(
    "a forged row in the place of the next pair or step costs no pair, even if the old one is already gone",
    arguments: [Replacement.overlap, .cutOver], [nil, 0, 2] as [UInt32?])
  func plantedRows(_ replacement: Replacement, step: UInt32?) async throws {
    let (bench, system) = (try await Bench(policy: ["grace": "0s"]), FakeSystem(replacement))
    let id = try await bench.credential().id.bytes
    try await bench.store.write { transaction in
      if let step {
        let key = id + UInt64(1).bigEndianBytes + step.bigEndianBytes
        try transaction.set(UInt64(0).bigEndianBytes, in: .journal, for: key)
      } else {
        try transaction.set([1] + [UInt8](repeating: 7, count: 60), in: .versions, for: id + UInt64(2).bigEndianBytes)
      }
    }
    #expect(try await bench.run(at: system) == .settled(active: 2))
    #expect(system.state.withLock { $0.accepted } == ["id-2"])
    let opened = try await bench.vault.pairs(
      of: "crm", choosing: { $0.versions.filter { $0.stage == .active } }, event: .pairRead,
      now: bench.now.withLock { $0 })
    let clients = opened.map { $0.pair.clientID.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
    #expect(clients == ["id-2"])
    _ = try await bench.store.read { try VaultView.verify($0) }
  }

  @Test("if no number is left for the next version, the provider is asked for no pair")
  func noNumberLeft() async throws {
    let bench = try await Bench()
    let pair = try await bench.vault.seal(FakeProvider.pair("id-1"), of: "crm", version: 2_147_483_648)
    _ = try await bench.vault.change(now: RotationMachineTests.start) { change in
      let credential = try change.view.credential("crm")
      try change.storePair(pair, of: credential)
      let text = String(decoding: credential.bytes, as: UTF8.self)
      let record = Array(text.replacing(#""number":1,"#, with: #""number":2147483648,"#).utf8)
      return try change.save(Credential(decoding: record, name: "crm"), EventName("credential.policy"))
    }
    await #expect(throws: VaultError(.corrupt, "")) { try await bench.run() }
    #expect(!bench.provider.calls.contains("stage"), "\(bench.provider.calls)")
    #expect(try await bench.credential().versions.count == 1)
  }

  // MARK: - An end

  @Test(
    "the end of an active pair that expires is known, and the pair is due in time even without a maximum age",
    arguments: [["stage"], ["observe"]], [Replacement.overlap, .cutOver])
  func endsAutomatically(told: [String], _ replacement: Replacement) async throws {
    let (bench, system) = (try await Bench(policy: ["grace": "0s"]), FakeSystem(replacement))
    let now = bench.now.withLock { $0 }
    let end = now + .seconds(40 * 86_400)
    system.state.withLock { $0.ends = (end, Set(told)) }
    #expect(try await bench.run(at: system) == .settled(active: 2))
    let credential = try await bench.credential()
    let active = try #require(credential.version(in: .active))
    #expect(active.number == 2 && active.expires == end)
    #expect(credential.due == active.created + .milliseconds((end.milliseconds - active.created.milliseconds) * 3 / 4))
    bench.now.withLock { $0 = now + .seconds(29 * 86_400) }
    #expect(await bench.code(.scheduled, at: system) == .notDue)
    bench.now.withLock { $0 = now + .seconds(31 * 86_400) }
    #expect(try await bench.run(.scheduled, at: system) == .settled(active: 3))
    try await bench.store.read { _ = try VaultView.verify($0) }
  }

  @Test("a grace ends when the new pair is to be replaced because it ends", arguments: [["stage"], ["observe"]])
  func graceOfWhatEnds(told: [String]) async throws {
    let (bench, system) = (try await Bench(policy: ["grace": "2d"]), FakeSystem(.overlap))
    let now = bench.now.withLock { $0 }
    system.state.withLock { $0.ends = (now + .seconds(8 * 3600), Set(told)) }
    _ = try await bench.run(at: system)
    let credential = try await bench.credential()
    let active = try #require(credential.version(in: .active))
    #expect(active.number == 2 && credential.graceEnds == active.limit(endingAt: now + .seconds(8 * 3600)))
    bench.now.withLock { $0 = now + .seconds(7 * 3600) }
    system.state.withLock { $0.ends = nil }
    for _ in 1...2 { _ = try await bench.run(.scheduled, at: system) }
    #expect(try await bench.credential().version(in: .active)?.number == 3)
    #expect(system.state.withLock(\.accepted).contains("id-3"))
    try await bench.store.read { _ = try VaultView.verify($0) }
  }

  @Test("a grace leaves half of what is left of a pair that waited to be promoted; an end in the past shortens nothing")
  func graceOfWhatEndsSoon() async throws {
    for hours: Int64 in [8, -1] {
      let (bench, system) = (try await Bench(policy: ["grace": "2d"]), FakeSystem(.overlap))
      let now = bench.now.withLock { $0 }
      system.state.withLock { state in
        state.ends = (now + .seconds(hours * 3600), ["stage"])
        state.trouble = { call throws(ProviderError) in
          if call.hasPrefix("grant") { throw ProviderError(.unreachable, "nobody is there") }
        }
      }
      #expect(await bench.code(at: system) == .provider(.unreachable))
      system.state.withLock { $0.trouble = { _ in } }
      bench.now.withLock { $0 = now + .seconds(7 * 3600) }
      _ = try await bench.run(at: system)
      let verified = bench.now.withLock { $0 }
      let graceEnds = try #require(try await bench.credential().graceEnds)
      let left = (graceEnds - verified).components.seconds
      #expect(hours < 0 ? left > 47 * 3600 : (1500...1800).contains(left), "\(left)")
      #expect(system.state.withLock(\.accepted).contains("id-1"))
    }
  }

  // MARK: - A look that is out of date

  @Test(
    "a proved pair is not given up because the system does not show it yet",
    arguments: [Replacement.overlap, .cutOver])
  func shownLate(_ replacement: Replacement) async throws {
    let (bench, system) = (try await Bench(policy: ["propagation": "10m", "grace": "0s"]), FakeSystem(replacement))
    system.state.withLock { $0.lag = 3 }
    #expect(try await bench.run(at: system) == .settled(active: 2))
    #expect(system.calls.count { $0 == "stage" } == 1)
    #expect(try await !names(bench, 1).contains("rejected"))
  }

  @Test("a pair whose making ended the old one is not given up while the old one is still shown")
  func shownLater() async throws {
    // For longer than a run waits.
    let (bench, system) = (try await Bench(policy: ["grace": "0s"]), FakeSystem(.cutOver))
    system.state.withLock { $0.lag = 5 }
    #expect(await bench.code(at: system) == .unresolved)
    #expect(try await bench.state() == .staged)
    #expect(await bench.code(.abort, at: system) == .promotedAlready)
    #expect(await bench.code(at: system) == .unresolved)
    #expect(try await bench.run(at: system) == .settled(active: 2))
    #expect(system.calls.count { $0 == "stage" } == 1)
  }

  @Test("a new pair is not given up while a third is shown and the pair is accepted") func thirdShown() async throws {
    let (bench, system) = (try await Bench(policy: ["grace": "0s"]), FakeSystem(.cutOver))
    system.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        // After the look before staging.
        if call == "grant id-2" { system.state.withLock { $0.past = (["id-8"], 2) } }
      }
    }
    #expect(await bench.code(at: system) == .unresolved)
    #expect(try await bench.state() == .staged)
    fail(in: system)
    system.state.withLock { $0.past.looks = 0 }
    #expect(try await bench.run(at: system) == .settled(active: 2))
  }

  @Test(
    "a pair that was given up although no other exists is adopted, or replaced by one that a person makes",
    arguments: [true, false])
  func givenUp(isAccepted: Bool) async throws {
    let (bench, system) = (try await Bench(policy: ["grace": "0s"]), FakeSystem(.cutOver))
    let grants = Mutex(0)
    system.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        guard call == "grant id-2" else { return }
        let grant = grants.withLock { grants in
          grants += 1
          return grants
        }
        // A node that knows neither the new pair nor the old one: it is asked twice for what there is, and then for a
        // token.
        system.state.withLock { state in
          if grant == 1 { state.past = (["id-8"], 2) } else { state.refused = ["id-2"] }
        }
      }
    }
    #expect(await bench.code(at: system) == .outstanding)
    #expect(try await bench.state() == .rejected)
    // Nobody uses a pair that is refused.
    #expect(await bench.code(try offer("id-2"), at: system) == .outstanding)
    #expect(try await bench.state() == .rejected)
    if isAccepted {
      fail(in: system)
      system.state.withLock { $0.refused = [] }
      #expect(try await bench.run(offer("id-2"), at: system) == .settled(active: 3))
      #expect(system.state.withLock { $0.accepted } == ["id-2"])
      return
    }
    system.state.withLock { $0.accepted = ["id-9"] }
    #expect(try await bench.run(offer("id-9"), at: system) == .settled(active: 3))
  }

  @Test("a look after the promotion that shows none of the credential's pairs is waited out") func shownNowhere()
    async throws
  {
    let (bench, system) = (try await Bench(policy: ["propagation": "10m", "grace": "0s"]), FakeSystem(.overlap))
    let looks = Mutex(0)
    system.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        guard call == "observe" else { return }
        let look = looks.withLock { looks in
          looks += 1
          return looks
        }
        // After the looks before staging and before promotion.
        if look == 3 { throw ProviderError(.configuration, "none of this credential's", step: .primary) }
      }
    }
    #expect(try await bench.run(at: system) == .settled(active: 2))
    #expect(try await !names(bench, 1).contains("verify.postponed"))
  }

  // MARK: - A leak

  @Test(
    "a leaked staged pair that has ended the old one is tried before it becomes active, and then replaced",
    arguments: [true, false])
  func stagedLeaked(isRefused: Bool) async throws {
    let (bench, system) = (try await Bench(), FakeSystem(.cutOver))
    fail("grant id-2", in: system)
    #expect(await bench.code(at: system) == .provider(.notPermitted))
    #expect(try await bench.credential().version(in: .staged)?.number == 2)
    fail(in: system)
    if isRefused { system.state.withLock { $0.refused = ["id-2"] } }
    #expect(try await bench.run(leak(upTo: 2), at: system) == .settled(active: 3))
    let journal = try await bench.journal(1).suffix(4)
    #expect(
      journal.map { String($0.event.dropFirst("rotation.".count)) }
        == ["validate.intended", isRefused ? "validate.postponed" : "validated", "promote.intended", "promoted"])
    #expect(journal.first { $0.event == "rotation.promote.intended" }?.details["unproved"] == (isRefused ? true : nil))
    let credential = try await bench.credential()
    #expect(credential.leak == nil && credential.debts.isEmpty)
    try await bench.store.read { _ = try VaultView.verify($0) }
  }

  @Test("a replaced pair that lives on for a time does not stop a leaked pair from being replaced")
  func replacedGoesOn() async throws {
    let (bench, system) = (try await Bench(), FakeSystem(.cutOver))
    system.state.withLock { $0.keepsReplaced = true }
    let grants = Counter()
    system.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        guard call == "grant id-2" else { return }
        guard grants.next() == 1 else { throw ProviderError(.notPermitted, "not now") }
      }
    }
    #expect(await bench.code(at: system) == .outstanding)
    #expect(try await bench.state() == .promoted)
    fail(in: system)
    #expect(system.state.withLock { $0.accepted } == ["id-1", "id-2"])
    #expect(try await bench.run(leak(upTo: 2), at: system) == .settled(active: 3))
    #expect(system.state.withLock { $0.accepted } == ["id-3"])
    #expect(try await bench.credential().debts.isEmpty)
  }
}
