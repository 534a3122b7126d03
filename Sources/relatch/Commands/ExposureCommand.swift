import ArgumentParser
import Audit
import JSON
import Storage
import Vault

struct LogExposureCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exposure",
    abstract: "Show what a member read or could have opened, and what of it is not replaced yet.",
    discussion: """
      Everything is read from the log, without unlocking anything. It also works for a former member, and for \
      somebody who only received a pair by a handoff. Whoever could open an administrator could read, at the provider, \
      the pairs of what it administered, until the provider refused the administrator's pair: these are listed, too. \
      --plan prints, one a line, the names of exactly those credentials whose active pair the member could open or \
      read there.
      """)

  @OptionGroup var options: CommonOptions

  @Option(help: "A member, somebody who signed a receipt, or the age1… or ssh-ed25519 key that a pair was sent to.")
  var member: String

  @Option(
    help: ArgumentHelp(
      "Leave out what the member could open only before then (RFC 3339, a day, or 7d for 7 days ago).",
      valueName: "time"))
  var since: String?

  @Flag(help: "Print only the names of what is to be rotated.")
  var plan = false

  func run() async throws {
    let report = Report(options)
    let (member, moment) = (member, try since.map { try Timestamp.said($0, for: "--since", now: WallClock.now()) })
    let found = try await Places(options).look(at: "exposure", about: member) {
      try $0.exposures(to: member, since: moment)
    }
    if plan {
      for exposure in found where exposure.isToBeRotated {
        try report.result(exposure.object(of: member), text: exposure.credential)
      }
    } else {
      for exposure in found { try report.result(exposure.object(of: member), text: exposure.text) }
    }
    if found.isEmpty { report.note("\(member) could open nothing\(since == nil ? "" : " since then")") }
    found.warnOfHolder()
  }
}

extension [MemberExposure] {
  /// Those that were removed, and of which the vault may have the pair that `member` knows again, under the same name.
  private var addedAgain: Self { filter { $0.isAddedAgain } }

  /// Warns of those that were removed and whose name was added again: nothing shows whether it is the pair that `member`
  /// knows. Returns whether there are any.
  @discardableResult
  func warnOfAddedAgain(knownTo member: String) -> Bool {
    for exposure in addedAgain {
      guard let removed = exposure.removed else { continue }
      let name = exposure.credential
      Diagnostics.standard.warning(
        "\(name) was removed at \(removed), with a pair that \(member) could open, and was added again: if that has the same"
          + " pair, `relatch revoke \(name) --reason TEXT` ends it")
    }
    return !addedAgain.isEmpty
  }

  /// The same, and for the others too, of which nothing is left here that could be ended.
  func warnOfRemoved(knownTo member: String) -> Bool {
    let gone = filter { !$0.isAddedAgain }.compactMap { exposure in
      exposure.removed.map { "\(exposure.credential) was removed at \($0)" }
    }
    if !gone.isEmpty {
      Diagnostics.standard.warning(
        "\(gone.joined(separator: ", ")), with a pair that \(member) could open and that its provider may accept still: if it"
          + " was added under another name, revoke that; or else end it at the provider")
    }
    return warnOfAddedAgain(knownTo: member)
  }

  /// Warns if the member can still open some of it.
  func warnOfHolder() {
    guard let holder = compactMap(\.holder).first else { return }
    Diagnostics.standard.warning(
      "\(holder) can still open some of this, and what replaces it: first `relatch member remove \(holder)`")
  }
}

/// What one member could open of one credential, and what has become of it since.
struct MemberExposure: Sendable {
  let credential: String
  /// When its pairs were within the member's reach. `until` is nil if they may be now.
  let since: Timestamp
  let until: Timestamp?
  /// The name of the member who can open it or its administrator now; nil if their access has ended.
  let holder: String?
  /// The newest version that was open to the member.
  let newestVersion: UInt64
  /// The administrator whose pair alone opened it, at the provider; nil if the member could open the credential itself.
  let through: String?
  /// The administrator of which the member knows a pair that may still be accepted, although their access has ended;
  /// nil if there is none.
  let reaching: String?
  /// How often the member read it, and when last.
  let reads: Int
  let lastRead: Timestamp?
  /// The active version now; nil if the credential was removed.
  let active: UInt64?
  /// The newest version that was handed to the member, and when; nil if none was.
  let sent: (time: Timestamp, version: UInt64)?
  /// Whether the member was only ever sent a pair, or only an entry of an owner's says that it is exposed to them.
  let isOnlySent: Bool
  let isOnlyNoted: Bool
  /// Whether it was handed over, and is rotated elsewhere.
  let isTransferred: Bool
  /// Replaced versions that were open to the member and that the provider may still accept.
  let owed: [UInt64]
  /// Versions that were open to the member and were left behind at a former place, which may still accept them.
  let elsewhere: [UInt64]
  /// Whether its record cannot be read, so that nobody knows which version is active.
  let isDamaged: Bool
  /// When the credential was removed that had the pair which the member could open, if the provider may accept that
  /// still; nil if it was not removed.
  let removed: Timestamp?
  /// Whether another credential has its name since, with a pair that may be the same.
  let isAddedAgain: Bool

