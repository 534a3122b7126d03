import ArgumentParser
import JSON
import Providers
import Rotation
import Transport
import Vault

struct SettingsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "settings", abstract: "Show or change a credential's provider settings and its administrator.",
    discussion: """
      Only owners can change them, and the log records what they were and are. A change is refused while a run holds \
      the credential, and while the outcome of its last request, or of a request for a credential that it \
      administers, is not known; another server or place is refused while a pair is staged, owed or leaked. If the \
      former server is gone for good, --unanswered leaves behind what it knows. Nothing is asked of the provider; \
      `relatch plan NAME` does that afterwards, and shows the pair to the server that the settings name.

      \(HelpText.columns(providerDescriptors.map { (word: $0.id, meaning: $0.settingsText) }))

      \(HelpText.examples(
        "relatch settings crm",
        "relatch settings crm url=https://new.my.salesforce.com --unset consumer",
        "relatch settings crm --admin ops"))
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The credential's name.", completion: .credentialName)
  var name: String

  @Argument(help: ArgumentHelp("Settings to change; KEY= removes one.", valueName: "key=value"))
  var settings: [String] = []

  @Option(help: ArgumentHelp("A setting to remove; repeatable.", valueName: "key"))
  var unset: [String] = []

  @Option(
    help: ArgumentHelp("Whose token drives the rotation: another credential, or self.", valueName: "credential"),
    completion: .credentialName)
  var admin: String?

  @Flag(help: "Leave behind the unknown answer, and the pairs, of a server that is gone for good.")
  var unanswered = false

  func run() async throws {
    let changes = try changes()
    let places = try Places(options)
    let report = Report(options)
    guard !changes.isEmpty || admin != nil else {
      let name = name
      let credential = try await places.openLocked().read { try $0.credential(name) }
      return try report.result(.object(Self.members(of: credential)), text: credential.settingsLines)
    }
    let vault = try await places.openVault()
    let change: SettingsChange
    do { change = try await self.change(changes, by: vault) } catch { throw Failure(error).naming(name) }
    var members = Self.members(of: change.after)
    members["before"] = change.before
    members.merge(change.exposure) { $1 }
    try report.confirmation(
      .object(members), text: change.isNone ? "\(name): unchanged" : change.lines.joined(separator: "\n"))
    guard !change.isNone else { return }
    try reportNext(of: change, report)
    try await reportReached(by: change, in: vault, report)
    try await warnOfAdministered(change, in: vault)
  }

  /// The new value of each key; nil for a key that is taken away.
  private func changes() throws -> [String: String?] {
    var changes: [String: String?] = try Assignments.parse(settings, option: "settings").mapValues { $0 }
    for key in unset {
      guard changes.updateValue(nil, forKey: key) == nil else {
        throw Failure(.usage, "settings \(Name.printable(key)) is given twice", hint: "give each key once")
      }
    }
    return changes
  }

  private func change(_ changes: [String: String?], by vault: UnlockedVault) async throws -> SettingsChange {
    let neighbours = Neighbours.ofKnownKinds()
    return try await Neighbours.again { try await self.change(changes, by: vault, neighbours) }
  }

  private func change(
    _ changes: [String: String?], by vault: UnlockedVault, _ neighbours: Neighbours
  ) async throws -> SettingsChange {
    let (name, admin, unanswered) = (name, admin, unanswered)
    let own = try await vault.read { try $0.credential(name) }
    let kind = try providerKind(own.provider)
    try kind.requireKnown(changes.keys)
    let settings = own.settings.merging(changes.mapValues { $0 ?? "" }) { $1 }.filter { !$0.value.isEmpty }
    try kind.checkGiven(settings, isSelf: false)
    let requireStill = try await neighbours.requireNoneHas(
      pairsOf: name, with: settings, in: vault, now: WallClock.now())
    let (before, after, exposed, damaged) = try await vault.setTermsAtRest(
      of: name, now: WallClock.now(), evenIfUnanswered: unanswered, isGone: RunHolder.isGone,
      replacement: { kind.replacement(by: $0.settings) }, moves: { kind.moves($0, to: $1) },
      making: { view, credential in
        try kind.checkGiven(credential.settings, isSelf: credential.isSelfAdministered)
        try requireStill(view)
        return credential.canRotate ? try credential.provider(administeredBy: view.administrator(of: credential)) : nil
      },
      { terms in
        for (key, value) in changes { terms.settings[key] = value?.isEmpty == true ? nil : value }
        if let admin { terms.admin = admin == "self" ? name : admin }
      })
    return SettingsChange(from: before, to: after, exposed: exposed, damaged: damaged)
  }

  private func reportNext(of change: SettingsChange, _ report: Report) throws {
    let after = change.after
    after.warnUnlessRotatable()
    if try CommandProvider.program(of: after) != CommandProvider.program(of: change.from) {
      report.note(
        "`relatch provider allow \(name)` allows its program; run it on each machine that is to rotate the credential")
    }
    if after.exposure != change.from.exposure { report.note(exposureOf: after) }
    if !change.exposed.isEmpty {
      report.note("exposed with it and due for rotation: \(change.exposed.joined(separator: ", "))")
    }
    if !change.damaged.isEmpty {
      Diagnostics.standard.warning(
        "damaged, and not marked: \(change.damaged.joined(separator: ", ")): what \(name) administers is exposed with it"
      )
    }
    report.note(leftBehindBy: change)
    let hosts = change.newHosts
    report.note(
      "nothing was asked of the provider: \(after.trial) does that"
        + (hosts.isEmpty ? "" : ", and is the first to show a pair to \(hosts.joined(separator: ", "))"))
  }

  /// Reports a former or new administrator whose pair leaked: that pair could read, or can from now on read, this
  /// credential's own.
  private func reportReached(by change: SettingsChange, in vault: UnlockedVault, _ report: Report) async throws {
    guard change.from.admin != change.after.admin else { return }
    let reached = try await vault.read { view in
      [
        view.reach(to: change.after, from: change.from.admin, isFormer: true),
        view.reach(to: change.after, from: change.after.admin, isFormer: false),
      ].compactMap { $0 }
    }
    try report.tell(reached, afterRuns: false)
  }

  /// Warns of the credentials that it administers and that no run can rotate any more, because their settings and its
  /// own must name the same server.
  private func warnOfAdministered(_ change: SettingsChange, in vault: UnlockedVault) async throws {
    let (from, after) = (change.from, change.after)
    guard from.settings != after.settings else { return }
    let stranded = try await vault.read { view in
      try view.names().compactMap { try? view.credential($0) }.filter { credential in
        credential.admin == after.name && credential.name != after.name
          && (try? credential.provider(administeredBy: from)) != nil
          && (try? credential.provider(administeredBy: after)) == nil
      }.map(\.name)
    }
    guard let first = stranded.first else { return }
    Diagnostics.standard.warning(
      "\(stranded.joined(separator: ", ")): administered by \(name), and cannot be rotated until their settings fit again:"
        + " `relatch settings \(first) …`")
  }

  private static func members(of credential: Credential) -> [String: JSONValue] {
    [
      "admin": .string(credential.admin), "credential": .string(credential.name),
      "settings": .object(credential.settings.mapValues { .string($0) }), "type": "settings",
    ]
  }
}

/// How a credential's settings and administrator changed.
private struct SettingsChange: Sendable {
  let from: Credential
  let after: Credential
  /// What it administers and that is exposed with it, and what may be and could not be marked, by name.
  let exposed: [String]
  let damaged: [String]
  /// Sorted by key.
  private let changed: [(key: String, before: String?, after: String?)]

  init(from: Credential, to after: Credential, exposed: [String], damaged: [String]) {
    (self.from, self.after) = (from, after)
    (self.exposed, self.damaged) = (exposed, damaged)
    changed = Set(from.settings.keys).union(after.settings.keys).sorted().map {
      ($0, from.settings[$0], after.settings[$0])
    }.filter { $0.1 != $0.2 }
  }

  private var isAdminChanged: Bool { from.admin != after.admin }

  var isNone: Bool { changed.isEmpty && !isAdminChanged }

  /// Each change with its old and new value.
  var lines: [String] {
    changed.map { "\($0.key): \($0.before ?? "none") -> \($0.after ?? "none")" }
      + (isAdminChanged ? ["admin: \(from.administratorsWord) -> \(after.administratorsWord)"] : [])
  }

  /// The old values of what has changed.
  var before: JSONValue {
    var members: [String: JSONValue] = [:]
    if isAdminChanged { members["admin"] = .string(from.admin) }
    if !changed.isEmpty {
      members["settings"] = .object(
        Dictionary(uniqueKeysWithValues: changed.map { ($0.key, $0.before.map { .string($0) } ?? .null) }))
    }
    return .object(members)
  }

  /// What is exposed, and what may be.
  var exposure: [String: JSONValue] {
    var members: [String: JSONValue] = [:]
    if let exposure = after.exposure { members["exposure"] = exposure.json }
    if !exposed.isEmpty { members["exposed"] = .array(exposed.map { .string($0) }) }
    if !damaged.isEmpty { members["damaged"] = .array(damaged.map { .string($0) }) }
    return members
  }

  /// The versions that its former place may go on accepting.
  var left: [UInt64] { after.elsewhere.subtracting(from.elsewhere).sorted() }

  /// The servers that its settings name now and did not name before.
  var newHosts: [String] {
    func hosts(_ credential: Credential) -> Set<String> {
      Set(credential.settings.values.compactMap { (try? Endpoint($0))?.host })
    }
    return hosts(after).subtracting(hosts(from)).sorted()
  }
}

extension Report {
  /// Says which pairs the former place may go on accepting.
  fileprivate func note(leftBehindBy change: SettingsChange) {
    guard !change.left.isEmpty else { return }
    let numbers = change.left.map(String.init).joined(separator: ", ")
    note(
      "version \(numbers) was made at the former place; if the new one is another system, nothing ends it at the former, or"
        + " shows that it is refused: delete it there by hand once nothing uses it")
  }
}

extension Credential {
  /// The administrator as the command line takes it.
  fileprivate var administratorsWord: String { isSelfAdministered ? "self" : admin }

  fileprivate var settingsLines: String {
    (settings.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" } + ["--admin \(administratorsWord)"])
      .joined(separator: "\n")
  }

  /// The provider that a run would ask if `admin` administered the credential: only to be looked at, never asked.
  /// Throws `configuration` if no run is possible with its settings and those of `admin`.
  fileprivate func provider(administeredBy admin: Credential) throws -> any CredentialProvider {
    let kind = try providerKind(provider)
    if !isSelfAdministered, let kind = kind as? any ServerComparer.Type {
      try kind.requireSameServer(settings, as: admin.settings, of: admin.name)
    }
    return try kind.init(
      settings: settings,
      admin: AdminAccess(name: admin.name, settings: admin.settings, isSelf: isSelfAdministered) {
        throw VaultError(.notPermitted, "no pair is opened to look at settings")
      }, transport: CurlTransport())
  }
}

extension VaultView {
  /// The administrator of `credential`, which may be the credential itself.
  fileprivate func administrator(of credential: Credential) throws -> Credential {
    credential.isSelfAdministered ? credential : try self.credential(credential.admin)
  }
}

extension ProviderKind {
  /// Throws a usage failure unless the provider has a setting for each of `keys`.
  fileprivate static func requireKnown(_ keys: some Collection<String>) throws {
    let known = descriptor.settings.map(\.key)
    guard let unknown = keys.filter({ !known.contains($0) }).min() else { return }
    throw Failure(
      .usage, "provider \(descriptor.id) has no setting \(Name.printable(unknown))",
      hint: "its settings are \(known.joined(separator: ", ")): `relatch provider show \(descriptor.id)`")
  }
}
