import ArgumentParser
import Glibc

/// The main job against a simulated org, for newcomers. Every command runs the real program, and every request is real
/// HTTP.
@main
struct DemoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "relatch-demo",
    abstract: "Rotate a credential of a simulated Salesforce org, from an empty folder to a verified log.",
    discussion: """
      With --drill some pairs leak instead, and `relatch drill` ends them and prints the incident and the time to revoke.
      """)

  @Flag(help: "Keep the folder with the vault, to look around.")
  var keep = false

  @Flag(help: "Practise a leak.")
  var drill = false

  @Option(help: ArgumentHelp("How many pairs leak in the drill.", valueName: "n"))
  var credentials = 5

  @Option(help: ArgumentHelp("How long each answer of the org takes in the drill.", valueName: "seconds"))
  var latency = 0.0

  @Flag(help: "End the leaked pairs before their replacements are proved.")
  var contain = false

  func validate() throws {
    guard (1...1000).contains(credentials), (0...60).contains(latency) else {
      throw ValidationError("expected --credentials of 1 to 1000 and --latency of 0 to 60")
    }
    guard drill || !contain else { throw ValidationError("--contain goes with --drill") }
  }

  func run() async throws {
    if drill { return try await practise() }
    let demo = try await Demo()
    do {
      try await demo.run()
    } catch let failure as DemoFailure {
      await demo.end(keepingFolder: keep)
      say("\nThe demo failed: \(failure.reason)")
      throw ExitCode.failure
    }
    await demo.end(keepingFolder: keep)
  }

  private func practise() async throws {
    let drill = try await Drill(credentials: credentials, latency: latency, contains: contain)
    do {
      try await drill.run()
    } catch let failure as DemoFailure {
      await drill.end(keepingFolder: keep)
      say("\nThe drill failed: \(failure.reason)")
      throw ExitCode.failure
    }
    await drill.end(keepingFolder: keep)
  }
}

/// A promise of the demo that did not hold.
struct DemoFailure: Error {
  let reason: String
}

/// Prints a line for the reader and flushes it, so that the output of the demonstrated program follows it.
func say(_ line: String) {
  print(line)
  fflush(nil)
}
