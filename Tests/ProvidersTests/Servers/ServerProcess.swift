import Foundation
import Glibc
import Loopback
import Testing

/// A server program in a folder of its own, ended together with this value.
final class ServerProcess: Sendable {
  let folder: URL
  let port: UInt16
  private let pid: pid_t

  var url: String { "http://127.0.0.1:\(port)" }

  /// `prepare` writes what the program needs, and returns its command line.
  init(
    environment: [String: String] = [:], _ prepare: (_ folder: URL, _ port: UInt16) throws -> [String]
  ) throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("server-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    port = try Self.freePort()
    let arguments = try prepare(folder, port)
    pid = try Self.spawn(arguments, environment, in: folder.path)
  }

  deinit {
    kill(pid, SIGKILL)
    waitpid(pid, nil, 0)
    try? FileManager.default.removeItem(at: folder)
  }

  var log: String { (try? String(contentsOf: folder.appendingPathComponent("log"), encoding: .utf8)) ?? "" }

  /// Waits until it gives any answer to `path`.
  func ready(_ path: String) async throws {
    for _ in 1...3000 {
      if (try? await LoopbackClient(url).send("GET", path)) != nil { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("the server does not answer: \(log.suffix(2000))")
  }

  /// The first of `paths` that can be executed.
  static func program(_ paths: String...) -> String? {
    paths.first { FileManager.default.isExecutableFile(atPath: $0) }
  }

  /// The path of `name` in PATH: the one that `.ci/install --test` used.
  static func onPath(_ name: String) -> String? {
    let folders = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":") ?? []
    return folders.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
  }

  /// What `.ci/install --test` installed from PyPI.
  static let pythonServers = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../../.build/servers").standardized

  private static func freePort() throws -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
      }
    }
    try #require(isBound)
    return UInt16(bigEndian: address.sin_port)
  }

  private static func spawn(_ arguments: [String], _ more: [String: String], in folder: String) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, folder + "/log", O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    let environment = ProcessInfo.processInfo.environment.merging(more) { $1 }
    // In its folder, so that what a server leaves where it was started is deleted with the rest.
    let words = (["/bin/sh", "-c", #"cd "$0" && exec "$@""#, folder] + arguments).map { strdup($0) } + [nil]
    let variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in words + variables { free(pointer) } }
    var pid: pid_t = 0
    let failure = posix_spawn(&pid, "/bin/sh", &actions, nil, words, variables)
    try #require(failure == 0, "\(arguments[0]): \(String(cString: strerror(failure)))")
    return pid
  }
}
