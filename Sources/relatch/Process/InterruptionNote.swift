import Glibc

/// What a person who interrupts a run is told: that it can be gone on with.
enum InterruptionNote {
  /// Says so from now on, where the signal is not ignored. The process ends by it as before.
  static func install() {
    guard !SignalAction.current(of: SIGINT).isIgnored else { return }
    SignalAction.calling { number in
      // Constant bytes: a handler may run in the middle of anything.
      let text: StaticString = "\nrelatch: interrupted; nothing is lost: `relatch resume` goes on\n"
      _ = Glibc.write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
      signal(number, SIG_DFL)
      // Blocked until the handler returns.
      raise(number)
    }.install(for: SIGINT)
  }
}
