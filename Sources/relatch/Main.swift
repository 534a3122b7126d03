import ArgumentParser
import Glibc

/// The entry: the process is hardened before anything is read, and every way out has a documented exit code.
@main
enum Main {
  static func main() {
    for warning in ProcessHardening.applied.warnings { Diagnostics.standard.warning(warning) }
    exit(MainThread.shared.run { await code() }.rawValue)
  }

  private static func run() async throws {
    try ProcessArguments.requireText()
    let arguments = ProcessArguments.all.dropFirst()
    if let command = Relatch.plainCommand(arguments) { return try await command.run() }
    if arguments.first == "--version" { return try StandardStream.output.write(Relatch.version + "\n") }
    var command = try await Relatch.asyncParseAsRoot()
    if var command = command as? any AsyncParsableCommand {
      try await command.run()
    } else {
      try command.run()
    }
  }

  /// Ends as programs do that nobody reads any more, `head` for one having what it wanted. Returns if whoever started this wants
  /// that to be an error.
  private static func endByReader() {
    guard ProcessHardening.applied.restoresPipe else { return }
    signal(SIGPIPE, SIG_DFL)
    raise(SIGPIPE)
  }

  private static func code() async -> ExitCode {
    let report = Report(arguments: ProcessArguments.all)
    do {
      do {
        try await run()
      } catch {
        // Whatever came of it, it may have made the log longer. What the command itself met comes first.
        try? await OpenedVaults.shared.remember()
        throw error
      }
      try await OpenedVaults.shared.remember()
      return .done
    } catch let status as Status {
      return status.code
    } catch {
      let status = Relatch.exitCode(for: error)
      var met = error
      // Help is a result that the parser throws; it is also what it answers to what it does not know.
      if status == .success {
        do {
          let text = Relatch.fullMessage(for: error)
          if let unknown = MistakenArguments(Array(ProcessArguments.all.dropFirst())).unknownVerb { throw unknown }
          try StandardStream.output.write(text + "\n")
          return .done
        } catch { met = error }
      }
      if let error = met as? StreamError, error.isReaderGone { endByReader() }
      let failure = Failure(met, isUsage: status == .validationFailure)
      report.failure(failure)
      return failure.code
    }
  }
}

/// A command that did its work and ends with another code than 0; what there is to say was said.
struct Status: Error {
  let code: ExitCode
}
