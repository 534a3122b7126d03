import Storage

/// One transaction on one connection, for one body.
final class SQLiteTransaction: WriteTransaction {
  private let connection: Connection
  /// The first refusal by SQLite. After some refusals (a full disk) SQLite rolls everything back on its own; a body
  /// that swallowed one would continue outside any transaction, so nothing more is done after a refusal.
  private var refusal: (any Error)?
  var finishingStep: (any FinishingStep)?

  init(on connection: Connection, finishingStep: (any FinishingStep)? = nil) {
    self.connection = connection
    self.finishingStep = finishingStep
  }

  /// Throws the refusal that a body may have swallowed: an incomplete change must not be committed.
  func requireWhole() throws {
    if let refusal { throw refusal }
  }

  func value(in table: Table, for key: [UInt8]) throws -> [UInt8]? {
    guard isThere(table) else { return nil }
    let statement = try use(.value(table))
    return try heed {
      try statement.lending(key, at: 1) { try statement.step() ? try statement.bytes(in: 0) : nil }
    }
  }

  func scan(
    _ table: Table, from lower: [UInt8], to upper: [UInt8]?, reversed: Bool,
    _ visit: (_ key: [UInt8], _ value: [UInt8]) throws -> Bool
  ) throws {
    guard isThere(table) else { return }
    let statement = try use(.scan(table, bounded: upper != nil, reversed: reversed))
    try heed {
      try statement.bind(lower, at: 1)
      if let upper { try statement.bind(upper, at: 2) }
    }
    while let row = try heed({ try statement.step() ? (try statement.bytes(in: 0), try statement.bytes(in: 1)) : nil })
    {
      guard try visit(row.0, row.1) else { return }
      try requireWhole()
    }
  }

  func scan(
    _ table: Table, from lower: [UInt8],
    inPlace visit: (_ key: borrowing Span<UInt8>, _ value: borrowing Span<UInt8>) throws -> Bool
  ) throws {
    guard isThere(table) else { return }
    let statement = try use(.scan(table, bounded: false, reversed: false))
    try heed { try statement.bind(lower, at: 1) }
    while try heed({ try statement.step() }) {
      let (key, value) = try heed { (try statement.buffer(in: 0), try statement.buffer(in: 1)) }
      guard try visit(key.span, value.span) else { return }
      try requireWhole()
    }
  }

  func set(_ value: [UInt8], in table: Table, for key: [UInt8]) throws {
    let statement = try use(.set(table))
    try heed {
      try statement.lending(key, at: 1) { try statement.lending(value, at: 2) { _ = try statement.step() } }
    }
  }

  func remove(_ key: [UInt8], from table: Table) throws {
    let statement = try use(.remove(table))
    try heed { try statement.lending(key, at: 1) { _ = try statement.step() } }
  }

  /// Whether the file has `table`: an older file that is only read lacks later tables. A writer's file has all.
  private func isThere(_ table: Table) -> Bool { table.since <= connection.format }

  private func use(_ query: Query) throws -> Statement {
    try requireWhole()
    return try heed { try Statement(query, on: connection) }
  }

  /// Remembers the refusal that `action` throws.
  private func heed<Value: ~Copyable>(_ action: () throws -> Value) throws -> Value {
    do {
      return try action()
    } catch {
      refusal = error
      throw error
    }
  }
}
