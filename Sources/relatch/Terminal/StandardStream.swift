import Glibc
import Vault

/// Standard output or standard error, written with `write(2)`: bytes from guarded memory go to the kernel without
/// passing through a `String` or a buffer, and a write that fails is an error, not a crash.
struct StandardStream: Sendable {
  static let output = StandardStream(descriptor: STDOUT_FILENO, name: "standard output")
  static let error = StandardStream(descriptor: STDERR_FILENO, name: "standard error")

  let descriptor: Int32
  let name: String

  /// Whether a person may be reading.
  var isTerminal: Bool { isatty(descriptor) == 1 }

  /// Whether to write colours: to a terminal that has them, unless `NO_COLOR` says otherwise (https://no-color.org).
  var hasColor: Bool {
    isTerminal && Self.variable("NO_COLOR").isEmpty && !isDumb
  }

  /// Whether the terminal can do no more than print.
  var isDumb: Bool { ["", "dumb"].contains(Self.variable("TERM")) }

  /// How wide the terminal is; 80 if it does not say.
  var columns: Int {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  /// Writes all of `bytes`. Throws at the first refusal; a part may have been written.
  func write(_ bytes: RawSpan) throws(StreamError) {
    let number = bytes.withUnsafeBytes { writeAll($0) }
    guard number == 0 else { throw StreamError(number: number, stream: name) }
  }

  /// Writes `text` as it is. Never for secrets: a `String` is copied about and never wiped.
  func write(_ text: String) throws(StreamError) {
    var text = text
    let number = text.withUTF8 { writeAll(UnsafeRawBufferPointer($0)) }
    guard number == 0 else { throw StreamError(number: number, stream: name) }
  }

  /// 0, or errno.
  private func writeAll(_ bytes: UnsafeRawBufferPointer) -> Int32 {
    var rest = bytes[...]
    while !rest.isEmpty {
      let piece = UnsafeRawBufferPointer(rebasing: rest)
      let count = Glibc.write(descriptor, piece.baseAddress, piece.count)
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        // Another program made the terminal or pipe that we share with it non-blocking.
        var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        poll(&room, 1, -1)
      } else if errno != EINTR {
        return errno
      }
    }
    return 0
  }

  private static func variable(_ name: String) -> String { getenv(name).map { String(cString: $0) } ?? "" }
}

/// A standard stream that does not take what is written to it.
struct StreamError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kernel's errno.
  let number: Int32
  let stream: String

  /// Whether the stream's reader has gone away, as `head` does: seldom worth a message.
  var isReaderGone: Bool { number == EPIPE }

  var exitCode: ExitCode { .cannotWrite }

  var description: String { "cannot write \(stream): \(Errno.text(number))" }
}
