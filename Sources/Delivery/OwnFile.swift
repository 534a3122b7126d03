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
    let descriptor = openat(
      file.folder.descriptor, file.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw refusal("cannot be read: \(Errno.text)") }
    defer { close(descriptor) }
    var found = stat()
    guard fstat(descriptor, &found) == 0, found.st_mode & S_IFMT == S_IFREG else { throw refusal("is not a file") }
    guard found.st_uid == geteuid() || found.st_uid == 0, found.st_mode & (S_IWGRP | S_IWOTH) == 0 else {
      throw DeliveryError(
        .unusable, "\(Name.printable(path)) can be written by others",
        hint: "check what is in it; then make it yours or root's, and chmod go-w")
    }
    return try read(descriptor, limit)
  }

  private func read(_ descriptor: Int32, _ limit: Int) throws(DeliveryError) -> [UInt8] {
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 12)
    while bytes.count <= limit {
      let count = piece.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw refusal("cannot be read: \(Errno.text)") }
      if count == 0 { return bytes }
      bytes += piece[..<count]
    }
    throw refusal("has more than \(limit) bytes")
  }

  /// Throws `unusable` unless its folder exists, and nobody but root and this user decided which one it is.
  package func requireFolder() throws(DeliveryError) { _ = try TrustedFolder(TrustedFolder.split(path).folder) }

  private func refusal(_ found: String) -> DeliveryError {
    DeliveryError(
      .unusable, "\(Name.printable(path)) \(found)", hint: "make it a file of yours, in a folder of yours")
  }
}
