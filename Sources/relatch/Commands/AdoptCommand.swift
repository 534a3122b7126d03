import ArgumentParser
import Rotation
import Vault

struct AdoptCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "adopt", abstract: "Take over a primary pair that was made outside this vault.",
    discussion: """
      For use after a restore from a backup, or after a rotation by hand at the provider. The pair is read from the \
      provider, proved, and becomes the active version; the previous one is owed until it is seen to be refused. \
      While a leak is noted, the adopted pair counts as leaked, too, and is replaced at once.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  @Flag(name: .customLong("stdin"), help: "Read the pair, as JSON, from standard input.")
  var isOffered = false

  func run() async throws {
    let places = try Places(options)
    let vault = try await places.openVault()
    let offered = isOffered ? OfferedPair(try Pair.ofStandardInput()) : nil
    let name = name
    let exposure = try await vault.read { try $0.credential(name).exposure }
    let report = Report(options)
    try await RotationComposition(vault: vault, in: places).runEach(
      Errand.each([name], .adopt(offered)), report: report)
    guard let exposure, try await vault.read({ try $0.credential(name).exposure }) == nil else { return }
    // The vault cannot tell who made the pair: it has only a person's word.
    report.note(
      "\(name) is no longer exposed, unless \(exposure.to.joined(separator: " or ")) made this pair:"
        + " `relatch rotate \(name)` makes one that nobody else has")
  }
}
