package import Audit

/// What one member could open of one credential, and what has become of it since.
package struct MemberExposure: Sendable {
  /// What has become of it, in one word that does not change.
  package enum Standing: String, Sendable {
    /// Its record is damaged, so that nobody knows which version is active.
    case damaged
    case removed
    /// It is rotated by whom it was handed to.
    case transferred
    /// The member can open the active pair now.
    case open
    /// They no longer can, and know the active pair.
    case exposed
    /// The active pair is one that they could not open.
    case rotated
  }

  package let credential: String
  /// When its pairs were within the member's reach. `until` is nil if they may be now.
  package let since: Timestamp
  package let until: Timestamp?
  /// The name of the member who can open it or its administrator now; nil if their access has ended.
  package let holder: String?
  /// The newest version that was open to the member.
  package let newestVersion: UInt64
  /// The administrator whose pair alone opened it, at the provider; nil if the member could open the credential itself.
  package let through: String?
  /// The administrator of which the member knows a pair that may still be accepted, although their access has ended;
  /// nil if there is none.
  package let reaching: String?
  /// How often the member read it, and when last.
  package let reads: Int
  package let lastRead: Timestamp?
  /// The active version now; nil if the credential was removed.
  package let active: UInt64?
  /// The newest version that was handed to the member, and when; nil if none was.
  package let sent: (time: Timestamp, version: UInt64)?
  /// Whether the member was only ever sent a pair, or only an entry of an owner's says that it is exposed to them.
  package let isOnlySent: Bool
  package let isOnlyNoted: Bool
  /// Whether it was handed over, and is rotated elsewhere.
  package let isTransferred: Bool
  /// Replaced versions that were open to the member and that the provider may still accept.
  package let owed: [UInt64]
  /// Versions that were open to the member and were left behind at a former place, which may still accept them.
  package let elsewhere: [UInt64]
  /// Whether its record cannot be read, so that nobody knows which version is active.
  package let isDamaged: Bool
  /// When the credential was removed that had the pair which the member could open, if the provider may accept that
  /// still; nil if it was not removed.
  package let removed: Timestamp?
  /// Whether another credential has its name since, with a pair that may be the same.
  package let isAddedAgain: Bool

  /// Whether the active pair is, or may be, one that the member could open. A damaged credential counts, and fails in
  /// its own run.
  package var isToBeRotated: Bool { isDamaged || !isTransferred && active.map { $0 <= newestVersion } ?? false }

  package var standing: Standing {
    if isDamaged { return .damaged }
    if active == nil { return .removed }
    if isTransferred { return .transferred }
    if holder != nil { return .open }
    return isToBeRotated ? .exposed : .rotated
  }
}

extension VaultView {
  /// What `member` could open at `moment` or later, or at any time, and what those credentials administer, by
  /// credential. The time this takes grows with the log.
  ///
  /// Throws `notFound` if nobody of that name is a member or could ever open anything.
  package func exposures(to member: String, since moment: Timestamp? = nil) throws -> [MemberExposure] {
    let member = member.withoutComment
    let history = try AccessHistory(self)
    let opened = history.accesses(of: member)
    guard !opened.isEmpty || members.contains(where: { [$0.name, $0.card.age].contains(member) }) else {
      throw VaultError(
        .notFound,
        "nobody called \(Name.printable(member)) is a member, could ever open anything, or was sent anything",
        hint: "`relatch member list` names the members, `relatch log list` also former ones")
    }
    let stretches = (opened + history.reached(by: opened, in: self)).filter { access in
      guard let moment, let until = access.until else { return true }
      return until >= moment
    }
    return try Dictionary(grouping: stretches, by: \.credential).sorted { $0.key < $1.key }
      .map { try MemberExposure($0.key, $0.value, history, in: self) }
  }
}

extension String {
  /// An SSH key without the comment that ends the line of a `.pub` file; anything else as it is.
  fileprivate var withoutComment: String {
    guard hasPrefix("ssh-") else { return self }
    return split(separator: " ", omittingEmptySubsequences: true).prefix(2).joined(separator: " ")
  }
}

extension MemberExposure {
  /// Combines the `stretches` of one credential.
  fileprivate init(
    _ name: String, _ stretches: [AccessHistory.Access], _ history: AccessHistory, in view: VaultView
  ) throws {
    let now = try? view.credential(name)
    isDamaged = try now == nil && view.hasCredential(name)
    // The name may belong to another credential by now. Accesses to one that was removed do not concern it.
    let own = history.addition(of: name).map { added in stretches.filter { $0.added == added } } ?? []
    let current = own.isEmpty ? nil : now
    let counted = own.isEmpty ? stretches : own
    credential = name
    since = counted.min { $0.begin < $1.begin }?.since ?? view.header.created
    until = counted.contains { $0.end == nil } ? nil : counted.compactMap(\.end).max()?.time
    holder = counted.first(where: \.isOpen)?.member
    let newest = counted.map(\.newestVersion).max() ?? 0
    newestVersion = newest
    sent = counted.filter(\.isHandoff).max { $0.newestVersion < $1.newestVersion }.map { ($0.since, $0.newestVersion) }
    isOnlySent = counted.allSatisfy(\.isHandoff)
    isOnlyNoted = counted.allSatisfy { $0.kind == .exposure }
    isTransferred = current?.isTransferred ?? false
    through = counted.contains { $0.kind == .key || $0.isHandoff } ? nil : counted.compactMap(\.through).first
    reaching = counted.first { $0.end == nil && !$0.isOpen }?.through
    reads = counted.map(\.reads).reduce(0, +)
    lastRead = counted.compactMap(\.lastRead).max()
    active = current?.version(in: .active)?.number
    elsewhere = current?.leftElsewhere.filter { $0 <= newest } ?? []
    // Somebody who was only sent pairs knows these, and none before them.
    let sentVersions = Set(counted.map(\.newestVersion))
    let isOnlySent = isOnlySent
    owed = current?.debts.map(\.number).filter { isOnlySent ? sentVersions.contains($0) : $0 <= newest } ?? []
    // Once the first pair of what has the name now is refused, it does not matter whether that was the same.
    let isOver = now.map { ($0.version(1)?.stage ?? .retired) == .retired } ?? false
    removed = own.isEmpty && !isOver ? stretches.compactMap(history.removalOfKnown).max() : nil
    isAddedAgain = try removed != nil && view.hasCredential(name)
  }
}
