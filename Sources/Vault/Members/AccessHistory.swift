package import Audit
import JSON
import Storage

/// Who could open which credential, and when, replayed from the log only: rows that say otherwise count for nothing.
///
/// Names of credentials may be used again after `remove`: a grant on the old credential is none on the new one.
package struct AccessHistory: Sendable {
  /// An entry of the log. `index` says what came before what; `time` is only shown, because clocks differ.
  package struct Moment: Hashable, Comparable, Sendable {
    package let index: UInt64
    package let time: Timestamp

    package static func < (left: Self, right: Self) -> Bool { left.index < right.index }
  }

  /// A stretch of the log in which somebody could open a credential, or read its pairs at the provider.
  package struct Access: Hashable, Sendable {
    package let member: String
    /// The recipient of the member's identity; nil if it is not known.
    package let age: String?
    package let credential: String
    /// The index of the entry that added the credential: another of the same name has another.
    package let added: UInt64
    /// When it began: when it was granted, the member became an owner, or the credential was added.
    package let begin: Moment
    /// When it ended; nil if it lasts.
    package fileprivate(set) var end: Moment?
    /// The newest version there was while it lasted, or the next if one was being staged when it ended.
    package fileprivate(set) var newestVersion: UInt64
    /// How often the member has read a pair of it, and when last.
    package fileprivate(set) var reads = 0
    package fileprivate(set) var lastRead: Timestamp?
    /// How they came to know its pairs.
    package fileprivate(set) var kind = Kind.key
    /// Whether the member can open it, or the administrator, now.
    package fileprivate(set) var isOpen: Bool

    package var since: Timestamp { begin.time }
    package var until: Timestamp? { end?.time }
    package var isHandoff: Bool { kind == .handoff }
    /// The administrator whose pair could be opened; nil if it was not by that.
    package var through: String? { if case .administrator(let name) = kind { name } else { nil } }
  }

  /// How somebody came to know the pairs of a credential.
  package enum Kind: Hashable, Sendable {
    /// They could open its key.
    case key
    /// One pair was sent to them. `member` is then their age or SSH recipient. It lasts no longer than the sending, and
    /// they know ever after what was sent.
    case handoff
    /// They could open the pair of this credential, and read at the provider what that one administered. It lasts until
    /// the pairs that they know of that one are refused, or it no longer administers this one.
    case administrator(String)
    /// An owner's entry says that it is exposed to them. It lasts no longer than that entry.
    case exposure
  }

  private var membership: Membership
  private var present: [String: CredentialHistory] = [:]
  private var removed: [CredentialHistory] = []
  private var ended: [Access] = []
  /// For each recipient, the names it was seen under: on members' cards, in handoffs, and in receipts.
  private var names: [String: Set<String>] = [:]
  /// For each recipient, the names on members' cards alone: only owners write these.
  private var cards: [String: Set<String>] = [:]
  /// The recipient of whoever had each member's name last.
  private var recipients: [String: String] = [:]
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
    for member in membership.members { note(member) }
  }

  /// Continues with the entries that `view`, a later one of the same log, has in addition.
  mutating func extend(to view: VaultView) throws {
    guard view.logSize >= size else { throw VaultError(.corrupt, "the log has become shorter") }
    for index in size..<view.logSize { try apply(view.authenticatedEntry(at: index), at: index) }
  }

  // MARK: - Results

  /// Every stretch in which somebody could open a credential themselves, and every pair that was sent to somebody, by
  /// credential, member and beginning.
  package var accesses: [Access] {
    let lasting = present.values.flatMap { credential in
      credential.accesses.values.map { access in
        var access = access
        access.newestVersion = credential.versions.newestKnown
        return access
      }
    }
    return (ended + lasting).sorted {
      ($0.credential, $0.member, $0.begin) < ($1.credential, $1.member, $1.begin)
    }
  }

  /// What owners' entries say is exposed, and to whom.
  package var exposures: [Access] {
    histories.flatMap { credential in
      credential.exposed.map { name, exposure in
        Access(
          member: name, age: recipients[name], credential: credential.name, added: credential.added.index,
          begin: exposure.moment, end: exposure.moment, newestVersion: exposure.version, kind: .exposure, isOpen: false)
      }
    }
  }

  /// All of this that concerns the member, former member or recipient that is called `name` or has that recipient:
  /// under every name that they were seen under.
  package func accesses(of name: String) -> [Access] { (accesses + exposures).filter { isAccess($0, of: name) } }

  private func isAccess(_ access: Access, of name: String) -> Bool {
    // Any member can write to whom they sent something: that must not make somebody else's access theirs.
    let known = access.isHandoff ? names : cards
    return access.member == name || access.age == name || access.age.map { known[$0]?.contains(name) == true } ?? false
  }

  /// The index of the entry that added the credential `name` that there was after entry `index`, or is now if that is
  /// nil; nil if there was none.
  package func addition(of name: String, at index: UInt64? = nil) -> UInt64? {
    guard let index else { return present[name]?.added.index }
    if let found = present[name], found.added.index <= index { return found.added.index }
    return removed.last { $0.name == name && $0.added.index <= index && index < $0.removed?.index ?? .max }?.added.index
  }

  /// When the credential was removed to which `access` was, unless each of the pairs that were known by it had been seen
  /// to be refused by then; nil if it was not removed.
  package func removalOfKnown(_ access: Access) -> Timestamp? {
    guard let former = removed.last(where: { $0.name == access.credential && $0.added.index == access.added }),
      former.versions.refusal(upTo: access.newestVersion) == nil
    else { return nil }
    return former.removed?.time
  }

  private var histories: [CredentialHistory] { removed + present.values }

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
    return !(present[bytes.text(at: credential)]?.versions.isStaging ?? false)
  }

  private mutating func apply(_ entry: LogEntry, at index: UInt64) throws {
    try membership.apply(entry, at: index)
    size = index + 1
    let moment = Moment(index: index, time: entry.time)
    switch entry.event {
    case EventName.memberAdded.text: becameMember(entry, moment)
    case EventName.handoffSent.text: wasSent(entry, moment)
    case EventName.handoffConfirmed.text: wasConfirmed(entry)
    case EventName.memberRemoved.text:
      if let name = entry.text("removed") { left(name, moment) }
    default:
      if let credential = entry.credential { try apply(entry, moment, to: credential) }
    }
  }

  private mutating func apply(_ entry: LogEntry, _ moment: Moment, to name: String) throws {
    if entry.event == EventName.credentialAdded.text {
      if let former = present[name] { removed.append(former) }
      present[name] = CredentialHistory(name, added: moment)
      present[name]?.noteTerms(entry, at: moment)
      for member in membership.members where member.role == .owner { begin(member, name, moment) }
      return
    }
    guard present[name] != nil else { return }
    if entry.event.hasPrefix("rotation.") { present[name]?.noteStep(entry, at: moment) }
    switch entry.event {
    case EventName.credentialRemoved.text:
      for member in present[name]?.accesses.keys.sorted() ?? [] { end(member, name, moment) }
      present[name]?.remove(at: moment)
      if let former = present.removeValue(forKey: name) { removed.append(former) }
    case EventName.credentialRekeyed.text: present[name]?.noteTerms(entry, at: moment)
    case EventName.grantAdded.text:
      let grantee = try membership.member(grantee(entry, at: moment.index))
      guard grantee.role == .operator else {
        throw VaultError(.corrupt, "log entry \(moment.index): a grant to \(grantee.name), who is not an operator")
      }
      present[name]?.grantees.insert(grantee.name)
      begin(grantee, name, moment)
    case EventName.grantRemoved.text:
      let grantee = try grantee(entry, at: moment.index)
      present[name]?.grantees.remove(grantee)
      end(grantee, name, moment)
    case EventName.pairRead.text:
      present[name]?.accesses[entry.member]?.reads += 1
      present[name]?.accesses[entry.member]?.lastRead = entry.time
    default: return
    }
  }

  private mutating func wasSent(_ entry: LogEntry, _ moment: Moment) {
    // Nobody sends what they cannot open, but any member can write the words.
    guard let credential = entry.credential, let found = present[credential],
      found.accesses[entry.member] != nil, let recipient = entry.text("recipient"),
      let version = entry.versions.max()
    else { return }
    if let name = entry.text("recipient_name") { names[recipient, default: []].insert(name) }
    ended.append(
      Access(
        member: recipient, age: recipient, credential: credential, added: found.added.index, begin: moment, end: moment,
        newestVersion: min(version, found.versions.newestVersion), kind: .handoff, isOpen: false))
  }

  /// A receipt gives its signer's name.
  private mutating func wasConfirmed(_ entry: LogEntry) {
    guard case .object(let opener)? = entry.details["opener"], case .string(let age)? = opener["age"],
      case .string(let name)? = opener["name"]
    else { return }
    names[age, default: []].insert(name)
  }

  private func grantee(_ entry: LogEntry, at index: UInt64) throws -> String {
    guard let grantee = entry.text("grantee") else {
      throw VaultError(.corrupt, "log entry \(index): \(entry.event) without a grantee")
    }
    return grantee
  }

  private mutating func note(_ card: LogMember) {
    names[card.age, default: []].insert(card.name)
    cards[card.age, default: []].insert(card.name)
    recipients[card.name] = card.age
  }

  private mutating func becameMember(_ entry: LogEntry, _ moment: Moment) {
    guard case .added(let card)? = try? Membership.Change(entry) else { return }
    note(card)
    guard card.role == .owner else { return }
    for name in present.keys { begin(card, name, moment) }
  }

  private mutating func left(_ member: String, _ moment: Moment) {
    for name in present.keys {
      present[name]?.grantees.remove(member)
      end(member, name, moment)
    }
  }

  private mutating func begin(_ member: LogMember, _ credential: String, _ moment: Moment) {
    guard let found = present[credential], found.accesses[member.name] == nil else { return }
    present[credential]?.accesses[member.name] = Access(
      member: member.name, age: member.age, credential: credential, added: found.added.index, begin: moment,
      newestVersion: found.versions.newestVersion, isOpen: true)
  }

  private mutating func end(_ member: String, _ credential: String, _ moment: Moment) {
    guard var access = present[credential]?.accesses.removeValue(forKey: member) else { return }
    access.end = moment
    access.isOpen = false
    access.newestVersion = present[credential]?.versions.newestKnown ?? access.newestVersion
    ended.append(access)
  }
}

