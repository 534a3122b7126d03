import ArgumentParser
import Rotation

struct DeliverCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "deliver", abstract: "Deliver the active pair to every sink and hook that lacks it.")

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credentials' names.", completion: .credentialName)
  var names: [String]

  @Flag(help: "Deliver it also to those that have it.")
  var again = false

  @OptionGroup var many: JobsOptions

  func run() async throws {
    let places = try Places(options)
    let vault = try await places.openVault()
    let errands = Errand.each(names, .deliver(again: again))
    try await RotationComposition(vault: vault, in: places).runEach(
      errands, jobs: many.jobs, report: Report(options).of(runs: errands.count))
  }
}
