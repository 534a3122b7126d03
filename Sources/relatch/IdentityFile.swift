import Age
import Audit
import JSON
import Sodium
import Vault

/// The file with the identity that acts: an age identity file, or one sealed with a passphrase.
struct IdentityFile {
  let path: String
  let passphrase: Passphrase
  /// Whether the vault that it is to open is there.
  let hasVault: Bool

  /// Reads the identity. A sealed one needs its passphrase, unless `unlock` keeps it open.
  func open() throws -> Identity {
    let file = try read()
    let left = PrivateFile.unfinished(PrivateFile.resolved(path))
    if PrivateFile.exists(left) {
      Diagnostics.standard.warning(
        "an interrupted `relatch identity protect` has left the key in \(Name.printable(left)), perhaps open: run it again,"
          + " which wipes and removes that")
    }
    guard try AgeFile.kind(of: file.bytes) == .passphrase, !passphrase.isHandedOver else {
      return try openAge(file).identity
    }
    if let kept = try (try? SessionKeyring())?.secret(Self.keyringName(of: file)) {
      return try decode(kept).identity
    }
    return try openAge(file).identity
  }

  /// What an identity file holds.
  private struct Content {
    let age: AgeIdentity
    let name: String?

    var identity: Identity { get throws { try Identity(age, name: name) } }

    /// The same identity under `name`, if that is given.
    func named(_ name: String?) -> Content { Content(age: age, name: name ?? self.name) }
  }

  /// The identity, if it can be opened without asking anybody; otherwise nil. Throws as `open` does if a passphrase was
  /// handed over for it.
  func openWithoutAsking() throws -> Identity? {
    if passphrase.isHandedOver { return try open() }
    guard let file = try? read() else { return nil }
    if (try? AgeFile.kind(of: file.bytes)) == .passphrase, !passphrase.isAtHand {
      guard let kept = try? (try? SessionKeyring())?.secret(Self.keyringName(of: file)), kept.count > 0 else {
        return nil
      }
    }
    return try? open()
  }

  private func read() throws -> SecretBytes {
    do { return try PrivateFile.read(path) } catch let error as VaultError where error.code == .notFound {
      throw Failure(
        .notFound, "there is no identity: \(error)",
        hint: hasVault
          ? "only an identity that is a member's opens the vault: put its copy back there, or name it with --identity FILE"
            + " or RELATCH_IDENTITY; who is to become a member makes one with `relatch identity new`"
          : "`relatch init` or `relatch identity new` makes one; --identity FILE or RELATCH_IDENTITY names another")
    }
  }

