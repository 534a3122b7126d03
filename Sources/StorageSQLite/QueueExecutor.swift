import Dispatch
import Synchronization

/// Runs an actor on a thread of its own queue, or where it is told to, first come first served.
///
/// A commit waits for the disk, and for the locks of other processes: on the shared pool, which has one thread per
/// core, that would stop tasks that have nothing to do with the store.
final class QueueExecutor: SerialExecutor {
  private let perform: SQLiteStore.Performer
  /// The executor that the latest task to come here prefers while it is on no actor.
  private let preferred = Mutex<UnownedTaskExecutor?>(nil)

  init(_ perform: SQLiteStore.Performer?) {
    if let perform {
      self.perform = perform
    } else {
      let queue = DispatchQueue(label: "relatch.store.writer")
      self.perform = { block in queue.async { block() } }
    }
  }

  /// Must be called by a task that is about to come here. A task that prefers an executor and is run without it is
  /// queued a second time at its first `await`, which costs time and nothing else.
  func expectCurrentTask() {
    let executor = withUnsafeCurrentTask { $0?.unownedTaskExecutor }
    preferred.withLock { $0 = executor }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let executor = preferred.withLock { $0 }
    perform {
      if let executor {
        job.runSynchronously(isolatedTo: self.asUnownedSerialExecutor(), taskExecutor: executor)
      } else {
        job.runSynchronously(on: self.asUnownedSerialExecutor())
      }
    }
  }
}
