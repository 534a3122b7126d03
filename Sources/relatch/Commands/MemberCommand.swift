import ArgumentParser
import Audit
import JSON
import Storage
import Vault

struct MemberCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "member", abstract: "Add, list and remove members of the vault.",
    subcommands: [MemberAddCommand.self, MemberListCommand.self, MemberRemoveCommand.self])
}

extension LogMember.Role: ExpressibleByArgument {
  package static var allValueStrings: [String] { inOrder.map(\.rawValue) }

  /// The role that may do most comes first.
  fileprivate static let inOrder = [Self.owner, .operator, .auditor]
}

struct MemberAddCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Make somebody a member, using the card that `relatch identity show` prints for them.",
    discussion: """
      \(HelpText.columns(LogMember.Role.inOrder.map { (word: $0.rawValue, meaning: $0.meaning) }))

      Anybody could have written the card: compare the recipient and the signing key that are printed with those on \
      the member's machine, over another channel than the one the card came by.

      \(HelpText.examples(
        "relatch identity show > bob.card          # bob, on his machine",
        "relatch member add bob.card --role operator",
        "relatch grant crm bob"))
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: ArgumentHelp("The card's file; - for standard input.", valueName: "card-file"), completion: .file())
  var card: String

  @Option(help: "What the member may do.", completion: .list(LogMember.Role.allValueStrings))
  var role: LogMember.Role

  @Option(help: ArgumentHelp("The member's name here (default: the name on the card).", valueName: "name"))
  var name: String?

  func run() async throws {
    let places = try Places(options)
    let member = try MemberCard.read(card, role: role, name: name)
    let now = WallClock.now()
    let damaged = try await places.changingMembers { vault, keep in
      try await vault.addMember(member, now: now, keeping: keep)
    }
    let report = Report(options)
    try report.confirmation(
      member.object(since: now, grants: [], damaged: damaged),
      text: """
        \(member.name) is a member: \(member.role.rawValue), \(member.role.meaning)
        recipient  \(member.age)
        signing    \(member.signingText)
        """)
    report.note("compare both with what `relatch identity show` prints on the member's machine, over another channel")
    if member.role == .operator {
      report.note("`relatch grant CREDENTIAL \(member.name)` lets \(member.name) open one credential")
    }
    if let first = damaged.first {
      throw Failure(
        .corruptData,
        "\(member.name) is a member, but these are damaged and perhaps not open to them: \(damaged.joined(separator: ", "))",
        hint:
          "`relatch log verify` says what is wrong; `relatch remove \(first) --forget-debts` removes one that is lost")
    }
  }
}

struct MemberListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the members and what each can open, without unlocking anything.")

  @OptionGroup var options: CommonOptions

  func run() async throws {
    let members = try await Places(options).openLocked().read { view in
      let accesses = try AccessHistory(view).accesses.filter { $0.until == nil }
      let grants = Dictionary(grouping: accesses, by: \.member).mapValues { $0.map(\.credential) }
      return try view.members.map { member in
        // An owner needs no grants.
        let grants = member.card.role == .owner ? [] : (grants[member.name] ?? []).sorted()
        return (card: member.card, since: try view.authenticatedEntry(at: member.entry).time, grants: grants)
      }
    }
    let report = Report(options)
    if report.isJSON {
      for member in members {
        try report.text(member.card.object(since: member.since, grants: member.grants).line)
      }
    } else {
      let rows = members.map { member in
        [
          member.card.name, member.card.role.rawValue, member.since.description,
          member.card.opens(member.grants), member.card.age,
        ]
      }
      try report.text(Table(["MEMBER", "ROLE", "SINCE", "OPENS", "RECIPIENT"], rows).text)
    }
  }
}

struct MemberRemoveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Remove a member, and give new keys to everything they could open.",
    discussion: """
      Each credential that was open to the member gets a new key and is due for rotation at once, because what the \
      member has already copied stays usable: `relatch rotate --due` replaces those pairs. If the member is an owner, \
      that is every credential, and what the owner set up and is still in force is named: look at it before anything \
      is rotated or revoked.
      """)

  @OptionGroup var options: CommonOptions

  @Argument(help: "The member's name.", completion: .memberName)
  var name: String

  func run() async throws {
    let (name, now) = (name, WallClock.now())
    let (withdrawal, left, known) = try await Places(options).changingMembers { vault, keep in
      guard name != vault.member.name else {
        throw Failure(
          .notPermitted, "\(name) cannot remove themselves: one owner must always remain",
          hint: "ask another owner: `relatch member list` names them")
      }
      let owner = try await vault.read { $0.members.first { $0.name == name && $0.card.role == .owner } }
      let withdrawal = try await vault.removeMember(name, now: now, keeping: keep)
      // After the removal, which nothing of theirs can follow.
      let left = try await vault.read { view in try owner.map { try view.legacy(of: $0) } }
      // Whoever could open nothing is not found.
      return (withdrawal, left, (try? await vault.read { try $0.exposures(to: name) }) ?? [])
    }
    let report = Report(options)
    report.note(left ?? [], of: name)
    known.warnOfAddedAgain(knownTo: name)
    try report.withdrawal(withdrawal, from: name, of: nil, leaving: left)
  }
}

extension Places {
  /// Runs `body` with the unlocked vault and a function that keeps a new vault key, while no other command does the
  /// same.
  func changingMembers<Result: Sendable>(
    _ body: (UnlockedVault, @escaping UnlockedVault.KeyKeeper) async throws -> Result
  ) async throws -> Result {
    let locked = try await openLocked()
    let folder = keyFolder
    return try await folder.changing(locked) {
      // Unlocked under the lock, so that it knows the key that is in use now.
      try await body(openVault()) { try folder.keep($0, $1) }
    }
  }
}

extension Report {
  /// Reports what was taken from `member`, and what to do about it. `credential` is nil if that was everything; `left` is
  /// what an owner leaves, and nil for others.
  func withdrawal(
    _ withdrawal: UnlockedVault.Withdrawal, from member: String, of credential: String?, leaving left: [Legacy]? = nil
  ) throws {
    let exposed = withdrawal.exposed
    var members: [String: JSONValue] = [
      "exposed": .array(exposed.map { .string($0) }), "member": .string(member), "type": "withdrawal",
    ]
    if let credential { members["credential"] = .string(credential) }
    if let left { members["left"] = .array(left.map(\.json)) }
    if !withdrawal.damaged.isEmpty { members["damaged"] = .array(withdrawal.damaged.map { .string($0) }) }
    let object = members
    let whatEnded = credential.map { "\(member) no longer has a grant on \($0)" } ?? "\(member) is no longer a member"
    try confirmation(
      .object(object),
      text: exposed.isEmpty
        ? "\(whatEnded); nothing was open to them"
        : "\(whatEnded); exposed and due for rotation: \(exposed.joined(separator: ", "))")
    if !exposed.isEmpty {
      note("what \(member) has already copied stays usable until those pairs are replaced and retired:")
      note("`relatch rotate --exposed-to \(member)` replaces them now, `relatch rotate --due` when their windows allow")
    }
    try requireAllRekeyed(withdrawal.damaged, after: whatEnded)
  }

  /// Fails if some credentials were damaged and did not get another key. `done` says what was done all the same.
  func requireAllRekeyed(_ damaged: [String], after done: String) throws {
    guard let first = damaged.first else { return }
    throw Failure(
      .corruptData,
      "\(done), but these are damaged and not re-keyed, and are not used even if they are put back: \(damaged.joined(separator: ", "))",
      hint: "`relatch remove \(first) --forget-debts`, `relatch add` it with a pair from its provider, and rotate it;"
        + " do the same for each")
  }
}

extension LogMember {
  /// The signing key as cards show it.
  var signingText: String {
    if case .object(let members) = json, case .string(let text)? = members["signing"] { text } else { "" }
  }

  /// A member as `--json` shows it. `damaged` are the damaged credentials that are perhaps not open to it.
  func object(since: Timestamp, grants: [String], damaged: [String] = []) -> JSONValue {
    var members: [String: JSONValue] = [
      "grants": .array(grants.map { .string($0) }), "member": .string(name), "recipient": .string(age),
      "role": .string(role.rawValue), "signing": .string(signingText), "since": .string(since.description),
      "type": "member",
    ]
    if !damaged.isEmpty { members["damaged"] = .array(damaged.map { .string($0) }) }
    return .object(members)
  }

  /// What the member can open, in words.
  func opens(_ grants: [String]) -> String {
    switch role {
    case .owner: "everything"
    case .operator: grants.isEmpty ? "nothing yet" : grants.joined(separator: ",")
    case .auditor: "nothing"
    }
  }
}
