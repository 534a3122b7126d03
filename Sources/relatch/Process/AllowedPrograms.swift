import Audit
import Delivery
import JSON
import Providers
import Rotation
import Vault

/// Starts what this machine's user has allowed a vault to start, and nothing else: a vault may have been put here by others, and
/// a credential may have come from elsewhere.
struct AllowedPrograms: ProgramHost {
  let vault: Identifier

  func run(_ call: ProgramCall) async throws(ProviderError) -> ProgramEnding {
    let isAllowed: Bool
    do { isAllowed = try ProgramList().allows(call.arguments, vault) } catch {
      let failure = Failure(error)
      throw ProviderError(.notPermitted, failure.message, hint: failure.hint, step: .program)
    }
    guard isAllowed else {
      throw ProviderError(
        .notPermitted,
        "the program that its settings name is not allowed on this machine: \(ProgramList.words(call.arguments))",
        hint: "if you know that program, and that it is to get the pair: `relatch provider allow NAME`",
        step: .program)
    }
    return try await HookRunner.ofThisProcess.run(call)
  }
}

/// The file of the programs that are allowed: a line each, a program with its arguments for one vault.
struct ProgramList {
  let path: String

  private static let greatest = 1 << 20

  init() throws { self.init(path: try Paths.absolute(Places.programs)) }

  /// The file at the absolute `path`.
  init(path: String) { self.path = path }

  /// A program and its arguments for a person: all of them, each to be told from the next, on one line that steers no terminal.
  static func words(_ arguments: [String]) -> String { JSONValue.array(arguments.map { .string($0) }).line }

  /// Whether `arguments`, all of them, are allowed to `vault`. Throws if the file is another's word.
  func allows(_ arguments: [String], _ vault: Identifier) throws -> Bool {
    try ProgramLines.allow(arguments, vault, in: read() ?? [])
  }

  /// Adds a line; returns whether there was none. Throws if the file, or its folder, is another's word.
  func add(_ arguments: [String], _ vault: Identifier) throws -> Bool {
    let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    if !folder.isEmpty, !PrivateFile.exists(folder) { try PrivateFile.createFolder(folder) }
    try OwnFile(path).requireFolder()
    // Of two at once neither loses the other's line.
    return try PrivateFile.withLock(folder.isEmpty ? "." : folder) {
      let before = try read() ?? []
      guard !ProgramLines.allow(arguments, vault, in: before) else { return false }
      let bytes = ProgramLines.adding(arguments, vault, to: before)
      try PrivateFile.replace(path, bytes.span.bytes, isDurable: true)
      return true
    }
  }

  private func read() throws -> [UInt8]? {
    do { return try OwnFile(path).read(limit: Self.greatest) } catch {
      throw Failure(
        .notPermitted, "what may be started here is not known: \(error)", hint: error.hint ?? "see what is in it")
    }
  }
}
