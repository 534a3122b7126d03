import Contracts
import Glibc
import Storage
import Testing

@testable import StorageSQLite

@Suite("SQLiteStore: faults from outside")
struct FaultTests {
  @Test("a damaged byte gives an error or some value, never a crash; a truncated file is corrupt")
  func damaged() async throws {
    let folder = try TemporaryFolder()
    let store = try newStore(in: folder)
    try await store.write { transaction in
      for number in UInt64(0)..<60 {
        let value = [UInt8](repeating: UInt8(number), count: number % 7 == 0 ? 6_000 : 40)
        try transaction.set(value, in: StoreContract.tables[1], for: number.bigEndianBytes)
      }
    }
    try await store.emptyLog()
    let whole = try contents(of: folder.store)
    let other = try TemporaryFolder()
    func look() async throws {
      do {
        let store = try SQLiteStore(opening: other.store, tables: StoreContract.tables)
        _ = try await store.read { try $0.rows(in: StoreContract.tables[1]).count }
        _ = try await store.read { try $0.lastRow(in: StoreContract.tables[1])?.key }
        try await store.write { try $0.remove(UInt64(7).bigEndianBytes, from: StoreContract.tables[1]) }
      } catch let error as StorageError {
        let isExpected = [.corrupt, .unsupportedFormat, .cannotRead, .cannotWrite].contains(error.code)
        #expect(isExpected, "\(error)")
      }
      for name in try other.names() { unlink("\(other.path)/\(name)") }
    }
    // Every byte of the file's header and of the heads of pages, then a sample of the rest.
    let positions = whole.indices.filter { $0 < 100 || $0 % 4_096 < 12 || $0 % 397 == 0 }
    for position in positions {
      var damaged = whole
      damaged[position] ^= 0xFF
      try write(damaged, to: other.store)
      try await look()
    }
    for count in [1, 99, 100, 512, 4_095, 4_096, 4_097, whole.count / 2, whole.count - 4_096] {
      try write(Array(whole[..<count]), to: other.store)
      #expect(throws: StorageError(.corrupt, "")) {
        try SQLiteStore(opening: other.store, tables: StoreContract.tables)
      }
      try await look()
    }
  }

  @Test(
    "a write to a full disk fails with cannotWrite; the store stays readable, and works again once space is freed",
    .enabled(if: geteuid() == 0, "needs root to mount a small disk"))
  func full() async throws {
    let folder = try TemporaryFolder()
    guard mount("tmpfs", folder.path, "tmpfs", 0, "size=1m") == 0 else {
      try Test.cancel("this machine does not let root mount a small disk")
    }
    defer { umount2(folder.path, Int32(MNT_DETACH)) }
    let store = try newStore(in: folder)
    try await store.increment()
    let ballast = "\(folder.path)/ballast"
    try write([UInt8](repeating: 1, count: 500_000), to: ballast)
    await #expect(throws: StorageError(.cannotWrite, "")) {
      for number in UInt64(0)..<1_000 {
        try await store.write { transaction in
          try transaction.note(number)
          try transaction.set(
            [UInt8](repeating: 1, count: 9_000), in: StoreContract.tables[2], for: number.bigEndianBytes)
        }
      }
    }
    let rows = try await store.read { try $0.rows(in: StoreContract.tables[2]).count }
    #expect(rows > 0)
    #expect(
      try await store.read { try $0.value(in: StoreContract.tables[1], for: [1]) } == UInt64(rows - 1).bigEndianBytes)
    let again = try SQLiteStore(opening: folder.store, tables: StoreContract.tables)
    #expect(try await again.read { try $0.rows(in: StoreContract.tables[2]).count } == rows)
    unlink(ballast)
    try await store.increment()
    #expect(try await again.counter() == 2)
  }

  @Test(
    "opening fails with cannotWrite on a disk too full for the log's index; on a read-only disk only writes fail",
    .enabled(if: geteuid() == 0, "needs root to mount a small disk"))
  func fullWhenOpened() async throws {
    let folder = try TemporaryFolder()
    guard mount("tmpfs", folder.path, "tmpfs", 0, "size=256k") == 0 else {
      try Test.cancel("this machine does not let root mount a small disk")
    }
    defer { umount2(folder.path, Int32(MNT_DETACH)) }
    do { try await newStore(in: folder).increment() }
    unlink("\(folder.store)-shm")
    let ballast = "\(folder.path)/ballast"
    try? write([UInt8](repeating: 1, count: 256 << 10), to: ballast)
    #expect(throws: StorageError(.cannotWrite, "")) {
      try SQLiteStore(opening: folder.store, tables: StoreContract.tables)
    }
    unlink(ballast)
    do { try await SQLiteStore(opening: folder.store, tables: StoreContract.tables).increment() }
    guard mount(nil, folder.path, nil, UInt(MS_REMOUNT | MS_RDONLY), nil) == 0 else {
      Issue.record("remounting failed: \(errno)")
      return
    }
    let store = try SQLiteStore(opening: folder.store, tables: StoreContract.tables)
    #expect(try await store.counter() == 2)
    await #expect(throws: StorageError(.cannotWrite, "")) { try await store.increment() }
  }

  @Test("a store in a folder that cannot be written to is read, with or without its log, and refuses writes")
  func readOnly() async throws {
    for isCheckpointed in [true, false] {
      let folder = try TemporaryFolder()
      do {
        try SQLiteStore.create(at: folder.store, tables: StoreContract.tables)
        if !isCheckpointed { try await SQLiteStore(opening: folder.store, tables: StoreContract.tables).increment() }
      }
      #expect(try folder.names().contains("store.db-wal") == !isCheckpointed)
      for name in try folder.names() { chmod("\(folder.path)/\(name)", 0o444) }
      chmod(folder.path, 0o555)
      let path = folder.store
      await #expect(processExitsWith: .success) { [path = path as String, isCheckpointed = isCheckpointed as Bool] in
        // No permission stops root.
        if geteuid() == 0 { #expect(setuid(65_534) == 0) }
        let store = try SQLiteStore(opening: path, tables: StoreContract.tables)
        for _ in 0..<2 { #expect(try await store.counter() == (isCheckpointed ? 0 : 1)) }
        await #expect(throws: StorageError(.cannotWrite, "")) { try await store.increment() }
        #expect(try await store.counter() == (isCheckpointed ? 0 : 1))
        #expect(throws: StorageError(.cannotWrite, "")) {
          try SQLiteStore.create(at: path + "-new", tables: StoreContract.tables)
        }
      }
      chmod(folder.path, 0o700)
    }
  }

  @Test("opening a file without the permission to read it fails with cannotRead")
  func unreadable() async throws {
    let folder = try TemporaryFolder()
    _ = try newStore(in: folder)
    chmod(folder.path, 0o755)
    chmod(folder.store, 0)
    let path = folder.store
    await #expect(processExitsWith: .success) { [path = path as String] in
      if geteuid() == 0 { #expect(setuid(65_534) == 0) }
      #expect(throws: StorageError(.cannotRead, "")) { try SQLiteStore(opening: path, tables: StoreContract.tables) }
    }
  }

  @Test("a write whose body ignores a refused change fails with that error, and changes nothing")
  func swallowed() async throws {
    let folder = try TemporaryFolder()
    let store = try newStore(in: folder)
    await #expect(throws: StorageError(.corrupt, "")) {
      try await store.write { transaction in
        try transaction.set([1], in: StoreContract.tables[1], for: [1])
        try? transaction.set([1], in: Table("absent"), for: [1])
      }
    }
    #expect(try await store.read { try $0.rows(in: StoreContract.tables[1]) } == [])
  }
}

extension WriteTransaction {
  fileprivate func note(_ number: UInt64) throws {
    try set(number.bigEndianBytes, in: StoreContract.tables[1], for: [1])
  }
}
