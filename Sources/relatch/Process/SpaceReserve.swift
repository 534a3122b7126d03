import Glibc
import Vault

/// Room on the disk that only a revocation uses: a file in the vault's folder that holds nothing and is given up when the
/// disk is full, so that ending a leak and its entries still fit.
struct SpaceReserve {
  /// What one revocation needs many times over, with SQLite's log and index: see docs/leak.md.
  static let bytes: UInt64 = 1 << 20
  /// A disk with less room than this has none to set aside.
  private static let plenty: UInt64 = 16 * bytes
  /// A disk with less room than this may not have enough.
  private static let scarce: UInt64 = 4 * bytes

  private let places: Places
  private var path: String { places.vault + "/reserve" }

  init(_ places: Places) { self.places = places }

  /// Sets the room aside if it is not, where there is plenty. A failure is nobody's: the room is missing as before.
  func keep() {
    var status = stat()
    if stat(path, &status) == 0, status.st_size == Int(Self.bytes) { return }
    guard access(places.vault, W_OK | X_OK) == 0, let free = VaultFolder.freeBytes(places), free >= Self.plenty else {
      return
    }
    // The next run of whose folder it is sets it aside; of root's making it would be in their way.
    guard geteuid() != 0 || stat(places.vault, &status) == 0 && status.st_uid == 0 else { return }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    // Blocks that are there, not a hole: a file system that cannot promise them is not believed.
    if posix_fallocate(descriptor, 0, off_t(Self.bytes)) != 0 { unlink(path) }
  }

  /// Gives the room up if the disk has little left. Returns whether it did.
  @discardableResult
  func releaseIfScarce() -> Bool {
    guard let free = VaultFolder.freeBytes(places), free < Self.scarce else { return false }
    return unlink(path) == 0
  }
}