// MARK: - Administrators

extension AccessHistory {
  /// What anyone who could open `accesses` could read at the provider: of each credential that one of these
  /// administered, directly or through others, the versions there were while a pair that they knew of that one was, or
  /// may have been, accepted. Who administers a credential now is read from its record in `view` if the log does not
  /// say it; of a damaged one nobody knows.
  package func reached(by accesses: [Access], in view: VaultView) -> [Access] {
    guard !accesses.isEmpty else { return [] }
    let histories = self.histories
    let byAddition = Dictionary(histories.map { ($0.added.index, $0) }) { first, _ in first }
    var administered: [String: [(CredentialHistory, CredentialHistory.Administration)]] = [:]
    for credential in histories {
      let isSaid = credential.removed != nil || credential.hasKnownAdministrators
      let present = isSaid ? nil : (try? view.credential(credential.name, isKept: false))?.admin
      for administration in credential.administrations(present: present) {
        administered[administration.administrator, default: []].append((credential, administration))
      }
    }
    var records: [UInt64: Credential?] = [:]
    func isRefused(_ administrator: CredentialHistory, upTo version: UInt64) -> Bool {
      // What was removed has no record to ask.
      guard administrator.removed == nil else { return false }
      let index = administrator.added.index
      let record = records[index] ?? (try? view.credential(administrator.name, isKept: false))
      records[index] = .some(record)
      return record?.versions.allSatisfy { one in
        guard one.number <= version else { return true }
        let number = administrator.versions.pairNumber(of: one.number)
        return (number == one.number ? one : record?.version(number))?.stage == .retired
      } ?? false
    }
    var found: Set<Access> = []
    var waiting = accesses
    while let access = waiting.popLast() {
      guard let others = administered[access.credential], let administrator = byAddition[access.added] else { continue }
      // Any member can write the words of a refusal: they count where the record agrees.
      let refusal =
        isRefused(administrator, upTo: access.newestVersion)
        ? administrator.versions.refusal(upTo: access.newestVersion) : nil
      for (credential, administration) in others {
        let begin = max(access.begin, administration.begin)
        let end = [refusal, administration.end, administrator.removed].compactMap(\.self).min()
        guard end.map({ begin < $0 }) ?? true else { continue }
        let reached = Access(
          member: access.member, age: access.age, credential: credential.name, added: credential.added.index,
          begin: begin, end: end, newestVersion: credential.newestKnown(before: end),
          kind: .administrator(access.through ?? access.credential), isOpen: access.isOpen && end == nil)
        if found.insert(reached).inserted { waiting.append(reached) }
      }
    }
    return found.sorted { ($0.credential, $0.member, $0.begin) < ($1.credential, $1.member, $1.begin) }
  }
}
