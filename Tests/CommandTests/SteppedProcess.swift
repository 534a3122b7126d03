import Foundation
import Testing

/// A program that is stopped, with all its threads, after each of the named system calls, and once more before it
/// exits.
final class SteppedProcess {
  /// A moment at which nothing of the process moves.
  struct Stop {
    /// The calls after which it was stopped, as strace prints them, or "exit_group".
    let calls: [Call]
    var isExit: Bool { calls.contains { $0.text.hasPrefix("exit_group(") } }
  }

  struct Call {
    let thread: String
    /// The call with its arguments and its result.
    let text: String
  }

  private let tracer: Running
  private let trace: String
  private var handle: FileHandle?
  private var rest = ""
  /// The last call of each thread.
  private var last: [String: String] = [:]
  /// Threads that got the signal since it was last continued, and whether it stopped one of them. A late report of the
  /// previous stop does not count: then a thread has no signal of its own.
  private var signalled: [String] = []
  private var isStopped = false
  private(set) var pid: Int32?
  /// Every line of the trace so far.
  private(set) var lines: [String] = []

  /// How long the exit is held up: far longer than any inspection takes.
  private static let delay = 60_000_000

  init(
    in place: Workplace, _ program: String, _ arguments: [String], calls: String, stdin: String? = nil,
    environment: [String: String] = [:]
  ) throws {
    trace = place.folder.path + "/trace-\(UUID().uuidString)"
    tracer = try place.start(
      Programs.strace ?? "",
      arguments: [
        "-f", "-o", trace, "-s", "16384", "-e", "trace=execve,exit_group,\(calls)",
        "-e", "inject=\(calls):signal=STOP", "-e", "inject=exit_group:delay_enter=\(Self.delay)", program,
      ] + arguments, stdin: stdin, environment: environment)
  }

  deinit {
    if let pid { kill(pid, SIGKILL) }
    tracer.send(SIGKILL)
  }

  /// Continues it, and waits for the next stop. Nil if it ended in another way than by its exit.
  func next() async throws -> Stop? {
    if isStopped, let pid {
      (signalled, isStopped) = ([], false)
      kill(pid, SIGCONT)
    }
    for _ in 1...60_000 {
      try readTrace()
      if let exit = exiting() { return Stop(calls: [exit]) }
      if isStopped, areAllStopped() {
        try readTrace()
        return Stop(calls: signalled.map { Call(thread: $0, text: last[$0] ?? "") })
      }
      if kill(tracer.pid, 0) != 0 { return nil }
      try await Task.sleep(for: .microseconds(300))
    }
    Issue.record("waited in vain for a stop in \(trace)")
    return nil
  }

  /// Kills it where it is, and waits for the end.
  func end() async throws {
    if let pid { kill(pid, SIGKILL) }
    tracer.send(SIGKILL)
    _ = try await tracer.outcome()
  }

  /// Its output so far.
  func said() throws -> (output: Data, errors: Data) { try tracer.said() }

  private func readTrace() throws {
    if handle == nil { handle = FileHandle(forReadingAtPath: trace) }
    guard let new = try handle?.readToEnd(), !new.isEmpty else { return }
    let text = rest + String(decoding: new, as: UTF8.self)
    var parts = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    rest = parts.removeLast()
    for line in parts { note(line) }
  }

  /// "1234 read(3, "x", 1) = 1", "1234 --- SIGSTOP {…} ---", "1234 --- stopped by SIGSTOP ---"
  private func note(_ line: String) {
    lines.append(line)
    guard let space = line.firstIndex(of: " ") else { return }
    let thread = String(line[..<space])
    let text = line[space...].drop { $0 == " " }
    // The first line is the program's start, by its first thread.
    if pid == nil { pid = Int32(thread) }
    if text.hasPrefix("--- stopped by SIGSTOP") {
      isStopped = isStopped || signalled.contains(thread)
    } else if text.hasPrefix("--- SIGSTOP") {
      signalled.append(thread)
    } else if text.hasPrefix("<... ") {
      // The beginning of an interrupted line is in `last`; this is the rest, including the result.
      last[thread] = (last[thread] ?? "") + text
    } else if !text.hasPrefix("---") && !text.hasPrefix("+++") {
      last[thread] = String(text)
    }
  }

  private func threads() -> [String] {
    guard let pid else { return [] }
    return (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
  }

  private func areAllStopped() -> Bool {
    guard let pid else { return false }
    return threads().allSatisfy { thread in
      guard let stat = try? procFile("/proc/\(pid)/task/\(thread)/stat"),
        let name = stat.lastIndex(of: UInt8(ascii: ")"))
      else { return true }
      // Stopped by its tracer or by the signal, or ended.
      return "tTZX".utf8.contains(stat[name + 2])
    }
  }

  /// The thread that is held up on exit, and the exit status.
  private func exiting() -> Call? {
    guard let pid else { return nil }
    #if arch(arm64)
      let number = "94"
    #else
      let number = "231"
    #endif
    for thread in threads() {
      let words = (try? procFile("/proc/\(pid)/task/\(thread)/syscall"))?.split(separator: UInt8(ascii: " ")) ?? []
      guard words.count > 1, words[0].elementsEqual(number.utf8) else { continue }
      return Call(thread: thread, text: "exit_group(\(String(decoding: words[1], as: UTF8.self)))")
    }
    return nil
  }
}
