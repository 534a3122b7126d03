import Audit
import Synchronization

/// A line at the bottom of the terminal that shows how far many runs have come. Lines printed meanwhile appear above
/// it.
final class ProgressBar: Sendable {
  private struct State {
    let total: Int
    var done = 0
    var failed = 0
    var latest = ""
    var isShown = false
    var hasEnded = false
    var drawn: Timestamp?
  }

  private let stream: StandardStream
  private let state: Mutex<State>

  /// Nil if nobody watches, or the terminal cannot rewrite a line.
  init?(total: Int, on stream: StandardStream = .error) {
    guard stream.isTerminal, !stream.isDumb else { return nil }
    self.stream = stream
    state = Mutex(State(total: total))
  }

  /// Shows what happened last. `Diagnostics.printable` is applied here: names come from files.
  func note(_ text: String) {
    state.withLock { state in
      state.latest = Diagnostics.printable(text)
      // Hundreds of steps a second would only flicker.
      let now = WallClock.now()
      if let drawn = state.drawn, drawn <= now, now - drawn < .milliseconds(50) { return }
      state.drawn = now
      draw(&state)
    }
  }

  /// Counts one run that ended.
  func count(failed: Bool) {
    state.withLock { state in
      state.done += 1
      if failed { state.failed += 1 }
      draw(&state)
    }
  }

  /// Runs `print` with the line out of the way.
  func aside<Failure: Error>(_ print: () throws(Failure) -> Void) throws(Failure) {
    try state.withLock { state throws(Failure) in
      clear(&state)
      defer { draw(&state) }
      try print()
    }
  }

  /// Removes the line for good; nothing draws it again.
  func end() {
    state.withLock { state in
      clear(&state)
      state.hasEnded = true
    }
  }

  private func clear(_ state: inout State) {
    guard state.isShown else { return }
    try? stream.write("\r\u{1B}[K")
    state.isShown = false
  }

  private func draw(_ state: inout State) {
    guard !state.hasEnded else { return }
    try? stream.write(
      "\r\u{1B}[K" + Self.line(state.done, of: state.total, failed: state.failed, state.latest, stream.columns))
    state.isShown = true
  }

  /// The line, at most `width` columns less one: a full line would wrap.
  static func line(_ done: Int, of total: Int, failed: Int, _ latest: String, _ width: Int) -> String {
    let cells = 20
    let filled = total > 0 ? cells * done / total : cells
    var line = "[" + String(repeating: "#", count: filled) + String(repeating: "-", count: cells - filled) + "]"
    line += " \(done)/\(total)"
    if failed > 0 { line += "  \(failed) failed" }
    if !latest.isEmpty { line += "  \(latest)" }
    return String(line.prefix(max(0, width - 1)))
  }
}
