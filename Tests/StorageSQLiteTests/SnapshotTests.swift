import Contracts
import Glibc
import Storage
import Testing

@testable import StorageSQLite

@Suite("A snapshot of a store")
struct SnapshotTests {
  private static let table = Table("records")

  @Test("has all that was committed before it and nothing after, and is one file without a log")
  func consistent() async throws {
    let folder = try TemporaryFolder()
    try SQLiteStore.create(at: folder.store, tables: [Self.table])
    let store = try SQLiteStore(opening: folder.store, tables: [Self.table])
    for number in 0..<50 {
      try await store.write {
        try $0.set([UInt8](repeating: UInt8(number), count: 3_000), in: Self.table, for: [UInt8(number)])
      }
    }
    let snapshot = try store.snapshot()
    try await store.write { try $0.set([1], in: Self.table, for: [99]) }
    let names = try folder.names().filter { $0.contains(".backup.") }
    #expect(names.count == 1 && names.allSatisfy { !$0.contains("journal") && !$0.contains("wal") })
    #expect(try mode(of: "\(folder.path)/\(names.first ?? "")") == 0o600)
    let copied = try await snapshot.opened().read { try $0.rows(in: Self.table) }
    let now = try await store.read { try $0.rows(in: Self.table) }
    #expect(copied.count == 50 && copied == Array(now.dropLast()))
    snapshot.hide()
    #expect(try folder.names().allSatisfy { !$0.contains(".backup.") })

    var bytes: [UInt8] = []
    try snapshot.forEachPiece { piece in piece.withUnsafeBytes { bytes += Array($0) } }
    #expect(bytes.count == snapshot.size)
    let copy = "\(folder.path)/copy.db"
    try write(bytes, to: copy)
    let opened = try SQLiteStore(opening: copy, tables: [Self.table])
    #expect(try await opened.read { try $0.rows(in: Self.table) } == copied)
    // It is a store like another.
    try await opened.write { try $0.set([2], in: Self.table, for: [100]) }
  }

  @Test("is taken beside one that is under way, and removes what a process that died has left")
  func remains() async throws {
    let folder = try TemporaryFolder()
    try SQLiteStore.create(at: folder.store, tables: [Self.table])
    let store = try SQLiteStore(opening: folder.store, tables: [Self.table])
    try write([1, 2, 3], to: folder.store + ".backup.abcdef")
    do {
      let first = try store.snapshot()
      let second = try store.snapshot()
      #expect(try folder.names().count { $0.contains(".backup.") } == 2)
      #expect(first.size == second.size && first.size > 0)
    }
    #expect(try folder.names().allSatisfy { !$0.contains(".backup.") })
  }
}
