import CSystem
import Glibc
import Rotation
import Sodium
import Vault

/// A running program, a hook's or a provider's. One thread feeds it, listens to it and ends it when told to; another
/// waits for its end.
///
/// The program leads a process group of its own, and signals to the whole group tell it to end. Its exit status is
/// fetched only after the last signal, so that no signal can reach an unrelated process that was given the same number.
final class HookProcess: Sendable {
  /// How the program ended.
  struct Ending: Sendable {
    /// As `waitpid` gives it; nil if it could not be fetched.
    let status: Int32?
    /// The end of what it said, masked.
    let said: [UInt8]
    /// Its answer, if that is kept apart.
    var answer: SharedSecret?
    /// Whether it was killed because its answer was too long.
    var isTooLong = false
  }

  /// What the thread is told through its pipe.
  enum Command: UInt8, Sendable {
    /// The leader of the group ended.
    case ended
    /// SIGTERM to the group.
    case terminate
    /// SIGKILL to the group.
    case kill
    /// It did not end even when killed: stop waiting for it.
    case leave
  }

  private let pid: pid_t
  private let input: Int32
  private let output: Int32
  /// Its standard output, if that is an answer.
  private let answer: Int32?
  private let maximumAnswerSize: Int
  private let document: SharedSecret?
  private let commands: CommandPipe
  private let capture: OutputCapture

  /// Starts `arguments`, the first of which is an absolute path. `pairs` are masked in its output.
  ///
  /// With `maximumAnswerSize`, its standard output is an answer of at most that many bytes, and only its standard error
  /// counts as what it says.
  ///
  /// Throws `cannotStart`, or `SodiumError` if there is no memory for the masking; nothing runs then.
  init(
    _ arguments: [String], environment: [String: String], input document: SharedSecret?, masking pairs: [Pair],
    mask: UInt32, maximumAnswerSize: Int? = nil
  ) throws {
    let capture = try OutputCapture(masking: pairs)
    let commands = try CommandPipe()
    let pipes = try Self.pipes(maximumAnswerSize == nil ? 2 : 3)
    let (childInput, input) = pipes[0]
    let (output, childOutput) = pipes[1]
    let answer = pipes.count > 2 ? pipes[2] : nil
    defer {
      close(childInput)
      close(childOutput)
      if let answer { close(answer.write) }
    }
    let words = arguments.map { strdup($0) } + [nil]
    let variables = environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in words + variables { free(pointer) } }
    let pid = words.withUnsafeBufferPointer { words in
      variables.withUnsafeBufferPointer { variables -> pid_t in
        guard let path = words.first ?? nil else { return -1 }
        var program = csystem_program(
          path: path, arguments: words.baseAddress, environment: variables.baseAddress, input: childInput,
          output: answer?.write ?? childOutput, errors: answer == nil ? -1 : childOutput, mask: mask)
        return csystem_start(&program)
      }
    }
    guard pid > 0 else {
      let (number, reason) = (errno, Errno.text)
      for end in [input, output, answer?.read].compactMap(\.self) { close(end) }
      let program = Name.printable(arguments.first ?? "")
      guard number != EDQUOT else {
        throw DeliveryError(
          .cannotStart,
          "\(program) is not started: there is no room for a session keyring of its own (/proc/key-users): \(reason)",
          hint: "this user has as many keys as a user may have: see /proc/keys, and end those not needed")
      }
      throw DeliveryError(
        .cannotStart, "\(program) cannot be started: \(reason)",
        hint: "it must be a program, or a script whose first line names its interpreter")
    }
    for end in [input, output, answer?.read].compactMap(\.self) { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
    (self.pid, self.input, self.output, self.document) = (pid, input, output, document)
    (self.answer, self.maximumAnswerSize) = (answer?.read, maximumAnswerSize ?? 0)
    (self.commands, self.capture) = (commands, capture)
  }

  /// All of them, or none.
  private static func pipes(_ count: Int) throws -> [(read: Int32, write: Int32)] {
    var pipes: [(read: Int32, write: Int32)] = []
    while pipes.count < count {
      var ends: [Int32] = [-1, -1]
      guard csystem_pipe(&ends) == 0 else {
        let reason = Errno.text
        for pipe in pipes { for end in [pipe.read, pipe.write] { close(end) } }
        throw DeliveryError(.cannotStart, "no pipe to the program: \(reason)")
      }
      pipes.append((ends[0], ends[1]))
    }
    return pipes
  }

