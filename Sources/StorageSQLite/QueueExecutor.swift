import Dispatch

/// Runs an actor on a thread of its own queue, first come first served.
///
/// A commit waits for the disk, and for other processes' locks: on the shared pool, which has a thread per core, that would
/// stop tasks that have nothing to do with the store.
final class QueueExecutor: SerialExecutor {
  private let queue: DispatchQueue

  init(label: String) {
    self.queue = DispatchQueue(label: label)
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }
}
