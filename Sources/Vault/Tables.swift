import Audit
package import Storage

extension Table {
  /// One row, key `vault`: the vault's header.
  package static let header = Table("header")
  /// Member name to card, role and standing.
  package static let members = Table("members")
  /// Credential name to its record.
  package static let credentials = Table("credentials")
  /// Credential identifier (16 bytes) to the credential key, wrapped under the vault key.
  package static let keys = Table("keys")
  /// Credential identifier (16 bytes) then member name, to the credential key as an age file sealed to that member.
  package static let grants = Table("grants")
  /// Credential identifier (16 bytes) then version (8 bytes, big-endian), to the sealed pair.
  package static let versions = Table("versions")
  /// Credential identifier (16 bytes), rotation (8 bytes), step (4 bytes), to the index (8 bytes) of its log entry; all
  /// big-endian. The journal is an index into the log: what happened is written once.
  package static let journal = Table("journal")
  /// When a schedule first calls for each credential: the moment (8 bytes, big-endian), then its name, to an empty
  /// value. An index of the records; see `Credential+Due.swift`.
  package static let due = Table("due", since: 2)
  /// Which credential names which in `not-together-with`: a name in a policy, a zero byte, then the name of the
  /// credential with that policy, to an empty value. An index of the records.
  package static let apart = Table("apart", since: 2)
}

/// Everything a vault keeps; `vault/schema` holds the same list for other programs, and a test compares them.
package let vaultTables: [Table] = [
  .header, .members, .credentials, .keys, .grants, .versions, .journal, .log, .tree, .checkpoints, .leases,
  .due, .apart,
]
