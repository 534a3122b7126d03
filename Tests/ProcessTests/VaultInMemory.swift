import Age
import Audit
import Sodium
import Storage
import Vault

/// When it was made.
let vaultMoment = Timestamp(milliseconds: 1_779_000_000_000)

/// A vault in memory with these credentials.
func vault(adding names: [String]) async throws -> UnlockedVault {
  let store = MemoryStore(tables: vaultTables)
  let identity = try Identity(AgeIdentity(generating: .system))
  let (header, keyFile) = try VaultCreation.prepare(for: identity.age.recipient, now: vaultMoment, randomness: .system)
  try await VaultCreation.create(header, in: store, owner: identity, named: "alice", now: vaultMoment)
  let vault = try await UnlockedVault(store, identity: identity, keyFile: { _ in keyFile }, randomness: .system)
  for name in names {
    let (id, secret) = (Array("id of \(name)".utf8), Array("secret of \(name)".utf8))
    let pair = Pair(
      clientID: try SecretBytes(copying: id.span.bytes), clientSecret: try SecretBytes(copying: secret.span.bytes))
    let settings = ["url": "https://crm.example", "app": "0xI000000000001"]
    _ = try await vault.add(
      name: name, provider: "salesforce", settings: settings, policy: Policy(), admin: name, pair: pair,
      now: vaultMoment
    )
  }
  return vault
}
