import Glibc

/// What a person who interrupts a run is told: how it is gone on with. What no run had come to is not begun by any other command.
enum InterruptionNote {
  /// Says so from now on, where the signal is not ignored. The process ends by it as before.
  static func install() {
    install(
      .calling { number in
        let text: StaticString = "\nrelatch: interrupted; nothing that was begun is lost: the same command goes on\n"
        InterruptionNote.end(text, number)
      })
  }

  /// The same, where what came by a handoff is imported, which is not done twice.
  static func installForImported() {
    install(
      .calling { number in
        InterruptionNote.end(
          """

          relatch: interrupted; it is imported, and nothing that was begun is lost: `relatch rotate NAME` goes on, and \
          `relatch retire NAME` ends the sender's pair

          """, number)
      })
  }

  private static func install(_ action: SignalAction) {
    if !SignalAction.current(of: SIGINT).isIgnored { action.install(for: SIGINT) }
  }

  /// Constant bytes: a handler may run in the middle of anything.
  private static func end(_ text: StaticString, _ number: Int32) {
    _ = Glibc.write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
    signal(number, SIG_DFL)
    // Blocked until the handler returns.
    raise(number)
  }
}
