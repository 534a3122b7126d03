import Glibc
import Vault

/// A temporary file without a name, for data that is made faster than it is taken. It disappears with this value, or
/// with the process.
final class UnnamedTemporaryFile: Sendable {
  private let descriptor: Int32

  /// Makes it in the folder `TMPDIR`, or in `/tmp`. Throws `cannotWrite`.
  init() throws {
    let folder = ProcessEnvironment.value(of: "TMPDIR") ?? "/tmp"
    descriptor = try PrivateFile.createUnnamed(in: folder)
  }

  deinit { close(descriptor) }

  func write(_ bytes: RawSpan) throws { try PrivateFile.writeAll(descriptor, bytes, "a temporary file") }

  /// Hands over everything that was written, piece by piece.
  ///
  /// Never inlined: inlining it into an asynchronous caller crashes the optimizing compiler (Swift 6.3.1).
  @inline(never)
  func hand(_ body: (RawSpan) throws -> Void) throws {
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    var offset = 0
    while true {
      let count = piece.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, offset) }
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else {
        throw VaultError(.cannotRead, "a temporary file cannot be read: \(Errno.text)")
      }
      if count == 0 { return }
      try body(piece.span.extracting(first: count).bytes)
      offset += count
    }
  }
}
