import CSQLite
import Glibc
import Storage

/// One connection to the database: a handle, and the statements prepared on it so far.
///
/// Unchecked because SQLite's own mutex is left out: no two users ever share a connection. The writer's connection is
/// confined to its actor, and a reader's is out of the pool while it is in use.
final class Connection: @unchecked Sendable {
  private let handle: OpaquePointer
  /// What it is used for.
  var activity: Activity
  /// Pages in the log after this connection's last commit; counted only after `countLog`.
  private(set) var logPages: Int32 = 0
  /// The format that the file had or was upgraded to; until that is known, the format of this program.
  var format = StoreFormat.version
  /// Each query used so far, with a statement for it if one is free. There are a few dozen, so a search costs less than
  /// hashing.
  private var statements: [(query: Query, idle: OpaquePointer?)] = []

  /// `name` is an absolute path, or a `file:` URI if `flags` say so. Reads nothing yet.
  init(opening name: String, flags: Int32, _ activity: Activity) throws {
    _ = Self.hasNoMemoryCounts
    var handle: OpaquePointer?
    let code = sqlite3_open_v2(
      name, &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE, nil)
    guard code == SQLITE_OK, let handle else {
      sqlite3_close_v2(handle)
      throw StorageError(sqlite: code, activity, "opening the store")
    }
    self.handle = handle
    self.activity = activity
    sqlite3_busy_handler(handle, waitForOthers, nil)
    // The first two stop what a crafted file could otherwise run: functions in its schema, and writes to its schema.
    // The third is because connections come and go with short processes: the last one to close must not pay for a
    // checkpoint each time.
    try configure(SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    try configure(SQLITE_DBCONFIG_DEFENSIVE, 1)
    try configure(SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
  }

  deinit {
    for statement in statements { sqlite3_finalize(statement.idle) }
    sqlite3_close_v2(handle)
  }

  /// Nobody uses the counts. SQLite refuses this, without harm, if something else in the process has used it before.
  private static let hasNoMemoryCounts = relatch_sqlite3_leave_out_memory_counts() == SQLITE_OK

  /// Sets one of SQLite's switches, and reads it back.
  func configure(_ option: Int32, _ value: Int32) throws {
    var found: Int32 = -1
    let code = relatch_sqlite3_db_config(handle, option, value, &found)
    guard code == SQLITE_OK, found == value else {
      throw StorageError(.cannotRead, "setting up SQLite: option \(option) is \(found), expected \(value)")
    }
  }

  /// Whether the file could be opened for writing. SQLite also opens a file that it may only read.
  var isWritable: Bool { sqlite3_db_readonly(handle, "main") == 0 }

  /// Whether a transaction is open; also false after SQLite rolled one back on its own.
  var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

  /// Runs a query that has neither parameters nor rows.
  func perform(_ query: Query) throws {
    let statement = try Statement(query, on: self)
    _ = try statement.step()
  }

  /// Runs statements that are used only once, and so are not kept.
  func execute(_ sql: String, _ operation: String) throws {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw failure(code, operation) }
  }

  /// The rows that `sql` returns, as text; a NULL is empty.
  func answers(to sql: String, _ operation: String) throws -> [[String]] {
    var statement: OpaquePointer?
    let code = sqlite3_prepare_v2(handle, sql, -1, &statement, nil)
    defer { sqlite3_finalize(statement) }
    guard code == SQLITE_OK else { throw failure(code, operation) }
    var rows: [[String]] = []
    while true {
      switch sqlite3_step(statement) {
      case SQLITE_ROW:
        rows.append(
          (0..<sqlite3_column_count(statement)).map { column in
            sqlite3_column_text(statement, column).map { String(cString: $0) } ?? ""
          })
      case SQLITE_DONE: return rows
      case let code: throw failure(code, operation)
      }
    }
  }

  /// Moves the whole log into the database and empties it. Throws `busy` if a reader blocks it for too long.
  func emptyLog() throws {
    let code = sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    guard code == SQLITE_OK else { throw failure(code, "emptying the log of the store") }
  }

  /// Counts the log's pages on each commit, instead of SQLite's own checkpoints, which the committer would wait for.
  func countLog() {
    // Unretained is safe: SQLite calls this only from within our own calls, never after the handle is closed.
    let hook: @convention(c) (UnsafeMutableRawPointer?, OpaquePointer?, UnsafePointer<CChar>?, Int32) -> Int32
    hook = { connection, _, _, pages in
      if let connection { Unmanaged<Connection>.fromOpaque(connection).takeUnretainedValue().logPages = pages }
      return SQLITE_OK
    }
    sqlite3_wal_hook(handle, hook, Unmanaged.passUnretained(self).toOpaque())
  }

  /// Moves as much of the log into the database as it can without waiting for others. A failure loses nothing: what is
  /// committed stays in the log, and the next attempt continues from there.
  ///
  /// The log is truncated, not only marked as copied as SQLite's own checkpoints do. That mark is lost with the last
  /// process that has the store open, so if every command wrote once and exited, the log would never start over.
  func shortenLog() {
    sqlite3_busy_handler(handle, nil, nil)
    sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    sqlite3_busy_handler(handle, waitForOthers, nil)
  }

  /// What to throw for `code`. On the writer's connection, a failure to read counts as a failure to write.
  func failure(_ code: Int32, _ operation: String) -> StorageError {
    // The database is open, so what cannot be opened is the log or its index. Permissions stop a reader; anything else
    // that stops it, such as a full or read-only disk, would stop a writer.
    let isMissingLog = code & 0xFF == SQLITE_CANTOPEN && ![EACCES, EPERM].contains(sqlite3_system_errno(handle))
    return StorageError(sqlite: code, isMissingLog ? .writing : activity, operation)
  }

  /// A free statement for `query`, or a new one, and the place where `keepStatement` takes it back.
  func takeStatement(for query: Query) throws -> (handle: OpaquePointer, place: Int) {
    let known = statements.firstIndex { $0.query == query }
    if let known, let idle = statements[known].idle {
      statements[known].idle = nil
      return (idle, known)
    }
    var statement: OpaquePointer?
    let code = sqlite3_prepare_v3(handle, query.sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
    guard code == SQLITE_OK, let statement else { throw failure(code, query.operation) }
    if known == nil { statements.append((query, nil)) }
    return (statement, known ?? statements.count - 1)
  }

  func keepStatement(_ statement: OpaquePointer, at place: Int) {
    // Nested scans used two of the same query; one is enough to keep.
    sqlite3_finalize(statements[place].idle)
    statements[place].idle = statement
  }
}

/// SQLite's busy handler: checks every 2 ms, for about 5 s in all. SQLite's own handler sleeps up to 100 ms between
/// checks, but a writer in a tight loop frees the lock only for microseconds, so another process would hardly ever find
/// it free.
private func waitForOthers(_: UnsafeMutableRawPointer?, attempt: Int32) -> Int32 {
  guard attempt < 2_500 else { return 0 }
  usleep(attempt < 10 ? 200 : 2_000)
  return 1
}
