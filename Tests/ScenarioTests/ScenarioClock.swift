import Audit
import FoundationEssentials
import OrgSimulator
import Rotation
import Sodium
import Synchronization

/// A clock that sleeping moves, and the org's with it.
final class ScenarioClock: Sendable {
  private static let start: Int64 = 1_795_000_000_000
  static let orgStart = OrgClock.fixed(Date(timeIntervalSince1970: Double(start) / 1000))

  private let milliseconds = Mutex<Int64>(ScenarioClock.start)
  private let server: SimulatorServer?
  /// How long everyone slept, taken together.
  private let slept = Mutex<Duration>(.zero)

  init(_ server: SimulatorServer? = nil) { self.server = server }

  func now() -> Timestamp { Timestamp(milliseconds: milliseconds.withLock { $0 }) }

  var sleeping: Duration { slept.withLock { $0 } }

  func advance(by duration: Duration) {
    jump(by: duration)
    server?.advanceClock(by: duration)
  }

  /// Moves this machine's clock alone.
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
      }, randomness: .system)
  }
}

/// What the runs of a scenario reported, each with how many requests the org had seen by then.
final class Timeline: Sendable {
  struct Step: Sendable {
    let event: String
    let requests: Int
  }

  private let all = Mutex<[Step]>([])

  var steps: [Step] { all.withLock { $0 } }
  var events: [String] { steps.map(\.event) }

  func add(_ event: String, after requests: Int) { all.withLock { $0.append(Step(event: event, requests: requests)) } }

  func forget() { all.withLock { $0 = [] } }
}