  /// Tells the thread; returns at once.
  func tell(_ command: Command) { commands.send(command) }

  /// Waits for the end of the group's leader, not of processes that it left running. To be called once.
  func ending() async throws -> Ending {
    let watches = Thread.start { [pid, commands] in
      // Leaves the exit status unfetched, so that the number stays taken.
      var information = siginfo_t()
      while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
      commands.send(.ended)
    }
    return try await withCheckedThrowingContinuation { continuation in
      let isFed =
        watches
        && Thread.start { [self] in
          var pump = Pump(self)
          continuation.resume(with: Result { try pump.run() })
        }
      guard !isFed else { return }
      Glibc.kill(-pid, SIGKILL)
      continuation.resume(throwing: DeliveryError(.failed, "there is no thread to watch it, so it was killed"))
    }
  }

  /// The thread's state.
  private struct Pump {
    let process: HookProcess
    var capture: OutputCapture
    var input: Int32?
    var output: Int32?
    var answer: Int32?
    var answered: [SharedSecret] = []
    var answeredCount = 0
    var isTooLong = false
    var written = 0
    var isEnding = false

    /// How many bytes are still read after the end: output that others leave in the pipe must not hold us for ever.
    private static let maximumAfterExit = 1 << 20

    init(_ process: HookProcess) {
      self.process = process
      capture = process.capture
      input = process.input
      output = process.output
      answer = process.answer
    }

    mutating func run() throws -> Ending {
      defer {
        closeInput()
        closeOutput()
        closeAnswer()
      }
      do {
        while let command = try step() {
          switch command {
          case .terminate:
            isEnding = true
            Glibc.kill(-process.pid, SIGTERM)
          case .kill:
            isEnding = true
            Glibc.kill(-process.pid, SIGKILL)
          case .ended:
            if isEnding { Glibc.kill(-process.pid, SIGKILL) }
            // The rest of the answer may turn out to be too long, which kills the group. So the exit status is fetched
            // only after that, while the number is still the program's own.
            try drain()
            let (said, answer) = (try capture.finish(), try wholeAnswer())
            return Ending(status: reap(), said: said, answer: answer, isTooLong: isTooLong)
          case .leave:
            // Whenever it does end, it leaves no zombie.
            _ = Thread.start { [pid = process.pid] in while waitpid(pid, nil, 0) < 0 && errno == EINTR {} }
            return Ending(status: nil, said: try capture.finish())
          }
        }
      } catch {
        // Whatever went wrong here, nothing goes on unwatched.
        Glibc.kill(-process.pid, SIGKILL)
        _ = reap()
        throw error
      }
      return Ending(status: nil, said: try capture.finish())
    }

    /// Does what can be done until there is a command.
    private mutating func step() throws -> Command? {
      while true {
        feed()
        // `poll` ignores a negative descriptor.
        var sources = [
          pollfd(fd: process.commands.readEnd, events: Int16(POLLIN), revents: 0),
          pollfd(fd: output ?? -1, events: Int16(POLLIN), revents: 0),
          pollfd(fd: input ?? -1, events: Int16(POLLOUT), revents: 0),
          pollfd(fd: answer ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&sources, nfds_t(sources.count), -1) >= 0 || errno == EINTR else { return nil }
        // Commands come first, so that a program that never stops talking can still be ended.
        if sources[0].revents != 0, let command = process.commands.receive() { return command }
        if sources[1].revents != 0 { _ = try listen() }
        if sources[3].revents != 0 { _ = try takeAnswer() }
      }
    }

    /// Writes as much as the program takes. A program that does not read, or has closed its input, misses the rest;
    /// that is its own affair.
    private mutating func feed() {
      guard let input else { return }
      guard let document = process.document else { return closeInput() }
      while written < document.secret.count {
        let count = document.secret.withUnsafeBytes { bytes in
          let left = UnsafeRawBufferPointer(rebasing: bytes[written...])
          return write(input, left.baseAddress, left.count)
        }
        if count < 0 && errno == EAGAIN { return }
        if count < 0 && errno == EINTR { continue }
        guard count >= 0 else { return closeInput() }
        written += count
      }
      closeInput()
    }

    /// Takes one piece of the program's output, and returns its size; 0 if there is nothing now, or no more at all.
    private mutating func listen() throws -> Int {
      guard let output else { return 0 }
      var isOver = false
      let piece = try Self.piece(from: output, &isOver)
      try piece.withUnsafeBytes { try capture.take($0) }
      if isOver { closeOutput() }
      return piece.count
    }

    /// Read straight into guarded memory, because it may be the pair.
    private static func piece(from descriptor: Int32, _ isOver: inout Bool) throws -> SecretBytes {
      try SecretBytes(capacity: 1 << 14) { bytes in
        bytes.withUnsafeMutableBytes { buffer, initialized in
          let count = read(descriptor, buffer.baseAddress, buffer.count)
          initialized = max(0, count)
          isOver = count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)
        }
      }
    }

