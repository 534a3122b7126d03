import Audit
import Glibc

/// The only place where the program learns the time and lets it pass. Everything below takes both as arguments.
enum WallClock {
  /// The present moment, to the millisecond.
  @Sendable static func now() -> Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
  }

  /// Waits for `duration`. Throws `CancellationError` immediately when the task is cancelled.
  @Sendable static func sleep(_ duration: Duration) async throws { try await Task.sleep(for: duration) }
}
