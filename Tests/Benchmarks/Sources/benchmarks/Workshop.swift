import Foundation
import Glibc

struct BenchmarkError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// What one process, and those it waited for, used.
struct Usage {
  let code: Int32
  let wall: Double
  /// User and system time in seconds.
  let cpu: Double
  /// Of the largest process, in MiB.
  let peak: Double
}

/// Seconds since some fixed moment; never goes back.
func seconds() -> Double {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
}

/// Starts `words` with `descriptors` as its standard input, output and error.
///
/// `Foundation.Process` is not used because it leaves descriptors of this process open in others.
func start(_ words: [String], environment: [String: String], descriptors: [Int32]) throws -> pid_t {
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  for (number, descriptor) in descriptors.enumerated() {
    posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number))
  }
  let arguments = words.map { strdup($0) } + [nil]
  let variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
  defer { for pointer in arguments + variables { free(pointer) } }
  var pid: pid_t = 0
  let failure = posix_spawnp(&pid, words[0], &actions, nil, arguments, variables)
  guard failure == 0 else { throw BenchmarkError("\(words[0]): \(String(cString: strerror(failure)))") }
  return pid
}

/// A folder for the output of processes, and the environment they run in.
struct Workshop {
  let folder: String
  let environment: [String: String]
  private let measure: String

  /// `measure` is the program that runs another and reports what it used.
  init(at folder: String, measure: String) throws {
    self.folder = folder
    self.measure = measure
    try? FileManager.default.removeItem(atPath: folder)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    // Of the caller's environment only what finds programs.
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    environment = [
      "HOME": folder, "LC_ALL": "C.UTF-8", "LOGNAME": "bench", "PATH": path, "XDG_STATE_HOME": folder + "/state",
    ]
  }

  func path(_ name: String) -> String { folder + "/" + name }

  /// Runs `words` to their end. Their output is in `stdout` and `stderr` of the folder.
  func run(_ words: [String], input: String? = nil) throws -> Usage {
    try (input ?? "").write(toFile: path("stdin"), atomically: false, encoding: .utf8)
    let descriptors = [
      open(path("stdin"), O_RDONLY | O_CLOEXEC),
      open(path("stdout"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600),
      open(path("stderr"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600),
    ]
    defer { for descriptor in descriptors { close(descriptor) } }
    let pid = try start([measure, path("usage")] + words, environment: environment, descriptors: descriptors)
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    let figures = try String(contentsOfFile: path("usage"), encoding: .utf8).split(whereSeparator: \.isWhitespace)
      .compactMap { Int($0) }
    guard status == 0, figures.count == 4 else { throw BenchmarkError("\(words[0]) could not be measured") }
    return Usage(
      code: Int32(figures[0]), wall: Double(figures[1]) / 1e9, cpu: Double(figures[2]) / 1e6,
      peak: Double(figures[3]) / 1024)
  }

  /// Runs `words`, which must end with 0, and returns what they printed.
  @discardableResult func output(_ words: [String], input: String? = nil) throws -> String {
    let usage = try run(words, input: input)
    guard usage.code == 0 else {
      let errors = try String(contentsOfFile: path("stderr"), encoding: .utf8)
      throw BenchmarkError("\(words.joined(separator: " ")) ended with \(usage.code): \(errors)")
    }
    return try String(contentsOfFile: path("stdout"), encoding: .utf8)
  }

  /// Runs a command under strace and counts the calls that make data durable. It is never a measured run, because
  /// strace slows it down.
  func syncs(_ words: [String]) throws -> Int? {
    let counts = path("strace")
    let strace = ["strace", "-f", "--seccomp-bpf", "-c", "-e", "trace=fdatasync,fsync", "-o", counts]
    guard let usage = try? run(strace + words), usage.code == 0 else { return nil }
    return try String(contentsOfFile: counts, encoding: .utf8).split(separator: "\n").reduce(0) { sum, line in
      let words = line.split(separator: " ")
      guard let name = words.last, name == "fdatasync" || name == "fsync", words.count >= 5 else { return sum }
      return sum + (Int(words[3]) ?? 0)
    }
  }
}
