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
    let vault: LockedVault
    /// Nil where it was not found out yet.
    var id: Identifier?
    let known: KnownVaults
    /// What was remembered of it, which it extends; nil if nothing was.
    let seen: SeenLog?
    /// Whether a person accepted what stands there, whatever was seen before.
    let isAccepted: Bool
    /// The checkpoint that is remembered already, for this very folder.
    let kept: SignedCheckpoint?

    /// Which vault it is, and the newest log that this process has found in it.
    func newest() async throws -> (Identifier, SeenLog) {
      if let id, let seen = vault.seen { return (id, seen) }
      return try await vault.read { ($0.header.id, $0.seenLog) }
    }
  }

  /// By the absolute path of the folder.
  private let opened = Mutex<[String: Opened]>([:])
  /// The folders of those of which more is known now than what their own log says.
  private let trusted = Mutex<Set<String>>([])

  /// The folders of those of which was said that everybody may write there.
  private let warned = Mutex<Set<String>>([])

  private init() {}

  /// Warns once of a vault that everybody may write to.
  func warn(of places: Places) {
    guard let trouble = VaultFolder.trouble(places), warned.withLock({ $0.insert(places.vault).inserted }) else {
      return
    }
    Diagnostics.standard.warning("\(trouble.text): \(trouble.hint)")
  }

  /// The vault in `store`, which lies in the folder `path`. Fails with `rolledBack` unless it is the one that was seen there,
  /// and has not lost anything since. `accept` may throw that error, or take it upon itself; nobody can for one that another founded
  /// (`foundedByAnother`). `verified` is what this process
  /// has gone through of its log.
  func compare(
    _ store: any Store, at path: String, with known: KnownVaults?, verified: SeenLog? = nil,
    accept: (VaultError, LockedVault) async throws -> Void
  ) async throws -> LockedVault {
    guard let known else {
      Diagnostics.standard.warning(
        "neither XDG_STATE_HOME nor HOME is set: an older copy put in the vault's place would not be noticed")
      return LockedVault(store, after: verified)
    }
    let place = Self.absolute(path)
    // Opened again: what stands there now must be what was compared, or have become of it.
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
        hint: "give the file back to the user who runs this (chown), as a run of another user, root for one, made it;"
          + " XDG_STATE_HOME names another place")
    }
    opened.withLock { $0[place] = compared }
    return compared.vault
  }

  /// Whether the log of the vault in the folder `path` is another than this process's user had seen when it was opened here;
  /// true if that is not known.
  func hasGrown(at path: String) -> Bool {
    guard let opened = opened.withLock({ $0[Self.absolute(path)] }) else { return true }
    return opened.vault.seen?.checkpoint != opened.kept
  }

  /// Notes that the vault in the folder `path` is the one that its user means: an identity of one of its members has opened it, it
  /// was made or restored here, or its log was verified with the founder's key that a person gave.
  func noteTrusted(at path: String) { _ = trusted.withLock { $0.insert(Self.absolute(path)) } }

  /// Whether that was noted of the vault in the folder `path`, now or by an earlier process of this user. Of any other one nothing is
  /// known but what its own log says, however often it was looked at.
  func isTrusted(at path: String) async throws -> Bool {
    let place = Self.absolute(path)
    if trusted.withLock({ $0.contains(place) }) { return true }
    guard let opened = opened.withLock({ $0[place] }) else { return false }
    let (id, seen) = try await opened.newest()
    return opened.known.isTrusted(seen, of: id)
  }

  /// Takes what stands in the folder `path` for what is to be remembered of it: the vault was made or restored just now.
  func adopt(_ store: any Store, at path: String, with known: KnownVaults?) {
    guard let known else { return }
    let adopted = Opened(vault: LockedVault(store), known: known, seen: nil, isAccepted: true, kept: nil)
    opened.withLock { $0[Self.absolute(path)] = adopted }
    noteTrusted(at: path)
  }

  /// The other folders, by their absolute paths, in which the vault in the folder `path` was seen and stands still.
  func otherPlaces(of vault: Identifier, at path: String, with known: KnownVaults) -> [String] {
    known.places(of: vault, but: Self.absolute(path))
  }

  /// What the vault in `store`, which is to stand at the absolute path `place`, lacks of what was seen of it, or whose place
  /// it would take; nil if nothing. Of code `foundedByAnother` where it is another vault under the same identifier.
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
    // Before the vault is looked at: what other runs commit and remember meanwhile only makes its log longer.
    let before = try known.vault(at: place)
    let id = try await store.read { try VaultView.unverified(in: $0) }
    var found: [String] = []
    if let before, before != id {
      found.append("another vault stands at \(Name.printable(place)): found \(id), expected \(before)")
    }
    let seen = try known.log(of: id)
    let vault = LockedVault(store, after: verified ?? seen)
    do {
      try await vault.read { view in
        // What was verified may be older than what another run has remembered since: the log as it is now extends both.
        if verified != nil, let seen { try view.requireExtension(of: seen) }
      }
    } catch let error as VaultError where error.code == .rolledBack { found.append(error.description) }
    // A person who accepts one must have been told of both.
    guard found.isEmpty else {
      let others = known.places(of: id, but: place).map { Name.printable($0) }
      if !others.isEmpty {
        found.append("this vault is also at \(others.joined(separator: ", ")), where it may have gone on")
      }
      throw VaultError(.rolledBack, found.joined(separator: "; and "))
    }
    return Opened(
      vault: vault, id: id, known: known, seen: seen, isAccepted: false, kept: before == id ? seen?.checkpoint : nil)
  }

  /// Keeps what this process has seen of each vault. Throws `rolledBack` if one has gone another way than what another run
  /// has seen meanwhile.
  func remember() async throws {
    for (place, opened) in opened.withLock({ $0 }) {
      let (id, seen) = try await opened.newest()
      do {
        var extended = opened.seen
        while seen.checkpoint != opened.kept,
          try !opened.known.remember(seen, of: id, at: place, extending: extended, isAccepted: opened.isAccepted)
        {
          // Another run has kept something since: it must be of the same history.
          guard let other = try opened.known.log(of: id) else { continue }
          try await opened.vault.read { try $0.requireSameHistory(as: other) }
          extended = other
        }
        if trusted.withLock({ $0.contains(place) }) { try opened.known.trust(seen, of: id) }
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
