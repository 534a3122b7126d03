import Storage
import Synchronization
import Testing

@testable import Vault

/// Reads tampered copies of one vault with vaults that are open already: opening takes most of the time, and reads the
/// header, the members and the log as every transaction does. Where those are turned, it is done each time too.
struct Probe: Sendable {
  private let vault: Small
  private let store: SwitchedStore
  private let owner: UnlockedVault
  private let bob: UnlockedVault
  private let reopens: Bool
  private let isGrantRead: Bool

  init(_ vault: Small, for table: Table) async throws {
    self.vault = vault
    store = SwitchedStore(vault.snapshot)
    owner = try await vault.fixture.opened(in: store)
    bob = try await vault.fixture.opened(in: store, by: vault.bob)
    reopens = [.header, .members].contains(table)
    isGrantRead = [.header, .members, .credentials, .grants, .versions].contains(table)
  }

  /// Fails the test if anything is read from `tampered` that was not in the vault.
  func requireSameOrRefused(_ tampered: Snapshot, _ what: String) async throws {
    store.snapshot.withLock { $0 = tampered }
    if let reading = try? await Small.read(owner, store) { #expect(reading == vault.expected, "\(what)") }
    if reopens, let reading = try? await vault.read(tampered, by: vault.fixture.owner) {
      #expect(reading == vault.expected, "\(what)")
    }
    if isGrantRead, let reading = try? await Small.read(bob, store) {
      #expect(reading == vault.expected, "\(what)")
    }
  }
}

/// A store whose rows can be exchanged under those who use it.
final class SwitchedStore: Store {
  let snapshot: Mutex<Snapshot>

  init(_ snapshot: Snapshot) { self.snapshot = Mutex(snapshot) }

  func read<Result: Sendable>(_ body: @Sendable (any ReadTransaction) throws -> Result) async throws -> Result {
    try await snapshot.withLock { $0 }.read(body)
  }

  func write<Result: Sendable>(_ body: @Sendable (any WriteTransaction) throws -> Result) async throws -> Result {
    try await snapshot.withLock { $0 }.write(body)
  }
}
