import Glibc
import Synchronization

/// The thread that the process begins with, as an executor for its tasks.
///
/// An asynchronous `main` runs nothing on that thread: it makes three more threads before its first line, which costs
/// every command about a millisecond. Here, whatever does not ask for another executor runs on it, one job after
/// another, and so do the store's commits. What may wait for long (a request, a program) has a thread of its own.
final class MainThread: TaskExecutor {
  private enum Work {
    case job(UnownedJob)
    case block(@Sendable () -> Void)
  }

  private struct State {
    var work = FirstInFirstOut<Work>()
    var isAsleep = false
    var result: ExitCode?
  }

  static let shared = MainThread()

  private let state = Mutex(State())
  // Safe to share: a semaphore is made to be shared, and it never moves.
  nonisolated(unsafe) private let wake: UnsafeMutablePointer<sem_t>

  private init() {
    wake = .allocate(capacity: 1)
    sem_init(wake, 0, 0)
  }

  /// Runs `body`, and every job it leaves to this executor, on the calling thread. That must be the main thread, and
  /// may call this only once.
  func run(_ body: @escaping @Sendable () async -> ExitCode) -> ExitCode {
    Task(executorPreference: self) {
      let result = await body()
      self.change { $0.result = result }
    }
    while true {
      let (work, result) = state.withLock { state in
        let work = state.result == nil ? state.work.popFirst() : nil
        state.isAsleep = work == nil
        return (work, state.result)
      }
      if let result { return result }
      switch work {
      case .job(let job): job.runSynchronously(on: asUnownedTaskExecutor())
      case .block(let block): block()
      // A signal that interrupts the wait only causes another look.
      case nil: sem_wait(wake)
      }
    }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    change { $0.work.append(.job(job)) }
  }

  /// Runs `block` after everything that was handed over before.
  ///
  /// The store's commits wait here with everything else. Whatever blocks this thread for long while a transaction is
  /// open, such as a full pipe or a prompt, holds the store's lock against all other processes. So nothing prints or
  /// asks between a call that writes and its commit. Where many write at once, `RunExecutor` does the printing.
  func perform(_ block: @escaping @Sendable () -> Void) {
    change { $0.work.append(.block(block)) }
  }

  private func change(_ body: (inout sending State) -> Void) {
    let wasAsleep = state.withLock { state in
      body(&state)
      defer { state.isAsleep = false }
      return state.isAsleep
    }
    if wasAsleep { sem_post(wake) }
  }
}
