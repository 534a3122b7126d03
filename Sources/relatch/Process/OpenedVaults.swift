import Audit
import Glibc
import Storage
import Synchronization
import Vault

/// The vaults that this process has opened: each is compared with what its user has seen of it before, and what there is to
/// see of it at the end is kept for the next time.
final class OpenedVaults: Sendable {
  static let shared = OpenedVaults()

  private struct Opened: Sendable {
    let store: any Store
    let known: KnownVaults
    /// What it was when it was compared; nil if whatever stands there is to be remembered.
    let seen: SignedCheckpoint?
    /// Whether just that is remembered already.
    let isKept: Bool
  }

  /// By the absolute path of the folder.
  private let opened = Mutex<[String: Opened]>([:])

  private init() {}

  /// Fails with `rolledBack` unless the vault in the folder `path` is the one that was seen there, and has not lost
  /// anything since. `accept` may throw that error, or take it upon itself.
  func compare(
    _ store: any Store, at path: String, with known: KnownVaults?, accept: (VaultError) async throws -> Void
  ) async throws {
    guard let known else {
      Diagnostics.standard.warning(
        "neither XDG_STATE_HOME nor HOME is set: an older copy put in the vault's place would not be noticed")
      return
    }
    let place = Self.absolute(path)
    if let first = opened.withLock({ $0[place] }) {
      // Opened again: what stands there now must be what was compared.
      guard let seen = first.seen else { return }
      return try await store.read { try VaultView($0).requireExtension(of: seen) }
    }
    let compared: Opened
    do { compared = try await Self.compared(store, at: place, with: known) } catch let error as VaultError
      where error.code == .rolledBack
    {
      try await accept(error)
      compared = Opened(store: store, known: known, seen: nil, isKept: false)
    }
    opened.withLock { $0[place] = compared }
  }

  /// Takes what stands in the folder `path` for what is to be remembered of it: the vault was made just now.
  func adopt(_ store: any Store, at path: String, with known: KnownVaults?) {
    guard let known else { return }
    opened.withLock { $0[Self.absolute(path)] = Opened(store: store, known: known, seen: nil, isKept: false) }
  }

  /// What the vault in `store`, which is to stand at the absolute path `place`, lacks of what was seen of it, or whose place
  /// it would take; nil if nothing.
  func loss(of store: any Store, at place: String, with known: KnownVaults) async throws -> VaultError? {
    do {
      _ = try await Self.compared(store, at: place, with: known)
      return nil
    } catch let error as VaultError where error.code == .rolledBack {
      return error
    }
  }

  private static func compared(
    _ store: any Store, at place: String, with known: KnownVaults
  ) async throws -> Opened {
    let (vault, newest) = try await store.read { try VaultView.unverified(in: $0) }
    var found: [String] = []
    let before = try known.vault(at: place)
    if let before, before != vault {
      found.append("another vault stands at \(Name.printable(place)): found \(vault), expected \(before)")
    }
    let remembered = try known.checkpoint(of: vault)
    if let remembered, remembered.bytes == newest, found.isEmpty {
      return Opened(store: store, known: known, seen: remembered, isKept: before == vault)
    }
    // This snapshot is younger than what was remembered: others' commits only make its log longer.
    let (seen, loss) = try await store.read { transaction -> (SignedCheckpoint, String?) in
      let view = try VaultView(transaction)
      do {
        if let remembered { try view.requireExtension(of: remembered) }
        return (view.newestCheckpoint, nil)
      } catch let error as VaultError where error.code == .rolledBack {
        return (view.newestCheckpoint, error.description)
      }
    }
    if let loss { found.append(loss) }
    // A person who accepts one must have been told of both.
    guard found.isEmpty else { throw VaultError(.rolledBack, found.joined(separator: "; and ")) }
    return Opened(store: store, known: known, seen: seen, isKept: false)
  }

  /// What the vault in the folder `path` was when it was compared; nil if it was not, or a person accepted what is there.
  func seen(at path: String) -> SignedCheckpoint? { opened.withLock { $0[Self.absolute(path)]?.seen } }

  /// Keeps what is there to see of each vault now. Throws `rolledBack` if one has lost something while it was open.
  func remember() async throws {
    for (place, vault) in opened.withLock({ $0 }) {
      let (id, found): (Identifier, SignedCheckpoint?) = try await vault.store.read { transaction in
        let (id, newest) = try VaultView.unverified(in: transaction)
        if let seen = vault.seen, seen.bytes == newest { return (id, vault.isKept ? nil : seen) }
        let view = try VaultView(transaction)
        if let seen = vault.seen { try view.requireExtension(of: seen) }
        return (id, view.newestCheckpoint)
      }
      guard let found else { continue }
      do {
        try vault.known.remember(found, of: id, at: place, isAccepted: vault.seen == nil)
      } catch let error as VaultError where error.code == .cannotWrite {
        Diagnostics.standard.warning("what was seen of the vault is not remembered: \(error)")
      }
    }
  }

  /// The path without links, so that one folder has one name.
  private static func absolute(_ path: String) -> String {
    guard let resolved = realpath(path, nil) else { return path }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
