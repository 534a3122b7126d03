import Audit
import Contracts
import Foundation
import Storage
import Testing
import Vault

@testable import relatch

@Suite("A vault that is opened, compared with what was seen of it before")
struct OpenedVaultsTests {
  private static func copy(_ store: any Store) async throws -> MemoryStore {
    let copy = MemoryStore(tables: vaultTables)
    let rows = try await store.read { transaction in
      try vaultTables.map { (table: $0, rows: try transaction.rows(in: $0)) }
    }
    try await copy.write { transaction in
      for (table, rows) in rows { for row in rows { try transaction.set(row.value, in: table, for: row.key) } }
    }
    return copy
  }

  private static func goOn(_ vault: UnlockedVault, by event: EventName) async throws -> SeenLog {
    try await vault.change(now: vaultMoment) { change in _ = try change.log(event, [:]) }
    return try await vault.locked.read { $0.seenLog }
  }

  @Test func `what another run remembers while the log is verified is no rollback; a log without it is`() async throws {
    let folder = FileManager.default.temporaryDirectory.path + "/relatch-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let known = KnownVaults(in: folder)
    let (vault, open) = try await ownedVault(adding: ["crm"])
    let verified = try await vault.locked.read { $0.seenLog }
    let older = try await Self.copy(vault.locked.store)

    let seen = try await Self.goOn(vault, by: .logRead)
    #expect(try known.remember(seen, of: vault.header.id, at: folder + "/vault", extending: nil))
    func compare(_ store: any Store, at name: String, verified: SeenLog) async throws -> SeenLog? {
      try await OpenedVaults.shared.compare(store, at: "\(folder)/\(name)", with: known, verified: verified) {
        error, _ in throw error
      }.seen
    }
    #expect(try await compare(vault.locked.store, at: "vault", verified: verified) == seen)
    await #expect(throws: VaultError(.rolledBack, "")) { try await compare(older, at: "older", verified: verified) }
    // As long, and longer, but with other entries.
    let fork = try await open(older)
    for _ in 1...2 {
      let verified = try await Self.goOn(fork, by: .logRepaired)
      await #expect(throws: VaultError(.rolledBack, "")) { try await compare(older, at: "fork", verified: verified) }
    }
  }
}
