import ArgumentParser
import Audit
import Glibc
import JSON
import Providers
import Rotation
import Vault

struct AddCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Add a credential; its pair is read from standard input.",
    discussion: """
      The pair is one JSON object: {"client_id":"…","client_secret":"…"}. It is never an argument. It is stored as \
      given and not tried; `relatch plan NAME` tries it.

      --import takes it from a file instead, in one of these forms. If the file has several, all are added or none. \
      With NAME, what else is typed must not differ from what the file says; without it, options are defaults for what \
      the file leaves open.

      \(HelpText.columns(forms))

      PROVIDERS (`relatch provider show ID` says more)

      \(HelpText.columns(providerDescriptors.map { (word: $0.id, meaning: $0.settingsText) }))

      \(HelpText.examples(
        "relatch add admin --provider salesforce \\",
        "  --set url=https://example.my.salesforce.com --set app=0xI… < admin.json",
        "relatch add crm --provider salesforce --admin admin \\",
        "  --set url=https://example.my.salesforce.com --set app=0xI… < crm.json",
        "relatch add crm --provider salesforce --admin admin --import crm.env \\",
        "  --set url=https://example.my.salesforce.com --set app=0xI… \\",
        "  --policy max-age=90d"))
      """)

  private static let forms = [
    (
      word: "AWS",
      meaning: #"the value of a managed external secret: {"consumerKey":"…","consumerSecret":"…","baseUri":"…"}"#
    ),
    (word: "dotenv", meaning: "one CLIENT_ID and one CLIENT_SECRET, with any prefix"),
    (
      word: "JSON Lines",
      meaning: "an object a line: name, provider, settings, policy, admin, created, client_id, client_secret"
    ),
  ]

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name; leave it out if --import reads several.")
  var name: String?

  @Option(help: ArgumentHelp("The kind of provider.", valueName: "id"), completion: .providerID)
  var provider: String?

  @Option(
    name: .customLong("import"),
    help: ArgumentHelp(
      "Take the pair from a file that nobody else can read; - is standard input.", valueName: "file"),
    completion: .file())
  var imported: String?

  @Option(
    name: .customLong("set"), help: ArgumentHelp("A setting of the provider; repeatable.", valueName: "key=value"))
  var settings: [String] = []

  @Option(help: ArgumentHelp("A rule for rotation; repeatable.", valueName: "key=value"))
  var policy: [String] = []

  @Option(
    name: .customLong("tag"),
    help: ArgumentHelp("A word to choose it by later (`relatch revoke --tag`); repeatable.", valueName: "tag"),
    completion: .tag)
  var tags: [String] = []

  @Option(
    help: ArgumentHelp(
      "Whose token drives the rotation: another credential, or self (default: self).", valueName: "credential"),
    completion: .credentialName)
  var admin: String?

  @Option(
    help: ArgumentHelp(
      "When the provider made the pair (RFC 3339), for its age (default: now).", valueName: "time"))
  var created: String?

  func validate() throws {
    guard imported == nil else { return }
    guard name != nil else { throw ValidationError("expected the credential's name") }
    guard provider != nil else { throw ValidationError("expected --provider ID") }
  }

  func run() async throws {
    let report = Report(options)
    let now = WallClock.now()
    guard let imported else { return try await addOne(report, now: now) }
    let file = try ImportedFile(path: imported)
    guard !file.entries.isEmpty else { throw ImportedFile.unreadable("it contains no credential") }
    guard file.entries.count == 1 || name == nil else {
      throw Failure(
        .usage, "\(Name.printable(imported)) contains \(file.entries.count) credentials, but one name is given",
        hint: "leave the name out: each line has its own")
    }
    let all = try file.entries.map { try credential(from: $0, now: now) }
    try Self.requireDistinct(all)
    let vault = try await Places(options).openVault()
    let neighbours = Neighbours.ofKnownKinds()
    let added = try await Neighbours.again {
      let requireStill = try await neighbours.requireNoneHas(all, in: vault, now: now)
      return try await vault.add(Self.administratorsFirst(all), now: now) { try requireStill($0.view) }
    }
    for credential in added {
      try report.confirmation(
        credential.json, text: "\(credential.name): version 1 is active (\(credential.provider))")
      try reportNext(of: credential, report)
    }
    report.note("\(added.count) imported; delete the file they came from, and rotate those that others may have seen")
  }

  private func addOne(_ report: Report, now: Timestamp) async throws {
    guard let name, let provider else { throw ValidationError("expected the credential's name and --provider ID") }
    let kind = try providerKind(provider)
    let chosen = try Assignments.parse(settings, option: "--set")
    let admin = admin ?? "self"
    try kind.checkGiven(chosen, isSelf: [name, "self"].contains(admin))
    var rules = Policy()
    for (key, value) in try Assignments.parse(policy, option: "--policy") { try rules.set(key, to: value) }
    if !tags.isEmpty { try rules.set("tags", to: (rules.tags + tags).joined(separator: ",")) }
    try rules.requireKnownZone(of: name)
    let made = try created.map { try Self.moment($0, before: now) }
    let vault = try await Places(options).openVault()
    if isatty(STDIN_FILENO) == 1 {
      Diagnostics.standard.warning("reading the pair from the terminal, where it is visible; end with Ctrl-D")
    }
    let one = try NewCredential(
      name: name, provider: provider, settings: chosen, policy: rules, admin: admin == "self" ? name : admin,
      pair: .ofStandardInput(), made: made)
    let neighbours = Neighbours.ofKnownKinds()
    let credential = try await Neighbours.again {
      let requireStill = try await neighbours.requireNoneHas([one], in: vault, now: now)
      return try await vault.add(one, now: now) { try requireStill($0.view) }
    }
    try report.confirmation(credential.json, text: "\(credential.name): version 1 is active")
    try reportNext(of: credential, report)
  }

  private func reportNext(of credential: Credential, _ report: Report) throws {
    let name = credential.name
    credential.warnUnlessRotatable()
    credential.warnOfLongGrace()
    credential.warnOfLateRotation()
    if try CommandProvider.program(of: credential) != nil {
      report.note(
        "`relatch provider allow \(name)` allows its program; run it on each machine that is to rotate the credential")
    }
    report.note(exposureOf: credential)
    report.note("the pair of \(name) was not tried: \(credential.trial) tries it")
  }

  /// Throws a usage failure if a name was typed, and the entry says something else than it or another option.
  private func requireAgreement(with entry: ImportedFile.Entry) throws {
    guard let name else { return }
    func word(_ admin: String?) -> String? { admin == "self" ? name : admin }
    var both: [(what: String, typed: String?, found: String?)] = [
      ("name", name, entry.name), ("provider", provider, entry.provider), ("admin", word(admin), word(entry.admin)),
    ]
    both += try Assignments.parse(settings, option: "--set").map { ("setting \($0)", $1, entry.settings[$0]) }
    both += try Assignments.parse(policy, option: "--policy").filter { rule, typed in
      // Written in another way it may be the same.
      entry.policy[rule].map { Self.rule(rule, typed) != Self.rule(rule, $0) } ?? false
    }.map { ("rule \($0)", $1, entry.policy[$0]) }
    let moments = [created, entry.created].map { $0.flatMap { Timestamp($0) } }
    if moments[0] != moments[1] { both.append(("created", created, entry.created)) }
    for (what, typed, found) in both {
      guard let typed, let found, typed != found else { continue }
      throw Failure(
        .usage, "\(entry.place) has \(what) \(Name.printable(found)), but \(Name.printable(typed)) was given",
        hint: "leave out what the file says already, or correct the file")
    }
  }

  /// A policy with only this rule; nil if that is wrong, which is told when it is set.
  private static func rule(_ key: String, _ value: String) -> Policy? {
    var policy = Policy()
    do { try policy.set(key, to: value) } catch { return nil }
    return policy
  }

  /// Combines an entry of a file with the options. The entry takes precedence.
  private func credential(from entry: ImportedFile.Entry, now: Timestamp) throws -> NewCredential {
    try requireAgreement(with: entry)
    guard let name = entry.name ?? name else {
      throw Failure(.usage, "\(entry.place) has no name", hint: "give the name: `relatch add NAME --import FILE`")
    }
    guard let provider = entry.provider ?? provider else {
      throw Failure(.usage, "\(entry.place) has no provider", hint: "give the provider: --provider ID")
    }
    do {
      let kind = try providerKind(provider)
      let settings = try Assignments.parse(settings, option: "--set").merging(entry.settings) { $1 }
      let admin = entry.admin ?? admin ?? "self"
      try kind.checkGiven(settings, isSelf: [name, "self"].contains(admin))
      var rules = Policy()
      let chosen = try Assignments.parse(policy, option: "--policy").merging(entry.policy) { $1 }
      for (key, value) in chosen { try rules.set(key, to: value) }
      if !tags.isEmpty { try rules.set("tags", to: (rules.tags + tags).joined(separator: ",")) }
      try rules.requireKnownZone(of: name)
      return NewCredential(
        name: name, provider: provider, settings: settings, policy: rules, admin: admin == "self" ? name : admin,
        pair: entry.pair, made: try (entry.created ?? created).map { try Self.moment($0, before: now) })
    } catch {
      let failure = Failure(error)
      throw Failure(failure.code, "\(entry.place): \(failure.message)", hint: failure.hint)
    }
  }

  private static func requireDistinct(_ all: [NewCredential]) throws {
    var names: Set<String> = []
    for one in all where !names.insert(one.name).inserted {
      throw Failure(.usage, "\(Name.printable(one.name)) occurs twice", hint: "give each credential one line")
    }
  }

  /// Credentials that administer others in the file are added before those.
  private static func administratorsFirst(_ all: [NewCredential]) -> [NewCredential] {
    let admins = Set(all.filter { $0.admin != $0.name }.map(\.admin))
    return all.filter { admins.contains($0.name) && $0.admin == $0.name }
      + all.filter { admins.contains($0.name) && $0.admin != $0.name } + all.filter { !admins.contains($0.name) }
  }

  private static func moment(_ text: String, before now: Timestamp) throws -> Timestamp {
    guard let moment = Timestamp(rfc3339: text) else {
      throw Failure(
        .usage, "--created \(Name.printable(text)): expected a time in RFC 3339",
        hint: "write it as in 2026-11-21T09:20:00Z, or with an offset as in 2026-11-21T11:20:00+02:00")
    }
    guard moment <= now else {
      throw Failure(
        .usage, "--created \(Name.printable(text)) is in the future: this machine's clock says \(now)",
        hint: "give the time at which the provider made the pair, and check this machine's clock")
    }
    return moment
  }
}
