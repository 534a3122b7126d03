import CSQLite
package import Storage

/// A store in one SQLite database, safe against crashes and for use by several processes at once.
///
/// Durability: write-ahead log, `synchronous = FULL`, one `fdatasync` a commit, which concurrent calls share.
/// Isolation: readers have snapshots and never wait for writers; writers of all processes queue for a few seconds, then
/// throw `busy`. Removed data is overwritten in the database, but stays in the log until that is overwritten or
/// `emptyLog` is called.
///
/// If an input/output error occurs while the disk syncs, `cannotWrite` leaves one doubt that no program can remove: the
/// change is not seen, but may reappear if the machine stops before the next successful write.
package final class SQLiteStore: Store {
  /// Runs what it is given, later and elsewhere.
  package typealias Performer = @Sendable (@escaping @Sendable () -> Void) -> Void

  let file: StoreFile
  let tables: [Table]
  private let writer: SQLiteWriter
  /// Readers that nobody uses now. A read takes one or opens a new one, so reads never wait for each other.
  private let spares = SpareConnections()

  /// Makes an empty store of `tables` at `path`, a file that only its owner can open, and makes it durable.
  ///
  /// The folder must exist. A creation that was interrupted is continued; anything else at `path` is left alone. Throws
  /// `alreadyExists`, `notFound` if there is no folder, `cannotWrite`.
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
  /// Throws `notFound`, `corrupt` if it is something else or is damaged where it was read, `unsupportedFormat`,
  /// `cannotRead`, and `cannotWrite` if a full or broken disk has no room for the log's index, without which nothing
  /// can be read. A store that can only be read also opens; its writes throw `cannotWrite`.
  ///
  /// Writes happen on a thread of the store's own, or where `perform` runs them, which must be in order and one at a
  /// time; they wait for the disk there.
  package init(opening path: String, tables: [Table], perform: Performer? = nil) throws {
    self.file = try StoreFile(at: path)
    self.tables = tables
    self.writer = SQLiteWriter(file, tables, spares, perform: perform)
    try file.requireFile()
    let reader = try Connection.reading(file, tables, mayWrite: true)
    if !reader.isPassing { spares.add(reader.connection) }
  }

  package nonisolated(nonsending) func read<Result: Sendable>(
    _ body: @Sendable (any ReadTransaction) throws -> Result
  ) async throws -> Result {
    let (connection, isPassing) = try spares.take().map { ($0, false) } ?? Connection.reading(file, tables)
    try connection.perform(.begin)
    let transaction = SQLiteTransaction(on: connection)
    let result = try body(transaction)
    // On any error the connection is dropped instead of returned, which ends its snapshot.
    try connection.perform(.commit)
    if !isPassing { spares.add(connection) }
    return result
  }

  package nonisolated(nonsending) func write<Result: Sendable>(
    _ body: @Sendable (any WriteTransaction) throws -> Result
  ) async throws -> Result {
    try await writer.write(body)
  }

  /// Moves the log into the database and empties it: after this, no file of the store holds anything that was removed
  /// or replaced. (What the medium keeps of blocks that it no longer uses is out of reach.) Not needed for durability.
  ///
  /// Throws `busy` if a reader or another process blocks it for a few seconds.
  package func emptyLog() async throws {
    try await writer.emptyLog()
  }

  /// The value of `PRAGMA name` on the writer's connection; other connections have other settings.
  func writerSetting(_ name: String) async throws -> String? {
    try await writer.setting(name)
  }
}
