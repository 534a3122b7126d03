import Audit
import Glibc
import Storage
import Synchronization
import Vault

/// The vaults that this process has opened. Each is compared with what its user saw of it before, and what is seen of
/// it now is kept at the end for the next time.
final class OpenedVaults: Sendable {
  static let shared = OpenedVaults()

  private struct Opened: Sendable {
    let vault: LockedVault
    /// Nil if it is not known yet.
    var id: Identifier?
    let known: KnownVaults
    /// The remembered log that the vault's log extends; nil if nothing was remembered.
    let seen: SeenLog?
    /// Whether a person accepted the vault as it is, whatever was seen before.
    let isAccepted: Bool
    /// The checkpoint that is already remembered for this very folder.
    let kept: SignedCheckpoint?

    /// The vault's identifier, and the newest log that this process has found in it.
    func newest() async throws -> (Identifier, SeenLog) {
      if let id, let seen = vault.seen { return (id, seen) }
      return try await vault.read { ($0.header.id, $0.seenLog) }
    }
  }

  /// The opened vaults, by the absolute path of the folder.
  private let opened = Mutex<[String: Opened]>([:])
  /// The folders of the vaults of which more is known now than what their own logs say.
  private let trusted = Mutex<Set<String>>([])

  /// The folders of the vaults for which the warning that everybody may write there was printed, and an empty one if
  /// the warning was that what was seen of any vault has no place.
  private let warned = Mutex<Set<String>>([])

  private init() {}

  /// Warns, once, if everybody may write to the vault.
  func warn(of places: Places) {
    guard let trouble = VaultFolder.trouble(places), warned.withLock({ $0.insert(places.vault).inserted }) else {
      return
    }
    Diagnostics.standard.warning("\(trouble.text): \(trouble.hint)")
  }

  /// The vault in `store`, in the folder `path`. `verified` is what this process has gone through of its log.
  ///
  /// Fails with `rolledBack` unless it is the vault that was seen there and has lost nothing since. `accept` may throw
  /// that error or accept the vault. A vault that somebody else founded (`foundedByAnother`) cannot be accepted.
  func compare(
    _ store: any Store, at path: String, with known: KnownVaults?, verified: SeenLog?,
    accept: (VaultError, LockedVault) async throws -> Void
  ) async throws -> LockedVault {
    guard let known else {
      if warned.withLock({ $0.insert("").inserted }) {
        Diagnostics.standard.warning(
          "neither XDG_STATE_HOME nor HOME is set: an older copy put in place of the vault would not be noticed")
      }
      return LockedVault(store, after: verified)
    }
    let place = Self.absolute(path)
    // Opened again: what is there now must be what was compared, or an extension of it.
    if let first = opened.withLock({ $0[place] }) { return LockedVault(store, as: first.vault) }
    let compared: Opened
    do { compared = try await Self.compared(store, at: place, with: known, verified) } catch let error as VaultError
      where error.code == .rolledBack
    {
      compared = Opened(vault: LockedVault(store), known: known, seen: nil, isAccepted: true, kept: nil)
      try await accept(error, compared.vault)
    } catch let error as VaultError where error.code == .notPermitted {
      throw Failure(
        .notPermitted, error.description,
        hint: "give the file to the user who runs this (chown), because a run of another user, such as root, made it;"
          + " or name another place with XDG_STATE_HOME")
    }
    opened.withLock { $0[place] = compared }
    return compared.vault
  }

  /// Whether the log of the vault in the folder `path` differs from what this process's user had seen when the vault
  /// was opened here; true if that is not known.
  func hasChanged(at path: String) -> Bool {
    guard let opened = opened.withLock({ $0[Self.absolute(path)] }) else { return true }
    return opened.vault.seen?.checkpoint != opened.kept
  }

  /// Notes that the vault in the folder `path` is the one its user means: an identity of one of its members opened it,
  /// it was made or restored here, or its log was verified with the founder's key that a person gave.
  func noteTrusted(at path: String) { _ = trusted.withLock { $0.insert(Self.absolute(path)) } }

