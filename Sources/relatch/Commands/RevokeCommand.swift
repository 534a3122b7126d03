import ArgumentParser
import Audit
import JSON
import Providers
import Rotation
import Sodium
import Storage
import Transport
import Vault

struct RevokeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke", abstract: "End a leaked pair: replace it now, delete it at the provider, see it refused.",
    discussion: """
      The new pair is staged, saved, proved, promoted and delivered before the leaked one is deleted, so there is \
      always a pair that works. No grace, window, hook or ordinary run holds it back. What cannot be done stays a \
      debt that every later run tries to settle: `relatch status` shows it, and `relatch incident` reports all that \
      happened.

      With --contain the leaked pair is ended first, before its replacement is proved and delivered. There may be an \
      outage until then.

      With --pair-file the file is searched, whatever its format, for secrets of the vault: as they are, in base64 or \
      hexadecimal, and escaped as in URLs, JSON, pages and shells, also in several lines. Relatch reports whose they are and whether the \
      provider still accepts them, and revokes them. The file's content is never printed. What the identity cannot \
      open fails, as with --all.

      \(HelpText.examples(
        "relatch revoke crm --reason 'in a public repository'",
        "relatch revoke --pair-file found.txt --reason 'in a ticket'",
        "relatch revoke --exposed-to bob --reason 'laptop stolen'",
        "relatch revoke --all --reason 'the vault was taken' --jobs 32"))
      """)

  @OptionGroup var options: CommonOptions
  @OptionGroup var unattended: UnattendedOptions

  @Argument(help: "The credentials' names.", completion: .credentialName)
  var names: [String] = []

  @Option(help: ArgumentHelp("The reason, which is recorded in the log.", valueName: "text"))
  var reason: String

  @Flag(help: "Every credential; one that the identity cannot open fails, and the others are revoked.")
  var all = false

  @Option(help: ArgumentHelp("Every credential of this kind of provider.", valueName: "id"), completion: .providerID)
  var provider: String?

  @Option(help: ArgumentHelp("Every credential that has this tag.", valueName: "tag"), completion: .tag)
  var tag: String?

  @Option(
    help: ArgumentHelp("What this member could open and may still know (`relatch log exposure`).", valueName: "member"),
    completion: .memberName)
  var exposedTo: String?

  @Option(
    help: ArgumentHelp("The credentials whose secrets are in this file; - is standard input.", valueName: "file"),
    completion: .file())
  var pairFile: String?

  @Option(
    help: ArgumentHelp(
      "The newest version that leaked (default: the one whose leak is noted, or the active one).",
      valueName: "number"))
  var upTo: UInt64?

  @Flag(help: "End the leaked pair before its replacement is proved and delivered, and accept the outage.")
  var contain = false

  @Flag(help: "End the leaked pair even if its replacement has not arrived at every sink and hook.")
  var undelivered = false

  @OptionGroup var many: JobsOptions

  func validate() throws {
    guard
      [!names.isEmpty && pairFile == nil, all, provider != nil, tag != nil, exposedTo != nil, pairFile != nil]
        .count(where: \.self) == 1
    else {
      throw ValidationError(
        "expected names of credentials, or one of --all, --provider ID, --tag TAG, --exposed-to MEMBER, --pair-file FILE"
      )
    }
    guard upTo == nil || Set(names).count == 1 else {
      throw ValidationError("--up-to is for one credential: name only that one")
    }
    // With a file, the versions are those found in it.
    guard upTo == nil || pairFile == nil else {
      throw ValidationError(
        "--up-to does not go with --pair-file, which finds the versions itself; for newer ones: `relatch revoke NAME --up-to N --reason TEXT`"
      )
    }
  }

  private func requireVersion(_ version: UInt64, of credential: Credential) throws {
    guard credential.version(version) != nil else {
      throw VaultError(
        .notFound, "\(credential.name) has no version \(version)",
        hint: "`relatch show \(credential.name)` lists its versions")
    }
  }

  func run() async throws { try await unattended.run(options, revoke) }

  private func revoke(_ report: Report) async throws {
    try Revocation.check(reason: reason)
    async let _ = CurlTransport.load()
    // Read before anything else, so that a missing file leaves nothing behind.
    let file = try pairFile.map { try FoundPair(path: $0) }
    let places = try Places(options)
    // Before the vault is opened: a full disk keeps SQLite from reading, too.
    if SpaceReserve(places).releaseIfScarce() {
      Diagnostics.standard.warning("the disk is full: the space that was reserved for this is used now")
    }
    defer { SpaceReserve(places).keep() }
    let vault = try await places.openVault()
    let composition = RotationComposition(vault: vault, in: places)
    let incident = Incident.name(at: WallClock.now())
    let (found, failures) =
      if let file { try await vault.versions(in: file, of: names, incident: incident, report) } else {
        ([FoundVersion](), 0)
      }
    let leaks = try await file == nil ? chosen(in: vault) : found.leaks
    let isPerhapsHere = try await isAddedAgain(in: vault)
    if leaks.isEmpty { report.note("there is nothing to revoke") }
    // For a single credential, its own run makes this comparison.
    try await vault.requireNoSecret(reason, "reason", of: leaks.count > 1 ? leaks.map(\.credential) : [])
    let (reason, contain, undelivered) = (reason, contain, undelivered)
    do {
      try await composition.end(leaks, trying: found, jobs: many.jobs, report) { version in
        Revocation(
          incident: incident, reason: reason, version: version, isContainment: contain, evenIfUndelivered: undelivered)
      }
    } catch let status as Status {
      if failures > 0 { throw Status(code: .someFailed) }
      guard status.code == .someFailed, try await vault.canOpenNone(of: leaks.map(\.credential)) else { throw status }
      throw Status(code: .notPermitted)
    }
    if failures > 0 { throw Status(code: .someFailed) }
    if isPerhapsHere { throw Status(code: .debtOutstanding) }
  }

  /// Whether a pair that `--exposed-to` asks for may be in the vault again, in a credential that was removed and added.
  private func isAddedAgain(in vault: UnlockedVault) async throws -> Bool {
    guard let exposedTo else { return false }
    return try await vault.read { try $0.exposures(to: exposedTo) }.warnOfRemoved(knownTo: exposedTo)
  }

  /// What is damaged or not granted is among what was asked for. It fails in its own run and affects no other.
  private func chosen(in vault: UnlockedVault) async throws -> [LeakedVersion] {
    let (names, provider, tag, exposedTo, version) = (names, provider, tag, exposedTo, upTo)
    if let provider { _ = try providerKind(provider) }
    return try await vault.read { view in
      if let exposedTo {
        let exposures = try view.exposures(to: exposedTo).filter { $0.isToBeRotated || !$0.owed.isEmpty }
        exposures.warnOfHolder()
        let exposed =
          exposures
          .map { LeakedVersion(credential: $0.credential, version: $0.newestVersion) }
        let damaged = try view.damaged(besides: exposed.map(\.credential))
        return exposed + damaged.map { LeakedVersion(credential: $0, version: nil) }
      }
      guard names.isEmpty else {
        var seen: Set<String> = []
        if let version { try requireVersion(version, of: view.credential(names[0])) }
        return names.filter { seen.insert($0).inserted }.map { LeakedVersion(credential: $0, version: version) }
      }
      let meant = try tag.map(view.names(tagged:)) ?? view.names { provider ?? $0.provider == $0.provider }
      if let provider, meant.isEmpty {
        throw Failure(
          .notFound, "no credential of this vault has the provider \(provider)",
          hint: "`relatch list` names the provider of each")
      }
      return meant.filter { (try? view.credential($0))?.mayBeAccepted ?? true }
        .map { LeakedVersion(credential: $0, version: nil) }
    }
  }
}

extension Credential {
  /// False for what was handed over and seen to be refused: there is no pair of it left that could leak.
  fileprivate var mayBeAccepted: Bool { !isTransferred || !debts.isEmpty }
}

extension UnlockedVault {
  /// Whether the member can open none of `names`. A damaged credential counts as one that it may open.
  func canOpenNone(of names: [String]) async throws -> Bool {
    let member = member
    return try await read { view in
      try names.allSatisfy { name in try (try? view.credential(name)).map { try !view.canOpen($0, member) } ?? false }
    }
  }
}

extension [FoundVersion] {
  /// The newest found version of each credential. Versions before it count as leaked, too.
  fileprivate var leaks: [LeakedVersion] {
    Dictionary(grouping: self, by: \.credential).sorted { $0.key < $1.key }
      .map { LeakedVersion(credential: $0.key, version: $0.value.map(\.number).max()) }
  }
}
