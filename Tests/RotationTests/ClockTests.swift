import Audit
import Rotation
import Synchronization
import Testing
import Vault

@Suite("A clock that disagrees with the provider's")
struct ClockTests {
  @Test(
    "promotes nothing that is dated by it, and the rotation continues once the clock is right",
    arguments: [-86_400, 400, 315_360_000])
  func promotesNothing(seconds: Int) async throws {
    let bench = try await Bench(policy: ["max-age": "30d"])
    let right = bench.now.withLock { $0 }
    bench.provider.state.withLock { $0.time = right }
    bench.now.withLock { $0 = right + .seconds(seconds) }
    #expect(await bench.code() == .provider(.configuration))
    #expect(try await bench.state() == .staged)
    #expect(bench.provider.state.withLock { $0.primary } == "id-1")
    bench.now.withLock { $0 = right + .seconds(200_000) }
    bench.provider.state.withLock { $0.time = right + .seconds(200_000) }
    guard case .promoted(active: 2, _, let graceEnds) = try await bench.run(.scheduled) else {
      Issue.record("expected the rotation to go on")
      return
    }
    let credential = try await bench.credential()
    #expect(graceEnds == right + .seconds(200_000) + credential.policy.grace)
    let made = try #require(credential.version(in: .active)?.created)
    #expect(made <= right + .seconds(200_000), "or no schedule would replace it before that")
  }

  @Test("is right enough within five minutes, or if the provider does not report its time")
  func near() async throws {
    for time in [RotationMachineTests.start + .seconds(299), nil] {
      let bench = try await Bench()
      bench.provider.state.withLock { $0.time = time }
      guard case .promoted = try await bench.run() else {
        Issue.record("expected version 2 to be promoted")
        return
      }
    }
  }

  @Test("does not end a grace, but a person can")
  func endsNoGrace() async throws {
    let bench = try await Bench()
    _ = try await bench.run()
    bench.provider.state.withLock { $0.time = RotationMachineTests.start }
    bench.now.withLock { $0 = $0 + .seconds(2 * 86_400) }
    for goal in [RotationRunner.Goal.scheduled, .rotate, .resume] {
      #expect(await bench.code(goal) == .provider(.configuration))
      bench.now.withLock { $0 = $0 + .seconds(3600) }
    }
    #expect(bench.provider.state.withLock { $0.slot?.id } == "id-1", "it is accepted still")
    #expect(try await bench.run(.retire) == .settled(active: 2))
  }

  @Test("stops no schedule: a pair that was made in the future is due")
  func stopsNoSchedule() async throws {
    let bench = try await Bench(policy: ["max-age": "30d"])
    #expect(await bench.code(.scheduled) == .notDue)
    bench.now.withLock { $0 = $0 + .seconds(-315_360_000) }
    guard case .promoted(active: 2, _, _) = try await bench.run(.scheduled) else {
      Issue.record("expected a rotation")
      return
    }
  }
}
