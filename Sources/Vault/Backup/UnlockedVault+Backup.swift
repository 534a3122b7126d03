package import Age
package import Audit
import JSON
import Sodium

/// What a vault's log said at its end.
package struct LogEndpoint: Hashable, Sendable {
  package let checkpoint: SignedCheckpoint
  /// When the last entry was written, by the clock of whoever wrote it.
  package let last: Timestamp

  package var entries: UInt64 { checkpoint.checkpoint.size }

  /// The root of the log's tree, in base64.
  var root: String { checkpoint.checkpoint.root.bytes.base64 }
}

extension VaultView {
  fileprivate var owners: [Member] { members.filter { $0.card.role == .owner } }

  /// How far the log goes, with every entry covered by a signature.
  package var endpoint: LogEndpoint {
    get throws {
      let newest = known.end.checkpoint
      return LogEndpoint(checkpoint: newest, last: try authenticatedEntry(at: newest.checkpoint.size - 1).time)
    }
  }
}

extension UnlockedVault {
  /// Logs that a copy of the vault is made, which every present owner will be able to open, and returns whom to seal it
  /// to. If `isLogged` is false it logs nothing: for a vault that can no longer be written.
  package func logBackup(
    now: Timestamp, isLogged: Bool = true
  ) async throws -> (names: [String], recipients: [AgeRecipient]) {
    let owners: [Member]
    if isLogged {
      owners = try await change(now: now) { change in
        let owners = change.view.owners
        try change.log(.vaultBackedUp, ["owners": .array(owners.map { .string($0.name) })])
        return owners
      }
    } else {
      owners = try await read { $0.owners }
    }
    return (owners.map(\.name), try owners.map { try $0.recipient() })
  }

  /// Logs that an older copy of the vault, which is in its place, was accepted by a person: as a restore from a copy
  /// whose log ended where it ends now. `found` says what it lacks. Throws `notPermitted` unless the member is an owner.
  package func logRollback(_ found: VaultError, now: Timestamp) async throws {
    guard member.card.role == .owner else {
      throw VaultError(
        .notPermitted, "member \(member.name) is not an owner and cannot accept an older copy of the vault: \(found)",
        hint: "here, as this user, an owner accepts it with their identity, and is told what is back in it:"
          + " `RELATCH_IDENTITY=… relatch log verify --accept-rollback`"
      )
    }
    try await change(now: now) { change in
      let end = try change.view.endpoint
      try change.log(.rollbackAccepted, ["found": .string(found.description)])
      try change.logRestore(end)
    }
  }

  /// Logs that the vault was restored from a copy whose log ended at `found`; and, if it is `behind` what was seen of
  /// it before, that a person accepted this. Throws `notPermitted` unless the member is an owner.
  package func logRestore(_ found: LogEndpoint, behind: VaultError?, now: Timestamp) async throws {
    guard member.card.role == .owner else {
      throw VaultError(.notPermitted, "member \(member.name) is not an owner and cannot restore the vault")
    }
    try await change(now: now) { change in
      if let behind { try change.log(.rollbackAccepted, ["found": .string(behind.description)]) }
      try change.logRestore(found)
    }
  }
}
