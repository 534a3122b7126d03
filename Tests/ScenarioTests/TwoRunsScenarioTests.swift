import OrgSimulator
import Rotation
import Storage
import Synchronization
import Testing
import Vault

@Suite("Two runs of one credential")
struct TwoRunsScenarioTests {
  /// The scenario's time; `meanwhile` runs during the first sleep.
  private func timing(
    _ scenario: Scenario, meanwhile: @escaping @Sendable () async -> Void
  ) -> RotationTiming {
    let base = scenario.clock.timing
    let once = Once()
    return RotationTiming(
      now: base.now,
      sleep: { duration in
        if once.take() { await meanwhile() }
        try await base.sleep(duration)
      }, randomness: base.randomness)
  }

  private final class Once: Sendable {
    private let isLeft = Mutex(true)

    func take() -> Bool {
      isLeft.withLock { left in
        defer { left = false }
        return left
      }
    }
  }

  private final class Outcome: Sendable {
    private let value = Mutex<Result<RotationOutcome, any Error>?>(nil)
    func set(_ result: Result<RotationOutcome, any Error>) { value.withLock { $0 = result } }
    var result: Result<RotationOutcome, any Error>? { value.withLock { $0 } }
  }

  @Test("the second reports that the first is at work, and makes no request")
  func held() async throws {
    try await Scenario.with(["propagationSeconds=30"], policy: ["propagation": "10m"]) { scenario in
      let second = Outcome()
      let first = await scenario.attempt(
        timing: timing(scenario) {
          let requests = scenario.server.requests.count
          second.set(await scenario.attempt(isGone: { _ in false }))
          #expect(scenario.server.requests.count == requests)
        })
      #expect(second.result?.code == .held)
      #expect(first.isPromoted, "\(first)")
      try await scenario.checkLaws("held")
    }
  }

  @Test("a run whose lease was taken over writes nothing and makes no further request")
  func fenced() async throws {
    try await Scenario.with(["propagationSeconds=30"], policy: ["propagation": "10m"]) { scenario in
      let second = Outcome()
      let after = Counter()
      let first = await scenario.attempt(
        timing: timing(scenario) {
          second.set(await scenario.attempt(isGone: { _ in true }))
          after.set(scenario.server.requests.count)
        })
      #expect(second.result?.isPromoted == true)
      guard case .failure(let error as StorageError) = first, error.code == .leaseLost else {
        Issue.record("\(first)")
        return
      }
      #expect(scenario.server.requests.count == after.value)
      #expect(scenario.acted("POST", "/staged") == 1 && scenario.acted("PATCH") == 1)
      try await scenario.checkLaws("fenced")
      try await scenario.checkPromoted("fenced")
    }
  }

  private final class Counter: Sendable {
    private let number = Mutex(0)
    func set(_ value: Int) { number.withLock { $0 = value } }
    var value: Int { number.withLock { $0 } }
  }

  @Test("an expired lease is taken over without asking whether its holder is gone")
  func ranOut() async throws {
    try await Scenario.with(policy: ["grace": "0s"]) { scenario in
      let store = DyingStore(scenario.store, at: 8, .afterCommit)
      _ = await scenario.attempt(over: store)
      #expect(await scenario.attempt(isGone: { _ in false }).code == .held)
      scenario.clock.advance(by: .seconds(600))
      #expect(await scenario.attempt(isGone: { _ in false }).isSettled)
      try await scenario.checkPromoted("ran out")
    }
  }

  @Test("a run gives its lease back whatever makes it fail")
  func givenBack() async throws {
    for (method, path) in [("POST", "*/token"), ("GET", "*"), ("POST", "*/staged"), ("PATCH", "*")] {
      try await Scenario.with { scenario in
        scenario.server.add(OrgFault(.serverError, method: method, path: path, count: nil))
        let result = await scenario.attempt()
        #expect(result.code != nil)
        let credential = try await scenario.credential()
        let holder = try await scenario.store.read { try $0.leaseHolder(of: "rotation/\(credential.id)") }
        #expect(holder == nil, "\(method) \(path)")
      }
    }
  }

  @Test(
    "a clock that jumps loses nothing; far from the provider's it promotes nothing until it is right",
    arguments: [-86_400, -60, 60, 700, 86_400])
  func jumps(seconds: Int) async throws {
    try await Scenario.with(["propagationSeconds=30"], policy: ["propagation": "10m"]) { scenario in
      let first = await scenario.attempt(
        timing: timing(scenario) { scenario.clock.jump(by: .seconds(seconds)) })
      try await scenario.checkLaws("jump by \(seconds): \(first)")
      let isFar = abs(seconds) >= 300
      #expect(first.isPromoted != isFar, "jump by \(seconds): \(first)")
      if isFar { scenario.clock.jump(by: .seconds(-seconds)) }
      let last = first.isPromoted ? first : await scenario.attempt()
      #expect(last.isPromoted, "jump by \(seconds): \(last)")
      try await scenario.checkPromoted("jump by \(seconds)")
      try await scenario.checkLaws("jump by \(seconds): \(last)")
    }
  }
}