  /// Whether this process, or an earlier one of this user, noted that of the vault in the folder `path`. Nothing is
  /// known of any other vault but what its own log says, however often it was looked at.
  func isTrusted(at path: String) async throws -> Bool {
    let place = Self.absolute(path)
    if trusted.withLock({ $0.contains(place) }) { return true }
    guard let opened = opened.withLock({ $0[place] }) else { return false }
    let (id, seen) = try await opened.newest()
    return opened.known.isTrusted(seen, of: id)
  }

  /// Takes the vault in the folder `path` as what is to be remembered: it was made or restored just now.
  func adopt(_ store: any Store, at path: String, with known: KnownVaults?) {
    guard let known else { return }
    let adopted = Opened(vault: LockedVault(store), known: known, seen: nil, isAccepted: true, kept: nil)
    opened.withLock { $0[Self.absolute(path)] = adopted }
    noteTrusted(at: path)
  }

  /// The absolute paths of the other folders where the vault in the folder `path` was seen and where a vault still is.
  func otherPlaces(of vault: Identifier, at path: String, with known: KnownVaults) -> [String] {
    known.places(of: vault, but: Self.absolute(path))
  }

  /// What the vault in `store` lacks of what was seen before, of it or of the vault whose place it would take; nil if
  /// nothing. `place` is the absolute path it is to have. The error's code is `foundedByAnother` if it is another vault
  /// under the same identifier.
  func loss(of store: any Store, at place: String, with known: KnownVaults) async throws -> VaultError? {
    do {
      _ = try await Self.compared(store, at: place, with: known)
      return nil
    } catch let error as VaultError where [.rolledBack, .foundedByAnother].contains(error.code) {
      return error
    }
  }

  private static func compared(
    _ store: any Store, at place: String, with known: KnownVaults, _ verified: SeenLog? = nil
  ) async throws -> Opened {
    // Read before the vault is looked at: what other runs commit and remember meanwhile only makes its log longer.
    let before = try known.vault(at: place)
    let id = try await store.read { try VaultView.unverified(in: $0) }
    var found: [String] = []
    if let before, before != id {
      found.append("another vault is at \(Name.printable(place)): found \(id), expected \(before)")
    }
    let seen = try known.log(of: id)
    let vault = LockedVault(store, after: verified ?? seen)
    do {
      try await vault.read { view in
        // What was verified may be older than what another run has remembered since. The log as it is now must extend
        // both.
        if verified != nil, let seen { try view.requireExtension(of: seen) }
      }
    } catch let error as VaultError where error.code == .rolledBack { found.append(error.description) }
    // Both go into one error: a person who accepts the vault must have been told of both.
    guard found.isEmpty else {
      let others = known.places(of: id, but: place).map { Name.printable($0) }
      if !others.isEmpty {
        found.append("this vault is also at \(others.joined(separator: ", ")), where it may have been changed since")
      }
      throw VaultError(.rolledBack, found.joined(separator: "; and "))
    }
    return Opened(
      vault: vault, id: id, known: known, seen: seen, isAccepted: false, kept: before == id ? seen?.checkpoint : nil)
  }

  /// Keeps what this process has seen of each vault. Throws `rolledBack` if a vault's history differs from what another
  /// run has seen meanwhile.
  func remember() async throws {
    for (place, opened) in opened.withLock({ $0 }) {
      let (id, seen) = try await opened.newest()
      do {
        var extended = opened.seen
        while seen.checkpoint != opened.kept,
          try !opened.known.remember(seen, of: id, at: place, extending: extended, isAccepted: opened.isAccepted)
        {
          // Another run has kept something since. It must be of the same history.
          guard let other = try opened.known.log(of: id) else { continue }
          try await opened.vault.read { try $0.requireSameHistory(as: other) }
          extended = other
        }
        if trusted.withLock({ $0.contains(place) }) { try opened.known.trust(seen, of: id) }
      } catch let error as VaultError where error.code == .cannotWrite {
        Diagnostics.standard.warning("what was seen of the vault could not be remembered: \(error)")
      }
    }
  }

  /// The path with symbolic links resolved, so that one folder has one name.
  private static func absolute(_ path: String) -> String {
    guard let resolved = realpath(path, nil) else { return path }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
