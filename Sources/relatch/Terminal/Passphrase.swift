import Glibc
import Sodium
import Vault

/// Where passphrases come from: a person at the terminal, or a descriptor or file that was handed over for the purpose.
/// Standard input is never read unless it is named, since a pipe there carries data.
struct Passphrase: Sendable {
  /// More than anyone types. Longer lines are refused, not cut.
  static let limit = 1024

  let path: String
  /// If set, each passphrase is a line of it instead of an answer.
  private var descriptor: Int32?
  /// If it exists, it is read to unlock, instead of asking.
  private var file: String?

  init(path: String) { self.path = path }

  /// Whether the passphrase comes from a descriptor that the caller named.
  var isHandedOver: Bool { descriptor != nil }

  /// Whether the passphrase can be read without asking anybody.
  var isAtHand: Bool { isHandedOver || file.map { access($0, R_OK) == 0 } ?? false }

  /// What the options and the environment say. Throws `usage` if the environment holds a passphrase, and
  /// `PassphraseError.unreadable` if the descriptor is not open: what this process opens later may get its number.
  init(_ settings: CommonSettings) throws {
    self.init(path: "/dev/tty")
    guard ProcessEnvironment.value(of: "RELATCH_PASSPHRASE") == nil else {
      throw Failure(
        .usage, "RELATCH_PASSPHRASE is set, but an environment is inherited, listed and dumped",
        hint: "unset it, and hand the passphrase over with --passphrase-fd")
    }
    descriptor = settings.passphraseFd
    if let descriptor, fcntl(descriptor, F_GETFD) < 0 {
      throw PassphraseError(
        .unreadable,
        "cannot read the passphrase from descriptor \(descriptor): \(Errno.text)")
    }
    file = ProcessEnvironment.value(of: "CREDENTIALS_DIRECTORY").map { $0 + "/relatch-passphrase" }
  }

  /// The passphrase that opens `what`, a few words for the prompt.
  func unlocking(_ what: String) throws -> SecretBytes {
    if let descriptor {
      return try Self.line(of: descriptor, "descriptor \(descriptor)", for: "passphrase for \(what)")
    }
    if let file {
      let descriptor = open(file, O_RDONLY | O_CLOEXEC)
      let number = errno
      defer { if descriptor >= 0 { close(descriptor) } }
      if descriptor >= 0 { return try Self.line(of: descriptor, file, for: "passphrase for \(what)") }
      guard number == ENOENT else {
        throw Failure(
          .notPermitted,
          "cannot read the passphrase from \(Name.printable(file)): \(Errno.text(number))",
          hint: "check the unit's LoadCredentialEncrypted=, and who runs it")
      }
    }
    return try ask("passphrase to unlock \(what)")
  }

  /// The next line of `descriptor`, which errors call `name`: `what`, in words.
  private static func line(of descriptor: Int32, _ name: String, for what: String) throws -> SecretBytes {
    let line = try SecretBytes(capacity: limit + 1) { output in
      try output.withUnsafeMutableBytes { buffer, initialized in
        // Byte by byte: what follows the line is the next passphrase.
        while initialized < buffer.count {
          let count = read(descriptor, buffer.baseAddress?.advanced(by: initialized), 1)
          if count < 0 && errno == EINTR { continue }
          guard count >= 0 else {
            throw PassphraseError(
              .unreadable, "cannot read the passphrase from \(name): \(Errno.text)")
          }
          if count == 0 || buffer[initialized] == UInt8(ascii: "\n") { return }
          initialized += 1
        }
        throw PassphraseError(.tooLong, "the passphrase from \(name) has more than \(limit) bytes")
      }
    }
    guard line.count > 0 else { throw PassphraseError(.missing, "\(name) has no \(what)") }
    return line
  }

  /// Shorter passphrases can be guessed, scrypt or not.
  private static let notable = 10

  /// A new passphrase to protect `what`, typed twice.
  func protecting(_ what: String) throws -> SecretBytes {
    if let descriptor {
      return try Self.line(of: descriptor, "descriptor \(descriptor)", for: "new passphrase to protect \(what)")
    }
    let first = try ask("new passphrase to protect \(what)")
    let second = try ask("the same passphrase again")
    guard first.isEqual(to: second) else {
      throw PassphraseError(.mismatch, "cannot protect \(what): the two passphrases typed are not the same")
    }
    if first.count < Self.notable {
      Diagnostics.standard.warning(
        "a passphrase of \(first.count) bytes is soon guessed by anyone who has the file: `relatch identity protect` sets another"
      )
    }
    return first
  }

