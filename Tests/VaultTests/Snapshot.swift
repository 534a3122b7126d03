import Storage
import Synchronization

/// Rows as plain values, so that one can be changed at will. A store that forgets what is written to it: every read and
/// write begins from the same rows.
struct Snapshot: Store {
  var tables: [Table: [[UInt8]: [UInt8]]] = [:]

  /// A copy of everything in `store`.
  init(of store: any Store, _ tables: [Table]) async throws {
    self.tables = try await store.read { transaction in
      var copy: [Table: [[UInt8]: [UInt8]]] = [:]
      for table in tables {
        copy[table] = [:]
        for row in try transaction.rows(in: table) { copy[table]?[row.key] = row.value }
      }
      return copy
    }
  }

  /// The rows of `table` in order.
  func rows(of table: Table) -> [Row] {
    (tables[table] ?? [:]).map { Row(key: $0.key, value: $0.value) }
      .sorted { $0.key.lexicographicallyPrecedes($1.key) }
  }

  subscript(_ table: Table, _ key: [UInt8]) -> [UInt8]? {
    get { tables[table]?[key] }
    set { tables[table, default: [:]][key] = newValue }
  }

  func read<Result: Sendable>(_ body: @Sendable (any ReadTransaction) throws -> Result) async throws -> Result {
    try body(SnapshotTransaction(self))
  }

  func write<Result: Sendable>(_ body: @Sendable (any WriteTransaction) throws -> Result) async throws -> Result {
    let transaction = SnapshotTransaction(self)
    let result = try body(transaction)
    try transaction.finishNow()
    return result
  }
}

final class SnapshotTransaction: WriteTransaction {
  private(set) var snapshot: Snapshot
  var finishingStep: (any FinishingStep)?

  init(_ snapshot: Snapshot) { self.snapshot = snapshot }

  func value(in table: Table, for key: [UInt8]) throws -> [UInt8]? { snapshot[table, key] }

  func scan(
    _ table: Table, from lower: [UInt8], to upper: [UInt8]?, reversed: Bool,
    _ visit: (_ key: [UInt8], _ value: [UInt8]) throws -> Bool
  ) throws {
    let rows = snapshot.rows(of: table).filter { row in
      !row.key.lexicographicallyPrecedes(lower) && (upper.map { row.key.lexicographicallyPrecedes($0) } ?? true)
    }
    for row in reversed ? rows.reversed() : rows {
      guard try visit(row.key, row.value) else { return }
    }
  }

  func set(_ value: [UInt8], in table: Table, for key: [UInt8]) throws { snapshot[table, key] = value }

  func remove(_ key: [UInt8], from table: Table) throws { snapshot[table, key] = nil }
}

/// A store whose rows can be exchanged while it is in use.
final class SwitchedStore: Store {
  let snapshot: Mutex<Snapshot>

  init(_ snapshot: Snapshot) { self.snapshot = Mutex(snapshot) }

  func read<Result: Sendable>(_ body: @Sendable (any ReadTransaction) throws -> Result) async throws -> Result {
    try await snapshot.withLock { $0 }.read(body)
  }

  func write<Result: Sendable>(_ body: @Sendable (any WriteTransaction) throws -> Result) async throws -> Result {
    try await snapshot.withLock { $0 }.write(body)
  }
}

/// A store whose writes share one commit until `commit` is called: what grouping does, but without chance.
final class GroupingStore: Store {
  private struct State {
    var committed: Snapshot
    var rows: Snapshot
    var finishingStep: (any FinishingStep)?
  }

  private let state: Mutex<State>

  init(_ snapshot: Snapshot) { state = Mutex(State(committed: snapshot, rows: snapshot)) }

  /// What a reader sees.
  var committed: Snapshot { state.withLock { $0.committed } }

  func read<Result: Sendable>(_ body: @Sendable (any ReadTransaction) throws -> Result) async throws -> Result {
    try body(SnapshotTransaction(committed))
  }

  func write<Result: Sendable>(_ body: @Sendable (any WriteTransaction) throws -> Result) async throws -> Result {
    try state.withLock { state in
      let transaction = SnapshotTransaction(state.rows)
      transaction.finishingStep = state.finishingStep
      let result = try body(transaction)
      state.rows = transaction.snapshot
      state.finishingStep = transaction.finishingStep
      return result
    }
  }

  /// Finishes and commits; with `isRefused`, everything is lost after the finishing step was done.
  func commit(isRefused: Bool = false) throws {
    try state.withLock { state in
      let transaction = SnapshotTransaction(state.rows)
      transaction.finishingStep = state.finishingStep
      state.finishingStep = nil
      try transaction.finishNow()
      if !isRefused { state.committed = transaction.snapshot }
      state.rows = state.committed
    }
  }
}
