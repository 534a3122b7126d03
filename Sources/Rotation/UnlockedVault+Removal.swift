package import Audit
package import Vault

extension UnlockedVault {
  /// Removes a credential that has no rotation under way, and returns what it was.
  ///
  /// Throws what `remove` throws; and `RotationError.held` while another run has the credential, even with
  /// `forgettingDebts`, because that run would go on asking the provider for a pair that nobody keeps. Throws
  /// `unfinished` if a rotation of it was begun and neither finished nor given up, unless `forgettingDebts`: the
  /// provider may have a pair that only the journal mentions. `isGone` says that the holder of a lease is a dead
  /// process.
  package func removeIdle(
    _ name: String, forgettingDebts: Bool, now: Timestamp, isGone: @escaping @Sendable (_ holder: String) -> Bool
  ) async throws -> Credential {
    try await remove(name, forgettingDebts: forgettingDebts, now: now) { change, credential in
      if let holder = try change.view.runAtWork(on: credential, now: now, isGone: isGone) {
        throw RotationError(
          .held, "cannot remove \(name): another run holds it (\(holder))",
          hint: "wait for that run to end; if its process is gone, `relatch resume \(name)` takes over")
      }
      if !forgettingDebts { try change.view.requireNoneUnfinished(credential) }
    }
  }
}

extension VaultView {
  /// Throws `RotationError.unfinished` if a rotation of `credential` was begun and neither finished nor given up. A
  /// debt that one left is reported with the others.
  package func requireNoneUnfinished(_ credential: Credential) throws {
    guard let journal = try RotationJournal(self, of: credential) else { return }
    guard !journal.machine.state.isFinal, journal.machine.state != .owed else { return }
    let name = credential.name
    throw RotationError(
      .unfinished,
      "cannot remove \(name): rotation \(journal.number) is not finished, and its new pair may be at the provider",
      hint: "`relatch resume \(name)` finishes it, `relatch abort \(name)` gives it up;"
        + " --forget-debts removes it anyway")
  }
}
