import CSystem
import Glibc
import Vault

/// The signals that concern a program beside this process, as input. A process makes only one of these and keeps it to
/// its end.
struct SignalReports {
  /// The signals that somebody may send for the program, and SIGCHLD. Some supervisors send real-time signals; the C
  /// library keeps the first two of those for itself.
  private static let watched =
    [
      SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT, SIGCHLD, SIGALRM, SIGVTALRM,
      SIGPROF, SIGIO, SIGPWR, SIGURG,
    ] + Array(34...64)

  private let readEnd: Int32

  /// Watches the signals from now on. Those that are ignored stay ignored.
  init() throws {
    var ends: [Int32] = [-1, -1]
    guard csystem_pipe(&ends) == 0 else {
      throw Failure(
        .internalError, "cannot watch for signals: \(Errno.text)",
        hint: "raise the number of files that this process may open (ulimit -n)")
    }
    // A handler must never wait.
    for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
    readEnd = ends[0]
    csystem_report_signals_to(ends[1])
    for signal in Self.watched { _ = csystem_watch_signal(signal) }
  }

  /// The next signal; nil if none arrives for `milliseconds`. -1 waits forever.
  func next(within milliseconds: Int32) -> csystem_signal? {
    var found = csystem_signal()
    while read(readEnd, &found, MemoryLayout<csystem_signal>.size) != MemoryLayout<csystem_signal>.size {
      var source = pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0)
      if poll(&source, 1, milliseconds) == 0 { return nil }
    }
    return found
  }
}

extension csystem_signal {
  /// Whether it asks its receiver to end.
  var asksForEnd: Bool { [SIGHUP, SIGINT, SIGQUIT, SIGTERM].contains(number) }

  /// Whether the program beside this process, in the group of `group`, still needs to be sent the signal.
  func isFor(_ program: Int32, beside group: inout GroupSignals) -> Bool {
    // Ask `group` in any case: what is pending there must not be taken for a signal that comes later.
    guard number != SIGCHLD, !group.has(number) else { return false }
    return isFor(program)
  }

  /// Whether the program beside this process still needs to be sent the signal. The kernel sends a terminal's signals
  /// to both. What the program sends to its whole group is not sent back to it.
  private func isFor(_ program: Int32) -> Bool {
    number != SIGCHLD && code <= 0 && sender != program && sender != getpid()
  }
}
