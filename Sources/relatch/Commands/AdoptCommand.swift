import ArgumentParser
import Rotation
import Vault

struct AdoptCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "adopt", abstract: "Take over the provider's primary pair, which someone else has made.",
    discussion: """
      After a restore from a backup, or a rotation at the provider's page. The pair is read from the provider, proved, and \
      becomes the active version; the one before is owed until it is seen to be refused.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.")
  var name: String

  @Flag(name: .customLong("stdin"), help: "Take the pair, as JSON, from standard input.")
  var isOffered = false

  func run() async throws {
    let vault = try await Places(options).openVault()
    let offered = isOffered ? OfferedPair(try Pair.ofStandardInput()) : nil
    try await RotationComposition(vault: vault).runEach(Errand.each([name], .adopt(offered)), report: Report(options))
  }
}
