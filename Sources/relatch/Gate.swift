import Synchronization

/// A gate that opens once. Whoever waits at it goes on then, and waits no longer than a moment.
final class Gate: Sendable {
  private struct State {
    var isOpen = false
    var waiting: CheckedContinuation<Void, Never>?
  }

  private let state = Mutex(State())

  func open() {
    let waiting = state.withLock { state in
      defer { state.waiting = nil }
      state.isOpen = true
      return state.waiting
    }
    waiting?.resume()
  }

  /// Returns when the gate is open; opens it after `moment` if nobody else has. Only one caller may wait.
  func pass(orAfter moment: Duration) async {
    let timer = Task {
      try await WallClock.sleep(moment)
      open()
    }
    await withCheckedContinuation { continuation in
      let isOpen = state.withLock { state in
        if !state.isOpen { state.waiting = continuation }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
    timer.cancel()
  }
}