  private func openAge(_ file: borrowing SecretBytes) throws -> Content {
    if try AgeFile.kind(of: file.bytes) == .passphrase {
      let typed = try passphrase.unlocking("the identity \(path)")
      return try openAge(file, by: typed)
    }
    guard !file.withUnsafeBytes({ $0.starts(with: #"{"age":"#.utf8) }) else {
      throw Failure(
        .usage, "\(Name.printable(path)) is a card, not an identity",
        hint: "--identity names the file that `relatch init` made")
    }
    let identity = try decode(file)
    // Warned about only once it is known to be an identity: a file named by mistake may have to be readable.
    if PrivateFile.isOpenToOthers(path), !isServiceCredential {
      Diagnostics.standard.warning("others can read the identity \(Name.printable(path)): chmod 600 it")
    }
    return identity
  }

  private func openAge(_ file: borrowing SecretBytes, by typed: borrowing SecretBytes) throws -> Content {
    do {
      let opened = try AgeFile.open(file.bytes, passphrase: typed.bytes)
      return try decode(opened)
    } catch let error as AgeError where error.code == .wrongPassphrase {
      let isMarked = typed.withUnsafeBytes { $0.last == 0x0D || $0.starts(with: [0xEF, 0xBB, 0xBF]) }
      let hint =
        isMarked
        ? "it ends with a carriage return or begins with a byte order mark: save its file as plain UTF-8, with line feeds"
        : "hand over this identity's passphrase, on a line of its own"
      throw Failure(
        .notPermitted, "the passphrase does not open the identity \(Name.printable(path))",
        hint: passphrase.isAtHand ? hint : "run the command again and type the passphrase")
    }
  }

  /// Whether systemd put the file there for this service only. Its group bits are then the mask of an access control
  /// list and give nobody a permission (https://systemd.io/CREDENTIALS).
  private var isServiceCredential: Bool {
    guard let folder = ProcessEnvironment.value(of: "CREDENTIALS_DIRECTORY") else { return false }
    return path.hasPrefix(folder + "/")
  }

  private func decode(_ file: borrowing SecretBytes) throws -> Content {
    let found: AgeIdentityFile
    do { found = try AgeIdentityFile(decoding: file.bytes) } catch let error as AgeError {
      throw Failure(
        error.code.exitCode, "\(Name.printable(path)) is not an identity: \(error)",
        hint:
          "--identity names the file that `relatch init` made; if it is that file, it is damaged: restore it from a copy"
      )
    }
    guard let first = found.identities.first, found.identities.count == 1 else {
      throw Failure(
        .corruptData, "\(Name.printable(path)) contains \(found.identities.count) identities, expected one",
        hint: "keep each identity in a file of its own")
    }
    // A comment that is not a valid member name is only a comment.
    let name = found.name.flatMap { name in (try? Name.check(name, "member name")).map { name } }
    return Content(age: first, name: name)
  }

  /// Makes a new identity there, with `name` on its cards. Throws a failure with `usage` if there is a file already.
  func create(isProtected: Bool, named name: String? = nil) throws -> Identity {
    if let name { try Name.check(name, "member name") }
    let new = Content(age: try AgeIdentity(generating: .system), name: name)
    let content: SecretBytes
    do { content = try self.content(new, isProtected: isProtected, "the new identity \(path)") } catch let error
      as PassphraseError where error.code == .noTerminal
    {
      throw Failure(
        .notPermitted, error.description,
        hint: "run it on a terminal, hand the passphrase over with --passphrase-fd, or give --no-passphrase")
    }
    try PrivateFile.createFolder(PrivateFile.folder(of: path))
    do { try PrivateFile.create(path, content.bytes) } catch let error as VaultError
      where error.code == .alreadyExists
    {
      throw Failure(
        .usage, "there is already an identity: \(error)", hint: "--identity FILE or RELATCH_IDENTITY names another file"
      )
    }
    return try new.identity
  }

  /// Seals the identity with a new passphrase, or stores it without one. The old file stays until the new one is
  /// durable, and is then overwritten. Behind a symbolic link the file itself is replaced: if the link were, the old
  /// file would still reveal the key.
  ///
  /// Returns what `card` makes of the identity. If `card` throws, nothing is changed.
  func protect(
    isProtected: Bool, named name: String? = nil, telling card: (Identity) throws -> String
  ) throws -> String {
    if let name { try Name.check(name, "member name") }
    let file = try read()
    let what = "the identity \(path)"
    guard isProtected, try AgeFile.kind(of: file.bytes) == .passphrase else {
      let new = try openAge(file).named(name)
      let told = try card(new.identity)
      let content = try content(new, isProtected: isProtected, what)
      try replace(file, by: content)
      return told
    }
    // Both passphrases are asked for before the first is tried, which takes a second: what is typed meanwhile would be
    // shown and then dropped.
    let old = try passphrase.unlocking(what)
    let next = try passphrase.protecting(what)
    let new = try openAge(file, by: old).named(name)
    let told = try card(new.identity)
    let content = try sealed(new, by: next)
    try replace(file, by: content)
    return told
  }

  /// Replaces `file` with `content` and ends what `unlock` began.
  private func replace(_ file: borrowing SecretBytes, by content: borrowing SecretBytes) throws {
    let name = Self.keyringName(of: file)
    try PrivateFile.replaceSecret(PrivateFile.resolved(path), content.bytes) {
      guard try Self.keyringName(of: read()) == name else {
        throw Failure(
          .heldByAnotherRun, "the identity \(Name.printable(path)) was changed by another command meanwhile",
          hint: "nothing was changed; run it again, with the passphrase that is in use now")
      }
    }
    _ = try? SessionKeyring().end(name)
  }

  // MARK: - Unlocked for a time

  /// Keeps the identity open in the keyring of this login session for `seconds`. Returns false if it has no passphrase.
  /// Throws `notPermitted` if there is no keyring.
  func unlock(seconds: UInt32) throws -> Bool {
    let file = try read()
    guard try AgeFile.kind(of: file.bytes) == .passphrase else { return false }
    let keyring = try Self.keyring()
    // With its name, which is on its cards.
    let text = try text(of: openAge(file))
    do { try keyring.keep(text, as: Self.keyringName(of: file), seconds: seconds) } catch { throw Self.failure(error) }
    return true
  }

  /// Ends what `unlock` began. Returns false if it had already ended.
  func lock() throws -> Bool { try Self.keyring().end(Self.keyringName(of: read())) }

  private static func keyring() throws -> SessionKeyring {
    do { return try SessionKeyring() } catch { throw failure(error) }
  }

  private static func failure(_ error: KeyringError) -> Failure {
    Failure(
      .notPermitted, "\(error)",
      hint:
        "type the passphrase for each command, or hand it over with --passphrase-fd; containers often have no keyring"
    )
  }

  /// Names the sealed file by its hash, so that the kept identity opens neither another file in its place nor one
  /// sealed with another passphrase.
  private static func keyringName(of file: borrowing SecretBytes) -> String {
    var digest = SHA256()
    digest.update(file.bytes)
    return "relatch:identity:" + digest.finalize().bytes.hex
  }

  private func content(_ new: Content, isProtected: Bool, _ what: String) throws -> SecretBytes {
    guard isProtected else { return try text(of: new) }
    let passphrase = try passphrase.protecting(what)
    return try sealed(new, by: passphrase)
  }

  private func text(of new: Content) throws -> SecretBytes {
    try AgeIdentityFile(new.age, name: new.name).encoded(created: WallClock.now().description)
  }

  private func sealed(_ new: Content, by passphrase: borrowing SecretBytes) throws -> SecretBytes {
    let file = try text(of: new)
    let sealed = try AgeFile.seal(file.bytes, passphrase: passphrase.bytes, randomness: .system, armored: true)
    return try SecretBytes(copying: sealed.span.bytes)
  }
}

extension Identity {
  /// What others need to seal to the identity and to verify what it signs. Nothing in it is secret.
  func publicCard(named name: String) throws -> JSONValue {
    let card = try card(named: name, role: .operator)
    guard case .object(var members) = card.json else { return card.json }
    // The vault's owner decides which role it has.
    members["role"] = nil
    return .object(members)
  }
}
