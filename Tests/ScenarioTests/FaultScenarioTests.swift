import OrgSimulator
import Rotation
import Testing
import Vault

/// One request of a run, and how it goes wrong.
struct FaultPoint: CustomTestStringConvertible {
  let goal: RotationRunner.Goal
  let skip: Int
  let kind: OrgFault.Kind

  var testDescription: String { "\(goal) request \(skip + 1) \(kind.rawValue)" }

  static let kinds: [OrgFault.Kind] = [
    .dropBefore, .dropAfter, .truncated, .maintenancePage, .serverError, .tooManyRequests, .garbage, .empty,
    .wrongTypes,
  ]
}

@Suite("Any request of a run can fail")
struct FaultScenarioTests {
  @Test("once, and this run or the next finishes", arguments: FaultPoint.kinds)
  func once(kind: OrgFault.Kind) async throws {
    var points = 0
    for goal in [RotationRunner.Goal.rotate, .retire] {
      var skip = 0
      while try await strike(FaultPoint(goal: goal, skip: skip, kind: kind)) { skip += 1 }
      points += skip
    }
    print("fault points survived, \(kind.rawValue): \(points)")
    #expect(points >= 15)
  }

  /// Returns whether there was a request to strike.
  private func strike(_ point: FaultPoint) async throws -> Bool {
    var hit = false
    try await Scenario.with { scenario in
      if point.goal == .retire { _ = try await scenario.run() }
      scenario.server.add(OrgFault(point.kind, skip: point.skip))
      let first = await scenario.attempt(point.goal)
      hit = scenario.server.requests.contains { $0.fault != nil }
      try await scenario.checkLaws("\(point.testDescription), first run: \(first)")
      if case .failure(let error) = first {
        #expect(error is RotationError, "\(point.testDescription): \(error)")
        // No error claims that nothing was changed once the pair is promoted.
        if point.goal == .rotate, try await scenario.credential().version(in: .active)?.number == 2 {
          #expect(first.code == .outstanding, "\(point.testDescription): \(error)")
        }
      }
      scenario.server.clearFaults()
      let last = first.code == nil && first.isFinal(point.goal) ? first : await scenario.attempt(point.goal)
      try await scenario.checkLaws("\(point.testDescription), second run: \(last)")
      #expect(last.isFinal(point.goal), "\(point.testDescription): \(first), then \(last)")
      try await scenario.checkPromoted(point.testDescription)
      #expect(scenario.acted("POST", "/staged") == 1, "\(point.testDescription): staged twice")
      #expect(scenario.acted("PATCH") == 1, "\(point.testDescription): promoted twice")
      #expect(try await scenario.credential().versions.count == 2, "\(point.testDescription)")
    }
    return hit
  }

  @Test("for good, and the run stops, says why and harms nothing", arguments: FaultPoint.kinds)
  func always(kind: OrgFault.Kind) async throws {
    for (method, path) in [
      ("POST", "*/token"), ("GET", "*"), ("GET", "*/staged"), ("POST", "*/staged"), ("PATCH", "*"), ("DELETE", "*"),
    ] {
      try await Scenario.with(policy: ["propagation": "10m"]) { scenario in
        let point = "\(kind.rawValue) always on \(method) \(path)"
        let goal: RotationRunner.Goal = method == "DELETE" ? .retire : .rotate
        if goal == .retire { _ = try await scenario.run() }
        scenario.server.forgetRequests()
        scenario.timeline.forget()
        scenario.server.add(OrgFault(kind, method: method, path: path, count: nil))
        for run in 1...2 {
          let requests = scenario.server.requests.count
          let result = await scenario.attempt(goal)
          try await scenario.checkLaws("\(point), run \(run): \(result)")
          if case .failure(let error) = result { #expect(error is RotationError, "\(point): \(error)") }
          let struck = scenario.server.requests.dropFirst(requests).count { $0.fault != nil && $0.method == method }
          #expect(method == "POST" && path == "*/token" || struck <= 12, "\(point): \(struck) requests in one run")
        }
        scenario.server.clearFaults()
        let last = await scenario.attempt(goal)
        #expect(last.isFinal(goal) || last.code.isInGrace, "\(point), at last: \(last)")
        try await scenario.checkLaws("\(point), at last: \(last)")
        try await scenario.checkPromoted(point)
      }
    }
  }
}

extension Result where Success == RotationOutcome {
  func isFinal(_ goal: RotationRunner.Goal) -> Bool {
    switch goal {
    case .rotate, .rotateReplacingPrevious, .resume, .scheduled, .adopt: isPromoted || isSettled
    case .abort: code == .promotedAlready || code == .nothingUnfinished
    case .retire, .retireUndelivered, .revoke: isSettled || code == .nothingOwed
    case .deliver: if case .success(.delivered) = self { true } else { false }
    }
  }
}

extension RotationError.Code? {
  var isInGrace: Bool { if case .inGrace? = self { true } else { false } }
}
