import Audit
import Sodium
import Storage

/// A vault as one transaction sees it, with nothing unlocked. Every record it returns is authenticated: its digest stands
/// in a log entry that a signed checkpoint covers.
package struct VaultView {
  let transaction: any ReadTransaction
  package let header: VaultHeader
  let log: AuditLog

  /// Throws `notFound` if the store holds no vault.
  package init(_ transaction: any ReadTransaction) throws {
    guard let bytes = try transaction.value(in: .header, for: VaultHeader.row) else {
      throw VaultError(.notFound, "the store holds no vault")
    }
    self.transaction = transaction
    header = try VaultHeader(decoding: bytes)
    log = AuditLog(origin: header.origin)
    let first = try log.authenticatedEntry(at: 0, in: transaction)
    guard first.event == EventName.vaultCreated.text, first.time == header.created,
      first.fields["vault"] == .string(header.id.description), first.fields["key"] == .string(header.keyID)
    else { throw VaultError(.corrupt, "the vault's header is not the one its log begins with") }
  }

  /// Everyone the vault knows, by name.
  package func members() throws -> [Member] {
    try transaction.rows(in: .members).map { row in
      try member(decoding: row.value, name: String(decoding: row.key, as: UTF8.self))
    }
  }

  /// The member `name`. Throws `notFound`.
  package func member(_ name: String) throws -> Member {
    guard let bytes = try transaction.value(in: .members, for: Array(name.utf8)) else {
      throw VaultError(.notFound, "the vault has no member \(Name.printable(name))")
    }
    return try member(decoding: bytes, name: name)
  }

  private func member(decoding bytes: [UInt8], name: String) throws -> Member {
    let member = try Member(decoding: bytes, name: name)
    try requireDigest(of: bytes, inEntry: member.entry, "member \(Name.printable(name))") { entry in
      entry.event == EventName.vaultCreated.text || entry.event == EventName.memberAdded.text
    }
    return member
  }

  /// All credentials, by name.
  package func credentials() throws -> [Credential] {
    try transaction.rows(in: .credentials).map { row in
      try credential(decoding: row.value, name: String(decoding: row.key, as: UTF8.self))
    }
  }

  /// Whether there is a credential `name`.
  package func hasCredential(_ name: String) throws -> Bool {
    try transaction.value(in: .credentials, for: Array(name.utf8)) != nil
  }

  /// The credential `name`. Throws `notFound`.
  package func credential(_ name: String) throws -> Credential {
    guard let bytes = try transaction.value(in: .credentials, for: Array(name.utf8)) else {
      throw VaultError(.notFound, "the vault has no credential \(Name.printable(name))")
    }
    return try credential(decoding: bytes, name: name)
  }

  private func credential(decoding bytes: [UInt8], name: String) throws -> Credential {
    let credential = try Credential(decoding: bytes, name: name)
    try requireDigest(of: bytes, inEntry: credential.entry, "the record of \(Name.printable(name))") { entry in
      entry.fields["credential"] == .string(name)
    }
    return credential
  }

  /// The sealed pair of one version, or nil. It authenticates itself when it is opened.
  func sealedPair(of credential: Credential, _ version: UInt64) throws -> [UInt8]? {
    try transaction.value(in: .versions, for: credential.id.bytes + version.bigEndianBytes)
  }

  /// The log entries of one rotation, in order: its journal.
  package func journal(of credential: Credential, rotation: UInt64) throws -> [LogEntry] {
    try transaction.rows(in: .journal, withPrefix: credential.id.bytes + rotation.bigEndianBytes).map { row in
      guard let index = UInt64(bigEndianBytes: row.value) else {
        throw VaultError(.corrupt, "the journal of \(credential.name) is damaged")
      }
      let entry = try log.authenticatedEntry(at: index, in: transaction)
      guard entry.fields["credential"] == .string(credential.name),
        entry.fields["rotation"] == .integer(Int(clamping: rotation))
      else { throw VaultError(.corrupt, "the journal of \(credential.name) points at another's log entry \(index)") }
      return entry
    }
  }

  /// Fails unless log entry `index` is authentic, is about the record, and carries its digest.
  private func requireDigest(
    of bytes: [UInt8], inEntry index: UInt64, _ what: String, isAbout: (LogEntry) -> Bool
  ) throws {
    let entry = try log.authenticatedEntry(at: index, in: transaction)
    guard isAbout(entry), entry.fields["record"] == .string(SHA256.hash(bytes).bytes.base64) else {
      throw VaultError(.corrupt, "\(what) is not the one that log entry \(index) speaks of: it was altered")
    }
  }
}
