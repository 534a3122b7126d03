import OrgSimulator
import Rotation
import Storage
import Testing
import Vault

@Suite("A run can die at every write")
struct CrashScenarioTests {
  static let readings: [[String]] = [
    [], ["replacedPairLivesOn=false"], ["consumerIDChanges=true", "rotateAnswer=noContent"],
    ["rotateOnRotated=swapsBack", "replacedID=keepsStagedID"], ["stagedIDNamesPrimary=true"],
    ["emptyStagedList=notFound", "stagedListHidesSecrets=true", "deleteDelay=60"],
  ]

  @Test("and the next one finishes", arguments: readings)
  func die(readings: [String]) async throws {
    var points = 0
    for moment in DyingStore.Moment.allCases {
      points += try await dieEverywhere(readings, moment, isSelfAdministered: false)
    }
    print("crash points survived under \(readings): \(points)")
    #expect(points >= 30)
  }

  @Test("of an app that administers itself, too", arguments: DyingStore.Moment.allCases)
  func dieSelfAdministered(moment: DyingStore.Moment) async throws {
    let readings = ["replacedPairLivesOn=false", "rotateEndsTokens=caller"]
    let points = try await dieEverywhere(readings, moment, isSelfAdministered: true)
    print("crash points survived, self-administered, \(moment.rawValue): \(points)")
  }

  /// A rotation and, its grace being nothing, the retirement, cut at write 1, 2, 3 … until it is whole.
  private func dieEverywhere(
    _ readings: [String], _ moment: DyingStore.Moment, isSelfAdministered: Bool
  ) async throws -> Int {
    var last = 0
    var hasDied = true
    while hasDied {
      last += 1
      try await Scenario.with(
        readings, isSelfAdministered: isSelfAdministered, policy: ["grace": "0s", "propagation": "2m"]
      ) { scenario in
        let store = DyingStore(scenario.store, at: last, moment)
        let what = "write \(last) \(moment.rawValue) \(readings)"
        let first = await scenario.attempt(over: store)
        hasDied = store.isDead
        try await scenario.catchUp()
        try await scenario.checkLaws(what)
        guard hasDied else {
          if !readings.contains("deleteDelay=60") { #expect(first.isSettled, "\(what): \(first)") }
          return
        }
        var next = await scenario.attempt()
        if case .success(.stillAccepted) = next {
          scenario.clock.advance(by: .seconds(120))
          next = await scenario.attempt(.retire)
        }
        try await scenario.checkLaws("\(what), next run: \(next)")
        #expect(next.isSettled, "\(what): \(next)")
        try await scenario.checkPromoted(what)
        let credential = try await scenario.credential()
        #expect(credential.debts.isEmpty, "\(what)")
        // Only a run that died after its last entry is followed by a rotation of its own.
        let rotations = credential.rotation
        #expect(rotations == 1 || (moment == .afterCommit && rotations == 2) || first.code == nil, "\(what)")
        #expect(scenario.acted("POST", "/staged") == Int(rotations), "\(what): a pair was made and lost")
        #expect(scenario.acted("PATCH") == Int(rotations), "\(what): promoted twice")
      }
    }
    return last - 1
  }

  @Test("and what a full disk cannot write, the org is not asked for", arguments: 0...18)
  func full(writes: Int) async throws {
    try await Scenario.with(policy: ["grace": "0s"]) { scenario in
      let result = await scenario.attempt(over: FullStore(scenario.store, after: writes))
      try await scenario.checkLaws("\(writes) writes: \(result)")
      if writes < 4 {
        #expect(scenario.server.requests.allSatisfy { $0.method == "GET" || $0.path.hasSuffix("/token") })
      }
      if writes < 2 {
        #expect(scenario.server.requests.isEmpty)
        guard case .failure(let error as StorageError) = result, error.code == .cannotWrite else {
          Issue.record("\(result)")
          return
        }
      }
      let next = await scenario.attempt()
      #expect(next.isSettled, "\(writes) writes: \(next)")
      try await scenario.checkLaws("\(writes) writes, then \(next)")
    }
  }
}
