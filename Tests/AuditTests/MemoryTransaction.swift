import Storage

/// A store's tables in memory, as one transaction that never ends.
final class MemoryTransaction: WriteTransaction {
  private var tables: [Table: [[UInt8]: [UInt8]]] = [:]
  /// How many rows were read individually.
  private(set) var reads = 0
  var finishingStep: (any FinishingStep)?

  init() {}

  /// A copy that can be tampered with.
  init(copying other: MemoryTransaction) { tables = other.tables }

  func value(in table: Table, for key: [UInt8]) -> [UInt8]? {
    reads += 1
    return tables[table]?[key]
  }

  func scan(
    _ table: Table, from lower: [UInt8], to upper: [UInt8]?, reversed: Bool,
    _ visit: (_ key: [UInt8], _ value: [UInt8]) throws -> Bool
  ) throws {
    let keys = (tables[table] ?? [:]).keys.filter { key in
      !key.lexicographicallyPrecedes(lower) && upper.map { key.lexicographicallyPrecedes($0) } ?? true
    }
    let sorted = keys.sorted { reversed ? $1.lexicographicallyPrecedes($0) : $0.lexicographicallyPrecedes($1) }
    for key in sorted {
      guard let value = tables[table]?[key], try visit(key, value) else { return }
    }
  }

  func set(_ value: [UInt8], in table: Table, for key: [UInt8]) { tables[table, default: [:]][key] = value }

  func remove(_ key: [UInt8], from table: Table) { tables[table]?[key] = nil }
}
