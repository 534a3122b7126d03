import Storage

/// The rows of a table in order, a page at a time: no scan is open while a row is worked on, and memory stays bounded.
struct RowPages {
  private static let rowsPerPage = 256
  private static let bytesPerPage = 1 << 20

  private let table: Table
  private var page: ArraySlice<Row> = []
  private var lower: [UInt8]
  private var isAtEnd = false

  /// The rows whose key is `lower` or greater.
  init(of table: Table, from lower: [UInt8] = []) {
    self.table = table
    self.lower = lower
  }

  mutating func next(in transaction: any ReadTransaction) throws -> Row? {
    if page.isEmpty, !isAtEnd { try read(transaction) }
    return page.popFirst()
  }

  private mutating func read(_ transaction: any ReadTransaction) throws {
    var rows: [Row] = []
    var bytes = 0
    isAtEnd = true
    try transaction.scan(table, from: lower, to: nil, reversed: false) { key, value in
      rows.append(Row(key: key, value: value))
      bytes += value.count
      guard rows.count == Self.rowsPerPage || bytes >= Self.bytesPerPage else { return true }
      isAtEnd = false
      return false
    }
    // The least key after the last one read.
    if let last = rows.last { lower = last.key + [0] }
    page = rows[...]
  }
}
