package import Audit
import JSON
import Storage

/// Who could open which credential, and when, replayed from the log only: rows that say otherwise count for nothing.
///
/// Names of credentials may be used again after `remove`: a grant on the old credential is none on the new one.
package struct AccessHistory: Sendable {
  /// A stretch of the log in which a member could open a credential.
  package struct Access: Hashable, Sendable {
    package let member: String
    package let credential: String
    /// When it began: when it was granted, the member became an owner, or the credential was added.
    package let since: Timestamp
    /// When it ended; nil if it lasts.
    package fileprivate(set) var until: Timestamp?
    /// The newest version there was while it lasted, or the next if one was being staged when it ended.
    package fileprivate(set) var newestVersion: UInt64
    /// How often the member has read a pair of it, and when last.
    package fileprivate(set) var reads = 0
    package fileprivate(set) var lastRead: Timestamp?
    /// Whether it is one pair that was handed to somebody. `member` is then their age or SSH recipient. It lasts no
    /// longer than the sending, and they know ever after what was sent.
    package fileprivate(set) var isHandoff = false
    /// The administrator whose pair could be opened; nil if it was the credential's own.
    package fileprivate(set) var through: String?
  }

  private struct Credentials {
    var newestVersion: UInt64 = 1
    /// Whether a pair was requested that is not saved yet: whoever requested it may know it.
    var isStaging = false
    /// By member; those that have not ended.
    var accesses: [String: Access] = [:]
    var grantees: Set<String> = []

    /// The newest version that somebody with access may know.
    var newestKnown: UInt64 { newestVersion + (isStaging ? 1 : 0) }
  }

  private var membership: Membership
  private var present: [String: Credentials] = [:]
  private var ended: [Access] = []
  /// For each recipient, the names it was seen under: on members' cards, in handoffs, and in receipts.
  private var names: [String: Set<String>] = [:]
  /// How many entries were replayed.
  private(set) var size: UInt64

  /// Replays the whole log of `view`, and fails with `corrupt` unless it is the one that the newest checkpoint covers
  /// and every entry in it was permitted. The time this takes grows with the log.
  package init(_ view: VaultView) throws {
    var history: AccessHistory?
    // Most entries of a long log are steps that change nothing here.
    try view.replay(leavingOut: { history?.isIdle($0) ?? false }) { entry, index in
      if history == nil {
        history = AccessHistory(membership: try Membership(genesis: entry), size: 1)
      } else {
        try history?.apply(entry, at: index)
      }
    }
    guard var history else { throw VaultError(.corrupt, "the vault's log is empty") }
    history.size = view.logSize
    self = history
  }

  private init(membership: Membership, size: UInt64) {
    self.membership = membership
    self.size = size
    for member in membership.members { names[member.age, default: []].insert(member.name) }
  }

  /// Continues with the entries that `view`, a later one of the same log, has in addition.
  mutating func extend(to view: VaultView) throws {
    guard view.logSize >= size else { throw VaultError(.corrupt, "the log has become shorter") }
    for index in size..<view.logSize { try apply(view.authenticatedEntry(at: index), at: index) }
  }

  // MARK: - Results

  /// Every stretch, by credential, member and beginning.
  package var accesses: [Access] {
    let lasting = present.values.flatMap { credential in
      credential.accesses.values.map { access in
        var access = access
        access.newestVersion = credential.newestKnown
        return access
      }
    }
    return (ended + lasting).sorted {
      ($0.credential, $0.member, $0.since) < ($1.credential, $1.member, $1.since)
    }
  }

  /// Whether `name` is the member of `access`: for a handoff, the recipient that the pair was sent to, or one of its
  /// names.
  package func isAccess(_ access: Access, of name: String) -> Bool {
    access.member == name || access.isHandoff && names[access.member]?.contains(name) == true
  }

  /// Who holds a grant on `credential` now, by name. Owners need none.
  package func grantees(of credential: String) -> [String] { (present[credential]?.grantees ?? []).sorted() }

  /// The credentials that `member` holds a grant on now, by name.
  package func grants(of member: String) -> [String] {
    present.filter { $0.value.grantees.contains(member) }.map(\.key).sorted()
  }

  // MARK: - Replaying

  /// The steps of a rotation after which nothing is being staged, except the one that says what was staged.
  private static let idleSteps: [StaticString] = [
    "rotation.validate.intended", "rotation.validated", "rotation.promote.intended", "rotation.promoted",
    "rotation.verify.intended", "rotation.verified", "rotation.retire.intended", "rotation.deleted",
  ]

  /// Whether the entry `bytes` is such a step by a member, of a credential for which nothing is being staged.
  private func isIdle(_ bytes: borrowing Span<UInt8>) -> Bool {
    guard let head = EntryHead(of: bytes), let credential = head.credential else { return false }
    var isStep = false
    for step in Self.idleSteps where bytes.equals(step, at: head.event) { isStep = true }
    guard isStep, (try? membership.member(bytes.text(at: head.member))) != nil else { return false }
    return !(present[bytes.text(at: credential)]?.isStaging ?? false)
  }

  private mutating func apply(_ entry: LogEntry, at index: UInt64) throws {
    let actor = try membership.member(entry.member)
    guard actor.role == .owner || !EventName.ofOwners.contains(EventName(entry.event)) else {
      throw VaultError(.corrupt, "log entry \(index): \(entry.event) by \(actor.name), who is not an owner")
    }
    try membership.apply(entry, at: index)
    size = index + 1
    switch entry.event {
    case EventName.memberAdded.text: becameMember(entry)
    case EventName.handoffSent.text: wasSent(entry)
    case EventName.handoffConfirmed.text: wasConfirmed(entry)
    case EventName.memberRemoved.text:
      if case .string(let name)? = entry.details["removed"] { left(name, entry.time) }
    default:
      if case .string(let credential)? = entry.details["credential"] { try apply(entry, at: index, to: credential) }
    }
  }

  private mutating func apply(_ entry: LogEntry, at index: UInt64, to name: String) throws {
    if entry.event == EventName.credentialAdded.text {
      present[name] = Credentials()
      for member in membership.members where member.role == .owner { begin(member.name, name, entry.time) }
      return
    }
    guard present[name] != nil else { return }
    if entry.event.hasPrefix("rotation."), entry.isVouchedFor {
      present[name]?.isStaging = EventName.ofStaging.contains(EventName(entry.event))
    }
    switch entry.event {
    case EventName.credentialRemoved.text:
      for member in present[name]?.accesses.keys.sorted() ?? [] { end(member, name, entry.time) }
      present[name] = nil
    case EventName.grantAdded.text:
      let grantee = try grantee(entry, at: index)
      guard try membership.member(grantee).role == .operator else {
        throw VaultError(.corrupt, "log entry \(index): a grant to \(grantee), who is not an operator")
      }
      present[name]?.grantees.insert(grantee)
      begin(grantee, name, entry.time)
    case EventName.grantRemoved.text:
      let grantee = try grantee(entry, at: index)
      present[name]?.grantees.remove(grantee)
      end(grantee, name, entry.time)
    case EventName.pairRead.text:
      present[name]?.accesses[entry.member]?.reads += 1
      present[name]?.accesses[entry.member]?.lastRead = entry.time
    case "rotation.staged":
      guard entry.isVouchedFor, let version = entry.version, let newest = present[name]?.newestVersion else { return }
      // Each version is one more than the last.
      present[name]?.newestVersion = max(newest, min(version, newest + 1))
    default: return
    }
  }

  private mutating func wasSent(_ entry: LogEntry) {
    // Nobody sends what they cannot open, but any member can write the words.
    guard case .string(let credential)? = entry.details["credential"], let found = present[credential],
      found.accesses[entry.member] != nil, case .string(let recipient)? = entry.details["recipient"],
      let version = entry.versions.max()
    else { return }
    if case .string(let name)? = entry.details["recipient_name"] { names[recipient, default: []].insert(name) }
    ended.append(
      Access(
        member: recipient, credential: credential, since: entry.time, until: entry.time,
        newestVersion: min(version, found.newestVersion),
        isHandoff: true))
  }

  /// A receipt gives its signer's name.
  private mutating func wasConfirmed(_ entry: LogEntry) {
    guard case .object(let opener)? = entry.details["opener"], case .string(let age)? = opener["age"],
      case .string(let name)? = opener["name"]
    else { return }
    names[age, default: []].insert(name)
  }

  private func grantee(_ entry: LogEntry, at index: UInt64) throws -> String {
    guard case .string(let grantee)? = entry.details["grantee"] else {
      throw VaultError(.corrupt, "log entry \(index): \(entry.event) without a grantee")
    }
    return grantee
  }

  private mutating func becameMember(_ entry: LogEntry) {
    guard case .added(let card)? = try? Membership.Change(entry) else { return }
    names[card.age, default: []].insert(card.name)
    guard card.role == .owner else { return }
    for name in present.keys { begin(card.name, name, entry.time) }
  }

  private mutating func left(_ member: String, _ time: Timestamp) {
    for name in present.keys {
      present[name]?.grantees.remove(member)
      end(member, name, time)
    }
  }

  private mutating func begin(_ member: String, _ credential: String, _ time: Timestamp) {
    guard let found = present[credential], found.accesses[member] == nil else { return }
    present[credential]?.accesses[member] = Access(
      member: member, credential: credential, since: time, newestVersion: found.newestVersion)
  }

  private mutating func end(_ member: String, _ credential: String, _ time: Timestamp) {
    guard var access = present[credential]?.accesses.removeValue(forKey: member) else { return }
    access.until = time
    access.newestVersion = present[credential]?.newestKnown ?? access.newestVersion
    ended.append(access)
  }
}

extension AccessHistory.Access {
  /// The stretch in which `member`, who could open this administrator, could read at the provider the pairs of
  /// `credential`, which it administers; nil if there were none yet. Pairs made after its end no longer count: the
  /// administrator is to be replaced first.
  package func reaching(_ credential: Credential) -> Self? {
    let known = credential.versions.filter { version in until.map { version.created <= $0 } ?? true }
    guard let newest = known.map(\.number).max() else { return nil }
    var reached = Self(
      member: member, credential: credential.name, since: max(since, credential.created), until: until,
      newestVersion: newest)
    reached.through = self.credential
    return reached
  }
}
