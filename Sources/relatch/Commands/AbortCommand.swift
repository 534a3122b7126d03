import ArgumentParser
import Rotation

struct AbortCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "abort", abstract: "Give up a rotation before its pair is promoted, and remove the staged pair.",
    discussion:
      "The active pair stays. Ends with 64 if the new pair is already promoted: then there is nothing to give up.")

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  func run() async throws {
    let places = try Places(options)
    let vault = try await places.openVault()
    try await RotationComposition(vault: vault, in: places).runEach(
      Errand.each([name], .abort), report: Report(options))
  }
}
