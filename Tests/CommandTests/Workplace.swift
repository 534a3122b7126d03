import Foundation
import Testing

/// One user's place: a folder with a vault and an identity, the program, and the org that it talks to.
final class Workplace: Sendable {
  let folder: URL
  let org: SimulatedOrg

  var vault: URL { folder.appendingPathComponent("vault") }
  var identity: URL { folder.appendingPathComponent("identity") }

  /// A fresh vault, with `admin` in it unless told otherwise.
  init(_ simulatorArguments: [String] = [], addsAdmin: Bool = true) async throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("relatch-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    org = try await SimulatedOrg(simulatorArguments, in: folder)
    let made = try await relatch("init", "--no-passphrase")
    #expect(made.code == 0, "\(made.errorText)")
    if addsAdmin { try await add("admin", app: nil) }
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  /// Only what a cron job has, so that no setting of the machine changes what a test sees.
  func environment(_ more: [String: String] = [:]) -> [String: String] {
    var environment = [
      "HOME": folder.path, "PATH": "/usr/bin:/bin", "RELATCH_VAULT": vault.path, "RELATCH_IDENTITY": identity.path,
    ]
    for name in ["LD_LIBRARY_PATH", "LLVM_PROFILE_FILE", "ASAN_OPTIONS", "TSAN_OPTIONS"] {
      environment[name] = ProcessInfo.processInfo.environment[name]
    }
    return environment.merging(more) { $1 }
  }

  /// Somebody who has only a copy and public keys: their looks leave no entry in the log.
  static let outsider = ["RELATCH_IDENTITY": "/nonexistent"]

  /// Runs the program to its end.
  func relatch(
    _ arguments: String..., stdin: String? = nil, environment: [String: String] = [:]
  ) async throws -> Outcome {
    try await run(Programs.relatch, arguments, stdin: stdin, environment: environment)
  }

  func run(
    _ program: String, _ arguments: [String], stdin: String? = nil, environment: [String: String] = [:]
  ) async throws -> Outcome {
    try await start(program, arguments: arguments, stdin: stdin, environment: environment).outcome()
  }

  func start(
    _ program: String = Programs.relatch, arguments: [String], stdin: String? = nil,
    environment: [String: String] = [:]
  ) throws -> Running {
    try Running(
      program, arguments, stdin: stdin.map { Data($0.utf8) }, environment: self.environment(environment), in: folder)
  }

  /// Adds the consumer of an app as the org has it; without an app, the administrator.
  @discardableResult func add(
    _ name: String, app: Int? = 1, consumer: Int = 0, admin: String = "admin", policy: [String] = ["propagation=0s"],
    _ more: [String] = [], environment: [String: String] = [:]
  ) async throws -> Outcome {
    let pair = try await org.primary(ofApp: app ?? 0, consumer: consumer)
    var arguments = ["add", name, "--provider", "salesforce", "--set", "url=\(org.url)"]
    if let app { arguments += ["--set", "app=\(try await org.apps()[app].identifier)", "--admin", admin] }
    for rule in policy { arguments += ["--policy", rule] }
    let added = try await run(Programs.relatch, arguments + more, stdin: pair.document, environment: environment)
    #expect(added.code == 0, "\(added.errorText)")
    return added
  }

  /// The pair that `read` prints; nil if it prints none.
  func pair(
    _ name: String, _ stage: String = "active", environment: [String: String] = [:]
  ) async throws -> SimulatedOrg.IssuedPair? {
    struct Document: Decodable {
      let client_id: String
      let client_secret: String
    }
    let read = try await relatch("read", name, "--stage", stage, environment: environment)
    guard read.code == 0 else { return nil }
    let document = try JSONDecoder().decode(Document.self, from: read.output)
    return SimulatedOrg.IssuedPair(key: document.client_id, secret: document.client_secret)
  }

  /// Whether `read NAME` prints the org's primary pair.
  func holdsPrimary(_ name: String, ofApp app: Int = 1, consumer: Int = 0) async throws -> Bool {
    let primary = try await org.primary(ofApp: app, consumer: consumer)
    return try await pair(name) == primary
  }

  func logIsIntact() async throws -> Bool { try await relatch("log", "verify").code == 0 }
}

/// Fails unless the run ended with `code`, and reported on standard error an error and what to do about it, and nothing
/// else.
func expectFailure(
  _ outcome: Outcome, _ code: Int32, _ words: String = "", sourceLocation: SourceLocation = #_sourceLocation
) {
  let text = outcome.errorText
  #expect(outcome.code == code, "\(text)", sourceLocation: sourceLocation)
  #expect(text.contains("relatch: error: "), "\(text)", sourceLocation: sourceLocation)
  #expect(text.contains("\nrelatch: hint: "), "\(text)", sourceLocation: sourceLocation)
  #expect(text.hasSuffix("\n"), sourceLocation: sourceLocation)
  #expect(words.isEmpty || text.contains(words), "\(text)", sourceLocation: sourceLocation)
  #expect(outcome.output.isEmpty, "\(outcome.outputText)", sourceLocation: sourceLocation)
}
