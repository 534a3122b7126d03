import Audit
import JSON
import OrgSimulator
import Rotation
import Storage
import Synchronization
import Testing
import Vault

extension RotationRunner.Goal {
  /// The goal that ends a leak.
  static func leak(upTo version: UInt64? = nil, containing: Bool = false) -> Self {
    .revoke(
      Revocation(incident: "2026-01-01-0f0f0f", reason: "a test", version: version, isContainment: containing))
  }
}

@Suite("A leak")
struct RevocationScenarioTests {
  @Test("is ended in one run, without grace, window or debt")
  func ended() async throws {
    try await Scenario.with(policy: ["grace": "30d", "window": "sat 01:00-01:01"]) { scenario in
      let leaked = IssuedText(try #require(try await scenario.saved(.active)))
      let result = await scenario.attempt(.leak())
      #expect(result.isSettled, "\(result)")
      #expect(!scenario.server.accepts(key: leaked.key, secret: leaked.secret))
      let credential = try await scenario.credential()
      #expect(credential.leak == nil && credential.debts.isEmpty && credential.version(in: .active)?.number == 2)
      try await scenario.checkLaws("ended")
      try await scenario.checkPromoted("ended")
    }
  }

  @Test(
    "is ended where the answer to staging has no secret: the new pair is read, and not taken for a stranger's",
    arguments: ["stageAnswer=collection", "stageAnswer=object"])
  func hiddenSecret(_ answer: String) async throws {
    try await Scenario.with([answer, "stagedListHidesSecrets=true"]) { scenario in
      let result = await scenario.attempt(.leak())
      #expect(result.isSettled, "\(result)")
      #expect(try await scenario.credential().version(in: .active)?.number == 2)
      try await scenario.checkLaws("ended")
    }
  }

  /// A revocation to be cut off: what the provider is like, and what there was before.
  struct Cut: Sendable, CustomTestStringConvertible {
    var readings: [String] = []
    var isSelfAdministered = false
    var isSlotOccupied = false
    var isContaining = false

    var testDescription: String {
      "\(readings)" + (isSelfAdministered ? ", of its own administrator" : "")
        + (isSlotOccupied ? ", the slot occupied" : "") + (isContaining ? ", contained" : "")
    }
  }

  static let cuts = [
    Cut(), Cut(readings: ["rotateEndsTokens=caller"], isSelfAdministered: true, isSlotOccupied: true),
    Cut(readings: ["replacedPairLivesOn=false"]), Cut(isSlotOccupied: true, isContaining: true),
  ]

  @Test("whose run is cut off at any instant is ended by any later run, with every law kept", arguments: cuts)
  func cutOff(_ cut: Cut) async throws {
    try await Scenario.with(
      cut.readings, isSelfAdministered: cut.isSelfAdministered, policy: ["grace": "1d", "propagation": "2m"]
    ) { scenario in
      if cut.isSlotOccupied { _ = try await scenario.run() }
      let recorder = MomentRecorder(scenario)
      let goal = RotationRunner.Goal.leak(containing: cut.isContaining)
      let whole = await scenario.attempt(goal, over: recorder.store, watching: { recorder.watching($0) })
      #expect(whole.isSettled, "\(whole)")
      try await end(scenario, cut, "not cut")
      var (points, last) = (0, nil as Moment?)
      for moment in recorder.moments {
        points += 1
        if let last, last.isLike(moment) { continue }
        last = moment
        let fork = try await Scenario(scenario, at: moment)
        try await fork.checkLaws("\(cut) cut \(moment.words)", died: true, contained: cut.isContaining)
        let credential = try await fork.credential()
        var hasRun = true
        // What a later run is for depends on whether the report was durable.
        if credential.leak == nil, credential.rotation == (cut.isSlotOccupied ? 1 : 0) {
          #expect(await fork.attempt(goal).isSettled, "\(cut) cut \(moment.words)")
        } else if credential.leak != nil {
          let result = await fork.attempt(points.isMultiple(of: 2) ? .scheduled : .resume)
          #expect(result.isSettled, "\(cut) cut \(moment.words): \(result)")
        } else {
          hasRun = false
        }
        try await end(fork, cut, "cut \(moment.words)", died: !hasRun)
      }
      print("revocation, \(cut.testDescription): \(points) points, each survived")
      #expect(points >= 40)
    }
  }

  private func end(_ scenario: Scenario, _ cut: Cut, _ when: String, died: Bool = false) async throws {
    try await scenario.checkLaws("\(cut) \(when)", died: died, contained: cut.isContaining)
    try await scenario.checkPromoted("\(cut) \(when)")
    let credential = try await scenario.credential()
    #expect(credential.leak == nil && credential.debts.isEmpty, "\(cut) \(when)")
    #expect(credential.version(in: .active)?.number == (cut.isSlotOccupied ? 3 : 2), "\(cut) \(when)")
    let made = cut.isSlotOccupied ? 2 : 1
    // If a run was cut off after staging a pair and before saving it, that pair is not taken over: another is staged
    // instead.
    #expect((made...made + 1).contains(scenario.acted("POST", "/staged")), "\(cut) \(when)")
    #expect(scenario.acted("PATCH") == made, "\(cut) \(when)")
    #expect(try scenario.consumer().slot == nil, "\(cut) \(when)")
  }

  @Test("overtakes a routine run, which makes no further request, but does not overtake another revocation")
  func overtakes() async throws {
    try await Scenario.with(["propagationSeconds=30"], policy: ["propagation": "10m"]) { scenario in
      let base = scenario.clock.timing
      let results = Mutex<[Result<RotationOutcome, any Error>]>([])
      let after = Mutex(0)
      /// Runs `body` during the first sleep.
      @Sendable func timing(_ body: @escaping @Sendable () async -> Void) -> RotationTiming {
        let isFirst = Mutex(true)
        return RotationTiming(
          now: base.now,
          sleep: { duration in
            let first = isFirst.withLock { first in
              defer { first = false }
              return first
            }
            if first { await body() }
            try await base.sleep(duration)
          }, randomness: base.randomness)
      }
      let routine = await scenario.attempt(
        timing: timing {
          let third = timing {
            let result = await scenario.attempt(.leak(), isGone: { _ in false })
            results.withLock { $0.append(result) }
          }
          let second = await scenario.attempt(.leak(), timing: third, isGone: { _ in false })
          results.withLock { $0.append(second) }
          after.withLock { $0 = scenario.server.requests.count }
        })
      guard case .failure(let error as StorageError) = routine, error.code == .leaseLost else {
        Issue.record("\(routine)")
        return
      }
      let found = results.withLock { $0 }
      #expect(found.count == 2 && found[0].code == .held && found[1].isSettled, "\(found)")
      #expect(scenario.server.requests.count == after.withLock { $0 })
      #expect(scenario.acted("POST", "/staged") == 1 && scenario.acted("PATCH") == 1)
      try await scenario.checkLaws("overtaken")
      try await scenario.checkPromoted("overtaken")
      let entries = try await scenario.store.read { transaction in
        let view = try VaultView(transaction)
        return try (0..<view.logSize).map { try view.authenticatedEntry(at: $0) }
      }
      #expect(entries.contains { $0.event == "credential.leaked" && $0.details["overtook"] == "scenario" })
    }
  }

  @Test("cuts off a staged pair of somebody else's")
  func foreignStaged() async throws {
    try await Scenario.with { scenario in
      try await scenario.stageElsewhere()
      #expect(await scenario.attempt().code == .foreignStagedPair)
      let result = await scenario.attempt(.leak())
      #expect(result.isSettled, "\(result)")
      try await scenario.checkNothingLost("foreign staged pair")
      try await scenario.checkPromoted("foreign staged pair")
    }
  }

  @Test("that the provider does not let end is a debt, which a schedule settles within minutes, whatever the grace")
  func refusedDeletes() async throws {
    try await Scenario.with(policy: ["grace": "30d"]) { scenario in
      let leaked = IssuedText(try #require(try await scenario.saved(.active)))
      scenario.server.add(OrgFault(.unavailable, method: "DELETE", count: nil))
      for goal in [RotationRunner.Goal.leak(), .scheduled, .resume, .leak()] {
        let result = await scenario.attempt(goal)
        let isHeld = result.code == .notDue
        #expect(result.code == .outstanding || result.code == .provider(.unreachable) || isHeld, "\(goal): \(result)")
        let credential = try await scenario.credential()
        #expect(credential.leakedDebts.map(\.number) == [1] && credential.due == Timestamp(milliseconds: 0))
        #expect(try await scenario.isAccepted(.active))
        try await scenario.checkLaws("\(goal): \(result)")
      }
      #expect(scenario.acted("POST", "/staged") == 1, "what replaced the leaked pair is not replaced again")
      scenario.server.clearFaults()
      scenario.clock.advance(by: RotationSchedule.maximumPauseOfLeak)
      #expect(await scenario.attempt(.scheduled).isSettled)
      #expect(!scenario.server.accepts(key: leaked.key, secret: leaked.secret))
      try await scenario.checkLaws("settled")
    }
  }

  @Test("of a staged pair gives that pair up and stages another")
  func stagedPair() async throws {
    try await Scenario.with { scenario in
      scenario.server.add(OrgFault(.unavailable, method: "PATCH", count: nil))
      #expect(await scenario.attempt().code == .provider(.unreachable))
      scenario.server.clearFaults()
      #expect(try await scenario.credential().version(in: .staged)?.number == 2)
      let result = await scenario.attempt(.leak(upTo: 2))
      #expect(result.isSettled, "\(result)")
      let credential = try await scenario.credential()
      #expect(credential.version(in: .active)?.number == 3 && credential.leak == nil)
      #expect(credential.version(2)?.stage == .retired && credential.version(1)?.stage == .retired)
      try await scenario.checkLaws("staged pair")
    }
  }

  @Test("whose new pair is refused leaves the leaked one accepted; a containment ends it, and a later pair works")
  func containment() async throws {
    try await Scenario.with(["stagedPairGrants=false"]) { scenario in
      let leaked = IssuedText(try #require(try await scenario.saved(.active)))
      let refused = await scenario.attempt(.leak())
      guard case .success(.rejected(active: 1, false, _)) = refused else {
        Issue.record("\(refused)")
        return
      }
      try await scenario.checkLaws("refused")
      #expect(try await scenario.credential().isActiveLeaked)
      let contained = await scenario.attempt(.leak(containing: true))
      #expect(contained.isSettled, "\(contained)")
      #expect(!scenario.server.accepts(key: leaked.key, secret: leaked.secret))
      #expect(try await scenario.isAccepted(.active))
      try await scenario.checkLaws("contained", contained: true)
    }
  }

  @Test("cannot be reported in words that contain the secret")
  func secretReason() async throws {
    try await Scenario.with { scenario in
      let secret = IssuedText(try #require(try await scenario.saved(.active))).secret
      let goal = RotationRunner.Goal.revoke(Revocation(incident: "i", reason: "it says \(secret) there"))
      #expect(await scenario.attempt(goal).code == .vetoed)
      #expect(try await scenario.credential().leak == nil)
      try await scenario.checkLaws("not reported")
    }
  }
}
