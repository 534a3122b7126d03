import Glibc

/// What a person who interrupts a run is told: how it is gone on with. What no run had come to is not begun by any other command.
enum InterruptionNote {
  /// Says so from now on, where the signal is not ignored. The process ends by it as before.
  static func install() {
    guard !SignalAction.current(of: SIGINT).isIgnored else { return }
    SignalAction.calling { number in
      // Constant bytes: a handler may run in the middle of anything.
      let text: StaticString = "\nrelatch: interrupted; nothing that was begun is lost: the same command goes on\n"
      _ = Glibc.write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
      signal(number, SIG_DFL)
      // Blocked until the handler returns.
      raise(number)
    }.install(for: SIGINT)
  }
}