  private func ask(_ prompt: String) throws -> SecretBytes {
    let descriptor = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
    guard descriptor >= 0, isatty(descriptor) == 1 else {
      if descriptor >= 0 { close(descriptor) }
      throw PassphraseError(.noTerminal, "cannot ask for the \(prompt): there is no terminal")
    }
    defer { close(descriptor) }
    let screen = StandardStream(descriptor: descriptor, name: "the terminal")
    while true {
      do {
        try screen.write("relatch: \(Diagnostics.printable(prompt)): ")
        let secret = try Self.line(typedAt: descriptor)
        try screen.write("\n")
        guard secret.count > 0 else { throw PassphraseError(.empty, "nothing was typed as the \(prompt)") }
        return secret
      } catch let interruption as Interruption {
        try screen.write("\n")
        // Echo and handlers are as they were, so the signal now does what it would have done. After a stop, ask again.
        interruption.raise()
        guard interruption.signal == SIGTSTP else {
          throw PassphraseError(.interrupted, "asking for the \(prompt) was interrupted")
        }
      }
    }
  }

  /// Reads one line typed at the terminal `descriptor`, with echo off unless `showing`. The terminal is restored
  /// however this ends. Throws `Interruption` if a signal arrives first, and `PassphraseError`.
  static func line(typedAt descriptor: Int32, showing: Bool = false) throws -> SecretBytes {
    let signals = try InterruptionPipe()
    defer { signals.close() }
    var original = termios()
    guard tcgetattr(descriptor, &original) == 0 else {
      throw PassphraseError(.noTerminal, "cannot turn off the terminal's echo: \(Errno.text)")
    }
    var quiet = original
    // What was typed before the prompt for a secret is not part of it and is flushed. Answers that are shown are not
    // flushed here: whoever asks does that before the question, so that a quick answer is not lost.
    if !showing { quiet.c_lflag &= ~tcflag_t(ECHO | ECHOE | ECHOK | ECHONL) }
    quiet.c_lflag |= tcflag_t(ICANON | ISIG)
    guard tcsetattr(descriptor, showing ? TCSANOW : TCSAFLUSH, &quiet) == 0 else {
      throw PassphraseError(.noTerminal, "cannot turn off the terminal's echo: \(Errno.text)")
    }
    // Flushing drops the rest of an overlong line, which the shell would otherwise show and run.
    defer { tcsetattr(descriptor, TCSAFLUSH, &original) }
    return try readLine(descriptor, signals)
  }

  private static func readLine(_ descriptor: Int32, _ signals: InterruptionPipe) throws -> SecretBytes {
    try SecretBytes(capacity: limit + 1) { output in
      try output.withUnsafeMutableBytes { buffer, initialized in
        while true {
          try signals.waitForInput(descriptor)
          let room = UnsafeMutableRawBufferPointer(rebasing: buffer[initialized...])
          let count = read(descriptor, room.baseAddress, room.count)
          if count < 0 && errno == EINTR { continue }
          guard count > 0 else { return }
          initialized += count
          if buffer[initialized - 1] == UInt8(ascii: "\n") {
            initialized -= 1
            return
          }
          guard initialized <= limit else {
            throw PassphraseError(.tooLong, "what was typed has more than \(limit) bytes")
          }
        }
      }
    }
  }
}

/// A passphrase that could not be read.
struct PassphraseError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What kind of failure this is; equality compares only this.
  enum Code: Sendable {
    case noTerminal
    case unreadable
    case empty
    case missing
    case tooLong
    case mismatch
    case interrupted
  }

  let code: Code
  let description: String

  init(_ code: Code, _ description: String) {
    self.code = code
    self.description = Diagnostics.printable(description)
  }

  static func == (left: Self, right: Self) -> Bool { left.code == right.code }

  /// What to do.
  var hint: String {
    switch code {
    case .noTerminal:
      "run it on a terminal, hand the passphrase over with --passphrase-fd, or use an identity made with --no-passphrase"
    case .unreadable: "name a descriptor that is open for reading: `--passphrase-fd 3 3<file`"
    case .missing:
      "hand over each passphrase on a line of its own: the one that is in use, if there is one, and then the new one"
    case .empty, .tooLong, .mismatch, .interrupted: "run the command again and type the passphrase"
    }
  }
}
