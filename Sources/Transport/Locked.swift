internal import Glibc

/// A value that only one thread at a time may use.
///
/// Not `Synchronization.Mutex`: ThreadSanitizer does not see its futex and reports false races, while it knows
/// `pthread_mutex_t`.
final class Locked<State>: @unchecked Sendable {
  // Safe to share: `state` is used only inside `withLock`, and the mutex has one fixed address.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var state: State

  init(_ state: sending State) {
    self.state = state
    // Fails only for bad attributes, and there are none.
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
