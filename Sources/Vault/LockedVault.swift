package import Audit
package import Storage

/// A vault with nothing unlocked: what anyone may read of it, verified.
///
/// What was verified is not verified again: each transaction continues from what this process, or its user before, has
/// seen of the log, and fails with `rolledBack` if that is no longer there.
package struct LockedVault: Sendable {
  package let store: any Store
  let memory: VaultMemory

  /// The vault in `store`, which is as `seen` describes it or has grown from that; `seen` is nil if nothing was seen of
  /// it before.
  package init(_ store: any Store, after seen: SeenLog? = nil) {
    self.store = store
    memory = VaultMemory(after: seen)
  }

  /// The same vault in a store that was opened again.
  package init(_ store: any Store, as other: LockedVault) {
    self.store = store
    memory = other.memory
  }

  /// The newest log that was found in the store: by this process or, until it has looked, before it.
  package var seen: SeenLog? { memory.seen }

  /// Runs `body` on one snapshot of the vault.
  ///
  /// Throws `notFound` if the store holds no vault, `corrupt` or `AuditError` if it does not authenticate,
  /// `rolledBack`.
  package func read<Result: Sendable>(_ body: @Sendable (VaultView) throws -> Result) async throws -> Result {
    let memory = memory
    let seen = memory.seen
    return try await store.read { try body(VaultView($0, remembering: memory, after: seen)) }
  }
}
