import CSQLite
package import Storage
import Synchronization

/// A store in one SQLite database, safe against crashes and for several processes at once.
///
/// Durability: write-ahead log, `synchronous = FULL`, one `fdatasync` a commit; concurrent calls share one. Isolation: readers
/// have snapshots and never wait for writers; writers of all processes queue for a few seconds, then throw `busy`. What is
/// removed is overwritten in the database, but stays in the log until that is overwritten or `emptyLog` is called.
///
/// After an input/output error while the disk was asked to sync, `cannotWrite` leaves one doubt that no program can take away:
/// the change is not seen, but may reappear if the machine stops before the next successful write.
package final class SQLiteStore: Store {
  /// Runs what it is given, later and elsewhere.
  package typealias Performer = @Sendable (@escaping @Sendable () -> Void) -> Void

  let file: StoreFile
  let tables: [Table]
  private let writer: SQLiteWriter
  /// Readers that nobody uses now. A read takes one or opens one, so reads never wait for each other.
  private let idleReaders: Mutex<[Connection]>

  /// Makes an empty store of `tables` at `path`, a file that only its owner can open, and makes it durable.
  ///
  /// The folder must be there. A creation that was cut off is taken up again; anything else at `path` is left alone.
  /// Throws `alreadyExists`, `notFound` if there is no folder, `cannotWrite`.
  package static func create(at path: String, tables: [Table]) throws {
    let file = try StoreFile(at: path)
    do {
      try file.makeIfAbsent()
      let connection = try Connection(opening: file.path, flags: SQLITE_OPEN_READWRITE, .writing)
      guard try connection.isBlank() else { throw StorageError(.alreadyExists, "there is already a store at \(path)") }
      try connection.format(tables)
      // The new store is one file: the log is moved into it and removed on closing.
      try connection.configure(SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
    } catch let error as StorageError where error.code == .corrupt {
      throw StorageError(.alreadyExists, "there is already something at \(path), and it is not a store")
    }
    try file.syncFolder()
  }

  /// Opens the store at `path`, which must have exactly `tables`. Reads its marks and table definitions, nothing else.
  ///
  /// Throws `notFound`, `corrupt` if it is something else or damaged where it was read, `unsupportedFormat`, `cannotRead`,
  /// and `cannotWrite` if a full or broken disk has no place for the log's index, without which nothing is read.
  /// A store that can only be read opens too; its writes throw `cannotWrite`.
  ///
  /// Writes happen on a thread of the store's own, or where `perform` runs them, which must be in order and one at a time;
  /// they wait for the disk there.
  package init(opening path: String, tables: [Table], perform: Performer? = nil) throws {
    self.file = try StoreFile(at: path)
    self.tables = tables
    self.writer = SQLiteWriter(file, tables, perform: perform)
    try file.requireFile()
    let reader = try Connection.reading(file, tables)
    self.idleReaders = Mutex(reader.isPassing ? [] : [reader.connection])
  }

  package nonisolated(nonsending) func read<Result: Sendable>(
    _ body: @Sendable (any ReadTransaction) throws -> Result
  ) async throws -> Result {
    let idle = idleReaders.withLock { $0.popLast() }
    let (connection, isPassing) = try idle.map { ($0, false) } ?? Connection.reading(file, tables)
    try connection.perform(.begin)
    let transaction = SQLiteTransaction(on: connection)
    let result = try body(transaction)
    // On any error the connection is dropped instead, which ends its snapshot.
    try connection.perform(.commit)
    if !isPassing { idleReaders.withLock { $0.append(connection) } }
    return result
  }

  package nonisolated(nonsending) func write<Result: Sendable>(
    _ body: @Sendable (any WriteTransaction) throws -> Result
  ) async throws -> Result {
    try await writer.write(body)
  }

  /// Moves the log into the database and empties it: after this, no file of the store holds anything that was removed or
  /// replaced. (What the medium keeps of blocks it has given up is out of reach.) Not needed for durability.
  ///
  /// Throws `busy` if a reader or another process stands in the way for a few seconds.
  package func emptyLog() async throws {
    try await writer.emptyLog()
  }

  /// What the writer's connection answers to `PRAGMA name`; other connections have other settings.
  func writerSetting(_ name: String) async throws -> String? {
    try await writer.setting(name)
  }
}
