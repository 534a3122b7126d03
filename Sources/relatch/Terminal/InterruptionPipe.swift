import CSystem
import Glibc

/// A signal that arrived while a person was typing.
struct Interruption: Error {
  let signal: Int32

  /// Sends the signal to this thread. Returns once the signal has taken effect, if the process is still running then.
  func raise() {
    // Threads that run tasks block signals, and a blocked signal would wait while this one goes on.
    var alone = sigset_t()
    var before = sigset_t()
    sigemptyset(&alone)
    sigaddset(&alone, signal)
    pthread_sigmask(SIG_UNBLOCK, &alone, &before)
    Glibc.raise(signal)
    pthread_sigmask(SIG_SETMASK, &before, nil)
  }
}

/// Turns the signals that end or stop a program into input as long as it exists, so that the terminal's echo can be
/// restored first. A signal may hit any thread, hence a pipe and not an interrupted `read`.
struct InterruptionPipe {
  private static let signals = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP]

  private let readEnd: Int32
  private let replaced: [(signal: Int32, action: SignalAction)]

  /// One pipe for the whole process, never closed: a handler in another thread may still write to it.
  private static let ends: (read: Int32, write: Int32)? = {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return nil }
    for end in ends {
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      // A handler must never wait.
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
    return (ends[0], ends[1])
  }()

  init() throws {
    guard let ends = Self.ends else { throw PassphraseError(.noTerminal, "cannot watch for signals: there is no pipe") }
    readEnd = ends.read
    // Signals that arrived after the previous one was closed do not concern this one.
    var byte: UInt8 = 0
    while read(readEnd, &byte, 1) == 1 {}
    csystem_report_signals_to(ends.write)
    var replaced: [(signal: Int32, action: SignalAction)] = []
    for signal in Self.signals {
      let action = SignalAction.current(of: signal)
      // What the caller ignores (nohup, a background job) stays ignored.
      if action.isIgnored { continue }
      replaced.append((signal, action))
      SignalAction.calling(csystem_report_signal).install(for: signal)
    }
    self.replaced = replaced
  }

  /// Restores what the signals did before.
  func close() {
    for (signal, action) in replaced { action.install(for: signal) }
    csystem_report_signals_to(-1)
  }

  /// Waits until `descriptor` has something to read. Throws `Interruption` if a signal arrives first.
  func waitForInput(_ descriptor: Int32) throws {
    while true {
      var sources = [
        pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0),
        pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
      ]
      let count = poll(&sources, nfds_t(sources.count), -1)
      var signal: UInt8 = 0
      if read(readEnd, &signal, 1) == 1 { throw Interruption(signal: Int32(signal)) }
      if count > 0 && sources[1].revents != 0 { return }
    }
  }
}
