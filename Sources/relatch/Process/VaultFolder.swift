import Glibc
import Vault

/// What the file system says about a vault's folder: who may write to it, and how much space is free.
enum VaultFolder {
  /// Whether this process may write to the folder and to its database, and the file system allows it.
  static func isWritable(_ places: Places) -> Bool {
    access(places.vault, W_OK | X_OK) == 0 && access(places.database, W_OK) == 0
  }

  /// Which of the folder, its database and the folder of what is remembered everybody may write to. Anyone who writes
  /// there can damage the vault, hold it up, or make an older copy of it seem the newest.
  static func openToAll(_ places: Places) -> [String] {
    ([places.vault, places.database] + [places.stateFolder].compactMap(\.self)).filter { path in
      var information = stat()
      return stat(path, &information) == 0 && information.st_mode & S_IWOTH != 0
    }
  }

  /// Takes all rights on the folder of a new vault from others than its owner and group, if this user may: it may have
  /// been there before. What the group may do is left as it was decided, and so is a folder that holds other things.
  static func closeToOthers(_ places: Places) {
    var information = stat()
    guard stat(places.vault, &information) == 0, information.st_mode & S_IRWXO != 0,
      let names = try? PrivateFile.names(in: places.vault),
      names.allSatisfy({ $0 == "keys" || $0.hasPrefix("vault.db") })
    else { return }
    _ = chmod(places.vault, information.st_mode & 0o7770)
  }

  /// The same in words for a person; nil if there is none.
  static func trouble(_ places: Places) -> (text: String, hint: String)? {
    let open = openToAll(places).map { Name.printable($0) }.joined(separator: " and ")
    return open.isEmpty ? nil : ("everybody may write to \(open)", "take that right from others: chmod o-w \(open)")
  }

  /// Fails with `notPermitted` if root is about to make a vault at `path` in another user's folder: that user could not
  /// use it.
  static func requireOwn(_ path: String) throws {
    guard geteuid() == 0 else { return }
    var (folder, place) = (stat(), path)
    while stat(place, &folder) != 0 {
      guard let end = place.lastIndex(of: "/"), end > place.startIndex else { return }
      place = String(place[..<end])
    }
    guard folder.st_uid != 0 else { return }
    throw Failure(
      .notPermitted,
      "the folder \(Name.printable(place)) belongs to user \(folder.st_uid), who could not use a vault that root makes there",
      hint: "run it as that user (`runuser -u USER -- relatch …`), or name another place: --vault DIR")
  }

  /// How many bytes are free for this user on the vault's file system; nil if the system does not say.
  static func freeBytes(_ places: Places) -> UInt64? {
    var status = statvfs()
    guard statvfs(places.vault, &status) == 0 else { return nil }
    let (bytes, overflows) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
    return overflows ? .max : bytes
  }
}
