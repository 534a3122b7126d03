import Contracts
import Glibc
import Storage
import StorageSQLite
import Synchronization
import Testing

@Suite("SQLiteStore")
struct SQLiteStoreTests {
  @Test("keeps the contract of all stores", arguments: StoreContract.clauses)
  func contract(clause: StoreContract) async throws {
    let folder = try TemporaryFolder()
    try await clause.check(newStore(in: folder))
  }

  @Test("writes that wait at the same time share finishing steps")
  func finishedTogether() async throws {
    let folder = try TemporaryFolder()
    let store = try newStore(in: folder)
    let (waiting, finished) = (Counter(), Counter())
    try await withThrowingTaskGroup { group in
      // The first keeps the writer busy until the others are waiting for it.
      group.addTask {
        try await store.write { _ in
          while waiting.value.load(ordering: .acquiring) < 50 { usleep(100) }
        }
      }
      for _ in 0..<50 {
        group.addTask {
          waiting.value.add(1, ordering: .releasing)
          try await store.write { $0.finishingStep = Counting(finished: finished) }
        }
      }
      try await group.waitForAll()
    }
    #expect((1..<50).contains(finished.value.load(ordering: .acquiring)))
  }
}

private final class Counter: Sendable {
  let value = Atomic<Int>(0)
}

private struct Counting: FinishingStep {
  let finished: Counter

  func finish(in _: any WriteTransaction) { finished.value.add(1, ordering: .releasing) }
}

/// A new store with the contract's tables.
func newStore(in folder: TemporaryFolder) throws -> SQLiteStore {
  try SQLiteStore.create(at: folder.store, tables: StoreContract.tables)
  return try SQLiteStore(opening: folder.store, tables: StoreContract.tables)
}
