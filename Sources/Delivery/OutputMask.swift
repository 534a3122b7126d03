import CSystem
import Glibc
import Rotation
import Sodium
import Synchronization
package import Vault

/// Passes on a program's output, with every part of every known pair masked, even if it comes in pieces.
///
/// A separate thread reads and writes, so that neither a program that says nothing nor a reader that takes nothing
/// delays anything else. What may be the beginning of a secret is held back until that is known.
package final class OutputMask: Sendable {
  private let commands: CommandPipe
  private let done: Int32
  private let failure = Failure()

  /// Why something could not be passed on: an error number, 0 for nothing.
  private final class Failure: Sendable {
    let number = Mutex<Int32>(0)
  }

  /// How many bytes are still passed on after the program's end: output that others leave in the pipe must not hold us
  /// for ever.
  private static let maximumAfterExit = 1 << 20

  /// Passes on what comes from `input` to `output`. Closes `input` when it ends, but not `output`. If nothing has come
  /// for `pause`, up to three characters that may be the beginning of a secret are passed on as well.
  ///
  /// Throws `cannotStart`, or `SodiumError` if there is no memory for the masking; `input` is then unchanged.
  package init(from input: Int32, to output: Int32, masking pairs: [Pair], pause: Duration) throws {
    let capture = try OutputCapture(masking: pairs)
    let commands = try CommandPipe()
    var ends: [Int32] = [-1, -1]
    guard csystem_pipe(&ends) == 0 else { throw DeliveryError(.cannotStart, "no pipe to the program: \(Errno.text)") }
    (self.commands, done) = (commands, ends[0])
    let finished = ends[1]
    let failure = failure
    let isStarted = Thread.start {
      var passing = Passing(input: input, output: output, commands: commands, capture: capture, pause: pause)
      passing.failure = failure
      passing.run()
      close(input)
      close(finished)
    }
    guard isStarted else {
      close(finished)
      throw DeliveryError(.cannotStart, "there is no thread to mask what the program says")
    }
  }

  deinit { close(done) }

  /// Says that the program has ended, and waits until everything it said before is passed on. Returns false if that
  /// takes longer than `milliseconds`; then it may be called again. It does not wait for other processes that still
  /// hold the pipe.
  package func finish(within milliseconds: Int32) -> Bool {
    commands.send(.ended)
    var source = pollfd(fd: done, events: Int16(POLLIN), revents: 0)
    return poll(&source, 1, milliseconds) > 0
  }

  /// Why part of the output could not be passed on; nil if all of it was, or if its reader had gone away, which is the
  /// reader's affair. To be read after `finish`.
  package var lost: String? {
    let number = failure.number.withLock { $0 }
    return number == 0 ? nil : Errno.text(number)
  }

  private struct Passing {
    let input: Int32
    let output: Int32
    let commands: CommandPipe
    var capture: OutputCapture
    let pause: Int32
    var failure: Failure?
    private var isOver = false

    init(input: Int32, output: Int32, commands: CommandPipe, capture: OutputCapture, pause: Duration) {
      self.input = input
      self.output = output
      self.commands = commands
      self.capture = capture
      self.pause = Int32(clamping: Int64(pause / .milliseconds(1)))
    }

    /// An error of our own ends it as well: what cannot be masked is not passed on, and the program finds its output
    /// closed.
    mutating func run() {
      var hasPaused = true
      while !isOver {
        var sources = [
          pollfd(fd: input, events: Int16(POLLIN), revents: 0),
          pollfd(fd: commands.readEnd, events: Int16(POLLIN), revents: 0),
        ]
        let count = poll(&sources, nfds_t(sources.count), hasPaused ? -1 : pause)
        guard count >= 0 || errno == EINTR else { return }
        hasPaused = count == 0
        if hasPaused {
          capture.showBeginning()
          write(capture.passOn())
        } else if sources[0].revents != 0 {
          guard (try? pass()) != nil else {
            failure?.number.withLock { $0 = ENOMEM }
            return
          }
        } else if sources[1].revents != 0 {
          return drain()
        }
      }
    }

    private mutating func drain() {
      _ = fcntl(input, F_SETFL, O_NONBLOCK)
      var total = 0
      while !isOver, total < OutputMask.maximumAfterExit, let count = try? pass(), count > 0 { total += count }
      if !isOver, let rest = try? capture.finish() { write(rest) }
    }

    /// Passes on one piece, and returns how much was read.
    private mutating func pass() throws -> Int {
      let piece = try SecretBytes(capacity: 1 << 14) { bytes in
        bytes.withUnsafeMutableBytes { buffer, initialized in
          let count = read(input, buffer.baseAddress, buffer.count)
          initialized = max(0, count)
          isOver = count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)
        }
      }
      try piece.withUnsafeBytes { try capture.take($0) }
      write(isOver ? try capture.finish() : capture.passOn())
      return piece.count
    }

    /// If the reader has gone away this ends, and the program finds its output closed, as it would without the mask.
    private mutating func write(_ bytes: [UInt8]) {
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.write(output, $0.baseAddress, $0.count) }
        if count >= 0 {
          rest = rest.dropFirst(count)
        } else if errno == EAGAIN {
          var room = pollfd(fd: output, events: Int16(POLLOUT), revents: 0)
          poll(&room, 1, -1)
        } else if errno != EINTR {
          let number = errno
          if number != EPIPE { failure?.number.withLock { $0 = number } }
          isOver = true
          return
        }
      }
    }
  }
}
