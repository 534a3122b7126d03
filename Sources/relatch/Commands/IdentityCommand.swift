import ArgumentParser
import Glibc
import JSON
import Vault

struct IdentityCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "identity",
    abstract: "Make an identity, print its public card, protect it with a passphrase, or unlock it for a time.",
    discussion: """
      An identity is an age X25519 key; `age-keygen` makes them, too. If it has a passphrase, Relatch asks for it on \
      the terminal, reads it from --passphrase-fd, or takes it from relatch-passphrase among the credentials of a \
      systemd service.
      """,
    subcommands: [
      IdentityNewCommand.self, IdentityShowCommand.self, IdentityProtectCommand.self, IdentityUnlockCommand.self,
      IdentityLockCommand.self,
    ])
}

/// The name on an identity's card.
struct CardName: ParsableArguments {
  @Option(
    help: ArgumentHelp("The name on the card (default: the one it was made with, or USER@HOST).", valueName: "name"))
  var name: String?

  /// The card under the given name, otherwise the identity's, otherwise this machine's. Throws `usage` if that name is
  /// not valid.
  func card(of identity: Identity) throws -> String {
    let name = name ?? identity.name ?? Self.here
    try Self.check(name)
    return try identity.publicCard(named: name).canonicalText
  }

  /// Throws `usage` if the card of a new identity would have no valid name.
  func requireName() throws { try Self.check(name ?? Self.here) }

  private static func check(_ name: String) throws {
    do { try Name.check(name, "member name") } catch {
      throw Failure(.usage, error.description, hint: "give another name for the card: --name NAME")
    }
  }

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

  @Flag(help: "Store it without a passphrase, as cron hosts need it.")
  var noPassphrase = false

  func run() async throws {
    try card.requireName()
    let identity = try Places(options).identityFile.create(isProtected: !noPassphrase, named: card.name)
    try Report(options).text(card.card(of: identity))
  }
}

struct IdentityShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Print the public card, which others need to seal to you and verify your signatures."
  )

  @OptionGroup var options: CommonOptions
  @OptionGroup var card: CardName

  func run() async throws {
    try Report(options).text(card.card(of: Places(options).openIdentity()))
  }
}

struct IdentityProtectCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "protect", abstract: "Give the identity a new passphrase, or none.",
    discussion: "The key stays the same, so vaults open as before. Copies made earlier keep their old passphrase.")

  @OptionGroup var options: CommonOptions
  @OptionGroup var card: CardName

  @Flag(help: "Remove the passphrase.")
  var noPassphrase = false

  func run() async throws {
    let places = try Places(options)
    let told = try places.identityFile.protect(
      isProtected: !noPassphrase, named: card.name, telling: { try card.card(of: $0) })
    let report = Report(options)
    if options.json || !options.quiet { try report.text(told) }
    let path = Name.printable(try places.identity)
    report.note(noPassphrase ? "\(path) has no passphrase now" : "\(path) opens only with the new passphrase")
  }
}

struct IdentityUnlockCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unlock",
    abstract: "Ask for the passphrase once, and keep the identity unlocked in this login session.",
    discussion: """
      The kernel keeps the identity for the processes of this login session. It forgets it when the time or the \
      session is over, on `relatch identity lock`, and when the identity gets another passphrase. Until then, every \
      program that runs in the session can use it.
      """)

  @OptionGroup var options: CommonOptions

  @Option(
    name: .customLong("for"), help: ArgumentHelp("How long to keep it unlocked, up to 7d.", valueName: "duration"))
  var time = "1h"

  func run() async throws {
    let limit = Duration.seconds(7 * 24 * 3600)
    guard let duration = Policy.duration(time), duration >= .seconds(1), duration <= limit else {
      throw Failure(
        .usage, "--for \(Name.printable(time)): expected a duration from 1s to 7d", hint: "write it as in 30m or 8h")
    }
    let file = try Places(options).identityFile
    let isKept = try file.unlock(seconds: UInt32(duration.components.seconds))
    try Report(options).confirmation(
      file.json(unlockedFor: isKept ? duration : nil),
      text: isKept
        ? "\(Name.printable(file.path)) is unlocked for \(Policy.text(duration)); `relatch identity lock` ends that"
        : "\(Name.printable(file.path)) has no passphrase")
  }
}

struct IdentityLockCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lock", abstract: "Lock the identity that `identity unlock` unlocked.")

  @OptionGroup var options: CommonOptions

  func run() async throws {
    let file = try Places(options).identityFile
    let wasKept = try file.lock()
    try Report(options).confirmation(
      file.json(unlockedFor: .zero),
      text: "\(Name.printable(file.path)) \(wasKept ? "is locked again" : "was not unlocked")")
  }
}

extension IdentityFile {
  /// `time` is nil for an identity without a passphrase.
  fileprivate func json(unlockedFor time: Duration?) -> JSONValue {
    var members: [String: JSONValue] = ["identity": .string(path), "type": "identity"]
    members["unlocked_for"] = time.map { .integer(Int($0.components.seconds)) }
    return .object(members)
  }
}
