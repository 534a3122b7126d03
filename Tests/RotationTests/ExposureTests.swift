import Age
import Audit
import JSON
import Sodium
import Synchronization
import Testing

@testable import Rotation
@testable import Vault

/// A pair that is known to someone who may no longer open it.
@Suite("An exposed pair")
struct ExposureTests {
  private let schedule = RotationSchedule { TimeZoneRules(named: $0) }
  // A Thursday.
  private let ended = moment("2026-01-01T12:00:00.000Z")

  private func credential(_ policy: [String: String]) throws -> Credential {
    var credential = try scheduledCredential(policy)
    credential.expose(to: "bob", now: ended)
    return credential
  }

  private func standing(
    _ credential: Credential, partners: [RotationSchedule.Partner] = [], _ time: String
  ) -> RotationSchedule.Standing {
    schedule.standing(of: credential, journal: nil, partners: { partners }, now: moment(time))
  }

  /// Ends somebody's access to `crm` now.
  private func expose(_ bench: Bench) async throws {
    let now = bench.now.withLock { $0 }
    _ = try await bench.vault.change(now: now) { change in
      var credential = try change.view.credential("crm")
      credential.expose(to: "bob", now: now)
      return try change.save(credential, .credentialRekeyed)
    }
  }

  @Test(
    "is due at once, whatever its maximum age, and without jitter",
    arguments: [[:], ["max-age": "90d", "jitter": "89d"], ["max-age": "1s"]])
  func atOnce(policy: [String: String]) throws {
    #expect(standing(try credential(policy), "2026-01-01T12:00:00.000Z") == .due(.exposed))
    #expect(standing(try credential(policy), "2026-03-01T12:00:00.000Z") == .due(.exposed))
  }

