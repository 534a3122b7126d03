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

  @Test func `a vault gets no more than 16 witnesses, and a log that has more is read`() async throws {
    let fixture = try await Fixture()
    func witness(_ number: Int) throws -> Witness {
      try Witness(name: "w\(number)", kind: .folder(path: "/w\(number)"))
    }
    for number in 1...16 { try await fixture.vault.addWitness(witness(number), now: Fixture.at(number)) }
    let (one, two) = (try witness(17), try witness(18))
    await #expect(throws: VaultError(.invalidInput, "")) {
      try await fixture.vault.addWitness(one, now: Fixture.at(17))
    }
    _ = try await fixture.vault.removeWitness("w1", now: Fixture.at(18))
    try await fixture.vault.addWitness(one, now: Fixture.at(19))
    _ = try await fixture.vault.change(now: Fixture.at(20)) { try $0.log(.witnessAdded, ["witness": two.json]) }
    #expect(try await LockedVault(fixture.store).read { $0.witnesses.count } == 17)
    _ = try await fixture.store.read { try VaultView.verify($0) }
  }

  /// Whoever damages a row must not make it look as if somebody had rewritten the log.
  @Test func `a log whose tree is damaged or lacks a node is not told as another history`() async throws {
    let fixture = try await Fixture()
    for second in 1...4 { try await fixture.vault.change(now: Fixture.at(second)) { _ = try $0.log(.logRead) } }
    let seen = try await fixture.vault.read { $0.seenLog }
    for second in 5...7 { try await fixture.vault.change(now: Fixture.at(second)) { _ = try $0.log(.logRead) } }
    #expect(seen.size == 5)
    let good = try await Snapshot(of: fixture.store, vaultTables)
    var refused = 0
    for row in good.rows(of: .tree) {
      for change in [nil, row.value.map { ~$0 }] {
        var altered = good
        altered[.tree, row.key] = change
        // The end of the log needs other nodes than the comparison.
        guard let view = try? VaultView(SnapshotTransaction(altered)) else { continue }
        for compare in [
          { try view.requireExtension(of: seen) },
          { try view.requireExtension(of: seen.checkpoint.checkpoint, takenBy: "w") },
        ] {
          do { try compare() } catch {
            #expect(error as? VaultError == VaultError(.corrupt, ""), "\(row.key): \(error)")
            refused += 1
          }
        }
      }
    }
    #expect(refused > 0)
  }
}
