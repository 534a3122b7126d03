import ArgumentParser
import Audit
import Glibc
import JSON
import Providers
import Sodium
import Vault

struct AddCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Add a credential; its pair comes on standard input.",
    discussion: """
      The pair is one JSON object: {"client_id":"…","client_secret":"…"}. It is never an argument.

      PROVIDERS (`relatch provider show ID` says more) \
      \(providerHelp)
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.")
  var name: String

  @Option(help: ArgumentHelp("The kind of provider.", valueName: "id"))
  var provider: String

  @Option(
    name: .customLong("set"), help: ArgumentHelp("A setting of the provider; repeatable.", valueName: "key=value"))
  var settings: [String] = []

  @Option(help: ArgumentHelp("A rule for rotation; repeatable.", valueName: "key=value"))
  var policy: [String] = []

  @Option(
    name: .customLong("tag"),
    help: ArgumentHelp("A word to choose it by later (`relatch revoke --tag`); repeatable.", valueName: "tag"))
  var tags: [String] = []

  @Option(help: ArgumentHelp("Whose token drives the rotation: another credential, or self.", valueName: "credential"))
  var admin = "self"

  @Option(
    help: ArgumentHelp(
      "When the provider made the pair (RFC 3339), for its age; now if not given.", valueName: "time"))
  var created: String?

  func run() async throws {
    let report = Report(options)
    let kind = try providerKind(provider)
    let chosen = try Assignments.parse(settings, option: "--set")
    try kind.check(chosen)
    var rules = Policy()
    for (key, value) in try Assignments.parse(policy, option: "--policy") { try rules.set(key, to: value) }
    if !tags.isEmpty { try rules.set("tags", to: (rules.tags + tags).joined(separator: ",")) }
    try rules.requireKnownZone(of: name)
    let now = WallClock.now()
    let made = try created.map { try Self.moment($0, before: now) }
    let vault = try await Places(options).openVault()
    if isatty(STDIN_FILENO) == 1 {
      Diagnostics.standard.warning("reading the pair from the terminal, where it shows; end with Ctrl-D")
    }
    let credential = try await vault.add(
      name: name, provider: provider, settings: chosen, policy: rules, admin: admin == "self" ? name : admin,
      pair: .ofStandardInput(), made: made, now: now)
    try report.confirmation(credential.json(type: "credential"), text: "\(credential.name): version 1 is active")
  }

  private static func moment(_ text: String, before now: Timestamp) throws -> Timestamp {
    guard let moment = Timestamp(rfc3339: text) else {
      throw Failure(
        .usage, "--created \(Name.printable(text)): expected a moment of RFC 3339",
        hint: "write it as in 2026-11-21T09:20:00Z, or with an offset as in 2026-11-21T11:20:00+02:00")
    }
    guard moment <= now else {
      throw Failure(
        .usage, "--created \(Name.printable(text)) is in the future: it is \(now) here",
        hint: "give when the provider made the pair, and check this machine's clock")
    }
    return moment
  }
}

/// `key=value` arguments.
enum Assignments {
  /// Throws a usage failure for anything that is not `key=value`, and for a key given twice.
  static func parse(_ arguments: [String], option: String) throws -> [String: String] {
    var values: [String: String] = [:]
    for argument in arguments {
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty else {
        throw Failure(
          .usage, "\(option) \(Name.printable(argument)): expected KEY=VALUE", hint: "write it as in grace=24h")
      }
      guard values.updateValue(String(parts[1]), forKey: String(parts[0])) == nil else {
        throw Failure(
          .usage, "\(option) \(Name.printable(String(parts[0]))) is given twice", hint: "give each key once")
      }
    }
    return values
  }
}