  @Test("waits for its window, and for the credentials it must not rotate together with")
  func obstacles() throws {
    let windowed = try credential(["window": "sat 01:00-05:00"])
    let opens = moment("2026-01-03T01:00:00.000Z")
    #expect(standing(windowed, "2026-01-01T12:00:00.000Z") == .held(until: opens, .window))
    #expect(standing(windowed, "2026-01-03T01:00:00.000Z") == .due(.exposed))
    var partner = try credential([:])
    _ = try partner.addStaged(handle: nil, expires: nil, now: ended)
    try partner.promoteStaged(now: ended)
    let partners = [RotationSchedule.Partner(credential: partner, journal: nil)]
    #expect(
      standing(try credential([:]), partners: partners, "2026-01-01T13:00:00.000Z")
        == .held(until: moment("2026-01-02T12:00:00.000Z"), .together(with: "crm")))
  }

  @Test("has an appointment that begins when the access ended, even if the policy sets no age")
  func appointment() throws {
    let plain = schedule.appointment(for: try credential([:]), journal: nil, partners: [])
    #expect(plain == .init(begins: ended, overdue: ended + .seconds(3600)))
    let aged = schedule.appointment(for: try credential(["max-age": "90d"]), journal: nil, partners: [])
    #expect(aged == plain)
  }

  @Test("is replaced by a scheduled run, and then nothing is exposed")
  func scheduled() async throws {
    let bench = try await Bench()
    #expect(await bench.code(.scheduled) == .notDue)
    try await expose(bench)
    guard case .promoted(let active, _, _) = try await bench.run(.scheduled) else {
      Issue.record("expected a promotion")
      return
    }
    #expect(active == 2)
    #expect(try await bench.credential().exposure == nil)
    #expect(await bench.code(.scheduled) == .notDue)
  }

  @Test("waits while the pair it replaced is in its grace, and is replaced after that")
  func grace() async throws {
    let bench = try await Bench(policy: ["grace": "1d"])
    _ = try await bench.run()
    try await expose(bench)
    #expect(await bench.code(.scheduled) == .notDue)
    let now = bench.now.withLock { $0 }
    let held = try await bench.vault.read { try schedule.standing(of: $0.credential("crm"), in: $0, now: now) }
    guard case .held(_, .grace) = held else {
      Issue.record("expected the grace, found \(held)")
      return
    }
    bench.now.withLock { $0 = $0 + .seconds(86_400) }
    for _ in 1...2 { _ = try await bench.run(.scheduled) }
    #expect(try await bench.credential().version(in: .active)?.number == 3)
    #expect(try await bench.credential().exposure == nil)
  }

  @Test("that was only staged when the access ended is promoted, and then replaced in turn")
  func staged() async throws {
    let bench = try await Bench(policy: ["grace": "0s"])
    bench.provider.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if call == "promote" { throw ProviderError(.unreachable, "gone", mayHaveActed: false) }
      }
    }
    _ = await bench.code()
    #expect(try await bench.credential().version(in: .staged)?.number == 2)
    bench.provider.state.withLock { $0.trouble = { _ throws(ProviderError) in } }
    try await expose(bench)
    #expect(try await bench.credential().exposure?.version == 2)
    bench.now.withLock { $0 = $0 + .seconds(86_400) }
    _ = try await bench.run(.scheduled)
    #expect(try await bench.credential().version(in: .active)?.number == 2)
    #expect(try await bench.credential().exposure != nil, "what bob copied is now the active pair")
    _ = try await bench.run(.scheduled)
    #expect(try await bench.credential().version(in: .active)?.number == 3)
    #expect(try await bench.credential().exposure == nil)
  }

  @Test("counts as known if it was requested but not saved when the access ended: the member may have it")
  func staging() async throws {
    let bench = try await Bench(policy: ["grace": "0s"])
    let now = bench.now.withLock { $0 }
    let bob = try Identity(AgeIdentity(generating: .system)).card(named: "bob", role: .operator)
    try await bench.vault.addMember(bob, now: now) { _, _ in }
    try await bench.vault.grant("crm", to: "bob", now: now)
    bench.provider.state.withLock { state in
      state.trouble = { [unowned bench] call throws(ProviderError) in
        guard bench.provider.calls.contains("stage") else { return }
        if call == "stage" { bench.provider.state.withLock { ($0.slot, $0.made) = (("id-2", .staged), 2) } }
        throw ProviderError(.unreachable, "gone", mayHaveActed: true)
      }
    }
    _ = await bench.code()
    #expect(try await bench.state() == .staging)
    _ = try await bench.vault.removeMember("bob", now: now) { _, _ in }
    #expect(try await bench.credential().exposure?.version == 2)
    let access = try await bench.vault.read { try AccessHistory($0).accesses.first { $0.member == "bob" } }
    #expect(access?.newestVersion == 2)
    bench.provider.state.withLock { $0.trouble = { _ throws(ProviderError) in } }
    bench.now.withLock { $0 = $0 + .seconds(86_400) }
    for version in [2, 3] as [UInt64] {
      _ = try await bench.run(.scheduled)
      #expect(try await bench.credential().version(in: .active)?.number == version)
      #expect(try await (bench.credential().exposure == nil) == (version == 3))
    }
  }

  /// bob, who could open `crm`, wrote untrue words beside a step of his own: that its version 2, active by then, was
  /// refused. `hr`, which `crm` administers, gets its version 2 after that.
  @Test("lasts until its administrator's pair is refused, whatever was written before", arguments: [false, true])
  func forgedRefusal(isRemoved: Bool) async throws {
    let bench = try await Bench(policy: ["grace": "1h"])
    let hr = FakeProvider(primary: "id-hr")
    let now = bench.now.withLock { $0 }
    for (name, admin) in [("hr", "crm"), ("top", "top")] {
      _ = try await bench.vault.add(
        name: name, provider: "fake", settings: ["app": name], policy: Policy(), admin: admin,
        pair: FakeProvider.pair("id-\(name)"), now: now)
    }
    let bob = try Identity(AgeIdentity(generating: .system)).card(named: "bob", role: .operator)
    try await bench.vault.addMember(bob, now: now) { _, _ in }
    try await bench.vault.grant("crm", to: "bob", now: now)
    _ = try await bench.run()
    _ = try await bench.run(.retire)
    _ = try await bench.vault.change(now: now) { change in
      try change.save(
        change.view.credential("crm"), EventName("rotation.refused"),
        ["refused": .array([.object(["version": 2])]), "rotation": 1, "step": 99])
    }
    _ = try await bench.vault.removeMember("bob", now: now) { _, _ in }
    _ = try await bench.run()
    _ = try await bench.run(of: "hr", at: hr)
    if isRemoved {
      _ = try await bench.vault.setTerms(of: "hr", now: now) { $0.admin = "top" }
      _ = try await bench.vault.remove("crm", forgettingDebts: true, now: now)
    } else {
      _ = try await bench.run(.retire)
    }
    let reached = try await bench.vault.read { view in
      let history = try AccessHistory(view)
      return history.reached(by: history.accesses(of: "bob"), in: view).map { ($0.credential, $0.newestVersion) }
    }
    #expect(reached.contains { $0 == ("hr", 2) }, "\(reached)")
  }

  @Test("that cannot be replaced causes no storm: attempts wait as they do for a pair that is due by age")
  func attempts() async throws {
    let bench = try await Bench()
    try await expose(bench)
    bench.provider.state.withLock { $0.slot = ("stranger", .staged) }
    #expect(await bench.code(.scheduled) == .foreignStagedPair)
    #expect(await bench.code(.scheduled) == .notDue)
    bench.now.withLock { $0 = $0 + .seconds(60) }
    #expect(await bench.code(.scheduled) == .foreignStagedPair)
    // A rotation that a person starts is never held back.
    bench.provider.state.withLock { $0.slot = nil }
    _ = try await bench.run()
    #expect(try await bench.credential().exposure == nil)
  }
}
