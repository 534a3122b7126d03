import Age
import Audit
import Rotation
import Sodium
import Storage
import Testing
import Vault

@testable import relatch

@Suite("What a schedule finds due")
struct DueCredentialsTests {
  private static let now = Timestamp(milliseconds: 1_779_000_000_000)

  private func vault(adding names: [String]) async throws -> UnlockedVault {
    let store = MemoryStore(tables: vaultTables)
    let identity = try Identity(AgeIdentity(generating: .system))
    let (header, keyFile) = try VaultCreation.prepare(for: identity.age.recipient, now: Self.now, randomness: .system)
    try await VaultCreation.create(header, in: store, owner: identity, named: "alice", now: Self.now)
    let vault = try await UnlockedVault(store, identity: identity, keyFile: { _ in keyFile }, randomness: .system)
    for name in names {
      let (id, secret) = (Array("id of \(name)".utf8), Array("secret of \(name)".utf8))
      let pair = Pair(
        clientID: try SecretBytes(copying: id.span.bytes), clientSecret: try SecretBytes(copying: secret.span.bytes))
      let settings = ["url": "https://crm.example", "app": "0xI000000000001"]
      _ = try await vault.add(
        name: name, provider: "salesforce", settings: settings, policy: Policy(), admin: name, pair: pair, now: Self.now
      )
    }
    return vault
  }

  @Test func `a credential whose journal is damaged is told, and keeps no other from being due`() async throws {
    let vault = try await vault(adding: ["billing", "crm", "erp"])
    for (name, event) in [("billing", "rotation.begun"), ("crm", "rotation.promoted"), ("erp", "rotation.begun")] {
      _ = try await vault.change(now: Self.now) { change in
        var credential = try change.view.credential(name)
        credential.rotation += 1
        return try change.saveStep(credential, step: 0, EventName(event), [:])
      }
    }
    let due = try await DueCredentials(in: vault.locked, now: Self.now)
    #expect(due.errands.map(\.name) == ["billing", "erp"])
    let failure = try #require(due.failures.first)
    #expect(due.failures.count == 1 && failure.code == .corruptData)
    #expect(failure.message.contains("crm") && failure.message.contains("damaged"))
  }
}
