import Audit
import OrgSimulator
import Rotation
import Testing
import Vault

@Suite("A rotation over real HTTP")
struct RotationScenarioTests {
  @Test("stages, proves and promotes, and owes the old pair until that is retired and seen to be refused")
  func wholeLife() async throws {
    let scenario = try await Scenario()
    let before = try #require(try scenario.consumer().primary)
    guard case .promoted(active: 2, previous: [1], graceEnds: _) = try await scenario.run() else {
      Issue.record("expected version 2 to be promoted")
      return
    }
    let consumer = try scenario.consumer()
    let active = try await scenario.vault.active(of: "crm", now: scenario.clock.now())
    #expect(consumer.primary?.key == text(active.clientID))
    #expect(consumer.slot?.state == .rotated && consumer.slot?.pair.key == before.key)
    #expect(try await scenario.credential().debts.map(\.number) == [1])

    guard case .settled(active: 2, _) = try await scenario.run(.retire) else {
      Issue.record("expected the debt to be settled")
      return
    }
    #expect(!scenario.server.accepts(key: before.key, secret: before.secret))
    #expect(try await scenario.isAccepted(.active))
    #expect(try await scenario.credential().debts.isEmpty)
    _ = try await scenario.logIsIntact()
    await scenario.stop()
  }

  @Test("waits for the disk only once for everything that it writes between two requests")
  func commits() async throws {
    try await Scenario.with { scenario in
      let counted = DyingStore(scenario.store, at: .max, .beforeCommit)
      guard case .success(.promoted) = await scenario.attempt(over: counted) else {
        Issue.record("expected version 2 to be promoted")
        return
      }
      // The writes of the table in docs/rotation.md, and one for the administrator's pair, which is opened for its
      // token.
      #expect(counted.writes == 8)
    }
  }
}
