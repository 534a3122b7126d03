internal import Glibc

/// A value that one thread at a time may touch.
///
/// Not `Synchronization.Mutex`: ThreadSanitizer does not see its futex and reports races that are none, while it knows
/// `pthread_mutex_t`.
final class Locked<State>: @unchecked Sendable {
  // Safe to share: `state` is reached inside `withLock` alone, and the mutex has one fixed address.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var state: State

  init(_ state: sending State) {
    self.state = state
    // Fails for bad attributes alone, and there are none.
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  func withLock<Result>(_ body: (inout State) -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body(&state)
  }
}
