import Glibc

/// The room that a vault has to write in.
enum VaultFolder {
  /// Whether this process may write the folder and the database in it, and the file system lets it.
  static func isWritable(_ places: Places) -> Bool {
    access(places.vault, W_OK | X_OK) == 0 && access(places.database, W_OK) == 0
  }

  /// How many bytes are free for this user where the vault lies; nil if the system does not tell.
  static func freeBytes(_ places: Places) -> UInt64? {
    var status = statvfs()
    guard statvfs(places.vault, &status) == 0 else { return nil }
    let (bytes, overflows) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
    return overflows ? .max : bytes
  }
}
