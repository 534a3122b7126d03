import Glibc
import Synchronization
import Transport

/// Threads for runs of many credentials, one for each processor.
///
/// Tasks that a commit or another task has resumed come before tasks that an answer has resumed. The usual pool takes
/// them in order of arrival: where many answers arrive at once, it would read all of them before the first is saved,
/// and save all of them before the next request is sent, so that processor and provider wait for each other. Here the
/// first to be answered is the first to send its next request. Nothing waits forever: whatever comes first ends in a
/// request or a wait.
final class RunExecutor: TaskExecutor {
  private struct Jobs {
    var continued = FirstInFirstOut<UnownedJob>()
    var answered = FirstInFirstOut<UnownedJob>()
    var sleepers = 0
  }

  private let jobs = Mutex(Jobs())
  // Safe to share: a semaphore is made to be shared, and it never moves.
  nonisolated(unsafe) private let wake: UnsafeMutablePointer<sem_t>

  /// The executor of this process, which lives as long as the process; nil if no thread could be started.
  static let shared: RunExecutor? = RunExecutor(threads: max(2, sysconf(Int32(_SC_NPROCESSORS_ONLN))))

  private init?(threads: Int) {
    wake = .allocate(capacity: 1)
    sem_init(wake, 0, 0)
    for number in 0..<threads where !startThread() && number == 0 { return nil }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let hasSleeper = jobs.withLock { jobs in
      if CurlTransport.isOnOwnThread { jobs.answered.append(job) } else { jobs.continued.append(job) }
      guard jobs.sleepers > 0 else { return false }
      jobs.sleepers -= 1
      return true
    }
    if hasSleeper { sem_post(wake) }
  }

  private func startThread() -> Bool {
    let context = Unmanaged.passRetained(self)
    var id = pthread_t()
    let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { context in
      guard let context else { return nil }
      Unmanaged<RunExecutor>.fromOpaque(context).takeUnretainedValue().run()
    }
    // Signals are for the main thread. A new thread inherits the mask of the thread that starts it.
    var (all, before) = (sigset_t(), sigset_t())
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    guard pthread_create(&id, nil, main, context.toOpaque()) == 0 else {
      context.release()
      return false
    }
    pthread_detach(id)
    return true
  }

  private func run() -> Never {
    while true {
      let job = jobs.withLock { jobs in
        let job = jobs.continued.popFirst() ?? jobs.answered.popFirst()
        if job == nil { jobs.sleepers += 1 }
        return job
      }
      if let job {
        job.runSynchronously(on: asUnownedTaskExecutor())
      } else {
        // A signal that interrupts the wait only causes another look.
        sem_wait(wake)
      }
    }
  }
}
