import Glibc
package import Rotation
package import Sodium
package import Vault

/// Runs hooks: no shell, a small environment, a time limit, and nothing of the pair in the output that is shown.
package struct HookRunner: Sendable {
  /// How long a program that was told to end may take before it is killed.
  package static let patience = Duration.seconds(5)
  /// How often, at least, the waiting caller is told that the program still runs.
  private static let slice = Duration.seconds(4)

  /// The part of this process's environment that a hook gets: `PATH`, `HOME` and `LANG`, if set.
  let environment: [String: String]
  /// The file mode creation mask a hook gets.
  let mask: UInt32
  private let sleep: @Sendable (Duration) async throws -> Void

  package init(
    environment: [String: String], mask: UInt32, sleep: @escaping @Sendable (Duration) async throws -> Void
  ) {
    self.environment = environment
    self.mask = mask
    self.sleep = sleep
  }

  /// Fails with `unusable` if the file is obviously not a program, or is not to be trusted. Runs nothing.
  package func check(_ hook: HookSettings) throws(DeliveryError) { try check(hook.arguments.first ?? "") }

  /// The same for the program at an absolute path.
  func check(_ path: String) throws(DeliveryError) {
    let file = try TrustedFile(path) { refusal(path, $0) }
    var found = stat()
    guard fstatat(file.folder.descriptor, file.name, &found, AT_SYMLINK_NOFOLLOW) == 0 else {
      throw refusal(path, "cannot be found: \(Errno.text)")
    }
    guard found.st_mode & S_IFMT == S_IFREG else {
      throw refusal(path, found.st_mode & S_IFMT == S_IFDIR ? "is a folder" : "is not a file")
    }
    guard faccessat(file.folder.descriptor, file.name, X_OK, AT_EACCESS) == 0 else {
      throw refusal(path, "may not be run: chmod +x it, if it is a program")
    }
    if let distrust = file.distrust(of: found) { throw refusal(path, distrust) }
  }

  private func refusal(_ path: String, _ found: String) -> DeliveryError {
    DeliveryError(
      .unusable, "the program \(Name.printable(path)) \(found)",
      hint: "correct that, or remove the hook and add it with another program")
  }

  /// Runs the program to its end, with `input` on its standard input.
  ///
  /// Throws `unusable`, `cannotStart`, `failed` or `timedOut`, and what `keepAlive` throws, which also ends the
  /// program. `masking` are the pairs that must not appear in its output.
  package func run(
    _ hook: HookSettings, _ variables: [String: String], input: SharedSecret?, masking pairs: [Pair],
    keepAlive: @escaping KeepAlive
  ) async throws {
    _ = try await output(of: hook, variables, input: input, masking: pairs, keepAlive: keepAlive)
  }

  /// The same, and returns the end of the program's output, masked.
  package func output(
    of hook: HookSettings, _ variables: [String: String] = [:], input: SharedSecret?, masking pairs: [Pair] = [],
    keepAlive: @escaping KeepAlive = {}
  ) async throws -> [UInt8] {
    try check(hook)
    let process = try HookProcess(
      hook.arguments, environment: environment.merging(variables) { $1 }, input: input, masking: pairs, mask: mask)
    let (ending, ended) = try await watch(process, limit: hook.timeLimit, keepAlive)
    let said = OutputCapture.line(ending.said)
    if let ended {
      guard let failure = ended.failure else {
        throw DeliveryError(
          .timedOut, "it was ended because it took longer than \(Policy.text(hook.timeLimit))",
          hint: "see why it takes so long, or add it again with a longer --time-limit", said: said)
      }
      throw failure
    }
    guard let status = ending.status else { throw DeliveryError(.failed, "how it ended is not known", said: said) }
    guard status != 0 else { return ending.said }
    let signal = status & 0x7F
    throw DeliveryError(
      .failed, signal == 0 ? "it exited with \((status >> 8) & 0xFF)" : "signal \(signal) ended it", said: said)
  }

  /// Why a program was told to end.
  struct Ended: Sendable {
    /// Nil if it exceeded its time limit.
    let failure: (any Error)?
  }

  private enum Event: Sendable {
    case ending(HookProcess.Ending)
    case over(Ended)
    case waited(HookProcess.Command)
  }

  func watch(
    _ process: HookProcess, limit: Duration, _ keepAlive: @escaping KeepAlive
  ) async throws -> (HookProcess.Ending, Ended?) {
    try await withThrowingTaskGroup(of: Event.self) { group in
      group.addTask { .ending(try await process.ending()) }
      group.addTask { .over(await wait(limit, keepAlive)) }
      var ended: Ended?
      while let event = try await group.next() {
        switch event {
        case .ending(let ending):
          group.cancelAll()
          return (ending, ended)
        case .over(let reason):
          ended = reason
          process.tell(.terminate)
          group.addTask { await pause(then: .kill) }
        case .waited(let command):
          process.tell(command)
          if command == .kill { group.addTask { await pause(then: .leave) } }
        }
      }
      return (HookProcess.Ending(status: nil, said: []), ended)
    }
  }

  /// Waits until the time limit is over or `keepAlive` throws.
  private func wait(_ limit: Duration, _ keepAlive: KeepAlive) async -> Ended {
    var left = limit
    do {
      while left > .zero {
        let next = min(left, Self.slice)
        try await sleep(next)
        left -= next
        if left > .zero { try await keepAlive() }
      }
      return Ended(failure: nil)
    } catch {
      return Ended(failure: error)
    }
  }

  private func pause(then command: HookProcess.Command) async -> Event {
    try? await sleep(Self.patience)
    return .waited(command)
  }
}
