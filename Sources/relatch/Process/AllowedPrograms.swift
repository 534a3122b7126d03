import Audit
import Delivery
import Glibc
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

  init() throws { path = try Places.programs }

  /// The line that allows `arguments` to `vault`.
  static func line(_ arguments: [String], _ vault: Identifier) -> String {
    JSONValue.object([
      "arguments": .array(arguments.map { .string($0) }), "vault": .string(vault.description),
    ]).canonicalText
  }

  /// A program and its arguments for a person: all of them, each to be told from the next, on one line that steers no terminal.
  static func words(_ arguments: [String]) -> String { JSONValue.array(arguments.map { .string($0) }).line }

  /// Whether `arguments`, all of them, are allowed to `vault`. Throws if the file is another's word.
  func allows(_ arguments: [String], _ vault: Identifier) throws -> Bool {
    guard PrivateFile.exists(path) else { return false }
    try requireOwn()
    let wanted = Self.line(arguments, vault)
    return try read().split(separator: "\n").contains { line in
      line == wanted || (try? JSONValue(reading: Array(line.utf8)))?.canonicalText == wanted
    }
  }

  /// Adds a line; returns whether there was none.
  func add(_ arguments: [String], _ vault: Identifier) throws -> Bool {
    guard try !allows(arguments, vault) else { return false }
    var text = PrivateFile.exists(path) ? try read() : ""
    if !text.isEmpty, !text.hasSuffix("\n") { text += "\n" }
    text += Self.line(arguments, vault) + "\n"
    let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    if !folder.isEmpty, !PrivateFile.exists(folder) { try PrivateFile.createFolder(folder) }
    let bytes = Array(text.utf8)
    try PrivateFile.replace(path, bytes.span.bytes, isDurable: true)
    return true
  }

  private func read() throws -> String {
    String(decoding: try PrivateFile.readPublic(path, limit: Self.greatest), as: UTF8.self)
  }

  /// Nobody else may say what is started here.
  private func requireOwn() throws {
    var found = stat()
    guard stat(path, &found) == 0 else {
      throw Failure(.notFound, "\(Name.printable(path)) cannot be read", hint: "see that it is a file of yours")
    }
    guard found.st_uid == geteuid() || found.st_uid == 0, found.st_mode & (S_IWGRP | S_IWOTH) == 0 else {
      throw Failure(
        .notPermitted, "\(Name.printable(path)), which says what may be started, can be written by others",
        hint: "see what is in it; then make it yours or root's, and chmod go-w")
    }
  }
}
