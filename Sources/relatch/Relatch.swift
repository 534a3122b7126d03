import ArgumentParser

/// The program: its verbs, and nothing else. What a verb does is in `Commands/`, how things are put together in
/// `RotationComposition.swift`, and what a failure means to a caller in `Failure.swift`.
struct Relatch: AsyncParsableCommand {
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "relatch",
    abstract: "Keep, rotate and prove OAuth client credentials.",
    // With the parser's own version option, each verb would list --version and refuse it.
    usage: """
      relatch <subcommand>
      relatch --version
      """,
    discussion: """
      A new pair is staged at the provider, saved, proved with a real token grant, and only then promoted; the old pair \
      stays a debt until the provider is seen to refuse it. Every access and every step is in a log that others can verify.

      EXIT STATUS
        0 done, or nothing to do            10 new pair refused, not promoted
        11 promoted, not delivered          12 a debt is outstanding
        13 some of many failed              14 something is due (plan --check)
        64 usage                            65 corrupt or tampered data
        66 no such vault, credential, file  69 provider unreachable
        70 internal error                   74 log or vault cannot be written
        75 held back, try later             77 not permitted, or cannot unlock
        78 configuration
      """,
    groupedSubcommands: [
      CommandGroup(
        name: "Credential",
        subcommands: [
          InitCommand.self, AddCommand.self, ProviderCommand.self, SettingsCommand.self, PolicyCommand.self,
          ListCommand.self, ShowCommand.self, StatusCommand.self, RemoveCommand.self,
        ]),
      CommandGroup(name: "Use", subcommands: [ReadCommand.self, ExecCommand.self, TokenCommand.self]),
      CommandGroup(
        name: "Rotation",
        subcommands: [
          DoctorCommand.self, PlanCommand.self, RotateCommand.self, ResumeCommand.self, AbortCommand.self,
          RetireCommand.self,
          AdoptCommand.self, MetricsCommand.self,
        ]),
      CommandGroup(name: "Delivery", subcommands: [SinkCommand.self, HookCommand.self, DeliverCommand.self]),
      CommandGroup(name: "Leak", subcommands: [RevokeCommand.self, IncidentCommand.self, DrillCommand.self]),
      CommandGroup(
        name: "People",
        subcommands: [
          IdentityCommand.self, MemberCommand.self, GrantCommand.self, UngrantCommand.self, RekeyCommand.self,
          HandoffCommand.self,
        ]),
      CommandGroup(name: "Log", subcommands: [LogCommand.self]),
      CommandGroup(name: "Backup", subcommands: [BackupCommand.self, RestoreCommand.self]),
      CommandGroup(name: "Salesforce", subcommands: [SalesforceCommand.self]),
    ])
}

/// The options that every verb has.
struct CommonOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The vault's folder; otherwise RELATCH_VAULT, or ~/.local/share/relatch/default.", valueName: "dir"),
    completion: .directory)
  var vault: String?

  @Option(
    help: ArgumentHelp(
      "The identity's file; otherwise RELATCH_IDENTITY, or ~/.config/relatch/identity.", valueName: "file"),
    completion: .file())
  var identity: String?

  @Option(help: ArgumentHelp("Read each passphrase, one line, from this open descriptor.", valueName: "number"))
  var passphraseFd: Int32?

  @Flag(help: "Accept a vault that is an older copy of what was seen before, and log that.")
  var acceptRollback = false

  @Flag(help: "Print one JSON object a line, including errors.")
  var json = false

  @Flag(help: "Print only what was asked for, warnings and errors: no steps, no confirmations.")
  var quiet = false
}

/// The values of the options that every verb has.
struct CommonSettings: Equatable, Sendable {
  var vault: String?
  var identity: String?
  var passphraseFd: Int32?
  var acceptRollback = false
  var json = false
  var quiet = false
}

extension CommonOptions {
  var settings: CommonSettings {
    CommonSettings(
      vault: vault, identity: identity, passphraseFd: passphraseFd, acceptRollback: acceptRollback, json: json,
      quiet: quiet)
  }
}
