import CSQLite
import Storage

/// A prepared statement, taken from its connection for one use, and reset and given back when it goes out of scope.
///
/// If a scan's visitor scans the same table, it takes a second statement, so uses never share a cursor.
struct Statement: ~Copyable {
  private let connection: Connection
  private let query: Query
  private let handle: OpaquePointer
  private let place: Int

  /// Throws `corrupt` if the file's schema does not have what `query` names.
  init(_ query: Query, on connection: Connection) throws {
    (handle, place) = try connection.takeStatement(for: query)
    self.query = query
    self.connection = connection
  }

  deinit {
    sqlite3_reset(handle)
    sqlite3_clear_bindings(handle)
    connection.keepStatement(handle, at: place)
  }

  /// Binds a copy of `bytes` to the parameter `index`, counted from 1.
  func bind(_ bytes: [UInt8], at index: Int32) throws {
    let code = bytes.withUnsafeBytes { relatch_sqlite3_bind_copy(handle, index, $0.baseAddress, UInt64($0.count)) }
    guard code == SQLITE_OK else { throw connection.failure(code, query.operation) }
  }

  /// Calls `body` with `bytes` bound in place, without a copy, to the parameter `index`, counted from 1. Then resets
  /// the statement.
  func lending<Result>(_ bytes: [UInt8], at index: Int32, _ body: () throws -> Result) throws -> Result {
    try bytes.withUnsafeBytes { bytes in
      let code = relatch_sqlite3_bind_lent(handle, index, bytes.baseAddress, UInt64(bytes.count))
      guard code == SQLITE_OK else { throw connection.failure(code, query.operation) }
      defer { sqlite3_reset(handle) }
      return try body()
    }
  }

  /// Whether there is a next row; false when the statement is done.
  func step() throws -> Bool {
    switch sqlite3_step(handle) {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    case let code: throw connection.failure(code, query.operation)
    }
  }

  /// The bytes in `column`, counted from 0, of the current row. Throws `corrupt` if they have another type: our tables
  /// do not allow that, but a damaged page can say so.
  func bytes(in column: Int32) throws -> [UInt8] { Array(try buffer(in: column)) }

  /// The same bytes in SQLite's own memory, valid until the next step or the end of this use.
  func buffer(in column: Int32) throws -> UnsafeBufferPointer<UInt8> {
    // Looked up once for all three questions. Nobody can come between them: a connection is never used by two.
    let value = sqlite3_column_value(handle, column)
    guard sqlite3_value_type(value) == SQLITE_BLOB else {
      throw StorageError(.corrupt, "\(query.operation): a field is not bytes")
    }
    // SQLite has no address for an empty BLOB, nor for one that it had no memory for: the count tells them apart.
    let start = sqlite3_value_blob(value)
    let count = Int(sqlite3_value_bytes(value))
    guard count > 0 else { return UnsafeBufferPointer(start: nil, count: 0) }
    guard let start else { throw connection.failure(SQLITE_NOMEM, query.operation) }
    return UnsafeBufferPointer(start: start.assumingMemoryBound(to: UInt8.self), count: count)
  }
}
