import Audit
import OrgSimulator
import Rotation
import Storage
import Synchronization
import Testing
import Vault

@Suite("A run can be stopped at any instant and wake after another has taken over and finished")
struct StoppedRunTests {
  /// The readings that matter to a request that comes too late.
  static let readings: [[String]] = [
    [], ["replacedPairLivesOn=false"], ["replacedID=keepsStagedID", "rotateOnRotated=swapsBack"],
    ["stagedIDNamesPrimary=true"], ["consumerIDChanges=true"],
  ]

  @Test("and it ends without writing, after at most one request that changes something, and harms no pair")
  func everywhere() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for readings in Self.readings { group.addTask { try await everywhere(readings) } }
      try await group.waitForAll()
    }
  }

  private func everywhere(_ readings: [String]) async throws {
    var moments = 0
    var strays = 0
    while moments < 200 {
      guard let isStray = try await wake(readings, at: moments + 1) else { break }
      moments += 1
      if isStray { strays += 1 }
    }
    print("a run stopped at each of \(moments) moments \(readings): \(strays) left a staged pair behind")
    #expect(moments >= 50 && moments < 200, "\(readings)")
    // Of all requests, only the one to stage names nothing that could be gone: its intent is durable, and it is sent.
    #expect(strays <= 2, "\(readings)")
  }

  /// Stops a run at one moment. Nil if the run ended before it; otherwise whether a staged pair was left in the slot.
  private func wake(_ readings: [String], at number: Int) async throws -> Bool? {
    var isStray: Bool?
    try await Scenario.with(readings, policy: ["grace": "0s", "propagation": "2m"]) { scenario in
      let stop = Stop(scenario, at: number)
      let result = await scenario.attempt(
        over: stop.watching(scenario.store), watching: { stop.watching($0) }, isGone: { _ in false })
      guard let left = stop.left else {
        #expect(result.isSettled, "\(result)")
        return
      }
      let what = "\(readings) \(left.words)"
      #expect(left.takeover.isSettled, "\(what): \(left.takeover)")
      guard left.hadLease || left.wasOver else {
        // The run that was stopped had not begun, so what it does is a rotation of its own.
        isStray = false
        return
      }
      if left.wasOver {
        #expect(result.isSettled, "\(what): \(result)")
      } else {
        let code = if case .failure(let error as StorageError) = result { error.code } else { StorageError.Code?.none }
        #expect(code == .leaseLost, "\(what): \(result)")
      }
      let late = scenario.server.requests.dropFirst(left.requests)
        .filter { $0.method != "GET" && $0.path != "/services/oauth2/token" }
      #expect(late.count <= 1, "\(what): \(late)")
      #expect(try await scenario.journal() == left.journal, "\(what): it has written")
      try await scenario.checkPromoted(what)
      _ = try await scenario.logIsIntact()
      let slot = try scenario.consumer().slot
      isStray = slot != nil
      if slot != nil {
        #expect(late.first?.method == "POST", "\(what)")
        // It is recognised as nobody's, and blocks the slot until it expires.
        #expect(await scenario.attempt(isGone: { _ in false }).code == .foreignStagedPair, "\(what)")
        scenario.clock.advance(by: .seconds(31 * 86_400))
      }
      let next = await scenario.attempt(isGone: { _ in false })
      #expect(next.isSettled, "\(what): the next run: \(next)")
      try await scenario.checkPromoted(what)
    }
    return isStray
  }

  /// Stops a run at one moment; its lease expires, and another run does the work before it wakes.
  private final class Stop: MomentWatcher {
    struct Left {
      let words: String
      let takeover: Result<RotationOutcome, any Error>
      let hadLease: Bool
      let wasOver: Bool
      /// The journal when the sleeper woke.
      let journal: [String]
      let requests: Int
    }

    private let scenario: Scenario
    private let number: Int
    private let state = Mutex((passed: 0, left: Left?.none))

    init(_ scenario: Scenario, at number: Int) {
      self.scenario = scenario
      self.number = number
    }

    var left: Left? { state.withLock { $0.left } }

    func note(_ place: Moment.Place, _ what: String) async {
      let isHere = state.withLock { state in
        state.passed += 1
        return state.passed == number
      }
      guard isHere else { return }
      do {
        let credential = try await scenario.credential()
        let holder = try await scenario.store.read { try $0.leaseHolder(of: "rotation/\(credential.id)") }
        let wasOver = try await scenario.state() == .settled
        scenario.clock.advance(by: .seconds(600))
        // When a rotation is over, only its lease is left to take over.
        let takeover = wasOver ? .success(.settled(active: 2)) : await scenario.attempt(isGone: { _ in false })
        let left = Left(
          words: "stopped \(place.rawValue), number \(number) \(what)", takeover: takeover, hadLease: holder != nil,
          wasOver: wasOver, journal: try await scenario.journal(), requests: scenario.server.requests.count)
        state.withLock { $0.left = left }
      } catch { Issue.record("moment \(number): \(error)") }
    }
  }
}

extension Scenario {
  /// Every event of every rotation of the credential, and its versions and their stages.
  fileprivate func journal() async throws -> [String] {
    try await store.read { transaction in
      let view = try VaultView(transaction)
      let credential = try view.credential("crm")
      let versions = credential.versions.map { "version \($0.number) \($0.stage.rawValue)" }
      guard credential.rotation > 0 else { return versions }
      return try versions
        + (1...credential.rotation).flatMap { rotation in
          try view.journal(of: credential, rotation: rotation).map { "\(rotation) \($0.event)" }
        }
    }
  }
}
