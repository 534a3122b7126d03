import ArgumentParser
import Glibc

/// The main job against a simulated org, for newcomers: every command is the real program's, every request real HTTP.
@main
struct DemoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "relatch-demo",
    abstract: "Rotate a credential of a simulated Salesforce org, from an empty folder to a verified log.")

  @Flag(help: "Keep the folder with the vault, to look around.")
  var keep = false

  func run() async throws {
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
}

/// Something that did not come out as promised.
struct DemoFailure: Error {
  let reason: String
}

/// A line for the reader, at once: what the program under demonstration prints must follow it.
func say(_ line: String) {
  print(line)
  fflush(nil)
}
