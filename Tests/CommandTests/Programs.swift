import Foundation
import Testing

/// The real programs, found beside the test bundle in the build's folder, and how one is run to its end.
enum Programs {
  static let relatch = folder + "/relatch"
  static let simulator = folder + "/org-simulator"
  static let strace = first(of: ["/usr/bin/strace", "/bin/strace"])
  static let age = first(of: ["/usr/bin/age", "/usr/local/bin/age"])
  static let python = first(of: ["/usr/bin/python3", "/usr/local/bin/python3"])
  static let setsid = first(of: ["/usr/bin/setsid", "/bin/setsid"])

  /// The build's folder. The bundle is itself a program there, on Linux.
  private static let folder: String = {
    let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return URL(fileURLWithPath: bundle).deletingLastPathComponent().path
  }()

  private static func first(of paths: [String]) -> String? {
    paths.first { FileManager.default.isExecutableFile(atPath: $0) }
  }
}

/// How a run ended, and all it said.
struct Outcome: Sendable {
  /// The exit code; of a run ended by a signal, minus its number.
  let code: Int32
  let output: Data
  let errors: Data

  var outputText: String { String(decoding: output, as: UTF8.self) }
  var errorText: String { String(decoding: errors, as: UTF8.self) }
  /// Standard output without its last newline.
  var line: String { outputText.hasSuffix("\n") ? String(outputText.dropLast()) : outputText }

  /// Every line of standard output as a JSON object.
  func objects() throws -> [[String: Any]] {
    try outputText.split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }
  }
}

/// A program under way. What it says goes to files, so that nothing ever waits for a reader.
final class Running: Sendable {
  private let process: Process
  private let folder: URL
  private let ends: AsyncStream<Void>

  var pid: Int32 { process.processIdentifier }
  var isRunning: Bool { process.isRunning }

  init(_ program: String, _ arguments: [String], stdin: Data?, environment: [String: String], in folder: URL) throws {
    let own = folder.appendingPathComponent("run-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: own, withIntermediateDirectories: true)
    func file(_ name: String, _ content: Data = Data()) throws -> URL {
      let url = own.appendingPathComponent(name)
      try content.write(to: url)
      return url
    }
    self.folder = own
    let (ends, end) = AsyncStream.makeStream(of: Void.self)
    self.ends = ends
    process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.environment = environment
    process.currentDirectoryURL = own
    process.standardInput =
      try stdin.map { try FileHandle(forReadingFrom: file("stdin", $0)) } ?? FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: file("stdout"))
    process.standardError = try FileHandle(forWritingTo: file("stderr"))
    process.terminationHandler = { _ in end.finish() }
    try process.run()
  }

  /// What it has said so far.
  func said() throws -> (output: Data, errors: Data) {
    (
      try Data(contentsOf: folder.appendingPathComponent("stdout")),
      try Data(contentsOf: folder.appendingPathComponent("stderr"))
    )
  }

  func send(_ signal: Int32) { kill(pid, signal) }

  /// Waits for its end.
  func outcome() async throws -> Outcome {
    for await _ in ends {}
    let (output, errors) = try said()
    let code = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
    return Outcome(code: code, output: output, errors: errors)
  }

  /// Waits until `condition` holds for what it has said; fails after ten seconds.
  func wait(_ what: String, until condition: (_ output: String, _ errors: String) -> Bool) async throws {
    for _ in 1...1000 {
      let (output, errors) = try said()
      if condition(String(decoding: output, as: UTF8.self), String(decoding: errors, as: UTF8.self)) { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("waited in vain: \(what)")
  }
}
