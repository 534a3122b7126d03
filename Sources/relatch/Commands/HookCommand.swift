import ArgumentParser
import Rotation
import Storage
import Vault

struct HookCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hook", abstract: "Add, list and remove programs that run during a rotation.",
    subcommands: [HookAddCommand.self, HookListCommand.self, HookRemoveCommand.self])
}

struct HookAddCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Add a program that runs during a rotation.",
    discussion: """
      \(HelpText.columns(occasions))

      The command is not run by a shell. Put no secrets in it, and let it print none.

      \(HelpText.examples(
        "relatch hook add crm --on promoted -- systemctl reload crm",
        "relatch hook add crm --on before --name freeze -- test ! -e /run/release"))
      """)

  private static let occasions = [
    (
      word: "before",
      meaning: "before anything is asked of the provider; a program that fails stops the attempt. It gets no pair"
    ),
    (
      word: "promoted",
      meaning:
        #"when a new pair is active and verified; it is on standard input: {"client_id":"…","client_secret":"…"}"#
    ),
    (
      word: "failed",
      meaning: #"when a run ended with an error, which is on standard input: {"code":…,"credential":"…","error":"…"}"#
    ),
  ]

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  @Option(
    name: .customLong("on"), help: "When to run it: before, promoted or failed.",
    completion: .list(["before", "promoted", "failed"]))
  var occasion: String

  @Option(help: ArgumentHelp("How long it may run before it is ended, up to 1h.", valueName: "duration"))
  var timeLimit = "60s"

  @Option(
    name: .customLong("name"),
    help: ArgumentHelp("The hook's name (default: the program's).", valueName: "name"))
  var hook: String?

  @Argument(
    parsing: .postTerminator, help: ArgumentHelp("The program and its arguments, after --.", valueName: "command"))
  var command: [String] = []

  func run() async throws {
    guard let when = HookSettings.Occasion(rawValue: occasion) else {
      throw Failure(
        .usage, "--on \(Name.printable(occasion)): expected before, promoted or failed",
        hint: "`relatch help hook add` says what each means")
    }
    guard let limit = Policy.duration(timeLimit) else {
      throw Failure(
        .usage, "--time-limit \(Name.printable(timeLimit)): expected a duration", hint: "write it as in 90s")
    }
    guard let word = command.first else {
      throw Failure(.usage, "no program is given", hint: "write it after two dashes: -- /usr/bin/systemctl reload crm")
    }
    let program = try Paths.program(word)
    let settings = DeliverySettings(
      name: hook ?? Paths.name(of: program),
      kind: .hook(
        HookSettings(occasion: when, arguments: [program] + command.dropFirst(), timeLimit: limit)))
    try await settings.add(to: name, options)
  }
}

struct HookListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the hooks of a credential, without unlocking anything.")

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  func run() async throws { try await Deliveries.list(of: name, options) { !$0.isFile } }
}

struct HookRemoveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "remove", abstract: "Remove a hook.")

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  @Argument(help: "The hook's name.", completion: .hookName)
  var hook: String

  func run() async throws { try await Deliveries.remove(hook, from: name, options) { !$0.isFile } }
}
