package import Audit
import JSON
package import Storage

extension VaultView {
  /// Verifies the whole log in a store, and that the vault's present state is what the log says: every record is the
  /// newest that the log speaks of, none is missing, the indexes have exactly the rows that the records call for, only
  /// owners did what only owners may do, and the journals of all rotations, including those that are over, point at
  /// every step. One pass through everything, in memory that does not grow with the log. Opening the vault after that
  /// can continue from what the report has seen.
  ///
  /// Reading a record shows that a member wrote it, not that none was written since: anyone who can write the store
  /// could put back an older one. The time this takes grows with the log, so no read does it.
  ///
  /// Throws `AuditError` if the log is not whole, and `VaultError.corrupt` if the vault disagrees with it.
  package static func verify(
    _ transaction: any ReadTransaction, expecting expectations: LogExpectations = LogExpectations()
  ) throws -> LogReport {
    var records = RecordVerification()
    var report = try LogVerification.verify(storedIn: transaction, expecting: expectations) {
      reading, bytes, index, members in
      try records.note(reading, bytes, at: index, members)
    }
    try records.finish(VaultView(transaction, after: report.seen))
    report.strayRecord = records.stray
    return report
  }

  /// Gives the log the tree that its entries have, if only the tree is damaged, and verifies everything as `verify`
  /// does: what `expectations` remember must be there. Returns how many rows were wrong.
  ///
  /// Throws as `verify` does if anything else is wrong; the caller must then give up the transaction.
  package static func repairTree(
    _ transaction: any WriteTransaction, expecting expectations: LogExpectations
  ) throws -> (report: LogReport, rows: Int) {
    let rows = try LogVerification.repairTree(in: transaction, expecting: expectations)
    return (try verify(transaction, expecting: expectations), rows)
  }

  /// Whether the journal of the credential `identifier` points at `entry`; true if the entry is no step.
  func isJournalled(_ entry: LogEntry, at index: UInt64, of identifier: Identifier) throws -> Bool {
    guard let rotation = entry.number("rotation"), let step = entry.number("step").flatMap({ UInt32(exactly: $0) })
    else { return true }
    let key = identifier.bytes + rotation.bigEndianBytes + step.bigEndianBytes
    return try transaction.value(in: .journal, for: key) == index.bigEndianBytes
  }
}
