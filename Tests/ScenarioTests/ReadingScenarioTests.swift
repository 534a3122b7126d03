import Contracts
import OrgSimulator
import Rotation
import Testing
import Vault

@Suite("Whatever Salesforce's pages leave open")
struct ReadingScenarioTests {
  @Test("a rotation ends as promised under every single reading", arguments: OrgReadings.deviations)
  func single(reading: String) async throws {
    try await live([reading])
  }

  @Test("a rotation ends as promised under a seeded sample of combined readings", arguments: 1...4)
  func combined(seed: UInt64) async throws {
    var generator = SeededGenerator(seed: seed)
    var count = 0
    for odds in [2, 3, 4, 6, 8, 12, 4, 6, 8, 12, 6, 8] {
      try await live(OrgReadings.combination(oneIn: odds, using: &generator))
      count += 1
    }
    print("combinations of readings survived, seed \(seed): \(count)")
  }

  /// A rotation, and the retirement of the replaced pair.
  private func live(_ readings: [String]) async throws {
    try await Scenario.with(readings, policy: ["propagation": "10m"]) { scenario in
      let what = readings.joined(separator: " ")
      let before = try #require(try scenario.consumer().primary)
      let result = await scenario.attempt()
      try await scenario.checkLaws("\(what): \(result)")
      guard !readings.contains("stagedPairGrants=false") else {
        // Nothing can be proved, so nothing is promoted: the staged pair is removed, and the active one stays.
        var result = result
        if readings.contains("deleteDelay=60"), result.code == .outstanding {
          scenario.clock.advance(by: .seconds(120))
          result = await scenario.attempt(.resume)
          try await scenario.checkLaws("\(what): \(result)")
        }
        guard case .success(.rejected(active: 1, false, _)) = result else {
          Issue.record("\(what): \(result)")
          return
        }
        #expect(try scenario.consumer().slot == nil, "\(what)")
        #expect(try scenario.consumer().primary == before, "\(what)")
        #expect(scenario.acted("PATCH") == 0 && scenario.acted("DELETE") == 1, "\(what)")
        let credential = try await scenario.credential()
        #expect(credential.debts.isEmpty && credential.version(2)?.stage == .retired, "\(what)")
        return
      }
      #expect(result.isPromoted, "\(what): \(result)")
      try await scenario.checkPromoted(what)
      #expect(scenario.acted("PATCH") == 1 && scenario.acted("POST", "/staged") == 1, "\(what)")

      var last = await scenario.attempt(.retire)
      try await scenario.checkLaws("\(what): \(last)")
      if case .success(.stillAccepted) = last {
        #expect(readings.contains("deleteDelay=60"), "\(what): \(last)")
        scenario.clock.advance(by: .seconds(120))
        last = await scenario.attempt(.retire)
      }
      #expect(last.isSettled, "\(what): \(last)")
      try await scenario.checkLaws("\(what): \(last)")
      try await scenario.checkPromoted(what)
      #expect(!scenario.server.accepts(key: before.key, secret: before.secret), "\(what)")
      #expect(try await scenario.credential().debts.isEmpty, "\(what)")
    }
  }

  @Test(
    "an app that administers itself is rotated whichever of its pairs is accepted",
    arguments: [
      [], ["replacedPairLivesOn=false"], ["rotateEndsTokens=caller"], ["deleteEndsTokens=true"],
      ["replacedPairLivesOn=false", "rotateEndsTokens=consumer"],
      ["promotionPropagates=true", "propagationSeconds=30"],
    ])
  func selfAdministered(readings: [String]) async throws {
    try await Scenario.with(readings, isSelfAdministered: true, policy: ["propagation": "10m"]) { scenario in
      let result = await scenario.attempt()
      #expect(result.isPromoted, "\(readings): \(result)")
      try await scenario.checkLaws("\(readings): \(result)")
      try await scenario.checkPromoted("\(readings)")
      let last = await scenario.attempt(.retire)
      #expect(last.isSettled, "\(readings): \(last)")
      try await scenario.checkLaws("\(readings): \(last)")
    }
  }

  @Test("an app that may not administer itself learns that before anything is changed")
  func selfRotationRefused() async throws {
    try await Scenario.with(["selfRotationAllowed=false"], isSelfAdministered: true) { scenario in
      #expect(await scenario.attempt().code == .provider(.notPermitted))
      #expect(scenario.acted("POST", "/staged") == 0)
      try await scenario.checkLaws("self-rotation refused")
    }
  }
}
