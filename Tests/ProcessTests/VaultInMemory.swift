import Age
import Audit
import Contracts
import Sodium
import Storage
import Vault

/// When the vault was made.
let vaultMoment = Timestamp(milliseconds: 1_779_000_000_000)

/// A vault in memory with these credentials.
func vault(adding names: [String]) async throws -> UnlockedVault { try await ownedVault(adding: names).vault }

/// The same, and a function with which its owner opens a copy of it.
func ownedVault(
  adding names: [String]
) async throws -> (vault: UnlockedVault, open: @Sendable (any Store) async throws -> UnlockedVault) {
  let store = MemoryStore(tables: vaultTables)
  let identity = try Identity(AgeIdentity(generating: .system))
  let (header, keyFile) = try VaultCreation.prepare(for: identity.age.recipient, now: vaultMoment, randomness: .system)
  try await VaultCreation.create(header, in: store, owner: identity, named: "alice", now: vaultMoment)
  let open = { @Sendable (store: any Store) in
    try await UnlockedVault(store, identity: identity, keyFile: { _ in keyFile }, randomness: .system)
  }
  let vault = try await open(store)
  for name in names {
    let settings = ["url": "https://crm.example", "app": "0xI000000000001"]
    _ = try await vault.add(
      name: name, provider: "salesforce", settings: settings, policy: Policy(), admin: name, pair: pair(of: name),
      now: vaultMoment
    )
  }
  return (vault, open)
}

/// A pair that belongs to nobody else.
func pair(of name: String) throws -> Pair {
  let (id, secret) = (Array("id of \(name)".utf8), Array("secret of \(name)".utf8))
  return Pair(
    clientID: try SecretBytes(copying: id.span.bytes), clientSecret: try SecretBytes(copying: secret.span.bytes))
}
