import Glibc
import Vault

/// Disk space that only a revocation uses: a file without content in the vault's folder, which is given up when the
/// disk is full, so that ending a leak and writing its entries still fit.
struct SpaceReserve {
  /// Many times what one revocation needs, including SQLite's log and index: see docs/leak.md.
  static let bytes: UInt64 = 1 << 20
  /// With less free space than this, none is set aside.
  private static let plenty: UInt64 = 16 * bytes
  /// With less free space than this, there may not be enough for a revocation.
  private static let scarce: UInt64 = 4 * bytes

  private let places: Places
  private var path: String { places.vault + "/reserve" }

  init(_ places: Places) { self.places = places }

  /// Sets the space aside if that has not been done and the disk has plenty. A failure is not reported: the space is
  /// missing as before.
  func keep() {
    var status = stat()
    if stat(path, &status) == 0, status.st_size == Int(Self.bytes) { return }
    guard access(places.vault, W_OK | X_OK) == 0, let free = VaultFolder.freeBytes(places), free >= Self.plenty else {
      return
    }
    // Root makes it only in a folder that root owns: in another user's folder a file of root's would be in the way.
    // That user's next run sets it aside.
    guard geteuid() != 0 || stat(places.vault, &status) == 0 && status.st_uid == 0 else { return }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    // Allocates blocks instead of a hole. If the file system cannot promise them, there is no reserve.
    if posix_fallocate(descriptor, 0, off_t(Self.bytes)) != 0 { unlink(path) }
  }

  /// Gives the space up if the disk has little left. Returns whether it did.
  @discardableResult
  func releaseIfScarce() -> Bool {
    guard let free = VaultFolder.freeBytes(places), free < Self.scarce else { return false }
    return unlink(path) == 0
  }
}
