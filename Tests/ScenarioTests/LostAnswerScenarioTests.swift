import OrgSimulator
import Rotation
import Testing
import Vault

@Suite("An answer that is lost or false")
struct LostAnswerScenarioTests {
  static let readings: [[String]] = [
    [], ["rotateOnRotated=swapsBack", "replacedID=keepsStagedID"], ["stagedIDNamesPrimary=true"],
    ["stagedIDNamesPrimary=true", "rotateOnRotated=swapsBack", "replacedID=keepsStagedID"],
    ["replacedPairLivesOn=false", "stagedIDNamesPrimary=true"], ["consumerIDChanges=true"],
  ]

  @Test("after a change that happened is noticed, and nothing is done twice", arguments: readings)
  func lost(readings: [String]) async throws {
    for kind in [OrgFault.Kind.dropAfter, .truncated, .garbage, .serverError] {
      try await Scenario.with(readings) { scenario in
        let what = "\(kind.rawValue) \(readings)"
        for (method, path) in [("POST", "*/staged"), ("PATCH", "*"), ("DELETE", "*")] {
          scenario.server.add(OrgFault(kind, method: method, path: path, acts: true))
        }
        let result = await scenario.attempt()
        #expect(result.isPromoted, "\(what): \(result)")
        try await scenario.checkPromoted(what)
        let last = await scenario.attempt(.retire)
        #expect(last.isSettled, "\(what): \(last)")
        try await scenario.checkLaws(what)
        try await scenario.checkPromoted(what)
        #expect(scenario.acted("POST", "/staged") == 1 && scenario.acted("PATCH") == 1, "\(what)")
        #expect(scenario.acted("DELETE") == (readings.contains("replacedPairLivesOn=false") ? 0 : 1), "\(what)")
      }
    }
  }

  @Test("that reports a change which did not happen is not believed", arguments: readings)
  func lies(readings: [String]) async throws {
    try await Scenario.with(readings) { scenario in
      let what = "\(readings)"
      for (method, path) in [("POST", "*/staged"), ("PATCH", "*"), ("DELETE", "*")] {
        scenario.server.add(OrgFault(.empty, method: method, path: path, acts: false))
      }
      let result = await scenario.attempt()
      #expect(result.isPromoted, "\(what): \(result)")
      try await scenario.checkPromoted(what)
      let last = await scenario.attempt(.retire)
      #expect(last.isSettled, "\(what): \(last)")
      try await scenario.checkLaws(what)
      #expect(scenario.acted("POST", "/staged") == 1 && scenario.acted("PATCH") == 1, "\(what)")
    }
  }

  @Test("that stays false makes the run give up after a few pauses, and a later run finishes")
  func liesForGood() async throws {
    for (method, goal) in [("PATCH", RotationRunner.Goal.rotate), ("DELETE", .retire)] {
      try await Scenario.with { scenario in
        if goal == .retire { _ = try await scenario.run() }
        scenario.server.add(OrgFault(.empty, method: method, count: nil, acts: false))
        for _ in 1...2 {
          let result = await scenario.attempt(goal)
          #expect(result.code == .unresolved, "\(method): \(result)")
          try await scenario.checkLaws("\(method) lies")
        }
        #expect(scenario.server.requests.count { $0.method == method } <= 8)
        scenario.server.clearFaults()
        let last = await scenario.attempt(goal)
        #expect(last.isFinal(goal), "\(method): \(last)")
        try await scenario.checkPromoted("\(method) told the truth")
      }
    }
  }

  @Test("to the removal of a refused pair is not believed: the pair is kept while it is in the slot")
  func discardLies() async throws {
    try await Scenario.with { scenario in
      scenario.server.changeConditions { $0.poisonsNextStagedPair = true }
      scenario.server.add(OrgFault(.empty, method: "DELETE", count: nil, acts: false))
      for _ in 1...2 {
        let result = await scenario.attempt()
        // The pair was given up, but may still be accepted.
        #expect(result.code == .outstanding, "\(result)")
        #expect(try await scenario.saved(.staged) != nil)
        try await scenario.checkLaws("DELETE lies")
      }
      scenario.server.clearFaults()
      let last = await scenario.attempt()
      guard case .success(.rejected) = last else {
        Issue.record("\(last)")
        return
      }
      #expect(try scenario.consumer().slot == nil)
      try await scenario.checkLaws("DELETE told the truth")
    }
  }

  @Test("without the secret makes the run remove the pair that nobody can know, and stage another")
  func secretNotShown() async throws {
    try await Scenario.with { scenario in
      // The answer to staging, the set itself, then the list, and the set again.
      scenario.server.changeConditions { $0.answersWithoutSecret = 4 }
      let result = await scenario.attempt()
      #expect(result.isPromoted, "\(result)")
      try await scenario.checkLaws("\(result)")
      try await scenario.checkPromoted("secret not shown")
      #expect(scenario.acted("POST", "/staged") == 2 && scenario.acted("DELETE") == 1)
    }
  }

  @Test("to a look that cannot be read is not taken for an empty slot")
  func unreadableLook() async throws {
    for kind in [OrgFault.Kind.wrongTypes, .empty, .garbage, .htmlPage] {
      try await Scenario.with { scenario in
        _ = try await scenario.run()
        scenario.server.add(OrgFault(kind, method: "GET", path: "*/staged", count: nil))
        let result = await scenario.attempt(.retire)
        #expect(result.code == .provider(.malformed), "\(kind): \(result)")
        #expect(try await scenario.state() == .owed)
        #expect(scenario.acted("DELETE") == 0)
      }
    }
  }
}