  /// Whether the active pair is, or may be, one that the member could open. A damaged credential counts, and fails in
  /// its own run.
  var isToBeRotated: Bool { isDamaged || !isTransferred && active.map { $0 <= newestVersion } ?? false }

  var standing: String {
    if isDamaged { return "damaged" }
    if active == nil { return "removed" }
    if isTransferred { return "transferred" }
    if holder != nil { return "open" }
    return isToBeRotated ? "exposed" : "rotated"
  }
}

extension VaultView {
  /// What `member` could open at `moment` or later, or at any time, and what those credentials administer, by
  /// credential. The time this takes grows with the log.
  ///
  /// Throws `notFound` if nobody of that name is a member or could ever open anything.
  func exposures(to member: String, since moment: Timestamp? = nil) throws -> [MemberExposure] {
    let member = member.withoutComment
    let history = try AccessHistory(self)
    let opened = history.accesses(of: member)
    guard !opened.isEmpty || members.contains(where: { [$0.name, $0.card.age].contains(member) }) else {
      throw Failure(
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

  fileprivate var text: String {
    var line = "\(credential): versions up to \(newestVersion), "
    line += until.map { "from \(since) to \($0)" } ?? "from \(since) on"
    if let through { line += ", at the provider through \(through)" }
    if isOnlyNoted {
      line = "\(credential): versions up to \(newestVersion), noted at \(since) as exposed to them"
    } else if through == nil {
      line += reads == 0 ? ", not read" : ", read \(reads.times)\(lastRead.map { ", last at \($0)" } ?? "")"
    }
    if let sent {
      if isOnlySent {
        line = "\(credential): version \(sent.version) was sent at \(sent.time)"
      } else {
        line += "; version \(sent.version) was sent at \(sent.time)"
      }
    }
    switch standing {
    case "damaged": line += "; its record is damaged: which version is active is not known"
    case "removed": line += "; the credential was removed"
    case "transferred": line += "; it was handed over, and is rotated by its recipient"
    case "rotated": line += "; rotated since: version \(active ?? 0) is active"
    case "open": line += "; open now: version \(active ?? 0) is active"
    default: line += "; version \(active ?? 0) is still active: `relatch rotate \(credential)`"
    }
    if let reaching { line += "; \(reaching)'s pair, which they know, may still be accepted and can read it" }
    if !owed.isEmpty {
      let versions = owed.map(String.init).joined(separator: ", ")
      line += "; version \(versions) may still be accepted: `relatch retire \(credential)`"
    }
    if !elsewhere.isEmpty {
      let versions = elsewhere.map(String.init).joined(separator: ", ")
      line += "; version \(versions) was left behind at a former place, which nobody saw refuse it"
    }
    return line
  }

  fileprivate func object(of member: String) -> JSONValue {
    var members: [String: JSONValue] = [
      "credential": .string(credential), "member": .string(member),
      "newest_version": .integer(Int(clamping: newestVersion)),
      "owed": .array(owed.map { .integer(Int(clamping: $0)) }), "reads": .integer(reads),
      "rotate": .bool(isToBeRotated), "since": .string(since.description), "standing": .string(standing),
      "type": "exposure",
    ]
    if !elsewhere.isEmpty { members["elsewhere"] = .array(elsewhere.map { .integer(Int(clamping: $0)) }) }
    if let active { members["active"] = .integer(Int(clamping: active)) }
    if let through { members["through"] = .string(through) }
    if let sent { members["sent"] = .string(sent.time.description) }
    if let lastRead { members["last_read"] = .string(lastRead.description) }
    if let until { members["until"] = .string(until.description) }
    return .object(members)
  }
}
