import CSystem
import Glibc
import Vault

/// A program that takes this process's place, so that whoever waits for this process waits for the program. Signals,
/// exit status, job control and open descriptors are what they would be without Relatch.
struct ProgramReplacement {
  /// Its file.
  let path: String
  /// Its name, as it was given, and its arguments.
  let arguments: [String]

  /// Finds the program that `arguments` begins with as a shell does: along PATH, unless the name contains a slash.
  ///
  /// Throws a `Failure` with `notFound` or `notPermitted` if there is no such program or it cannot be run. Runs
  /// nothing.
  init(_ arguments: [String]) throws {
    guard let name = arguments.first, !name.isEmpty else {
      throw Failure(.usage, "no program to run", hint: "name it after --")
    }
    self.arguments = arguments
    guard !name.contains("/") else {
      path = name
      guard access(name, F_OK) == 0 else { throw Self.missing(name) }
      guard Self.isProgram(name) else { throw Self.unusable(name) }
      return
    }
    // The C library's default if the environment has no PATH.
    let folders = (ProcessEnvironment.value(of: "PATH") ?? "/bin:/usr/bin").split(
      separator: ":", omittingEmptySubsequences: false)
    let candidates = folders.map { $0.isEmpty ? "./\(name)" : "\($0)/\(name)" }
    guard let path = candidates.first(where: Self.isProgram) else {
      throw candidates.contains { access($0, F_OK) == 0 } ? Self.unusable(name) : Self.missing(name)
    }
    // Resolved because a folder of PATH may be relative and the program may be run in another folder.
    let resolved = realpath(path, nil)
    defer { free(resolved) }
    self.path = resolved.map { String(cString: $0) } ?? path
  }

  private static func isProgram(_ path: String) -> Bool {
    var information = stat()
    return stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
  }

  private static func missing(_ name: String) -> Failure {
    Failure(.notFound, "there is no program \(Name.printable(name))", hint: "check its name, and PATH")
  }

  private static func unusable(_ name: String) -> Failure {
    Failure(
      .notPermitted, "\(Name.printable(name)) cannot be run",
      hint: "check that it is a file, and that its mode allows it"
    )
  }

  /// Runs the program in this process's place, in `folder` if one is named, with `variables` in its environment.
  /// Returns only by throwing.
  func run(in folder: String? = nil, with variables: [SecretVariable] = []) throws -> Never {
    if let folder, chdir(folder) != 0 {
      throw Failure(
        .notFound, "cannot work in \(Name.printable(folder)): \(Errno.text)",
        hint: "check that the folder is there")
    }
    ProcessHardening.applied.restoreForChild()
    withWords { words in
      SecretVariable.withEnvironment(variables) { _ = execve(path, words, $0) }
    }
    throw cannotRun(errno)
  }

  /// Runs the program beside this process, with `variables` in its environment and these descriptors as standard output
  /// and standard error; -1 stands for this process's own. Returns its pid. Must be called on the main thread: the
  /// program is killed when the calling thread ends.
  func accompany(with variables: [SecretVariable], output: Int32, errors: Int32) throws -> Int32 {
    let pid = withWords { words in
      SecretVariable.withEnvironment(variables) { environment in
        var companion = csystem_companion(
          path: nil, arguments: words, environment: environment, output: output, errors: errors,
          mask: ProcessHardening.applied.childMask, restores_pipe: ProcessHardening.applied.restoresPipe ? 1 : 0,
          restores_size_limit: ProcessHardening.applied.restoresSizeLimit ? 1 : 0)
        return path.withCString { path in
          companion.path = path
          return csystem_accompany(&companion)
        }
      }
    }
    guard pid > 0 else { throw cannotRun(errno) }
    return pid
  }

  private func withWords<Result>(_ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result) -> Result {
    let words = arguments.map { strdup($0) } + [nil]
    defer {
      let saved = errno
      for word in words { free(word) }
      errno = saved
    }
    return withUnsafePointers(words, body)
  }

  private func cannotRun(_ number: Int32) -> Failure {
    Failure(
      .notPermitted, "\(Name.printable(path)) cannot be run: \(Errno.text(number))",
      hint: "it must be a program, or a script whose first line names its interpreter")
  }
}
