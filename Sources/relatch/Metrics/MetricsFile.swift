import Glibc
import Vault

/// A file that is written again and again while a collector reads it: always whole, and readable by others.
enum MetricsFile {
  /// Replaces the file at `path` with `text`, mode 0644. Both it and its folder are durable when this returns. A reader
  /// sees the old text or the new, never a part.
  ///
  /// Throws `Failure` with `cannotWrite`. The old file then stays, unless only the folder could not be made durable.
  /// Never replaces anything but a regular file that is empty or begins as metrics do: `usage`.
  static func write(_ text: String, to path: String) throws(Failure) {
    var information = stat()
    if lstat(path, &information) == 0 {
      guard information.st_mode & S_IFMT == S_IFREG else { throw refusal(path, "it exists and is not a regular file") }
      guard try isReplaceable(path) else {
        throw Failure(
          .usage, "cannot write the metrics to \(Diagnostics.printable(path)): it exists and has no metrics",
          hint: "name a file that does not exist, or one with metrics")
      }
    }
    // Nothing in it is secret, and the collector is another user. One that takes `*.prom` ignores the name that the file
    // has until it is whole.
    let bytes = Array(text.utf8)
    do { try PrivateFile.replace(path, bytes.span.bytes, mode: 0o644, isDurable: true) } catch {
      throw Failure(.cannotWrite, "the metrics: \(error)", hint: Self.hint)
    }
  }

  private static func isReplaceable(_ path: String) throws(Failure) -> Bool {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { throw refusal(path) }
    defer { close(descriptor) }
    let mark = Array("# HELP ".utf8)
    var bytes = [UInt8](repeating: 0, count: mark.count)
    let count = read(descriptor, &bytes, bytes.count)
    guard count >= 0 else { throw refusal(path) }
    return count == 0 || bytes == mark
  }

  private static func refusal(_ path: String, _ reason: String? = nil) -> Failure {
    let reason = reason ?? Errno.text
    return Failure(
      .cannotWrite, "cannot write the metrics to \(Diagnostics.printable(path)): \(reason)", hint: hint)
  }

  private static let hint = "name a file in a folder that you can write to, on a disk with free space"
}
