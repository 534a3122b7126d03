import Audit
import JSON
import Rotation
import Storage
import Synchronization
import Testing
import Vault

@Suite("Settings change between runs, not during one, and")
struct SettingsRunTests {
  private static let start = RotationMachineTests.start

  private func change(
    _ bench: Bench, at provider: (any CredentialProvider)? = FakeProvider(primary: "id-1"),
    from last: (any CredentialProvider)? = nil, of name: String = "crm", now: Timestamp = start + .seconds(60),
    evenIfUnanswered: Bool = false, moves: Bool = false
  ) async -> RotationError.Code? {
    do {
      _ = try await bench.vault.setTermsAtRest(
        of: name, now: now, evenIfUnanswered: evenIfUnanswered, isGone: { _ in false },
        replacement: { ($0.settings.isEmpty ? last ?? provider : provider ?? last)?.replacement },
        moves: { _, _ in moves },
        making: { _, credential in credential.settings.isEmpty ? last ?? provider : provider }
      ) { $0.settings["url"] = "https://new.example" }
      return nil
    } catch { return (error as? RotationError)?.code }
  }

  /// When settings may change.
  private enum Moment {
    case always
    /// If what happens to the old pair stays the same.
    case whereReplacementStays
    /// The same, and nothing is given up unless the active pair is primary.
    case whereActiveIsLookedFor
    case never
  }

  /// For each state, events that lead to it.
  private static let ways: [(state: RotationState, events: [String], moment: Moment)] = [
    (.ready, [], .always),
    (.ready, ["stage.intended", "stage.postponed"], .always),
    (.staging, ["stage.intended"], .never),
    (.staged, staged, .whereActiveIsLookedFor),
    (.validating, staged + ["validate.intended"], .whereActiveIsLookedFor),
    (.validated, validated, .whereActiveIsLookedFor),
    (.promoting, validated + ["promote.intended"], .never),
    (.promoted, promoted, .whereActiveIsLookedFor),
    (.verifying, promoted + ["verify.intended"], .whereActiveIsLookedFor),
    (.owed, owed, .whereReplacementStays),
    (.retiring, owed + ["retire.intended"], .never),
    (.deleted, owed + ["retire.intended", "deleted"], .whereActiveIsLookedFor),
    (.proving, owed + ["retire.intended", "deleted", "prove.intended"], .whereActiveIsLookedFor),
    (.settled, owed + ["retire.intended", "deleted", "prove.intended", "refused"], .always),
    (.rejected, staged + ["abandoned"], .whereActiveIsLookedFor),
    (.discarding, staged + ["abandoned", "discard.intended"], .never),
    (.failed, ["abandoned"], .always),
  ]

  private static let staged = ["stage.intended", "staged"]
  private static let validated = staged + ["validate.intended", "validated"]
  private static let promoted = validated + ["promote.intended", "promoted"]
  private static let owed = promoted + ["verify.intended", "verified"]

  private static func forge(_ events: [String], in bench: Bench) async throws {
    try await bench.forge(
      (["begun"] + events).map { event in
        let ends: [String: JSONValue] =
          event == "verified" ? ["grace_ends": .string((start + .seconds(3600)).description)] : [:]
        return ("rotation." + event, ends, .zero)
      })
  }

  @Test("are refused if a request to the old server would be looked for at the new one", arguments: 0..<17)
  func states(_ index: Int) async throws {
    let (state, events, moment) = Self.ways[index]
    let bench = try await Bench()
    try await Self.forge(events, in: bench)
    #expect(try await bench.state() == state)
    // A provider that ends the old pair as it makes the new one, after the change or before it; then one whose pairs
    // are only used from now on.
    let (usual, cutOver) = (FakeProvider(primary: "id-1"), FakeSystem(.cutOver))
    if moment != .always {
      #expect(await change(bench, at: cutOver, from: usual) == .underWay)
      #expect(await change(bench, at: usual, from: cutOver) == .underWay)
    }
    if [.never, .whereActiveIsLookedFor].contains(moment) {
      #expect(await change(bench, at: nil, from: usual) == .underWay)
    }
    #expect(await change(bench) == (moment == .never ? .underWay : nil))
    #expect(try await bench.credential().settings.isEmpty == (moment == .never))
  }

