import ArgumentParser
import Rotation

struct RetireCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retire", abstract: "End the grace of a replaced pair: delete it at the provider, and see it refused.")

  @OptionGroup var options: CommonOptions
  @OptionGroup var unattended: UnattendedOptions

  @Argument(help: "The credentials' names.", completion: .credentialName)
  var names: [String]

  @Flag(help: "Retire even if the active pair has not arrived at every sink and hook.")
  var undelivered = false

  @OptionGroup var many: JobsOptions

  func run() async throws { try await unattended.run(options, retire) }

  private func retire(_ report: Report) async throws {
    let places = try Places(options)
    let vault = try await places.openVault()
    let errands = Errand.each(names, undelivered ? .retireUndelivered : .retire)
    try await RotationComposition(vault: vault, in: places).runEach(
      errands, jobs: many.jobs, report: report.of(runs: errands.count))
  }
}
