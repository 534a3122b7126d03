package import Age
package import Audit
import JSON
package import Sodium
package import Storage

/// Makes vaults.
package enum VaultCreation {
  /// A new vault key and header, with the age file to keep as `keys/<key ID>.age`. Nothing is stored yet: keep the file
  /// first, so that there is never a vault whose key is nowhere.
  package static func prepare(
    for owner: AgeRecipient, now: Timestamp, randomness: Randomness
  ) throws -> (header: VaultHeader, keyFile: [UInt8]) {
    let key = try VaultKey(randomness.secret(VaultKey.size))
    let header = VaultHeader(id: Identifier(drawnFrom: randomness), created: now, keyID: key.id)
    return (header, try key.sealed(to: [owner], randomness: randomness))
  }

  /// Writes the header, the first owner and the log's first entry into an empty store. Throws `alreadyExists`.
  package static func create(
    _ header: VaultHeader, in store: any Store, owner identity: Identity, named name: String, now: Timestamp
  ) async throws {
    let owner = Member(card: try identity.card(named: name, role: .owner), entry: 0)
    try await store.write { transaction in
      guard try transaction.value(in: .header, for: VaultHeader.row) == nil else {
        throw VaultError(.alreadyExists, "the store holds a vault already")
      }
      let created = try LogEntry(
        time: now, member: name, event: EventName.vaultCreated.text,
        details: [
          "key": .string(header.keyID), "owner": owner.card.json,
          "record": .string(SHA256.hash(owner.bytes).bytes.base64), "vault": .string(header.id.description),
        ])
      try transaction.set(header.bytes, in: .header, for: VaultHeader.row)
      try transaction.set(owner.bytes, in: .members, for: Array(name.utf8))
      _ = try AuditLog.append(
        [created], by: LogSigner(member: name, origin: header.origin, key: identity.signingKey), in: transaction,
        knowing: { _ in nil })
    }
  }
}