  @Test("cannot change what happens to an old pair while one is owed, however the newest rotation ended")
  func owing() async throws {
    let (usual, cutOver) = (FakeProvider(primary: "id-1"), FakeSystem(.cutOver))
    for events in [["begun"], ["begun", "abandoned"]] {
      let bench = try await Bench(policy: ["grace": "1h"])
      guard case .promoted = try await bench.run() else { return #expect(Bool(false)) }
      try await bench.forge(events.map { ("rotation." + $0, [:], .seconds(30)) })
      #expect(try await bench.credential().debts.map(\.number) == [1])
      #expect(await change(bench, at: cutOver, from: usual) == .underWay)
      #expect(await change(bench, at: usual, from: cutOver) == .underWay)
      #expect(await change(bench) == nil)
    }
  }

  @Test("change if an owner says that a server is gone for good, and the log records what it had been asked")
  func unanswered() async throws {
    for (state, events, moment) in Self.ways where moment == .never {
      let bench = try await Bench(admin: "admin")
      try await Self.forge(events, in: bench)
      // Its administrator's settings are those of the server that was asked.
      #expect(await change(bench, of: "admin") == .underWay)
      #expect(await change(bench, of: "admin", evenIfUnanswered: true) == nil)
      // What happens to an old pair stays the same, whatever the owner says.
      let (usual, cutOver) = (FakeProvider(primary: "id-1"), FakeSystem(.cutOver))
      #expect(await change(bench, at: cutOver, from: usual, evenIfUnanswered: true) == .underWay)
      // The requested pair may be the only one there is; while that is not known, none of the vault's pairs may be
      // accepted.
      let isLost = await change(bench, at: cutOver, from: cutOver, evenIfUnanswered: true)
      #expect(isLost == (state == .staging ? nil : .underWay))
      if state != .staging { #expect(await change(bench, evenIfUnanswered: true) == nil) }
      let said = JSONValue.object(["crm": .string(state.rawValue)])
      let entries = try await bench.store.read { transaction in
        let view = try VaultView(transaction)
        return try ["admin", "crm"].map { try view.authenticatedEntry(at: view.credential($0).entry) }
      }
      #expect(entries.map { $0.details["unanswered"] } == [said, said])
    }
  }

  @Test("of an administrator change at once if the credentials it administers are waiting for nothing")
  func administrators() async throws {
    let bench = try await Bench(admin: "admin")
    #expect(await change(bench, of: "admin") == nil)
    let other = try await Bench(admin: "admin")
    guard case .promoted = try await other.run() else { return #expect(Bool(false)) }
    #expect(await change(other, of: "admin") == nil)
  }

  @Test("end a run whose lease has lapsed, because what it saw under the old settings no longer counts")
  func lapsed() async throws {
    let bench = try await Bench()
    let found = Mutex<RotationError.Code?>(.held)
    bench.provider.state.withLock { state in
      state.meanwhile = { [unowned bench] call in
        guard call == "observe" else { return }
        let now = bench.now.withLock { now in
          now = now + .seconds(400)
          return now
        }
        let code = await self.change(bench, now: now)
        found.withLock { $0 = code }
      }
    }
    await #expect(throws: StorageError(.leaseLost, "")) { try await bench.run() }
    #expect(found.withLock { $0 } == nil)
    #expect(bench.provider.calls == ["observe"])
    #expect(try await bench.credential().version(in: .staged) == nil)
    bench.provider.state.withLock { $0.meanwhile = { _ in } }
    guard case .promoted = try await bench.run() else { return #expect(Bool(false)) }
  }

  /// At some providers the token endpoint is a separate setting: a typo in it shows only after a new pair was made.
  @Test("repair a rotation whose new pair could neither be proved nor be seen to be refused")
  func mended() async throws {
    let bench = try await Bench()
    bench.provider.state.withLock { state in
      state.trouble = { call throws(ProviderError) in
        if call.hasPrefix("grant ") { throw ProviderError(.unreachable, "no such host") }
      }
    }
    #expect(await bench.code() == .provider(.unreachable))
    #expect(try await bench.state() == .staged)
    #expect(await bench.code(.abort) == .outstanding)
    #expect(try await bench.state() == .rejected)
    #expect(await change(bench) == nil)
    bench.provider.state.withLock { $0.trouble = { _ throws(ProviderError) in } }
    #expect(try await bench.run(.resume) == .abandoned(active: 1))
    guard case .promoted = try await bench.run() else { return #expect(Bool(false)) }
  }

  @Test("are tested in every state") func everyState() {
    #expect(Set(Self.ways.map(\.state)) == Set(RotationState.allCases) && Self.ways.count == 17)
  }

  @Test("are refused while a run holds the credential, even before it asks for anything")
  func held() async throws {
    let bench = try await Bench()
    let found = Mutex<RotationError.Code?>(nil)
    bench.provider.state.withLock { state in
      state.meanwhile = { [unowned bench] call in
        guard call == "observe" else { return }
        let code = await self.change(bench)
        found.withLock { $0 = code }
      }
    }
    _ = try await bench.run()
    #expect(found.withLock { $0 } == .held)
    #expect(try await bench.credential().settings.isEmpty)
  }

  @Test("stop a run whose provider was made from the old settings, and that run leaves nothing behind")
  func stale() async throws {
    let bench = try await Bench()
    let before = try await bench.credential()
    #expect(await change(bench) == nil)
    for goal in [RotationRunner.Goal.rotate, .scheduled, .resume, .revoke(Revocation(incident: "i", reason: "r"))] {
      await #expect(throws: VaultError(.keyChanged, "")) { try await bench.run(goal, madeUnder: before.keyID) }
    }
    let after = try await bench.credential()
    #expect(bench.provider.calls.isEmpty && after.rotation == 0 && after.leak == nil)
    #expect(try await bench.leaseHolder() == nil)
    #expect(try await bench.state() == nil)
    guard case .promoted = try await bench.run(madeUnder: after.keyID) else { return #expect(Bool(false)) }
  }
}
