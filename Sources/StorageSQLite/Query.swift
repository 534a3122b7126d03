import Storage

/// Every statement the engine ever runs on rows; a connection prepares each at most once per use at a time.
enum Query: Hashable {
  case value(Table)
  case scan(Table, bounded: Bool, reversed: Bool)
  case set(Table)
  case remove(Table)
  case begin
  case beginWriting
  case commit
  case rollback
  case savepoint
  case release
  case rollbackToSavepoint

  /// Table names are `[a-z_]+` by their type, so nothing here needs quoting.
  var sql: String {
    switch self {
    case .value(let table): "SELECT value FROM \(table.name) WHERE key = ?1"
    case .scan(let table, let bounded, let reversed):
      "SELECT key, value FROM \(table.name) WHERE key >= ?1\(bounded ? " AND key < ?2" : "")"
        + " ORDER BY key\(reversed ? " DESC" : "")"
    case .set(let table): "INSERT OR REPLACE INTO \(table.name) (key, value) VALUES (?1, ?2)"
    case .remove(let table): "DELETE FROM \(table.name) WHERE key = ?1"
    case .begin: "BEGIN"
    case .beginWriting: "BEGIN IMMEDIATE"
    case .commit: "COMMIT"
    case .rollback: "ROLLBACK"
    case .savepoint: "SAVEPOINT body"
    case .release: "RELEASE body"
    case .rollbackToSavepoint: "ROLLBACK TO body"
    }
  }

  /// What is being done, in an error's words.
  var operation: String {
    switch self {
    case .value(let table), .scan(let table, _, _): "reading the table \(table.name)"
    case .set(let table), .remove(let table): "writing the table \(table.name)"
    case .begin: "beginning to read"
    case .beginWriting: "beginning to write"
    case .commit: "committing"
    case .rollback, .rollbackToSavepoint: "rolling back"
    case .savepoint, .release: "writing"
    }
  }
}
