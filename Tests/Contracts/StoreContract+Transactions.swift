import Dispatch
import Glibc
import Storage
import Synchronization

extension StoreContract {
  static let transactions: [StoreContract] = [
    StoreContract("a write reads its own changes, and returns what its body returns") { store in
      let found = try await store.write { transaction in
        try transaction.set([1], in: .first, for: [1])
        try transaction.set([2], in: .first, for: [2])
        try transaction.remove([1], from: .first)
        return try transaction.rows(in: .first)
      }
      try demand(found, is: [Row(key: [2], value: [2])])
    },
    StoreContract("a body that throws changes nothing, and its error is what the caller sees") { store in
      try await store.set([1], for: [1])
      try await demand(.leaseHeld) {
        try await store.write { transaction in
          try transaction.set([2], in: .first, for: [1])
          try transaction.set([2], in: .second, for: [2])
          try transaction.remove([1], from: .first)
          throw StorageError(.leaseHeld, "on purpose")
        }
      }
      try demand(await store.value(of: [1]), is: [1])
      try demand(await store.value(of: [2], in: .second), is: nil)
      try await store.set([3], for: [3])
      try demand(await store.read { try $0.rows(in: .first).map(\.key) }, is: [[1], [3]])
    },
    StoreContract("a reader neither waits for a writer nor sees what is not committed") { store in
      try await store.set([1], for: [1])
      let (isWritten, isRead) = (Flag(), Flag())
      async let writing: Void = withTaskExecutorPreference(OwnThread()) {
        try await store.write { transaction in
          try transaction.set([2], in: .first, for: [1])
          isWritten.raise()
          // A reader that waited for this body would keep it from ending, so the body gives up, and the clause is
          // broken.
          try demand(isRead.isRaised(within: .seconds(10)), is: true)
        }
      }
      while !isWritten.isRaised { await Task.yield() }
      let seen = try await store.value(of: [1])
      isRead.raise()
      try await writing
      try demand(seen, is: [1])
      try demand(await store.value(of: [1]), is: [2])
    },
    StoreContract("a reader keeps its snapshot while others commit") { store in
      try await store.set([1], for: [1])
      let (isOpen, isChanged) = (Flag(), Flag())
      async let reading = withTaskExecutorPreference(OwnThread()) {
        try await store.read { transaction in
          let before = try transaction.value(in: .first, for: [1])
          isOpen.raise()
          try demand(isChanged.isRaised(within: .seconds(10)), is: true)
          return [before, try transaction.value(in: .first, for: [1])]
        }
      }
      while !isOpen.isRaised { await Task.yield() }
      try await store.set([2], for: [1])
      isChanged.raise()
      try demand(await reading, is: [[1], [1]])
      try demand(await store.value(of: [1]), is: [2])
    },
    StoreContract("concurrent increments lose none") { store in
      try await withThrowingTaskGroup { group in
        for _ in 0..<400 { group.addTask { try await store.increment() } }
        try await group.waitForAll()
      }
      try demand(await store.counter(), is: 400)
    },
    StoreContract("among concurrent writes, those that throw take nothing of the others with them") { store in
      let failures = try await withThrowingTaskGroup { group in
        for number in UInt64(0)..<300 {
          group.addTask {
            do {
              try await store.write { transaction in
                try transaction.increment()
                try transaction.set([1], in: .second, for: number.bigEndianBytes)
                if number % 3 == 0 { throw StorageError(.leaseLost, "on purpose") }
              }
              return 0
            } catch let error as StorageError where error.code == .leaseLost {
              return 1
            }
          }
        }
        return try await group.reduce(0, +)
      }
      try demand(failures, is: 100)
      try demand(await store.counter(), is: 200)
      let kept = try await store.read { try $0.rows(in: .second).compactMap { UInt64(bigEndianBytes: $0.key) } }
      try demand(kept, is: (0..<300).filter { $0 % 3 != 0 })
    },
    StoreContract("a write is seen by every read that begins after it") { store in
      try await withThrowingTaskGroup { group in
        for number in UInt8(0)..<32 {
          group.addTask {
            for round in UInt8(0)..<8 {
              try await store.set([round], for: [number])
              try demand(await store.value(of: [number]), is: [round])
            }
          }
        }
        try await group.waitForAll()
      }
    },
  ]
}

extension WriteTransaction {
  fileprivate func increment() throws {
    let last = try value(in: .first, for: [0]).flatMap { UInt64(bigEndianBytes: $0) } ?? 0
    try set((last + 1).bigEndianBytes, in: .first, for: [0])
  }
}

extension Store {
  /// Adds one to the counter of the contract's first table.
  package func increment() async throws {
    try await write { try $0.increment() }
  }

  /// The counter that `increment` adds to.
  package func counter() async throws -> UInt64 {
    try await value(of: [0]).flatMap { UInt64(bigEndianBytes: $0) } ?? 0
  }
}

/// Lets one side of a clause see that the other has reached a point.
private final class Flag: Sendable {
  private let state = Atomic<Bool>(false)

  var isRaised: Bool { state.load(ordering: .acquiring) }

  func raise() { state.store(true, ordering: .releasing) }

  /// Polls until it is raised or the time is over. It blocks, as a body without `await` must.
  func isRaised(within limit: Duration) -> Bool {
    let end = ContinuousClock.now + limit
    while !isRaised && ContinuousClock.now < end { usleep(100) }
    return isRaised
  }
}

/// A thread on which a body may block without taking one of the few threads that everything else runs on.
private final class OwnThread: TaskExecutor {
  private let queue = DispatchQueue(label: "contract")

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
