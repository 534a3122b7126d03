import ArgumentParser
import JSON
import Vault

struct RemoveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Remove a credential with all its pairs: nobody can open them afterwards.",
    discussion: """
      Nothing is asked of the provider: its pairs stay what they are there. A credential that administers others is not \
      removed, nor one with a pair that is staged or still owed, unless --forget-debts says so. What was delivered to \
      sinks stays where it is.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.")
  var name: String

  @Flag(help: "Remove it although a pair is staged, or owed and perhaps still accepted.")
  var forgetDebts = false

  func run() async throws {
    let places = try Places(options)
    let removed = try await places.openVault().remove(name, forgettingDebts: forgetDebts, now: WallClock.now())
    KeptTokens(of: places).forget(removed.id)
    let forgotten = (removed.versions.filter { $0.stage == .staged } + removed.debts).map(\.number).sorted()
    let report = Report(options)
    try report.confirmation(
      .object([
        "credential": .string(name), "forgotten": .array(forgotten.map { .integer(Int(clamping: $0)) }),
        "type": "removed",
      ]),
      text: "\(name) is removed"
        + (forgotten.isEmpty
          ? "" : "; the provider may accept version \(forgotten.map(String.init).joined(separator: ", ")) still"))
    report.note("its active pair is not touched at the provider: whoever has it can use it")
  }
}
