import Glibc
import Vault

/// A program that takes this process's place, so that whoever waits for the one waits for the other: signals, exit status, job
/// control and open descriptors are what they would be without us.
struct ProgramReplacement {
  /// Its file.
  let path: String
  /// What it is called and told; the name as it was given.
  let arguments: [String]

  /// Finds the program that `arguments` begins with, as a shell does: along PATH, unless it has a slash.
  ///
  /// Throws a `Failure`, of code `notFound` or `notPermitted`, if there is none to be run. Runs nothing.
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
    // What the C library takes where the environment has none.
    let folders = (ProcessEnvironment.value(of: "PATH") ?? "/bin:/usr/bin").split(
      separator: ":", omittingEmptySubsequences: false)
    let candidates = folders.map { $0.isEmpty ? "./\(name)" : "\($0)/\(name)" }
    guard let path = candidates.first(where: Self.isProgram) else {
      throw candidates.contains { access($0, F_OK) == 0 } ? Self.unusable(name) : Self.missing(name)
    }
    self.path = path
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
      .notPermitted, "\(Name.printable(name)) is nothing that can be run", hint: "check that it is a file, and its mode"
    )
  }

  /// Runs it in this process's place, in `folder` if one is named. Returns only to throw.
  func run(in folder: String? = nil) throws -> Never {
    if let folder, chdir(folder) != 0 {
      throw Failure(
        .notFound, "cannot work in \(Name.printable(folder)): \(String(cString: strerror(errno)))",
        hint: "check that the folder is there")
    }
    ProcessHardening.applied.restoreForChild()
    let words = arguments.map { strdup($0) } + [nil]
    execve(path, words, environ)
    let reason = String(cString: strerror(errno))
    for word in words { free(word) }
    throw Failure(
      .notPermitted, "\(Name.printable(path)) cannot be run: \(reason)",
      hint: "it must be a program, or a script whose first line names its interpreter")
  }
}
