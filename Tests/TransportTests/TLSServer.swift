import Foundation
import Glibc
import Testing

/// A certificate authority and certificates made for one test run, and the real servers that use them.
final class TLSBench: Sendable {
  let directory: URL
  var authority: String { path("ca.pem") }

  init() throws {
    directory = FileManager.default.temporaryDirectory.appendingPathComponent("transport-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    try makeAuthority("ca")
    try makeCertificate("server", authority: "ca", name: "IP:127.0.0.1")
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  func path(_ name: String) -> String { directory.appendingPathComponent(name).path }

  func makeAuthority(_ name: String) throws {
    try openssl(
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
      "/CN=Test authority", "-addext", "basicConstraints=critical,CA:true", "-keyout", path("\(name).key"), "-out",
      path("\(name).pem"))
  }

  /// A certificate `name`.pem for one subject alternative name.
  func makeCertificate(_ file: String, authority: String, name: String, days: String = "2") throws {
    try Data("subjectAltName=\(name)\n".utf8).write(to: directory.appendingPathComponent("\(file).ext"))
    try openssl(
      "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test", "-keyout",
      path("\(file).key"), "-out", path("\(file).csr"))
    try openssl(
      "x509", "-req", "-in", path("\(file).csr"), "-CA", path("\(authority).pem"), "-CAkey", path("\(authority).key"),
      "-CAcreateserial", "-days", days, "-extfile", path("\(file).ext"), "-out", path("\(file).pem"))
  }

  private func openssl(_ arguments: String...) throws {
    let program = try Program(Program.openssl, arguments)
    guard program.succeeds() else { throw ProgramFailure(arguments: arguments) }
  }
}

struct ProgramFailure: Error { let arguments: [String] }

/// A running program, ended together with this object. Not `Process`, which waits for its run loop and starves the
/// tests' threads.
final class Program: Sendable {
  static let openssl = find("openssl")
  static let nginx = find("nginx")
  static let python = find("python3")

  private let id: pid_t

  init(_ path: String?, _ arguments: [String]) throws {
    let path = try #require(path)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (descriptor, flags) in [(0, O_RDONLY), (1, O_WRONLY), (2, O_WRONLY)] {
      posix_spawn_file_actions_addopen(&actions, Int32(descriptor), "/dev/null", flags, 0)
    }
    var words = ([path] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var id = pid_t()
    let status = posix_spawn(&id, path, &actions, nil, &words, environ)
    guard status == 0 else { throw ProgramFailure(arguments: arguments) }
    self.id = id
  }

  /// Waits for the end; true if it succeeded.
  func succeeds() -> Bool {
    var info = siginfo_t()
    // `deinit` reaps it, so that the process id stays ours until then.
    while waitid(P_PID, id_t(id), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
    return info.si_code == Int32(CLD_EXITED) && info._sifields._sigchld.si_status == 0
  }

  deinit {
    // Because it was spawned from a Dispatch thread, it starts with every other signal blocked.
    kill(id, SIGKILL)
    while waitpid(id, nil, 0) < 0 && errno == EINTR {}
  }

  private static func find(_ name: String) -> String? {
    ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"].map { "\($0)/\(name)" }
      .first { FileManager.default.isExecutableFile(atPath: $0) }
  }
}
