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
    let names = try folder.names().filter { $0.contains(".relatch-snapshot.") }
    #expect(names.count == 1 && names.allSatisfy { !$0.contains("journal") && !$0.contains("wal") })
    #expect(try mode(of: "\(folder.path)/\(names.first ?? "")") == 0o600)
    let copied = try await snapshot.opened().read { try $0.rows(in: Self.table) }
    let now = try await store.read { try $0.rows(in: Self.table) }
    #expect(copied.count == 50 && copied == Array(now.dropLast()))
    snapshot.hide()
    #expect(try folder.names().allSatisfy { !$0.contains(".relatch-snapshot.") })

    var bytes: [UInt8] = []
    try snapshot.forEachPiece { piece in piece.withUnsafeBytes { bytes += Array($0) } }
    #expect(bytes.count == snapshot.size)
    let copy = "\(folder.path)/copy.db"
    try write(bytes, to: copy)
    let opened = try SQLiteStore(opening: copy, tables: [Self.table])
    #expect(try await opened.read { try $0.rows(in: Self.table) } == copied)
    // It is a store like any other.
    try await opened.write { try $0.set([2], in: Self.table, for: [100]) }
  }

  @Test("can be taken while another is in use, and removes what a process that died has left")
  func remains() async throws {
    let folder = try TemporaryFolder()
    try SQLiteStore.create(at: folder.store, tables: [Self.table])
    let store = try SQLiteStore(opening: folder.store, tables: [Self.table])
    for end in ["", "-journal"] { try leave(folder.store + ".relatch-snapshot.abcd3F" + end) }
    do {
      let first = try store.snapshot()
      let second = try store.snapshot()
      #expect(try folder.names().count { $0.contains(".relatch-snapshot.") } == 2)
      #expect(first.size == second.size && first.size > 0)
    }
    #expect(try folder.names().allSatisfy { !$0.contains(".relatch-snapshot.") })
  }
  /// Makes a file that looks like a snapshot.
  private func leave(_ path: String, mode: mode_t = 0o600) throws {
    try write([1, 2, 3], to: path)
    #expect(chmod(path, mode) == 0)
  }

  @Test("removes only what is certainly a snapshot's, and no copies that a person made")
  func others() async throws {
    let folder = try TemporaryFolder()
    try SQLiteStore.create(at: folder.store, tables: [Self.table])
    let store = try SQLiteStore(opening: folder.store, tables: [Self.table])
    for end in [
      ".backup.2026-11-22", ".backup.abcdef", ".relatch-snapshot.notes", ".relatch-snapshot.a-b_cd",
      ".relatch-snapshot.abcdefg", ".relatch-snapshot.abcdef.old", ".relatch-snapshot.",
      ".relatch-snapshot.ghijkl-journal",
    ] { try leave(folder.store + end) }
    let prefix = folder.store + ".relatch-snapshot."
    try leave(prefix + "shared", mode: 0o644)
    #expect(symlink(folder.store, prefix + "linked") == 0 && mkfifo(prefix + "piped1", 0o600) == 0)
    try leave(prefix + "named1")
    #expect(link(prefix + "named1", folder.path + "/kept") == 0)
    if geteuid() == 0 {
      try leave(prefix + "theirs")
      #expect(chown(prefix + "theirs", 65_534, 65_534) == 0)
    }
    let before = try folder.names().filter { $0.contains("snapshot") || $0.contains("backup") }
    do { _ = try store.snapshot() }
    #expect(try folder.names().filter { $0.contains("snapshot") || $0.contains("backup") } == before)
  }
}
