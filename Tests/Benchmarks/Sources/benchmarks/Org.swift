import Foundation
import Glibc

/// The org as a process, controlled through its standard input; it ends with this process.
final class Org {
  let url: String
  private let toOrg: Int32
  private let fromOrg: UnsafeMutablePointer<FILE>

  init(_ program: String) throws {
    var commands: [Int32] = [0, 0]
    var answers: [Int32] = [0, 0]
    guard pipe(&commands) == 0, pipe(&answers) == 0 else { throw BenchmarkError("no pipes") }
    // Measured programs must not hold them open.
    for descriptor in commands + answers { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    _ = try start([program], environment: [:], descriptors: [commands[0], answers[1], STDERR_FILENO])
    close(commands[0])
    close(answers[1])
    toOrg = commands[1]
    guard let file = fdopen(answers[0], "r") else { throw BenchmarkError("no stream") }
    fromOrg = file
    let line = try Self.line(from: file)
    guard line.hasPrefix("port ") else { throw BenchmarkError("FastOrg said \(line)") }
    url = "http://127.0.0.1:\(line.dropFirst(5))"
  }

  private static func line(from file: UnsafeMutablePointer<FILE>) throws -> String {
    var buffer = [CChar](repeating: 0, count: 1024)
    guard fgets(&buffer, Int32(buffer.count), file) != nil else { throw BenchmarkError("FastOrg ended") }
    return String(decoding: buffer.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private func ask(_ command: String) throws -> String {
    let bytes = Array((command + "\n").utf8)
    guard write(toOrg, bytes, bytes.count) == bytes.count else { throw BenchmarkError("FastOrg does not listen") }
    return try Self.line(from: fromOrg)
  }

  /// Resets the org to its first state with `apps` apps; from now on it answers after `latency` seconds.
  func reset(apps: Int, latency: Double) throws {
    guard try ask("reset \(apps) \(Int(latency * 1e6))") == "ok" else { throw BenchmarkError("FastOrg did not reset") }
  }

  /// Identifiers and primary pair of an app; 0 is the administrator's.
  func app(_ number: Int) throws -> (app: String, consumer: String, id: String, secret: String) {
    let words = try ask("app \(number)").split(separator: " ").map(String.init)
    guard words.count == 4 else { throw BenchmarkError("FastOrg has no app \(number)") }
    return (words[0], words[1], words[2], words[3])
  }

  /// What the org has counted since the last reset.
  struct Counters {
    let values: [String: Int]
    subscript(_ name: String) -> Int { values[name] ?? -1 }
    /// The org's own processor time in seconds, since its start.
    var cpu: Double { Double(self["cpu_us"]) / 1e6 }
  }

  func counters() throws -> Counters {
    let words = try ask("counters").split(separator: " ").map { $0.split(separator: "=") }
    return Counters(
      values: Dictionary(words.compactMap { $0.count == 2 ? (String($0[0]), Int($0[1]) ?? -1) : nil }) { $1 })
  }
}
