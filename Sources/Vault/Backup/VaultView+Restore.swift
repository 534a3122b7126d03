package import Audit
import JSON
import Storage

/// The last time that the vault was put back from a backup. vault/backup.md.
package struct VaultRestoration: Hashable, Sendable {
  /// Counted from 1.
  package let number: UInt64
  /// When the last entry of the backup's log was written: what happened since is not in the vault.
  package let last: Timestamp
  /// The index of the entry that records it.
  let entry: UInt64
}

extension VaultView {
  /// The newest restore; nil if there was none. If the log was gone through, it decides, whatever became of the
  /// journal's row: nobody may keep credentials from being compared with their providers, or runs from continuing, by
  /// removing a row.
  package func restoration() throws -> VaultRestoration? {
    let newest = known.membership.restored
    let journalled = try journalledRestoration(unlessBefore: newest)
    guard journalled == nil, let newest else { return journalled }
    let entry = try authenticatedEntry(at: newest)
    guard entry.event == EventName.vaultRestored.text, let number = entry.number("restore"),
      let last = entry.text("last").flatMap({ Timestamp($0) })
    else { throw VaultError(.corrupt, "log entry \(newest) is not a restore") }
    return VaultRestoration(number: number, last: last, entry: newest)
  }

  /// The newest restore that the journal points at; nil if there is none, or it is before log entry `newest`.
  func journalledRestoration(unlessBefore newest: UInt64? = nil) throws -> VaultRestoration? {
    guard let row = try transaction.lastRow(in: .journal, withPrefix: header.id.bytes) else { return nil }
    guard row.key.count == 28, let number = UInt64(bigEndianBytes: row.key[16..<24]),
      row.key[24...].allSatisfy({ $0 == 0 }), let index = UInt64(bigEndianBytes: row.value)
    else { throw VaultError(.corrupt, "the journal's row of a restore is damaged") }
    guard index >= newest ?? 0 else { return nil }
    let entry = try authenticatedEntry(at: index)
    guard entry.event == EventName.vaultRestored.text, entry.number("restore") == number,
      let last = entry.text("last").flatMap({ Timestamp($0) })
    else { throw VaultError(.corrupt, "the journal names log entry \(index) as a restore") }
    return VaultRestoration(number: number, last: last, entry: index)
  }

  /// The restore since which `credential` was not seen to agree with its provider; nil if it may be used as it is.
  package func restoration(unreconciled credential: Credential) throws -> VaultRestoration? {
    guard let restoration = try restoration(), credential.reconciled < restoration.number else { return nil }
    return restoration
  }
}

extension VaultChange {
  /// Logs that the vault was restored from a copy whose log ended at `found`. Until each credential is compared with
  /// its provider, nothing else is done with it.
  func logRestore(_ found: LogEndpoint) throws {
    let number = (try view.restoration()?.number ?? 0) + 1
    try storeRestore(number)
    try log(
      .vaultRestored,
      [
        "entries": .integer(Int(clamping: found.entries)), "last": .string(found.last.description),
        "restore": .integer(Int(clamping: number)), "root": .string(found.root),
      ])
  }
}
