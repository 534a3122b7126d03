import Foundation
import Glibc
import Testing

/// A running program. Its output goes to files, so that it never waits for a reader.
///
/// Not `Foundation.Process`, which crashes when several tasks start programs at once.
final class Running: Sendable {
  let pid: Int32
  private let folder: URL
  private let ending: Task<Int32, Never>

  /// With `terminal` it leads its own session on that terminal, and reads from it; otherwise it has the test's.
  init(
    _ program: String, _ arguments: [String], stdin: Data?, environment: [String: String], in folder: URL,
    terminal: String? = nil
  ) throws {
    let own = folder.appendingPathComponent("run-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: own, withIntermediateDirectories: true)
    try stdin?.write(to: own.appendingPathComponent("stdin"))
    let input = terminal ?? (stdin == nil ? "/dev/null" : own.path + "/stdin")
    let pid = try Self.spawn(
      program, arguments, environment.map { "\($0.key)=\($0.value)" },
      files: [input, own.path + "/stdout", own.path + "/stderr"], leadsSession: terminal != nil)
    self.pid = pid
    self.folder = own
    ending = Task.detached {
      await withCheckedContinuation { continuation in
        // On its own thread: waiting must not take one of the few that tasks share.
        Thread.detachNewThread {
          var status: Int32 = 0
          while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
          let signal = status & 0x7F
          continuation.resume(returning: signal == 0 ? (status >> 8) & 0xFF : -signal)
        }
      }
    }
  }

  private static func spawn(
    _ program: String, _ arguments: [String], _ environment: [String], files: [String],
    leadsSession: Bool
  ) throws -> Int32 {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (descriptor, path) in files.enumerated() {
      let flags = descriptor == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC
      posix_spawn_file_actions_addopen(&actions, Int32(descriptor), path, flags, 0o600)
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // As a shell starts it: signals that this process ignores or blocks are not inherited.
    var all = sigset_t()
    sigfillset(&all)
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setsigmask(&attributes, &none)
    // POSIX_SPAWN_SETSID, which Swift's Glibc lacks. The first terminal that the leader opens becomes the session's.
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK) | (leadsSession ? 0x80 : 0))
    let words = ([program] + arguments).map { strdup($0) } + [nil]
    let variables = environment.map { strdup($0) } + [nil]
    defer { for pointer in words + variables { free(pointer) } }
    var pid: pid_t = 0
    let failure = posix_spawn(&pid, program, &actions, &attributes, words, variables)
    try #require(failure == 0, "\(program): \(String(cString: strerror(failure)))")
    return pid
  }

  /// Its output so far.
  func said() throws -> (output: Data, errors: Data) {
    (
      try Data(contentsOf: folder.appendingPathComponent("stdout")),
      try Data(contentsOf: folder.appendingPathComponent("stderr"))
    )
  }

  func send(_ signal: Int32) { kill(pid, signal) }

  /// Waits for its end.
  func outcome() async throws -> Outcome {
    let code = await ending.value
    let (output, errors) = try said()
    return Outcome(code: code, output: output, errors: errors)
  }

  /// Waits until `condition` is true of its output; fails after half a minute.
  func wait(_ what: String, until condition: (_ output: String, _ errors: String) -> Bool) async throws {
    for _ in 1...3000 {
      let (output, errors) = try said()
      if condition(String(decoding: output, as: UTF8.self), String(decoding: errors, as: UTF8.self)) { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("waited in vain: \(what)")
  }
}
