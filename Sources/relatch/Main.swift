import ArgumentParser
import Sodium

/// The entry: the process is hardened before anything is read, and every way out has a documented exit code.
@main
enum Main {
  static func main() async {
    ProcessHardening.apply()
    let report = Report(arguments: CommandLine.arguments)
    do {
      var command = try Relatch.parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
      exitProcess(with: .done)
    } catch let status as Status {
      exitProcess(with: status.code)
    } catch {
      let code = Relatch.exitCode(for: error)
      if code == .success {
        report.text(Relatch.message(for: error))
        exitProcess(with: .done)
      }
      let failure = Failure(error, isUsage: code == .validationFailure)
      report.failure(failure)
      exitProcess(with: failure.code)
    }
  }
}

/// A command that did its work and ends with another code than 0; what there is to say was said.
struct Status: Error {
  let code: ExitCode
}
