import Contracts
import Glibc
import Sodium
import Testing

@testable import relatch

// Serialized: asking changes how the process handles signals, as a program may that asks for only one at a time.
@Suite("A passphrase is typed on a terminal and shown nowhere", .serialized, .timeLimit(.minutes(1)))
struct PassphraseTests {
  @Test func `the prompt says what it unlocks, nothing typed is shown, and the echo comes back`() async throws {
    let terminal = try PseudoTerminal()
    let typed = onOwnThread { try digits(of: Passphrase(path: terminal.path).unlocking("identity \u{1B}[2Jx")) }
    let prompt = terminal.screen(until: "x: ")
    terminal.waitForQuiet()
    terminal.type("tr0ub4dor &3\n")
    #expect(try await typed.value() == Array("tr0ub4dor &3".utf8))
    #expect(prompt == "relatch: passphrase to unlock identity \\u{1B}[2Jx: ")
    #expect(terminal.rest() == "\r\n")
    #expect(terminal.echoes)
  }

  @Test func `a descriptor that is not open is refused before anything else can get its number`() throws {
    var settings = CommonSettings()
    settings.passphraseFd = 4000
    #expect(throws: PassphraseError(.unreadable, "")) { try Passphrase(settings) }
    settings.passphraseFd = 0
    #expect(try Passphrase(settings).isHandedOver)
  }

  @Test func `a new passphrase is typed twice`() async throws {
    let terminal = try PseudoTerminal()
    let typed = onOwnThread { try digits(of: Passphrase(path: terminal.path).protecting("identity x")) }
    try await answer(terminal, ["protect identity x: ": "one\n", "again: ": "one\n"])
    #expect(try await typed.value() == Array("one".utf8))
  }

  @Test func `two that differ are refused`() async throws {
    let terminal = try PseudoTerminal()
    let typed = onOwnThread { try digits(of: Passphrase(path: terminal.path).protecting("identity x")) }
    try await answer(terminal, ["protect identity x: ": "one\n", "again: ": "two\n"])
    await #expect(throws: PassphraseError(.mismatch, "")) { try await typed.value() }
    #expect(terminal.echoes)
  }

  @Test(arguments: [
    ("\n", PassphraseError.Code.empty), ("\u{4}", .empty), (String(repeating: "x", count: 1025) + "\n", .tooLong),
  ])
  func `nothing and too much are refused`(input: String, code: PassphraseError.Code) async throws {
    let terminal = try PseudoTerminal()
    let typed = onOwnThread { try digits(of: Passphrase(path: terminal.path).unlocking("x")) }
    try await answer(terminal, ["x: ": input])
    await #expect(throws: PassphraseError(code, "")) { try await typed.value() }
    #expect(terminal.echoes)
  }

  @Test func `the longest passphrase is taken whole`() async throws {
    let terminal = try PseudoTerminal()
    let typed = onOwnThread { try digits(of: Passphrase(path: terminal.path).unlocking("x")) }
    try await answer(terminal, ["x: ": String(repeating: "x", count: 1024) + "\n"])
    #expect(try await typed.value() == Array(repeating: UInt8(ascii: "x"), count: 1024))
  }

  @Test(arguments: ["/dev/null", "/nonexistent"])
  func `without a terminal it says how to do without one`(path: String) throws {
    do {
      _ = try digits(of: Passphrase(path: path).unlocking("identity x"))
      Issue.record("a passphrase from nowhere")
    } catch let error as PassphraseError {
      #expect(error.code == .noTerminal)
      #expect(Failure(error).code == .notPermitted)
      #expect(error.description == "cannot ask for the passphrase to unlock identity x: there is no terminal")
      #expect(error.hint.contains("--no-passphrase"))
    }
  }

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
  func `a signal ends the program, and the echo is back`(number: Int32) async throws {
    let terminal = try PseudoTerminal()
    let path = terminal.path
    let result = try await #require(processExitsWith: .failure) { [path = path as String, number = number as Int32] in
      let sender = onOwnThread {
        usleep(300_000)
        kill(getpid(), number)
      }
      _ = try Passphrase(path: path).unlocking("x")
      _ = try await sender.value()
    }
    #expect(result.exitStatus == .signal(number))
    #expect(terminal.screen(until: "\r\n") == "relatch: passphrase to unlock x: \r\n")
    #expect(terminal.echoes)
  }

  @Test func `a program that was stopped asks again`() async throws {
    let terminal = try PseudoTerminal()
    let path = terminal.path
    async let isAnswered: Void = askWhileStopped(path)
    let prompt = "relatch: passphrase to unlock x: "
    #expect(terminal.screen(until: prompt + "\r\n" + prompt) == prompt + "\r\n" + prompt)
    terminal.waitForQuiet()
    terminal.type("typed\n")
    await isAnswered
    #expect(terminal.echoes)
  }

  /// Asks in a process that its own child stops and continues.
  private func askWhileStopped(_ path: String) async {
    await #expect(processExitsWith: .success) { [path = path as String] in
      let pid = getpid()
      let shell = try Child("/bin/sh", "-c", "sleep 0.3; kill -TSTP \(pid); sleep 0.3; kill -CONT \(pid)")
      let typed = try digits(of: Passphrase(path: path).unlocking("x"))
      shell.reap()
      #expect(typed == Array("typed".utf8))
    }
  }

  /// Types each answer once its prompt is shown and the echo is off.
  private func answer(_ terminal: PseudoTerminal, _ answers: KeyValuePairs<String, String>) async throws {
    for (prompt, answer) in answers {
      _ = terminal.screen(until: prompt)
      terminal.waitForQuiet()
      terminal.type(answer)
    }
  }
}

/// A copy of the secret's bytes.
private func digits(of secret: borrowing SecretBytes) -> [UInt8] {
  secret.withUnsafeBytes { Array($0) }
}
