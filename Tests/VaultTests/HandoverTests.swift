import Audit
import Storage
import Testing

@testable import Vault

/// What goes to witnesses, whose files may be anywhere.
@Suite struct HandoverTests {
  @Test func `a checkpoint with lines that none of our programs writes is handed to nobody`() async throws {
    let fixture = try await Fixture()
    let newest = try await fixture.vault.read { $0.seenLog.checkpoint.checkpoint }
    #expect(try await LockedVault(fixture.store).read { try $0.handover(after: 0, to: "w").0.checkpoint } == newest)
    // Anyone who can write the vault can add a line that no signature covers.
    let row = try #require(
      try await fixture.store.read { try $0.value(in: .checkpoints, for: newest.size.bigEndianBytes) })
    try await fixture.store.write {
      try $0.set(
        row + Array("— x;id>/tmp/p;# QUFBQXh5eg==\n".utf8), in: .checkpoints, for: newest.size.bigEndianBytes)
    }
    #expect(try await LockedVault(fixture.store).read { try $0.handover(after: 0, to: "w").0.bytes } == row)
    let extended = try SignedCheckpoint(
      Checkpoint(text: newest.text + "echo owned #\n"), key: fixture.owner.signingKey)
    try await fixture.store.write {
      try $0.set(extended.bytes, in: .checkpoints, for: newest.size.bigEndianBytes)
    }
    // It is still a checkpoint of the log like any other, and what a witness took before is compared with it.
    try await LockedVault(fixture.store).read { try $0.requireExtension(of: newest, takenBy: "w") }
    await #expect(throws: VaultError(.corrupt, "")) {
      _ = try await LockedVault(fixture.store).read { try $0.handover(after: 0, to: "w").0 }
    }
  }
}
