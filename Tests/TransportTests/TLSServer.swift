import Foundation
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
    program.process.waitUntilExit()
    guard program.process.terminationStatus == 0 else { throw ProgramFailure(arguments: arguments) }
  }
}

struct ProgramFailure: Error { let arguments: [String] }

/// A server program, ended with this object.
final class Program: @unchecked Sendable {
  static let openssl = find("openssl")
  static let nginx = find("nginx")

  let process = Process()

  init(_ path: String?, _ arguments: [String]) throws {
    process.executableURL = URL(fileURLWithPath: try #require(path))
    process.arguments = arguments
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    process.standardInput = Pipe()
    try process.run()
  }

  deinit {
    guard process.isRunning else { return }
    process.terminate()
    process.waitUntilExit()
  }

  private static func find(_ name: String) -> String? {
    ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"].map { "\($0)/\(name)" }
      .first { FileManager.default.isExecutableFile(atPath: $0) }
  }
}
