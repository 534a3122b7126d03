import Storage

/// A store's tables in memory, as one transaction that never ends.
final class MemoryTransaction: WriteTransaction {
  private var tables: [Table: [[UInt8]: [UInt8]]] = [:]
  /// The keys of each table in order, as long as it has not got or lost any.
  private var sortedKeys: [Table: [[UInt8]]] = [:]
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
    let keys = sortedKeys[table] ?? (tables[table] ?? [:]).keys.sorted { $0.lexicographicallyPrecedes($1) }
    sortedKeys[table] = keys
    /// How many keys come before `bound`.
    func count(before bound: [UInt8]) -> Int {
      var (low, high) = (0, keys.count)
      while low < high {
        let middle = (low + high) / 2
        if keys[middle].lexicographicallyPrecedes(bound) { low = middle + 1 } else { high = middle }
      }
      return low
    }
    let first = count(before: lower)
    let found = keys[first..<max(first, upper.map(count(before:)) ?? keys.count)]
    for offset in 0..<found.count {
      let key = found[reversed ? found.endIndex - 1 - offset : found.startIndex + offset]
      guard let value = tables[table]?[key], try visit(key, value) else { return }
    }
  }

  func set(_ value: [UInt8], in table: Table, for key: [UInt8]) {
    if tables[table, default: [:]].updateValue(value, forKey: key) == nil { sortedKeys[table] = nil }
  }

  func remove(_ key: [UInt8], from table: Table) {
    tables[table]?[key] = nil
    sortedKeys[table] = nil
  }
}
