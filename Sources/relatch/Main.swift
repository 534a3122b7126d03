import ArgumentParser
import Glibc

/// The entry point. The process is hardened before anything is read, and every way out has a documented exit code.
@main
enum Main {
  static func main() {
    let warnings = ProcessHardening.applied.warnings
    // A shell that completes a line shows what is printed in the middle of it.
    if !isCompleting { for warning in warnings { Diagnostics.standard.warning(warning) } }
    exit(MainThread.shared.run { await code() }.rawValue)
  }

  private static var isCompleting: Bool { ProcessArguments.all.dropFirst().first == "---completion" }

  private static func run() async throws {
    try ProcessArguments.requireText()
    let arguments = ProcessArguments.all.dropFirst()
    if let command = Relatch.plainCommand(arguments) { return try await command.run() }
    if arguments.first == "--version" { return try StandardStream.output.write(Relatch.version + "\n") }
    // Not Swift's own arguments: where a preloaded library has changed the environment, Swift finds none.
    var command = try await Relatch.asyncParseAsRoot(Array(arguments))
    if var command = command as? any AsyncParsableCommand {
      // A program that takes this one's place is to find the limit that it would have found without it.
      if !(command is ExecCommand) { try OpenFiles.requireEnough() }
      try await command.run()
    } else {
      try command.run()
    }
  }

  /// Ends by SIGPIPE, as programs do that nobody reads any more, for example because `head` has what it wanted. Returns
  /// if this process was started with SIGPIPE ignored: then it is an error.
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
        // Even a command that failed may have made the log longer. Its own error comes first.
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
      // The parser throws help as if it were an error, and also answers a word that it does not know with help.
      if status == .success {
        do {
          let text = Relatch.fullMessage(for: error)
          let mistaken = MistakenArguments(Array(ProcessArguments.all.dropFirst()))
          if let failure = mistaken.unknownVerb ?? mistaken.unmeantHelp { throw failure }
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

/// Ends a command with a code other than 0 after it has done its work and reported everything.
struct Status: Error {
  let code: ExitCode
}
