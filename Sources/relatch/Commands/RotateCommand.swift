import ArgumentParser
import JSON
import Rotation
import Storage
import Vault

struct RotateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rotate", abstract: "Stage a new pair, prove it, promote it, and verify that it is in use.",
    discussion: """
      A rotation that was interrupted is continued. The replaced pair is left alone for its grace, and retired by a later
      `rotate` or by `relatch retire`.
      """)

  @OptionGroup var options: CommonOptions
  @OptionGroup var unattended: UnattendedOptions

  @Argument(help: "The credentials' names.")
  var names: [String] = []

  @Flag(help: "Rotate every credential that is not only an administrator's.")
  var all = false

  @OptionGroup var many: ManyOptions

  @Flag(help: "Cut off the replaced pair that holds the provider's staging slot, its grace over or not.")
  var replacePrevious = false

  func validate() throws {
    guard names.isEmpty == all else { throw ValidationError("expected names of credentials, or --all") }
  }

  func run() async throws { try await unattended.run(options, rotate) }

  private func rotate(_ report: Report) async throws {
    let vault = try await Places(options).openVault()
    let chosen = all ? try await vault.store.read { try VaultView($0).rotatable() } : names
    let errands = Errand.each(chosen, replacePrevious ? .rotateReplacingPrevious : .rotate)
    let report = report.of(runs: errands.count)
    if chosen.isEmpty { report.note("there is nothing to rotate: no credential has an app of its own") }
    try await RotationComposition(vault: vault).runEach(errands, jobs: many.jobs, report: report)
  }
}

struct RetireCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retire", abstract: "End the grace of a replaced pair: delete it at the provider, and see it refused.")

  @OptionGroup var options: CommonOptions
  @OptionGroup var unattended: UnattendedOptions

  @Argument(help: "The credentials' names.")
  var names: [String]

  @OptionGroup var many: ManyOptions

  func run() async throws { try await unattended.run(options, retire) }

  private func retire(_ report: Report) async throws {
    let vault = try await Places(options).openVault()
    let errands = Errand.each(names, .retire)
    try await RotationComposition(vault: vault).runEach(
      errands, jobs: many.jobs, report: report.of(runs: errands.count))
  }
}

/// Options of verbs that may work on many credentials.
struct ManyOptions: ParsableArguments {
  @Option(help: ArgumentHelp("How many credentials to work on at once.", valueName: "n"))
  var jobs = 4

  func validate() throws {
    guard (1...1000).contains(jobs) else { throw ValidationError("--jobs \(jobs): expected 1 to 1000") }
  }
}

extension VaultView {
  /// The credentials that have something to rotate.
  fileprivate func rotatable() throws -> [String] {
    try credentials().filter { $0.settings["app"] != nil }.map(\.name)
  }
}
