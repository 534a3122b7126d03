import Audit
import Sodium
import Storage
import Testing

@testable import Vault

/// What an outsider is given for one entry.
@Suite struct ProofTests {
  @Test func `every entry is proved to whoever has the key that signed, and no other text is`() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    try await fixture.rotate()
    let key = fixture.owner.signingKey.verifyingKey
    let proofs = try await fixture.vault.read { view in
      try (0..<view.seenLog.size).map { try view.proof(ofEntry: $0) }
    }
    for (index, found) in proofs.enumerated() {
      let proof = try LogProof(decoding: found.proof.bytes)
      #expect(proof == found.proof && proof.index == UInt64(index))
      try proof.verify(found.entry.bytes, by: key)
      for other in proofs where other.entry != found.entry {
        #expect(throws: AuditError(.badProof, "")) { try proof.verify(other.entry.bytes, by: key) }
      }
    }
    await #expect(throws: VaultError(.notFound, "")) {
      try await fixture.vault.read { _ = try $0.proof(ofEntry: UInt64(proofs.count)) }
    }
  }

  /// Whoever changes an entry can change its stored hash with it.
  @Test func `an entry that was changed with its hash is proved to nobody`() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    try await fixture.rotate()
    let good = try await Snapshot(of: fixture.store, vaultTables)
    let size = UInt64(good.rows(of: .log).count)
    let forged = try LogEntry(time: Fixture.at(9), member: "alice", event: "log.read").bytes
    // Opening the vault looks at the last entry itself, and at the first.
    for index in 1..<size - 1 {
      var altered = good
      altered[.log, index.bigEndianBytes] = forged
      altered[.tree, [0] + index.bigEndianBytes] = MerkleTree.leafHash(forged).bytes
      let transaction = SnapshotTransaction(altered)
      let seen = try await fixture.vault.read { $0.seenLog }
      #expect(throws: AuditError(.corrupt, ""), "entry \(index)") {
        _ = try VaultView(transaction, after: seen).proof(ofEntry: index)
      }
    }
  }
}
