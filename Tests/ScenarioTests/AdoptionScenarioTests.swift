import Rotation
import Testing
import Vault

@Suite("A pair that somebody else promoted during the grace of the last rotation")
struct AdoptionScenarioTests {
  /// A vault whose rotation is in its grace, and an org where somebody has replaced the pair by hand since.
  private func with(_ body: (Scenario) async throws -> Void) async throws {
    try await Scenario.with(policy: ["grace": "1d"]) { scenario in
      _ = try await scenario.run()
      try await scenario.deleteElsewhere()
      try await scenario.stageElsewhere()
      try await scenario.promoteElsewhere()
      try await body(scenario)
    }
  }

  @Test("is adopted, at whichever write the run that began the adoption died", arguments: DyingStore.Moment.allCases)
  func survivesDeath(moment: DyingStore.Moment) async throws {
    var hasDied = true
    for number in 1...40 where hasDied {
      try await with { scenario in
        let dying = DyingStore(scenario.store, at: number, moment)
        let first = await scenario.attempt(.adopt(nil), over: dying)
        hasDied = dying.isDead
        let when = "died \(moment) \(number)"
        // What a schedule or the metrics read at any time must be readable.
        _ = try await scenario.state()
        guard hasDied else {
          guard case .success(.promoted(active: 3, previous: [1, 2], _)) = first else {
            Issue.record("\(first)")
            return
          }
          #expect(number > 5)
          return
        }
        var last = await scenario.attempt(.adopt(nil))
        if case .failure = last { last = await scenario.attempt(.resume) }
        #expect(try await scenario.state() == .owed, "\(when): \(last)")
        #expect(try await scenario.credential().version(in: .active)?.number == 3, "\(when): \(last)")
        #expect(try await scenario.isAccepted(.active), "\(when)")
        _ = try await scenario.logIsIntact()
      }
    }
    #expect(!hasDied)
  }
}
