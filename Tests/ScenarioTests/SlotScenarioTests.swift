import Audit
import OrgSimulator
import Rotation
import Storage
import Testing
import Vault

@Suite("What is in the slot and in the org when a run begins")
struct SlotScenarioTests {
  @Test("a staged pair of somebody else's is left alone")
  func foreignStaged() async throws {
    try await Scenario.with { scenario in
      try await scenario.stageElsewhere()
      let slot = try scenario.consumer().slot
      #expect(await scenario.attempt().code == .foreignStagedPair)
      #expect(await scenario.attempt().code == .foreignStagedPair)
      #expect(try scenario.consumer().slot == slot)
      #expect(scenario.acted("DELETE") == 0 && scenario.acted("PATCH") == 0)
      try await scenario.checkNothingLost("foreign staged pair")
    }
  }

  @Test("a pair that was given up is kept until it is seen to be refused")
  func givenUp() async throws {
    try await Scenario.with(["deleteDelay=60"]) { scenario in
      // It was proved, and could have been used.
      scenario.server.add(OrgFault(.unavailable, method: "PATCH", count: nil))
      #expect(await scenario.attempt().code == .provider(.unreachable))
      let pair = IssuedText(try #require(try await scenario.saved(.staged)))
      for goal in [RotationRunner.Goal.abort, .resume, .rotate] {
        let result = await scenario.attempt(goal)
        #expect(result.code == .outstanding, "\(goal): \(result)")
        #expect(try scenario.consumer().slot == nil)
        #expect(scenario.server.accepts(key: pair.key, secret: pair.secret))
        #expect(try await scenario.credential().version(2)?.stage == .staged)
        try await scenario.checkLaws("\(goal): \(result)")
      }
      scenario.clock.advance(by: .seconds(120))
      let last = await scenario.attempt(.resume)
      guard case .success(.abandoned(active: 1)) = last else {
        Issue.record("\(last)")
        return
      }
      #expect(try await scenario.credential().version(2)?.stage == .retired)
      try await scenario.checkLaws("\(last)")
    }
  }

  @Test("a primary pair of somebody else's stops a rotation and a retirement")
  func foreignPrimary() async throws {
    for isRetiring in [false, true] {
      try await Scenario.with { scenario in
        if isRetiring {
          _ = try await scenario.run()
          _ = try await scenario.run(.retire)
          _ = try await scenario.run()
          try await scenario.deleteElsewhere()
        }
        try await scenario.stageElsewhere()
        try await scenario.promoteElsewhere()
        let deletions = scenario.acted("DELETE")
        #expect(await scenario.attempt(isRetiring ? .retire : .rotate).code == .foreignPrimary)
        #expect(scenario.acted("DELETE") == deletions)
        #expect(try await scenario.isAccepted(.active))
      }
    }
  }

  @Test("a pair that a dead run promoted, and that somebody else has replaced since, is not given up")
  func replacedMeanwhile() async throws {
    var isReached = false
    for last in 1...20 where !isReached {
      try await Scenario.with { scenario in
        _ = await scenario.attempt(over: DyingStore(scenario.store, at: last, .beforeCommit))
        let journal = try await scenario.store.read {
          try RotationJournal(VaultView($0), of: VaultView($0).credential("crm"))
        }
        guard journal?.machine.state == .promoting, scenario.acted("PATCH") == 1 else { return }
        isReached = true
        // Now version 2 is primary there and staged here. Someone removes version 1 and rotates again.
        try await scenario.deleteElsewhere()
        try await scenario.stageElsewhere()
        try await scenario.promoteElsewhere()
        #expect(try await scenario.isAccepted(.staged))
        #expect(await scenario.attempt().code == .foreignPrimary)
        #expect(scenario.acted("DELETE") == 0)
        #expect(try await scenario.isAccepted(.staged), "the last accepted pair of the vault")
      }
    }
    #expect(isReached)
  }

  @Test("an expired staged pair does not stop a rotation")
  func expired() async throws {
    try await Scenario.with(["expiredSets=listed"]) { scenario in
      try await scenario.stageElsewhere()
      scenario.clock.advance(by: .seconds(31 * 86_400))
      let result = await scenario.attempt()
      #expect(result.isPromoted, "\(result)")
      try await scenario.checkPromoted("expired set")
      try await scenario.checkLaws("expired set")
    }
  }

  @Test("a replaced pair in its grace holds the slot: nothing is requested until the grace ends")
  func grace() async throws {
    try await Scenario.with(policy: ["grace": "24h"]) { scenario in
      _ = try await scenario.run()
      guard case .inGrace(let until)? = await scenario.attempt().code else {
        Issue.record("expected the grace to hold the slot")
        return
      }
      let requests = scenario.server.requests.count
      // One millisecond before the end it still holds.
      scenario.clock.advance(by: until - scenario.clock.now() - .milliseconds(1))
      #expect(await scenario.attempt().code.isInGrace)
      #expect(scenario.server.requests.count == requests)
      scenario.clock.advance(by: .milliseconds(1))
      let result = await scenario.attempt()
      #expect(result.isPromoted, "\(result)")
      let events = scenario.timeline.events
      let refused = try #require(events.firstIndex(of: "refused"))
      #expect(try #require(events.lastIndex(of: "begun")) > refused)
      try await scenario.checkLaws("grace over")
      try await scenario.checkPromoted("grace over")
      #expect(try await scenario.credential().debts.map(\.number) == [2])
    }
  }

  @Test(
    "a poisoned pair is refused and removed at the provider, and the old pair stays active", arguments: ["0s", "10m"])
  func poisoned(propagation: String) async throws {
    try await Scenario.with(policy: ["propagation": propagation]) { scenario in
      scenario.server.changeConditions { $0.poisonsNextStagedPair = true }
      let before = try scenario.consumer().primary
      let begun = scenario.clock.now()
      guard case .rejected(active: 1, false, _) = try await scenario.run() else {
        Issue.record("expected the pair to be rejected")
        return
      }
      #expect(try scenario.consumer().primary == before && scenario.consumer().slot == nil)
      try await scenario.checkLaws("poisoned")
      // The time for propagation was kept: no verdict long before its end, and none after it.
      let waited = scenario.clock.now() - begun
      #expect(propagation == "0s" ? waited == .zero : (.seconds(560) ... .seconds(600)).contains(waited), "\(waited)")
      #expect(try await scenario.run().isPromotion(of: 3))
    }
  }

  @Test("a pair that is accepted late, but within the propagation time, is promoted", arguments: [30, 300, 560])
  func late(seconds: Int) async throws {
    try await Scenario.with(["propagationSeconds=\(seconds)"], policy: ["propagation": "10m"]) { scenario in
      #expect(try await scenario.run().isPromotion(of: 2))
      try await scenario.checkLaws("late by \(seconds)")
    }
  }

  @Test("a pair that is accepted only after the propagation time is rejected")
  func tooLate() async throws {
    try await Scenario.with(["propagationSeconds=700"], policy: ["propagation": "10m"]) { scenario in
      guard case .rejected(active: 1, false, _) = try await scenario.run() else {
        Issue.record("expected the pair to be rejected")
        return
      }
      try await scenario.checkLaws("too late")
    }
  }
}

extension RotationOutcome {
  func isPromotion(of number: UInt64) -> Bool { if case .promoted(number, _, _) = self { true } else { false } }
}
