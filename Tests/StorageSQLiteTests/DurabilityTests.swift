import Contracts
import Glibc
import Storage
import Testing

@testable import StorageSQLite

@Suite("SQLiteStore: durability and other processes")
struct DurabilityTests {
  @Test("the writer's connection syncs on commit, erases what it frees, and keeps temporary data in memory")
  func settings() async throws {
    let folder = try TemporaryFolder()
    let store = try newStore(in: folder)
    #expect(try await store.writerSetting("synchronous") == "2")
    #expect(try await store.writerSetting("secure_delete") == "1")
    #expect(try await store.writerSetting("journal_mode") == "wal")
    #expect(try await store.writerSetting("temp_store") == "2")
    #expect(try await store.writerSetting("trusted_schema") == "0")
    #expect(try await store.writerSetting("cell_size_check") == "1")
  }

  @Test("after a process is killed at any moment, every confirmed write is there, and no write in part")
  func killed() async throws {
    for milliseconds in [3, 10, 30, 60, 100] {
      let folder = try TemporaryFolder()
      _ = try newStore(in: folder)
      let path = folder.path
      await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, milliseconds = milliseconds as Int] in
        let store = try SQLiteStore(opening: "\(path)/store.db", tables: StoreContract.tables)
        try await store.increment()
        let told = try #require(fopen("\(path)/told", "wb"))
        let parent = Task.detached {
          usleep(UInt32(milliseconds) * 1_000)
          kill(getpid(), SIGKILL)
        }
        for number in UInt64(2)... {
          try await store.write { transaction in
            let bytes = number.bigEndianBytes
            try transaction.set(bytes, in: StoreContract.tables[1], for: [0])
            try transaction.set(bytes, in: StoreContract.tables[2], for: [0])
          }
          rewind(told)
          fwrite(number.bigEndianBytes, 1, 8, told)
          fflush(told)
        }
        _ = parent
      }
      let store = try SQLiteStore(opening: folder.store, tables: StoreContract.tables)
      let told = UInt64(bigEndianBytes: try contents(of: "\(path)/told")) ?? 1
      let (first, second) = try await store.read { transaction in
        (
          try transaction.value(in: StoreContract.tables[1], for: [0]),
          try transaction.value(in: StoreContract.tables[2], for: [0])
        )
      }
      let found = try #require(UInt64(bigEndianBytes: first ?? []))
      #expect(found == told || found == told + 1)
      #expect(second == nil && found == 1 || second == first)
    }
  }

  @Test("a process killed inside a write leaves nothing of that write, and no lock")
  func killedInBody() async throws {
    let folder = try TemporaryFolder()
    let store = try newStore(in: folder)
    try await store.increment()
    let path = folder.store
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
      try await SQLiteStore(opening: path, tables: StoreContract.tables).write { transaction in
        for number in UInt64(0)..<5_000 {
          try transaction.set(
            Array(repeating: 1, count: 1_000), in: StoreContract.tables[1], for: number.bigEndianBytes)
        }
        kill(getpid(), SIGKILL)
      }
    }
    #expect(try await store.counter() == 1)
    #expect(try await store.read { try $0.rows(in: StoreContract.tables[1]).count } == 1)
    try await store.increment()
    #expect(try await store.counter() == 2)
  }

  @Test("increments by three processes at once are all kept")
  func processes() async throws {
    let folder = try TemporaryFolder()
    let store = try newStore(in: folder)
    let path = folder.store
    async let one: Void = incrementElsewhere(path)
    async let two: Void = incrementElsewhere(path)
    for _ in 0..<200 { try await store.increment() }
    _ = await (one, two)
    #expect(try await store.counter() == 600)
  }

  private func incrementElsewhere(_ path: String) async {
    await #expect(processExitsWith: .success) { [path = path as String] in
      let store = try SQLiteStore(opening: path, tables: StoreContract.tables)
      try await withThrowingTaskGroup { group in
        for _ in 0..<200 { group.addTask { try await store.increment() } }
        try await group.waitForAll()
      }
    }
  }

  @Test("a store that was not explicitly closed has everything when it is reopened")
  func reopened() async throws {
    let folder = try TemporaryFolder()
    for expected in UInt64(0)..<20 {
      let store =
        try expected == 0 ? newStore(in: folder) : SQLiteStore(opening: folder.store, tables: StoreContract.tables)
      #expect(try await store.counter() == expected)
      try await store.increment()
    }
  }

  @Test("a store that is opened for one write at a time keeps its log short")
  func shortLog() async throws {
    let folder = try TemporaryFolder()
    _ = try newStore(in: folder)
    var longest = 0
    for number in UInt64(0)..<40 {
      try await SQLiteStore(opening: folder.store, tables: StoreContract.tables).write { transaction in
        try transaction.set([UInt8](repeating: 1, count: 80_000), in: StoreContract.tables[2], for: [UInt8(number % 4)])
        try transaction.set(number.bigEndianBytes, in: StoreContract.tables[1], for: [0])
      }
      longest = max(longest, try contents(of: "\(folder.store)-wal").count)
    }
    // 128 pages, plus what the last commit added.
    #expect(longest > 80_000 && longest < 160 * 4_120)
    let store = try SQLiteStore(opening: folder.store, tables: StoreContract.tables)
    #expect(try await store.counter() == 39)
  }

  @Test("writes wait for another connection's lock, then fail with busy, all at once and with nothing changed")
  func busy() async throws {
    let folder = try TemporaryFolder()
    let store = try newStore(in: folder)
    try await store.increment()
    let other = try Connection.writing(StoreFile(at: folder.store), StoreContract.tables)
    try other.perform(.beginWriting)
    let start = ContinuousClock.now
    let refused = await withTaskGroup { group in
      for _ in 0..<8 {
        group.addTask {
          do {
            try await store.increment()
            return 0
          } catch {
            return error as? StorageError == StorageError(.busy, "") ? 1 : 0
          }
        }
      }
      return await group.reduce(0, +)
    }
    #expect(refused == 8)
    #expect(ContinuousClock.now - start < .seconds(30))
    #expect(try await store.counter() == 1)
    try other.perform(.rollback)
    try await store.increment()
    #expect(try await store.counter() == 2)
  }
}
