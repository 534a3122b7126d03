import Glibc

/// Tells a person who interrupts a run how to go on. It names the same command again because no other one begins what
/// the run had not come to, except for leaks that are noted.
enum InterruptionNote {
  /// Prints the note when SIGINT arrives, unless that is ignored. The process still ends by the signal.
  /// `areNoted` says that it is about leaks, all of which are noted.
  static func install(areNoted: Bool) {
    install(
      areNoted
        ? .calling { number in
          InterruptionNote.end(
            "\nrelatch: interrupted; the leaks are noted, and nothing that was begun is lost: `relatch resume` continues\n",
            number)
        }
        : .calling { number in
          InterruptionNote.end(
            "\nrelatch: interrupted; nothing that was begun is lost: the same command continues it\n", number)
        })
  }

  /// The same while a handoff is imported. An import is not done twice, so the note names other commands.
  static func installForImported() {
    install(
      .calling { number in
        InterruptionNote.end(
          """

          relatch: interrupted; it is imported, and nothing that was begun is lost: `relatch rotate NAME` continues, and \
          `relatch retire NAME` ends the sender's pair

          """, number)
      })
  }

  private static func install(_ action: SignalAction) {
    if !SignalAction.current(of: SIGINT).isIgnored { action.install(for: SIGINT) }
  }

  /// Writes only constant bytes: a handler may run in the middle of anything.
  private static func end(_ text: StaticString, _ number: Int32) {
    _ = Glibc.write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
    signal(number, SIG_DFL)
    // The signal stays blocked until the handler returns.
    raise(number)
  }
}
