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

  func validate() throws {
    guard names.isEmpty == all else { throw ValidationError("expected names of credentials, or --all") }
  }

  func run() async throws { try await unattended.run(options, rotate) }

  private func rotate(_ report: Report) async throws {
    let vault = try await Places(options).openVault()
    let chosen = all ? try await vault.store.read { try VaultView($0).rotatable() } : names
    if chosen.isEmpty { report.note("there is nothing to rotate: no credential has an app of its own") }
    try await RotationComposition(vault: vault).runEach(chosen, goal: .rotate, report: report)
  }
}

struct RetireCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retire", abstract: "End the grace of a replaced pair: delete it at the provider, and see it refused.")

  @OptionGroup var options: CommonOptions
  @OptionGroup var unattended: UnattendedOptions

  @Argument(help: "The credentials' names.")
  var names: [String]

  func run() async throws { try await unattended.run(options, retire) }

  private func retire(_ report: Report) async throws {
    let vault = try await Places(options).openVault()
    try await RotationComposition(vault: vault).runEach(names, goal: .retire, report: report)
  }
}

extension VaultView {
  /// The credentials that have something to rotate.
  fileprivate func rotatable() throws -> [String] {
    try credentials().filter { $0.settings["app"] != nil }.map(\.name)
  }
}
