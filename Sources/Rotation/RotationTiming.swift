package import Audit
package import Sodium

/// Where the engine takes time and randomness from. Nothing below the executable reads a clock itself.
package struct RotationTiming: Sendable {
  package let now: @Sendable () -> Timestamp
  package let sleep: @Sendable (Duration) async throws -> Void
  package let randomness: Randomness

  package init(
    now: @escaping @Sendable () -> Timestamp, sleep: @escaping @Sendable (Duration) async throws -> Void,
    randomness: Randomness
  ) {
    self.now = now
    self.sleep = sleep
    self.randomness = randomness
  }
}

/// How long to wait before asking again: 1, 2, 4, 8, 16, then 30 s, each shortened at random by up to half, so that
/// many clients do not come back at once. Elapsed at most: 1, 3, 7, 15, 31, 61 s …
struct Backoff {
  private var attempts = 0

  /// The next wait. If the provider asked for more, it is at least `asked`, up to `ProviderError.maximumWait`.
  mutating func next(_ randomness: Randomness, asked: Duration? = nil) -> Duration {
    let seconds = min(30, 1 << min(attempts, 5))
    attempts += 1
    let wait = Duration.milliseconds(Int(Double(seconds) * 1000 * (1 - randomness.fraction() / 2)))
    return max(wait, min(asked ?? .zero, ProviderError.maximumWait))
  }
}

/// How long something that may still become true is asked for again and again.
struct Patience {
  let until: Timestamp
  private var backoff = Backoff()

  init(until: Timestamp) { self.until = until }

  /// The next wait, as `Backoff` has it; nil if it would not be over by `until`.
  mutating func next(_ timing: RotationTiming, asked: Duration? = nil) -> Duration? {
    let wait = backoff.next(timing.randomness, asked: asked)
    return timing.now() + wait <= until ? wait : nil
  }
}
