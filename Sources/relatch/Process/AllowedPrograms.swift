import Audit
import Delivery
import JSON
import Providers
import Rotation
import Vault

/// Starts only the programs that this machine's user has allowed a vault to start: others may have put the vault here,
/// and a credential may have come from elsewhere.
struct AllowedPrograms: ProgramHost {
  let vault: Identifier

  func run(_ call: ProgramCall) async throws(ProviderError) -> ProgramEnding {
    let isAllowed: Bool
    do { isAllowed = try ProgramList().allows(call.arguments, vault) } catch {
      let failure = Failure(error)
      throw ProviderError(.notPermitted, failure.message, hint: failure.hint, step: .program)
    }
    guard isAllowed else {
      // What cannot be started is not allowed either.
      do { try HookRunner.ofThisProcess.requireTrusted(call.arguments) } catch {
        throw ProviderError(
          .configuration, error.description, hint: "correct the setting program: `relatch show NAME`", step: .program)
      }
      throw ProviderError(
        .notPermitted,
        "the program that its settings name is not allowed on this machine: \(ProgramList.words(call.arguments))",
        hint: "if you know that program and it is to get the pair, run `relatch provider allow NAME`",
        step: .program)
    }
    return try await HookRunner.ofThisProcess.run(call)
  }
}

/// The file of allowed programs. Each line allows one program, with its arguments, for one vault.
struct ProgramList {
  let path: String

  private static let maximumSize = 1 << 20

  init() throws { self.init(path: try Paths.absolute(Places.programs)) }

  /// The file at the absolute `path`.
  init(path: String) { self.path = path }

  /// A program and all its arguments, for a person to read: on one line, clearly separated, and with nothing that
  /// steers a terminal.
  static func words(_ arguments: [String]) -> String { JSONValue.array(arguments.map { .string($0) }).line }

  /// Whether `vault` may start exactly these `arguments`. Throws if somebody else could have written the file.
  func allows(_ arguments: [String], _ vault: Identifier) throws -> Bool {
    try ProgramLines.allow(arguments, vault, in: read() ?? [])
  }

  /// Adds a line; returns false if it was there already. Throws if somebody else could have written the file or its
  /// folder.
  func add(_ arguments: [String], _ vault: Identifier) throws -> Bool {
    let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    if !folder.isEmpty, !PrivateFile.exists(folder) { try PrivateFile.createFolder(folder) }
    try OwnFile(path).requireFolder()
    // Locked, so that of two processes at once neither loses the other's line.
    return try PrivateFile.withLock(folder.isEmpty ? "." : folder) {
      let before = try read() ?? []
      guard !ProgramLines.allow(arguments, vault, in: before) else { return false }
      let bytes = ProgramLines.adding(arguments, vault, to: before)
      try PrivateFile.replace(path, bytes.span.bytes, isDurable: true)
      return true
    }
  }

  private func read() throws -> [UInt8]? {
    do { return try OwnFile(path).read(limit: Self.maximumSize) } catch {
      throw Failure(
        .notPermitted, "which programs are allowed here cannot be read: \(error)",
        hint: error.hint ?? "check what is in that file")
    }
  }
}
