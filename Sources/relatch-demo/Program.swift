import Foundation

/// The `relatch` program beside this one, with a vault and an identity of its own.
struct Program {
  let folder: URL
  private let executable: URL

  var vault: String { folder.appending(path: "vault").path }
  var identity: String { folder.appending(path: "identity").path }
  /// Where `relatch` keeps what it has seen of the vault: not in the user's home.
  var state: String { folder.appending(path: "state").path }

  init(folder: URL) throws {
    self.folder = folder
    executable = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
      .appending(path: "relatch")
    guard FileManager.default.isExecutableFile(atPath: executable.path) else {
      throw DemoFailure(reason: "there is no relatch beside relatch-demo: build everything first, with `swift build`")
    }
    try FileManager.default.createDirectory(
      at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
  }

  /// Shows a command as it would be typed, runs it, and lets its output through.
  func run(_ arguments: String..., input: String? = nil) throws { try run(arguments, input: input) }

  /// Does the same with an array of arguments.
  func run(_ arguments: [String], input: String? = nil) throws {
    let typed = arguments.map { $0.contains("=http") ? String($0.prefix { $0 != "=" }) + "=…" : $0 }
    say("\n$ relatch \(typed.joined(separator: " "))\(input == nil ? "" : "   # the pair on standard input")")
    _ = try start(arguments, input: input, capturing: false)
  }

  /// One field of the active pair.
  func read(_ credential: String, field: String) throws -> String {
    try start(["read", credential, "--field", field], input: nil, capturing: true)
  }

  private func start(_ arguments: [String], input: String?, capturing: Bool) throws -> String {
    let process = Process()
    process.executableURL = executable
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(
      ["RELATCH_VAULT": vault, "RELATCH_IDENTITY": identity, "XDG_STATE_HOME": state]
    ) { $1 }
    let standardInput = Pipe()
    let standardOutput = Pipe()
    process.standardInput = standardInput
    if capturing { process.standardOutput = standardOutput }
    try process.run()
    try standardInput.fileHandleForWriting.write(contentsOf: Data((input ?? "").utf8))
    try standardInput.fileHandleForWriting.close()
    let output = capturing ? try standardOutput.fileHandleForReading.readToEnd() ?? Data() : Data()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw DemoFailure(reason: "relatch \(arguments.first ?? "") ended with \(process.terminationStatus)")
    }
    return String(decoding: output, as: UTF8.self).trimmingCharacters(in: .newlines)
  }
}
