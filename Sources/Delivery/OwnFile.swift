import Glibc
package import Rotation
import Vault

/// A file that may decide what is done here: nobody but root and this user could have written it, or put it where it
/// is.
package struct OwnFile {
  /// Absolute.
  let path: String

  /// The file at the absolute `path`, which need not exist.
  package init(_ path: String) { self.path = path }

  /// Reads the file; nil if there is none. The file that was checked is the one that is read, even if its path is
  /// replaced meanwhile.
  ///
  /// Throws `unusable` if another user could have written it, or if it is not an ordinary file, is larger than `limit`
  /// bytes, or cannot be read.
  package func read(limit: Int) throws(DeliveryError) -> [UInt8]? {
    guard PrivateFile.exists(path) else { return nil }
    let file = try TrustedFile(path, refusal)
    let (descriptor, found) = try file.openRegular(refusal)
    defer { close(descriptor) }
    guard found.st_uid == geteuid() || found.st_uid == 0, found.st_mode & (S_IWGRP | S_IWOTH) == 0 else {
      throw DeliveryError(
        .unusable, "\(Name.printable(path)) can be written by others",
        hint: "check what is in it; then make it yours or root's, and chmod go-w")
    }
    do { return try PrivateFile.readAllPublic(descriptor, limit: limit, path) } catch {
      throw DeliveryError(.unusable, "\(error)", hint: "make it a file of yours, in a folder of yours")
    }
  }

  /// Throws `unusable` unless its folder exists, and nobody but root and this user decided which one it is.
  package func requireFolder() throws(DeliveryError) { _ = try TrustedFolder(TrustedFolder.split(path).folder) }

  private func refusal(_ found: String) -> DeliveryError {
    DeliveryError(
      .unusable, "\(Name.printable(path)) \(found)", hint: "make it a file of yours, in a folder of yours")
  }
}
