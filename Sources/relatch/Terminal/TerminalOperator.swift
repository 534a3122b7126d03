import Glibc
import Providers
import Rotation
import Sodium
import Synchronization

/// The person at the controlling terminal, for what no token can do. Never reads standard input: a pipe there carries
/// data.
///
/// A person takes time, so each question has a thread of its own and the run keeps its lease meanwhile. One question is
/// asked at a time; those of other runs wait.
final class TerminalOperator: Operator {
  static let shared = TerminalOperator(path: "/dev/tty")
  /// How often a question is asked while the answer is neither yes nor no.
  private static let tries = 5

  private let path: String
  private let turn = Mutex(())

  init(path: String) { self.path = path }

  func confirms(_ lines: [String], _ question: String) async throws(ProviderError) -> Bool {
    try await converse { screen in
      try screen.show(lines)
      for _ in 1...Self.tries {
        let answer = try screen.answer("\(question) [yes/no]", showing: true)
        switch answer.secret.withUnsafeBytes({ String(decoding: $0, as: UTF8.self).lowercased() }) {
        case "yes", "y": return true
        case "no", "n": return false
        default: continue
        }
      }
      return false
    }
  }

  /// Asks once whether to do what cannot be undone: anything but a yes is a no.
  func agrees(_ lines: [String], _ question: String) async throws(ProviderError) -> Bool {
    try await converse { screen in
      try screen.show(lines)
      let answer = try screen.answer("\(question) [y/N]", showing: true)
      return ["y", "yes"].contains(
        answer.secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self).lowercased() })
    }
  }

  func secrets(_ lines: [String], _ prompts: [String]) async throws(ProviderError) -> [SharedSecret] {
    try await converse { screen in
      try screen.show(lines)
      return try prompts.map { try screen.answer($0, showing: false) }
    }
  }

  func tell(_ lines: [String]) async throws(ProviderError) { try await converse { try $0.show(lines) } }

  /// Runs `body` with the terminal, on a thread of its own, when nobody else is using it.
  private func converse<Answer: Sendable>(
    _ body: @escaping @Sendable (Screen) throws -> Answer
  ) async throws(ProviderError) -> Answer {
    let outcome = await withCheckedContinuation {
      (continuation: CheckedContinuation<Result<Answer, any Error>, Never>) in
      let isStarted = OwnThread.start {
        continuation.resume(returning: Result { try self.turn.withLock { _ in try self.open(body) } })
      }
      if !isStarted {
        continuation.resume(returning: .failure(PassphraseError(.noTerminal, "there is no thread to ask at")))
      }
    }
    do { return try outcome.get() } catch {
      throw ProviderError(.operatorNeeded, "a person is needed at a terminal: \(error)")
    }
  }

  private func open<Answer>(_ body: (Screen) throws -> Answer) throws -> Answer {
    let descriptor = Glibc.open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
    guard descriptor >= 0, isatty(descriptor) == 1 else {
      if descriptor >= 0 { close(descriptor) }
      throw PassphraseError(.noTerminal, "there is none")
    }
    defer { close(descriptor) }
    return try body(Screen(descriptor: descriptor))
  }

  /// The terminal while a question is asked.
  private struct Screen {
    let descriptor: Int32
    private var stream: StandardStream { StandardStream(descriptor: descriptor, name: "the terminal") }

    init(descriptor: Int32) { self.descriptor = descriptor }

    func show(_ lines: [String]) throws {
      for line in lines { try stream.write("relatch: \(Diagnostics.printable(line))\n") }
    }

    /// Reads one line. A signal does what it would have done, with the terminal restored; after a stop the question is
    /// asked again.
    func answer(_ prompt: String, showing: Bool) throws -> SharedSecret {
      while true {
        do {
          // What was typed before the question was asked is not an answer to it.
          tcflush(descriptor, TCIFLUSH)
          try stream.write("relatch: \(Diagnostics.printable(prompt)): ")
          let line = try Passphrase.line(typedAt: descriptor, showing: showing)
          if !showing { try stream.write("\n") }
          return SharedSecret(line)
        } catch let interruption as Interruption {
          try stream.write("\n")
          interruption.raise()
          guard interruption.signal == SIGTSTP else {
            throw PassphraseError(.interrupted, "asking for the \(prompt) was interrupted")
          }
        }
      }
    }
  }
}

/// A thread for something that may wait for a person.
private enum OwnThread {
  private final class Start: Sendable {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  /// Runs `body` on a new thread; returns false if none can be started.
  static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
    let context = Unmanaged.passRetained(Start(body))
    let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { context in
      guard let context else { return nil }
      Unmanaged<Start>.fromOpaque(context).takeRetainedValue().body()
      return nil
    }
    var id = pthread_t()
    guard pthread_create(&id, nil, main, context.toOpaque()) == 0 else {
      context.release()
      return false
    }
    pthread_detach(id)
    return true
  }
}
