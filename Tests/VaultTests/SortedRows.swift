import Storage
import Synchronization

/// Rows as plain values in their order. A store that forgets what is written to it, and is quick to copy and to change:
/// for tests that do so a hundred thousand times.
struct SortedRows: Store {
  private(set) var tables: [Table: [Row]] = [:]
  /// Records what is read, if a test wants to know.
  var reads: Reads?

  init(of store: any Store, _ tables: [Table]) async throws {
    self.tables = try await store.read { transaction in
      var copy: [Table: [Row]] = [:]
      for table in tables { copy[table] = try transaction.rows(in: table) }
      return copy
    }
  }

  func rows(of table: Table) -> [Row] { tables[table] ?? [] }

  func value(in table: Table, for key: [UInt8]) -> [UInt8]? { tables[table]?.first { $0.key == key }?.value }

  mutating func set(_ value: [UInt8], in table: Table, for key: [UInt8]) {
    remove(key, from: table)
    let rows = tables[table] ?? []
    let place = rows.firstIndex { key.lexicographicallyPrecedes($0.key) } ?? rows.endIndex
    tables[table, default: []].insert(Row(key: key, value: value), at: place)
  }

  mutating func remove(_ key: [UInt8], from table: Table) {
    if let place = tables[table]?.firstIndex(where: { $0.key == key }) { tables[table]?.remove(at: place) }
  }

  /// A copy with the row at `index` replaced; nil if another row has the new key.
  func replacing(_ index: Int, of table: Table, by row: Row) -> SortedRows? {
    var copy = self
    if rows(of: table)[index].key == row.key {
      copy.tables[table]?[index] = row
      return copy
    }
    guard value(in: table, for: row.key) == nil else { return nil }
    copy.tables[table]?.remove(at: index)
    copy.set(row.value, in: table, for: row.key)
    return copy
  }

  func read<Result: Sendable>(_ body: @Sendable (any ReadTransaction) throws -> Result) async throws -> Result {
    try body(SortedTransaction(self))
  }

  func write<Result: Sendable>(_ body: @Sendable (any WriteTransaction) throws -> Result) async throws -> Result {
    let transaction = SortedTransaction(self)
    let result = try body(transaction)
    try transaction.finishNow()
    return result
  }
}

/// Which rows were read, and between which keys a reader saw that there are no others.
final class Reads: Sendable {
  private struct Range {
    let table: Table
    let lower: [UInt8]
    let upper: [UInt8]?
  }

  private let ranges = Mutex<[Range]>([])

  /// Records that everything from `lower` to before `upper` was read.
  func note(_ table: Table, from lower: [UInt8], to upper: [UInt8]?) {
    ranges.withLock { $0.append(Range(table: table, lower: lower, upper: upper)) }
  }

  /// Whether the readers would have noticed a row with this key.
  func include(_ key: [UInt8], of table: Table) -> Bool {
    ranges.withLock { ranges in
      ranges.contains { range in
        range.table == table && !key.lexicographicallyPrecedes(range.lower)
          && range.upper.map { key.lexicographicallyPrecedes($0) } ?? true
      }
    }
  }
}

final class SortedTransaction: WriteTransaction {
  private var rows: SortedRows
  var finishingStep: (any FinishingStep)?

  init(_ rows: SortedRows) { self.rows = rows }

  func value(in table: Table, for key: [UInt8]) throws -> [UInt8]? {
    rows.reads?.note(table, from: key, to: key + [0])
    return rows.value(in: table, for: key)
  }

  func scan(
    _ table: Table, from lower: [UInt8], to upper: [UInt8]?, reversed: Bool,
    _ visit: (_ key: [UInt8], _ value: [UInt8]) throws -> Bool
  ) throws {
    let found = rows.rows(of: table).filter { row in
      !row.key.lexicographicallyPrecedes(lower) && (upper.map { row.key.lexicographicallyPrecedes($0) } ?? true)
    }
    for row in reversed ? found.reversed() : found {
      guard try visit(row.key, row.value) else {
        rows.reads?.note(table, from: reversed ? row.key : lower, to: reversed ? upper : row.key + [0])
        return
      }
    }
    rows.reads?.note(table, from: lower, to: upper)
  }

  func set(_ value: [UInt8], in table: Table, for key: [UInt8]) throws { rows.set(value, in: table, for: key) }

  func remove(_ key: [UInt8], from table: Table) throws { rows.remove(key, from: table) }
}
