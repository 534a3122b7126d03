package import Storage
import Synchronization

/// A store that lives and dies with the process.
///
/// It keeps the contract of `Store` except for durability, which memory cannot promise.
package final class MemoryStore: Store {
  private let tables: Mutex<[Table: SortedRows]>
  /// Held for the length of one `write`. `tables` is held only to read or replace it, so readers never wait for a body.
  private let writing = Mutex<Void>(())

  /// An empty store of `tables`.
  package init(tables: [Table]) {
    self.tables = Mutex(Dictionary(tables.map { ($0, SortedRows()) }, uniquingKeysWith: { first, _ in first }))
  }

  package nonisolated(nonsending) func read<Result: Sendable>(
    _ body: @Sendable (any ReadTransaction) throws -> Result
  ) async throws -> Result {
    try body(MemoryTransaction(tables: tables.withLock { $0 }))
  }

  package nonisolated(nonsending) func write<Result: Sendable>(
    _ body: @Sendable (any WriteTransaction) throws -> Result
  ) async throws -> Result {
    try writing.withLock { _ in
      let transaction = MemoryTransaction(tables: tables.withLock { $0 })
      let result = try body(transaction)
      try transaction.finishNow()
      let changed = transaction.tables
      tables.withLock { $0 = changed }
      return result
    }
  }
}

/// A private copy of the tables; `MemoryStore` publishes it unless the body throws.
private final class MemoryTransaction: WriteTransaction {
  private(set) var tables: [Table: SortedRows]
  var finishingStep: (any FinishingStep)?

  init(tables: [Table: SortedRows]) {
    self.tables = tables
  }

  func value(in table: Table, for key: [UInt8]) throws -> [UInt8]? {
    try rows(of: table)[key]
  }

  func scan(
    _ table: Table, from lower: [UInt8], to upper: [UInt8]?, reversed: Bool,
    _ visit: (_ key: [UInt8], _ value: [UInt8]) throws -> Bool
  ) throws {
    let rows = try rows(of: table)
    let range = rows.range(from: lower, to: upper)
    for offset in 0..<range.count {
      let row = rows[position: reversed ? range.upperBound - 1 - offset : range.lowerBound + offset]
      guard try visit(row.key, row.value) else { return }
    }
  }

  func set(_ value: [UInt8], in table: Table, for key: [UInt8]) throws {
    _ = try rows(of: table)
    tables[table]?[key] = value
  }

  func remove(_ key: [UInt8], from table: Table) throws {
    _ = try rows(of: table)
    tables[table]?[key] = nil
  }

  private func rows(of table: Table) throws -> SortedRows {
    guard let rows = tables[table] else { throw StorageError(.corrupt, "the store has no table \(table.name)") }
    return rows
  }
}

/// Rows in ascending byte order of their keys.
private struct SortedRows: Sendable {
  private var rows: [Row] = []

  subscript(position position: Int) -> Row { rows[position] }

  subscript(key: [UInt8]) -> [UInt8]? {
    get {
      let position = firstPosition(notBefore: key)
      return position < rows.count && rows[position].key == key ? rows[position].value : nil
    }
    set {
      let position = firstPosition(notBefore: key)
      let isPresent = position < rows.count && rows[position].key == key
      rows.replaceSubrange(
        position..<(isPresent ? position + 1 : position), with: newValue.map { [Row(key: key, value: $0)] } ?? [])
    }
  }

  /// The positions of the keys with `lower <= key < upper`; empty if the bounds are crossed.
  func range(from lower: [UInt8], to upper: [UInt8]?) -> Range<Int> {
    let first = firstPosition(notBefore: lower)
    return first..<max(first, upper.map(firstPosition(notBefore:)) ?? rows.count)
  }

  private func firstPosition(notBefore key: [UInt8]) -> Int {
    var (low, high) = (0, rows.count)
    while low < high {
      let middle = (low + high) / 2
      if rows[middle].key.lexicographicallyPrecedes(key) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