    /// Takes one piece of the answer. A program whose answer is too long is killed, and none of the answer is used.
    private mutating func takeAnswer() throws -> Int {
      guard let answer else { return 0 }
      var isOver = false
      let piece = SharedSecret(try Self.piece(from: answer, &isOver))
      let count = piece.secret.count
      answeredCount += count
      if answeredCount > process.maximumAnswerSize {
        (isTooLong, isEnding, isOver) = (true, true, true)
        answered = []
        Glibc.kill(-process.pid, SIGKILL)
      } else if count > 0 {
        answered.append(piece)
        // However small the pieces of the answer are, no more pages are locked than it needs.
        if answered.count >= 16, let whole = try wholeAnswer() { answered = [whole] }
      }
      if isOver { closeAnswer() }
      return count
    }

    private func wholeAnswer() throws -> SharedSecret? {
      guard process.answer != nil, !isTooLong else { return nil }
      let whole = try SecretBytes(capacity: answeredCount) { output in
        for piece in answered { piece.secret.withBytes { output.append(copying: $0) } }
      }
      return SharedSecret(whole)
    }

    /// Reads what the program said before it ended. It does not wait for other processes that still hold the pipe.
    private mutating func drain() throws {
      var total = 0
      while total < Self.maximumAfterExit, case let count = try listen(), count > 0 { total += count }
      while case let count = try takeAnswer(), count > 0 {}
    }

    private func reap() -> Int32? {
      var status: Int32 = 0
      while true {
        let found = waitpid(process.pid, &status, 0)
        if found == process.pid { return status }
        guard found < 0 && errno == EINTR else { return nil }
      }
    }

    private mutating func closeInput() {
      if let input { close(input) }
      input = nil
    }

    private mutating func closeOutput() {
      if let output { close(output) }
      output = nil
    }

    private mutating func closeAnswer() {
      if let answer { close(answer) }
      answer = nil
    }
  }
}

/// The pipe that wakes a hook's thread. It is closed when its last owner lets go, so that nobody writes to a descriptor
/// that was reused.
final class CommandPipe: Sendable {
  let readEnd: Int32
  private let writeEnd: Int32

  init() throws {
    var ends: [Int32] = [-1, -1]
    guard csystem_pipe(&ends) == 0 else {
      throw DeliveryError(.cannotStart, "no pipe to the program: \(Errno.text)")
    }
    (readEnd, writeEnd) = (ends[0], ends[1])
    for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
  }

  deinit {
    close(readEnd)
    close(writeEnd)
  }

  func send(_ command: HookProcess.Command) {
    var byte = command.rawValue
    // There are never enough commands to fill the pipe.
    while write(writeEnd, &byte, 1) < 0 && errno == EINTR {}
  }

  func receive() -> HookProcess.Command? {
    var byte: UInt8 = 0
    return read(readEnd, &byte, 1) == 1 ? HookProcess.Command(rawValue: byte) : nil
  }
}

/// A separate thread: one that blocks must not be one of the few that tasks share.
enum Thread {
  private final class Start {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  /// Runs `body` with every signal blocked; false if no thread can be created.
  static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
    let start = Unmanaged.passRetained(Start(body))
    var id = pthread_t()
    let status = pthread_create(&id, nil, { Thread.main($0) }, start.toOpaque())
    guard status == 0 else {
      start.release()
      return false
    }
    pthread_detach(id)
    return true
  }

  private static func main(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    let start = Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
    // A program that closes its input raises SIGPIPE in the process that writes to it. Blocked, that becomes an error
    // of the write.
    var all = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_BLOCK, &all, nil)
    start.body()
    return nil
  }
}
