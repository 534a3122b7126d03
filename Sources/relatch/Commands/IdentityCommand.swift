import ArgumentParser
import Glibc
import JSON
import Vault

struct IdentityCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "identity", abstract: "Make an identity, print its public card, or protect it with a passphrase.",
    discussion: """
      An identity is an age X25519 key; `age-keygen` makes them too. Where it has a passphrase, that is asked for on the
      terminal, read from --passphrase-fd, or taken from relatch-passphrase among the credentials of a systemd service.
      """, subcommands: [IdentityNewCommand.self, IdentityShowCommand.self, IdentityProtectCommand.self])
}

/// Under what name a card introduces its identity.
struct CardName: ParsableArguments {
  @Option(help: ArgumentHelp("The name on the card; USER@HOST if none is given.", valueName: "name"))
  var name: String?

  func card(of identity: Identity) throws -> String { try identity.publicCard(named: name ?? Self.here).canonicalText }

  private static var here: String {
    let user = ProcessEnvironment.value(of: "LOGNAME") ?? ProcessEnvironment.value(of: "USER") ?? "user"
    var system = utsname()
    let host =
      uname(&system) == 0
      ? withUnsafeBytes(of: &system.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) } : ""
    return host.isEmpty ? user : "\(user)@\(host)"
  }
}

struct IdentityNewCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "new", abstract: "Make an identity, and print its public card.")

  @OptionGroup var options: CommonOptions
  @OptionGroup var card: CardName

  @Flag(help: "Keep it without a passphrase, as cron hosts need it.")
  var noPassphrase = false

  func run() async throws {
    let identity = try Places(options).identityFile.create(isProtected: !noPassphrase)
    try Report(options).text(card.card(of: identity))
  }
}

struct IdentityShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Print the public card: what others seal to, and verify signatures with.")

  @OptionGroup var options: CommonOptions
  @OptionGroup var card: CardName

  func run() async throws {
    try Report(options).text(card.card(of: Places(options).openIdentity()))
  }
}

struct IdentityProtectCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "protect", abstract: "Give the identity a new passphrase, or none.",
    discussion: "The key stays the same: vaults open as before. Copies made earlier keep the passphrase they had.")

  @OptionGroup var options: CommonOptions
  @OptionGroup var card: CardName

  @Flag(help: "Take the passphrase away.")
  var noPassphrase = false

  func run() async throws {
    let places = try Places(options)
    let identity = try places.identityFile.protect(isProtected: !noPassphrase)
    let card = try card.card(of: identity)
    if options.json || !options.quiet { try Report(options).text(card) }
  }
}
