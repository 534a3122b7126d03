import Glibc
import Vault

/// A file without a name, for what is made faster than it is taken. Gone with this value, or with the process.
final class PassingFile: Sendable {
  private let descriptor: Int32

  /// In the folder of `TMPDIR`, or in `/tmp`. Throws `cannotWrite`.
  init() throws {
    let folder = ProcessEnvironment.value(of: "TMPDIR") ?? "/tmp"
    descriptor = try PrivateFile.createUnnamed(in: folder)
  }

  deinit { close(descriptor) }

  func write(_ bytes: RawSpan) throws { try PrivateFile.writeAll(descriptor, bytes, "a temporary file") }

  /// Hands over all that was written, piece by piece.
  ///
  /// Never inlined: in an asynchronous caller it makes the optimizing compiler crash (Swift 6.3.1).
  @inline(never)
  func hand(_ body: (RawSpan) throws -> Void) throws {
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    var offset = 0
    while true {
      let count = piece.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, offset) }
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else {
        throw VaultError(.cannotRead, "a temporary file cannot be read: \(String(cString: strerror(errno)))")
      }
      if count == 0 { return }
      try body(piece.span.extracting(first: count).bytes)
      offset += count
    }
  }
}
