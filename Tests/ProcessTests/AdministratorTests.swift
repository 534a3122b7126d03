import Age
import Audit
import Contracts
import Providers
import Sodium
import Storage
import Testing
import Vault

@testable import relatch

@Suite("An administrator that several runs of one process share")
struct AdministratorTests {
  private static let now = Timestamp(milliseconds: 1_779_000_000_000)

  private static func pair(_ name: String) throws -> Pair {
    let (id, secret) = (Array("id of \(name)".utf8), Array("secret of \(name)".utf8))
    return Pair(
      clientID: try SecretBytes(copying: id.span.bytes), clientSecret: try SecretBytes(copying: secret.span.bytes))
  }

  /// The administrator's settings change between the runs that share it: its pair is for the server that they name now.
  @Test("does not open its pair for a run that was made from its former settings")
  func changed() async throws {
    let store = MemoryStore(tables: vaultTables)
    let identity = try Identity(AgeIdentity(generating: .system))
    let (header, keyFile) = try VaultCreation.prepare(for: identity.age.recipient, now: Self.now, randomness: .system)
    try await VaultCreation.create(header, in: store, owner: identity, named: "alice", now: Self.now)
    let vault = try await UnlockedVault(store, identity: identity, keyFile: { _ in keyFile }, randomness: .system)
    for name in ["admin", "one", "two"] {
      _ = try await vault.add(
        name: name, provider: "oauth-registration",
        settings: ["token-url": "https://old.example/t", "registration-url": "https://old.example/r"], policy: Policy(),
        admin: "admin", pair: Self.pair(name), now: Self.now)
    }
    let composition = RotationComposition(
      vault: vault, in: try Places(CommonSettings(vault: "/nowhere", identity: "/nowhere")))
    func access(for name: String) async throws -> AdminAccess {
      let (admin, credential) = try await vault.read { (try $0.credential("admin"), try $0.credential(name)) }
      return composition.access(to: admin, for: credential, nil)
    }
    let first = try await access(for: "one")
    _ = try await first.pair()
    #expect(try await access(for: "two").session === first.session)
    let own = try await access(for: "admin")

    _ = try await vault.setTerms(of: "admin", now: Self.now) {
      $0.settings["token-url"] = "https://new.example/t"
      $0.settings["registration-url"] = "https://new.example/r"
    }
    let before = try await vault.read { $0.logSize }
    for stale in [first, own] {
      await #expect(throws: VaultError(.keyChanged, "")) { try await stale.pair() }
    }
    #expect(try await vault.read { $0.logSize } == before, "nothing was opened")
    let next = try await access(for: "two")
    #expect(next.settings["token-url"] == "https://new.example/t" && next.session !== first.session)
    _ = try await next.pair()
  }
}
