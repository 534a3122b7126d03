import Glibc
import Sodium
import Vault

/// The folder `keys` of a vault: one small file for the vault key in use and, while that is being renewed, one for the
/// next.
struct KeyFolder: Sendable {
  let path: String

  func file(_ keyID: String) -> String { "\(path)/\(keyID).age" }

  /// The file of the key that `header` names. Throws `MissingVaultKey`, or as `PrivateFile` does.
  func read(_ header: VaultHeader) throws -> [UInt8] {
    let content: SecretBytes
    do { content = try PrivateFile.read(file(header.keyID)) } catch let error as VaultError
      where error.code == .notFound
    {
      throw MissingVaultKey(keyID: header.keyID, description: "the vault key is missing: \(error)")
    }
    return content.withUnsafeBytes { Array($0) }
  }

  /// Writes the file of a new key beside the one in use: durable, with mode 0600 and the folder's owner.
  func keep(_ header: VaultHeader, _ keyFile: [UInt8]) throws {
    try PrivateFile.create(file(header.keyID), keyFile.span.bytes, inheritsOwner: true)
  }

  /// Runs `body` while no other process changes the folder. Afterwards, once the change is durable, removes the key
  /// files that `vault` does not use: a key that was renewed, or what an interrupted attempt left. Never removes a file
  /// that is not a vault key's.
  ///
  /// Throws what `body` throws, and a failure with `heldByAnotherRun` if another process is changing the folder. A file
  /// that cannot be removed is only a warning: its key opens nothing that is still sealed.
  func changing<Result>(_ vault: LockedVault, _ body: () async throws -> Result) async throws -> Result {
    let lock = try lock()
    defer { close(lock) }
    let result = try await body()
    do {
      let used = try await vault.read { $0.header.keyID }
      try sweep(keeping: used)
    } catch { Diagnostics.standard.warning("a key file that is no longer used was not deleted: \(error)") }
    return result
  }

  /// Locks the folder until the descriptor is closed or the process ends. Without it another command could take a key's
  /// file for a leftover before the vault uses that key.
  private func lock() throws -> Int32 {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw VaultError(.cannotRead, "cannot read \(Name.printable(path)): \(Errno.text)")
    }
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      guard errno != EINTR else { continue }
      let isHeld = errno == EWOULDBLOCK
      let reason = Errno.text
      close(descriptor)
      guard isHeld else { throw VaultError(.cannotWrite, "cannot lock \(Name.printable(path)): \(reason)") }
      throw Failure(
        .heldByAnotherRun, "another command is changing who can open the vault",
        hint: "nothing was changed: run the same command again")
    }
    return descriptor
  }

  private func sweep(keeping used: String) throws {
    for name in try PrivateFile.names(in: path) where Self.isKeyFile(name) && name != "\(used).age" {
      guard unlink("\(path)/\(name)") == 0 else { throw VaultError(.cannotWrite, Errno.text) }
    }
  }

  /// Whether `PrivateFile` gives this name to a key's file, or to its temporary file.
  private static func isKeyFile(_ name: String) -> Bool {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard [2, 3].contains(parts.count), parts[1] == "age", parts.count == 2 || parts[2].utf8.count == 6 else {
      return false
    }
    return parts[0].utf8.count == 32
      && parts[0].utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
  }
}

/// The file of the key that a header names is missing.
struct MissingVaultKey: Error {
  let keyID: String
  let description: String
}
