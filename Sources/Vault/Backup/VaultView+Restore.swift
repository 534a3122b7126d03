package import Audit
import JSON
import Storage

/// The newest time that the vault was put back from a backup. vault/backup.md.
package struct VaultRestoration: Hashable, Sendable {
  /// From 1.
  package let number: UInt64
  /// When the last entry of the backup's log was written: what happened since is not in the vault.
  package let last: Timestamp
  /// The index of the entry that says so.
  let entry: UInt64
}

extension VaultView {
  /// The newest restore; nil if there was none. Throws `corrupt` where the journal has an older one, or none, and the log tells
  /// of it: without that nothing would be compared with its provider.
  package func restoration() throws -> VaultRestoration? {
    let newest = known.membership.restored
    guard let row = try transaction.lastRow(in: .journal, withPrefix: header.id.bytes) else {
      guard let newest else { return nil }
      throw VaultError(.corrupt, "the journal does not point at the newest restore, log entry \(newest)")
    }
    guard row.key.count == 28, let number = UInt64(bigEndianBytes: row.key[16..<24]),
      row.key[24...].allSatisfy({ $0 == 0 }), let index = UInt64(bigEndianBytes: row.value)
    else { throw VaultError(.corrupt, "the journal's row of a restore is damaged") }
    guard index >= newest ?? 0 else {
      throw VaultError(.corrupt, "the journal does not point at the newest restore, log entry \(newest ?? 0)")
    }
    let entry = try authenticatedEntry(at: index)
    guard entry.event == EventName.vaultRestored.text, entry.details["restore"] == .integer(Int(clamping: number)),
      case .string(let text)? = entry.details["last"], let last = Timestamp(text)
    else { throw VaultError(.corrupt, "the journal takes log entry \(index) for a restore") }
    return VaultRestoration(number: number, last: last, entry: index)
  }

  /// The restore after which `credential` was not seen to be as its provider has it; nil if it may be used as it is.
  package func restoration(unreconciled credential: Credential) throws -> VaultRestoration? {
    guard let restoration = try restoration(), credential.reconciled < restoration.number else { return nil }
    return restoration
  }
}

extension VaultChange {
  /// Logs that the vault was restored from a copy whose log ended at `found`. Until each credential is compared with its
  /// provider, nothing else is done with it.
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
