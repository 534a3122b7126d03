import Sodium
package import Storage

extension AuditLog {
  /// Calls `visit` with every entry up to `end` and its index, in order, in constant memory. Throws `corrupt` at the
  /// end unless they are the entries that the end's checkpoint covers: what `visit` received is true only if this
  /// returns.
  ///
  /// Leaves out entries that `isIdle` recognizes at a glance (`EntryHead`) as valid and of no interest to `visit`.
  package static func replay(
    _ end: LogEnd, in transaction: any ReadTransaction,
    leavingOut isIdle: (_ entry: borrowing Span<UInt8>) -> Bool = { _ in false },
    _ visit: (_ entry: LogEntry, _ index: UInt64) throws -> Void
  ) throws {
    var hashing = LeafHashing(after: HashedTree())
    var rows = RowPages(of: .log)
    var index: UInt64 = 0
    while index < end.size, let row = try rows.next(in: transaction) {
      guard row.key == index.bigEndianBytes else {
        throw AuditError(.incomplete, entry: index, "found another key in the log's table, expected this entry")
      }
      if !isIdle(row.value.span) {
        let entry: LogEntry
        do throws(AuditError) { entry = try LogEntry(decoding: row.value) } catch { throw error.at(index) }
        try visit(entry, index)
      }
      hashing.append(row.value.span)
      index += 1
    }
    guard hashing.finish().frontier.root == end.frontier.root else {
      throw AuditError(.corrupt, "the log's entries are not those that its newest checkpoint covers")
    }
  }
}
