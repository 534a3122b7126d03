import ArgumentParser
import Glibc
import JSON
import Vault

struct ExecCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exec", abstract: "Run a program with a pair in its environment, after logging the access.",
    usage: "relatch exec [<options>] <name> ... -- <program> [<argument> ...]",
    discussion: """
      The program replaces this command: signals, exit code, job control and open files are as if it had been run \
      directly, and the pair is nowhere but in its environment. With --mask or --watch this command keeps running \
      beside it, passes signals on, and ends as the program does.
      """)

  enum Signal: String, CaseIterable {
    case HUP
    case INT
    case QUIT
    case TERM
    case USR1
    case USR2
    case CONT

    var number: Int32 {
      switch self {
      case .HUP: SIGHUP
      case .INT: SIGINT
      case .QUIT: SIGQUIT
      case .TERM: SIGTERM
      case .USR1: SIGUSR1
      case .USR2: SIGUSR2
      case .CONT: SIGCONT
      }
    }
  }

  @OptionGroup var options: CommonOptions

  @Argument(
    help: ArgumentHelp("The credentials' names; after -- the program and its arguments.", valueName: "name"),
    completion: .credentialName)
  var words: [String] = []

  @Option(
    help: ArgumentHelp(
      "What the two variables begin with (default: the credential's name, crm as CRM).", valueName: "prefix"))
  var prefix: String?

  @Option(help: ArgumentHelp("The variable of the client_id.", valueName: "name"))
  var idVariable: String?

  @Option(help: ArgumentHelp("The variable of the client_secret.", valueName: "name"))
  var secretVariable: String?

  @Flag(help: "Hide the pairs in what the program writes to standard output and standard error.")
  var mask = false

  @Option(
    help: ArgumentHelp(
      "What to do when a pair changes: restart, or send the program a signal, as in HUP.", valueName: "action"))
  var watch: String?

  @Option(help: ArgumentHelp("With --watch, how often to look at the vault (default: 10s).", valueName: "duration"))
  var every: String?

  /// The program and its arguments. The parser has only one list for the words before and after the --.
  private var command: [String] { Array(ProcessArguments.all.drop { $0 != "--" }.dropFirst()) }

  private var names: [String] {
    var seen: Set<String> = []
    return words.dropLast(command.count).filter { seen.insert($0).inserted }
  }

  func run() async throws {
    let names = names
    guard !names.isEmpty else {
      throw Failure(.usage, "no credential is named", hint: "name one or more: `relatch exec NAME -- PROGRAM`")
    }
    let program = try ProgramReplacement(command)
    let variables = try variableNames()
    let reaction = try reaction()
    let interval = try interval()
    let places = try Places(options)
    let vault = try await places.openVault()
    // The program must not inherit it: the rest of it may be another passphrase.
    if let descriptor = options.passphraseFd, descriptor > STDERR_FILENO { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    let given = try await Self.open(names, variables, program, in: vault)
    try await OpenedVaults.shared.remember()
    guard mask || reaction != nil else { try program.run(with: given.variables) }
    // The unlocked vault is kept only with --watch.
    let kept = reaction == nil ? nil : vault
    let supervision = Supervision(
      program: program, masks: mask, reaction: reaction, interval: interval,
      open: {
        guard let kept else { throw Failure(.internalError, "the vault is closed", hint: "please report this") }
        let given = try await Self.open(names, variables, program, in: kept)
        try await OpenedVaults.shared.remember()
        return given
      },
      active: {
        let locked = try await places.openLocked()
        return try await locked.read { view in
          try names.map { try view.credential($0).version(in: .active)?.number ?? 0 }
        }
      })
    try await supervision.run(with: given)
  }

  /// The names of each credential's variables.
  private func variableNames() throws -> [String: VariableNames] {
    guard names.count == 1 || (prefix == nil && idVariable == nil && secretVariable == nil) else {
      throw Failure(
        .usage, "--prefix, --id-variable and --secret-variable are for one credential",
        hint: "leave them out: with several, the variables of each begin with its name")
    }
    var all: [String: VariableNames] = [:]
    var taken: Set<String> = []
    for name in names {
      let usual = VariableNames(prefix: prefix ?? VariableNames.prefix(of: name))
      let names = try VariableNames(
        clientID: idVariable ?? usual.clientID, clientSecret: secretVariable ?? usual.clientSecret)
      guard taken.insert(names.clientID).inserted, taken.insert(names.clientSecret).inserted else {
        throw Failure(
          .usage, "the variables of two credentials have the same name, \(names.clientID)",
          hint: "run the program with one of them, and name its variables: --id-variable, --secret-variable")
      }
      all[name] = names
    }
    return all
  }

  private func reaction() throws -> Supervision.Reaction? {
    guard let watch else { return nil }
    if watch == "restart" { return .restart }
    let word = watch.uppercased()
    guard let signal = Signal(rawValue: word.hasPrefix("SIG") ? String(word.dropFirst(3)) : word) else {
      throw Failure(
        .usage, "--watch \(Name.printable(watch)): expected restart, or a signal",
        hint: "name one of \(Signal.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return .signal(signal.number)
  }

  private func interval() throws -> Duration {
    guard let every else { return .seconds(10) }
    guard watch != nil else {
      throw Failure(
        .usage, "--every says how often to look at the vault, but nothing looks without --watch",
        hint: "add --watch restart, or a signal as in --watch HUP; or leave --every out")
    }
    guard let interval = Policy.duration(every), (1...3600).contains(interval.components.seconds) else {
      throw Failure(.usage, "--every \(Name.printable(every)): expected 1s to 1h", hint: "write it as in 10s")
    }
    return interval
  }

  /// Opens the active pairs. Each access is logged first, with the program that gets the pair.
  private static func open(
    _ names: [String], _ variables: [String: VariableNames], _ program: ProgramReplacement, in vault: UnlockedVault
  ) async throws -> Supervision.Given {
    var secrets: [SecretVariable] = []
    var pairs: [Pair] = []
    var versions: [UInt64] = []
    let program = Paths.name(of: program.path)
    for name in names {
      let opened = try await vault.released(
        of: name,
        choosing: { credential in
          guard let version = credential.version(in: .active) else {
            throw VaultError(.notFound, "\(credential.name) has no active version")
          }
          return [version]
        }, ["field": "environment", "program": .string(String(program.prefix(128)))])
      guard let names = variables[name] else { continue }
      for (version, pair) in opened {
        secrets.append(try SecretVariable(names.clientID, pair.clientID))
        secrets.append(try SecretVariable(names.clientSecret, pair.clientSecret))
        pairs.append(pair)
        versions.append(version.number)
      }
    }
    return Supervision.Given(variables: secrets, pairs: pairs, versions: versions)
  }
}
