import Audit
import Contracts
import FoundationEssentials
import OrgSimulator
import Rotation
import Sodium
import Synchronization

/// A clock that sleeping advances, together with the org's.
final class ScenarioClock: Sendable {
  private static let start: Int64 = 1_795_000_000_000
  static let orgStart = OrgClock.fixed(Date(timeIntervalSince1970: Double(start) / 1000))

  private let milliseconds: Mutex<Int64>
  private let server: SimulatorServer?
  /// How long all slept in total.
  private let slept = Mutex<Duration>(.zero)

  init(_ server: SimulatorServer? = nil, at time: Timestamp = Timestamp(milliseconds: ScenarioClock.start)) {
    self.server = server
    milliseconds = Mutex(time.milliseconds)
  }

  func now() -> Timestamp { Timestamp(milliseconds: milliseconds.withLock { $0 }) }

  var sleeping: Duration { slept.withLock { $0 } }

  func advance(by duration: Duration) {
    jump(by: duration)
    server?.advanceClock(by: duration)
  }

  /// Moves only this machine's clock.
  func jump(by duration: Duration) {
    milliseconds.withLock {
      $0 += duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
    }
  }

  var timing: RotationTiming {
    RotationTiming(
      now: { self.now() },
      sleep: { duration in
        self.slept.withLock { $0 += duration }
        self.advance(by: duration)
      }, randomness: .seeded("scenario"))
  }
}

/// What the runs of a scenario reported, each with how many requests the org had seen by then.
final class Timeline: Sendable {
  struct Step: Sendable {
    let event: String
    let requests: Int
  }

  private let all: Mutex<[Step]>
  /// How many events of the vault's journal were reported before `forget`.
  private let forgotten = Mutex(0)

  init(_ steps: [Step] = []) { all = Mutex(steps) }

  var steps: [Step] { all.withLock { $0 } }
  /// Whether it goes back to the first run.
  var isWhole: Bool { forgotten.withLock { $0 } == 0 }
  /// How many of the events in the vault's journal are known here.
  var journalled: Int { steps.count + forgotten.withLock { $0 } }
  var events: [String] { steps.map(\.event) }

  func add(_ event: String, after requests: Int) { all.withLock { $0.append(Step(event: event, requests: requests)) } }

  func forget() {
    forgotten.withLock { $0 += steps.count }
    all.withLock { $0 = [] }
  }
}
