import Audit
import JSON
import Sodium
import Storage
import Vault

extension Places {
  /// Rebuilds the tree of the vault's log if nothing else is damaged, and logs that. Returns how many rows were wrong.
  ///
  /// Writes nothing unless all entries verify, also against what `expectations` and this user remember of them, and the
  /// identity is a member's. This is checked here because a vault with a damaged tree cannot be opened.
  func repairTree(expecting expectations: LogExpectations) async throws -> Int {
    let identity = try openIdentity()
    let store = try openUncomparedStore()
    let id = try await store.read { try VaultView.unverified(in: $0) }
    let seen = try knownVaults?.log(of: id)?.checkpoint.checkpoint
    let expected = LogExpectations(
      owner: expectations.owner, remembered: expectations.remembered + (seen.map { [$0] } ?? []))
    let signing = identity.signingKey.verifyingKey
    let (report, rows) = try await store.write { transaction in
      let repaired = try VaultView.repairTree(transaction, expecting: expected)
      guard repaired.report.members.contains(where: { $0.signing == signing }) else {
        throw Failure(
          .notPermitted, "the identity is not a member of this vault, and only members write to it",
          hint: "give a member's: --identity FILE; nothing was changed")
      }
      return repaired
    }
    guard rows > 0 else { return 0 }
    try await unlock(openLocked(verified: report.seen), by: identity).change(now: WallClock.now()) { change in
      _ = try change.log(.logRepaired, ["rows": .integer(rows)])
    }
    return rows
  }
}
