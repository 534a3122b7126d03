import Contracts
import Glibc
import Storage
import Testing

@testable import StorageSQLite

@Suite("SQLiteStore: its files")
struct FileTests {
  @Test("only their owner may read and write the database and its logs, whatever the umask")
  func modes() async throws {
    for mask: UInt32 in [0, 0o777] {
      let folder = try TemporaryFolder()
      let path = folder.path
      await #expect(processExitsWith: .success) { [path = path as String, mask = mask as UInt32] in
        umask(mask)
        try SQLiteStore.create(at: "\(path)/store.db", tables: StoreContract.tables)
        #expect(try TemporaryFolder.names(in: path) == ["store.db"])
        let store = try SQLiteStore(opening: "\(path)/store.db", tables: StoreContract.tables)
        try await store.increment()
        let names = try TemporaryFolder.names(in: path)
        #expect(names == ["store.db", "store.db-shm", "store.db-wal"])
        for name in names { #expect(try mode(of: "\(path)/\(name)") == 0o600, "\(name)") }
      }
    }
  }

  @Test("what was removed or replaced is in no file once the log is emptied")
  func erased() async throws {
    let folder = try TemporaryFolder()
    let store = try newStore(in: folder)
    let table = StoreContract.tables[1]
    // Long enough for overflow pages; the marker is at both ends.
    let marker = Array("a marker that nothing else contains".utf8)
    let value = marker + [UInt8](repeating: 0x2E, count: 20_000) + marker
    try await store.write { transaction in
      for key in UInt8(0)..<20 { try transaction.set(key < 10 ? value : marker, in: table, for: [key]) }
    }
    try await store.emptyLog()
    #expect(try folder.files(containing: marker) == ["store.db"])
    try await store.write { transaction in
      for key in UInt8(0)..<20 where key % 2 == 0 { try transaction.remove([key], from: table) }
      for key in UInt8(0)..<20 where key % 2 == 1 { try transaction.set([1], in: table, for: [key]) }
    }
    try await store.emptyLog()
    #expect(try folder.files(containing: marker) == [])
  }

  @Test("creating a store where something exists is refused, and changes nothing")
  func occupied() async throws {
    let folder = try TemporaryFolder()
    let store = try newStore(in: folder)
    try await store.increment()
    #expect(throws: StorageError(.alreadyExists, "")) {
      try SQLiteStore.create(at: folder.store, tables: StoreContract.tables)
    }
    #expect(try await store.counter() == 1)
    let text = "\(folder.path)/text"
    try write(Array("not a database, but somebody's only copy of something".utf8), to: text)
    #expect(throws: StorageError(.alreadyExists, "")) { try SQLiteStore.create(at: text, tables: StoreContract.tables) }
    #expect(try contents(of: text) == Array("not a database, but somebody's only copy of something".utf8))
    #expect(throws: StorageError(.alreadyExists, "")) {
      try SQLiteStore.create(at: folder.path, tables: StoreContract.tables)
    }
    #expect(throws: StorageError(.notFound, "")) {
      try SQLiteStore.create(at: "\(folder.path)/absent/store.db", tables: StoreContract.tables)
    }
  }

  @Test("a store whose creation was interrupted does not open until it is created again")
  func resumed() async throws {
    let folder = try TemporaryFolder()
    try write([], to: folder.store)
    #expect(throws: StorageError(.corrupt, "")) {
      try SQLiteStore(opening: folder.store, tables: StoreContract.tables)
    }
    #expect(try await newStore(in: folder).counter() == 0)
  }

  @Test("of many tasks that create the same store at once, exactly one succeeds")
  func race() async throws {
    let folder = try TemporaryFolder()
    let path = folder.store
    let created = await withTaskGroup { group in
      for _ in 0..<8 {
        group.addTask { (try? SQLiteStore.create(at: path, tables: StoreContract.tables)) == nil ? 0 : 1 }
      }
      return await group.reduce(0, +)
    }
    #expect(created == 1)
    #expect(try await SQLiteStore(opening: path, tables: StoreContract.tables).counter() == 0)
  }

  @Test("a missing file, a folder, a link, another file and another program's database are each refused")
  func refused() throws {
    let folder = try TemporaryFolder()
    func opening(_ name: String) -> StorageError? {
      #expect(throws: StorageError.self) {
        try SQLiteStore(opening: "\(folder.path)/\(name)", tables: StoreContract.tables)
      }
    }
    #expect(opening("absent")?.code == .notFound)
    #expect(opening("absent/store.db")?.code == .notFound)
    #expect(opening("absent\0")?.code == .notFound)
    #expect(try folder.names() == [])

    _ = try newStore(in: folder)
    try #require(symlink(folder.store, "\(folder.path)/link") == 0)
    #expect(opening("link")?.code == .corrupt)
    #expect(opening(".")?.code == .notFound)
    for end in ["-journal", "-wal", "-shm"] {
      let path = "\(folder.path)/piped\(end)"
      try SQLiteStore.create(at: path, tables: StoreContract.tables)
      unlink(path + end)
      try #require(mkfifo(path + end, 0o600) == 0)
      #expect(opening("piped\(end)")?.code == .corrupt, "\(end)")
    }

    try write(Array(String(repeating: "no database ", count: 1_000).utf8), to: "\(folder.path)/text")
    #expect(opening("text")?.code == .corrupt)

    for (sql, code) in [
      ("PRAGMA user_version = 3", StorageError.Code.unsupportedFormat),
      ("PRAGMA user_version = 2; PRAGMA application_id = 7", .unsupportedFormat),
      ("PRAGMA application_id = \(StoreFormat.applicationID); DROP TABLE leases", .corrupt),
      ("CREATE TABLE leases (key BLOB PRIMARY KEY, value BLOB) STRICT, WITHOUT ROWID", .corrupt),
      ("DROP TABLE leases; \(StoreFormat.definition(of: .leases)); CREATE VIEW v AS SELECT 1", .corrupt),
    ] {
      let connection = try Connection(opening: folder.store, flags: 2, .writing)
      try connection.execute(sql, "preparing the test")
      #expect(opening("store.db")?.code == code, "\(sql)")
    }
  }

  @Test("a store opens through a linked folder, and by a name that a URI would misread")
  func awkwardPaths() async throws {
    let folder = try TemporaryFolder()
    try #require(symlink(folder.path, "\(folder.path)/link") == 0)
    let path = "\(folder.path)/link/a b?c#d%41é"
    try SQLiteStore.create(at: path, tables: StoreContract.tables)
    try await SQLiteStore(opening: path, tables: StoreContract.tables).increment()
    #expect(try folder.names().contains("a b?c#d%41é"))
  }
}

extension TemporaryFolder {
  /// The names of the files in which `bytes` occur.
  func files(containing bytes: [UInt8]) throws -> [String] {
    try names().filter { name in
      try contents(of: "\(path)/\(name)").firstRange(of: bytes) != nil
    }
  }
}
