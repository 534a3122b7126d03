package import Audit
import JSON
import Storage

/// Every leak that was reported, replayed from the log: what came of it, and who had the pairs before.
package struct IncidentHistory: Sendable {
  /// One entry of the log, and its index.
  package struct Moment: Sendable {
    package let index: UInt64
    package let entry: LogEntry
  }

  /// How somebody or something came to have leaked versions.
  package struct Use: Hashable, Sendable {
    package enum Kind: String, Sendable {
      /// A member was handed the pair.
      case read
      /// A run opened it to talk to its provider.
      case used
      /// It was delivered to a sink or hook.
      case delivered
    }

    package let kind: Kind
    /// The member; for a delivery, the name of the sink or hook.
    package let who: String
    package fileprivate(set) var count = 0
    package fileprivate(set) var last: Moment?
    package fileprivate(set) var versions: Set<UInt64> = []

    package static func == (left: Use, right: Use) -> Bool { left.kind == right.kind && left.who == right.who }

    package func hash(into hasher: inout Hasher) {
      hasher.combine(kind)
      hasher.combine(who)
    }
  }

  /// The part of one incident that concerns one credential.
  package struct Part: Sendable {
    package let incident: String
    package let credential: String
    /// One or more `credential.leaked`.
    package fileprivate(set) var reports: [Moment]
    /// The versions that leaked and had not been seen to be refused, ascending; if all had been, the one that was
    /// reported.
    package fileprivate(set) var leaked: [UInt64]
    /// What followed, in the order of the log, without intents.
    package private(set) var moments: [Moment] = []
    /// The newest trial of each version that says whether the pair was accepted.
    private var trials: [UInt64: Moment] = [:]
    /// For each version that is refused, the entry that says so.
    package fileprivate(set) var refused: [UInt64: Moment] = [:]
    /// For each version that was given up at a former place without having been seen to be refused there, the entry that
    /// says so.
    package fileprivate(set) var elsewhere: [UInt64: Moment] = [:]
    /// Who and what got a leaked version: before the report, and after it until the version was refused.
    package fileprivate(set) var uses: [Use]
    /// Whether the credential was removed while a leaked version was owed.
    package fileprivate(set) var isRemoved = false
    /// The versions that had been seen to be refused before anybody reported them.
    fileprivate var refusedBefore: Set<UInt64> = []

    /// Whether what leaked had been seen to be refused before anybody reported it.
    package var wasRefusedBefore: Bool { leaked.allSatisfy(refusedBefore.contains) }

    /// The versions that nobody has seen to be refused, and that were not given up at a former place.
    package var owed: [UInt64] { leaked.filter { refused[$0] == nil && elsewhere[$0] == nil } }
    /// Those that nobody will see refused any more: they were given up at a former place.
    package var leftElsewhere: [UInt64] { leaked.filter { refused[$0] == nil && elsewhere[$0] != nil } }
    package var reported: Moment? { reports.first }

    /// The first entry of `event` after the report about a version that did not leak.
    package func first(_ event: String) -> Moment? {
      moments.first { $0.entry.event == event && ($0.entry.version ?? 0) > leaked.last ?? 0 }
    }

    /// The versions that the provider accepted when they were last tried, though they had been seen to be refused. Any
    /// member can write that they tried one: this ends nothing and begins nothing.
    package var acceptedAgain: [UInt64] { trials.keys.filter(isAcceptedAgain).sorted() }

    fileprivate func isAcceptedAgain(_ version: UInt64) -> Bool {
      guard let trial = trials[version], trial.entry.details["accepted"] == true else { return false }
      // What is older than what leaked, and did not leak, had been seen to be refused before.
      if refused[version] == nil, let left = elsewhere[version] { return trial.index > left.index }
      guard let refusal = refused[version] else { return !leaked.contains(version) && version < leaked.last ?? 0 }
      return trial.index > refusal.index || refusedBefore.contains(version)
    }

    fileprivate init(of credential: String, in incident: String, leaked: [UInt64], reported: Moment) {
      (self.incident, self.credential, self.leaked) = (incident, credential, leaked)
      (reports, uses) = ([reported], [])
    }

    fileprivate mutating func append(_ moment: Moment) {
      moments.append(moment)
      guard moment.entry.event == EventName.leakTried.text, moment.entry.details["accepted"] != nil,
        let version = moment.entry.version
      else { return }
      trials[version] = moment
    }

    /// When the last leaked version was seen to be refused; nil while one is owed, and if one was not seen to be.
    package var ended: Moment? {
      owed.isEmpty && leftElsewhere.isEmpty ? refused.values.max { $0.index < $1.index } : nil
    }
  }

  /// In the order in which they were first reported.
  package private(set) var parts: [Part] = []

  private struct Credentials {
    var uses: [Use: [UInt64: Use]] = [:]
    var versions = RefusedVersions()
    /// Trials of a found pair that is about to be reported.
    var tried: [Moment] = []
    /// The present incident.
    var part: Int?
    /// All incidents so far.
    var parts: [Int] = []
  }

  private var present: [String: Credentials] = [:]

  /// Goes through the whole log of `view`.
  package init(_ view: VaultView) throws {
    var replay = Self()
    try view.replay { entry, index in replay.apply(Moment(index: index, entry: entry)) }
    self = replay
    present = [:]
  }

  private init() {}

  private mutating func apply(_ moment: Moment) {
    let entry = moment.entry
    guard let name = entry.credential, entry.isVouchedFor else { return }
    // Any member can write entries about a credential that does not exist; verification compares them with no record.
    let isAddition = entry.event == EventName.credentialAdded.text
    guard var credential = isAddition ? Credentials() : present[name] else { return }
    credential.versions.apply(entry, at: AccessHistory.Moment(index: moment.index, time: entry.time))
    var isThere = true
    defer { present[name] = isThere ? credential : nil }
    switch entry.event {
    case EventName.credentialRemoved.text:
      if let part = credential.part, !parts[part].owed.isEmpty {
        parts[part].isRemoved = true
        parts[part].append(moment)
      }
      isThere = false
    case EventName.credentialLeaked.text: report(moment, of: name, &credential)
    case EventName.leakTried.text:
      // A trial of a version that an incident is already about belongs to that incident, whether or not it is over, and
      // to the newest incident of a later version, with which it can have been found.
      let version = entry.version ?? 0
      let about = Set(
        [part(about: version, credential), credential.parts.last { version < parts[$0].leaked.last ?? 0 }]
          .compactMap(\.self)
          + credential.parts.filter { parts[$0].isAcceptedAgain(version) })
      for part in about { parts[part].append(moment) }
      if about.isEmpty { credential.tried.append(moment) }
    case EventName.pairRead.text: note(.read, entry.member, entry.versions, moment, &credential)
    case EventName.pairUsed.text: note(.used, entry.member, entry.versions, moment, &credential)
    case EventName.deliveryDone.text:
      if let delivery = entry.text("delivery") {
        note(.delivered, delivery, entry.version.map { [$0] } ?? [], moment, &credential)
      }
      follow(moment, credential)
    case "rotation.begun":
      // What begins after the end is not part of the incident.
      if let part = credential.part, parts[part].owed.isEmpty { credential.part = nil }
      follow(moment, credential)
    default:
      if entry.event.hasPrefix("rotation.") && !entry.event.hasSuffix(".intended")
        || [EventName.deliveryFailed, .tokenRevoked, .tokenNotRevoked, .pairCutOff, .pairNotCutOff]
          .contains(EventName(entry.event))
      {
        follow(moment, credential)
      }
    }
  }

  /// The newest incident that `version` leaked in.
  private func part(about version: UInt64?, _ credential: Credentials) -> Int? {
    version.flatMap { version in credential.parts.last { parts[$0].leaked.contains(version) } }
  }

  private mutating func report(_ moment: Moment, of name: String, _ credential: inout Credentials) {
    let version = moment.entry.version ?? 1
    // As many as a record can have: what the log says must not decide how much memory this takes.
    let all = (version > 10_000 ? version - 10_000 : 1)...max(1, version)
    let open = all.filter { credential.versions.refusal(of: $0) == nil }
    let leaked = open.isEmpty ? [version] : open
    guard let incident = moment.entry.text("incident") else { return }
    if let part = credential.part, parts[part].incident == incident, !parts[part].owed.isEmpty {
      parts[part].reports.append(moment)
      (credential.tried + [moment]).forEach { parts[part].append($0) }
      parts[part].leaked = Set(parts[part].leaked + leaked).sorted()
    } else if open.isEmpty, let part = part(about: version, credential) {
      // A pair found again long after its end is not another incident.
      parts[part].reports.append(moment)
      (credential.tried + [moment]).forEach { parts[part].append($0) }
      credential.tried = []
      return
    } else {
      var part = Part(of: name, in: incident, leaked: leaked, reported: moment)
      (credential.tried + [moment]).forEach { part.append($0) }
      parts.append(part)
      credential.part = parts.count - 1
      credential.parts.append(parts.count - 1)
    }
    credential.tried = []
    guard let part = credential.part else { return }
    if open.isEmpty, parts[part].refused[version] == nil {
      parts[part].refused[version] = moment
      parts[part].refusedBefore.insert(version)
    }
    for version in parts[part].leaked where credential.versions.elsewhere.contains(version) {
      if parts[part].elsewhere[version] == nil { parts[part].elsewhere[version] = moment }
    }
    parts[part].uses = Self.uses(of: parts[part].leaked, in: credential)
  }

  private static func uses(of leaked: [UInt64], in credential: Credentials) -> [Use] {
    credential.uses.compactMap { key, byVersion in
      let uses = leaked.compactMap { byVersion[$0] }
      guard !uses.isEmpty else { return nil }
      var use = key
      use.count = uses.map(\.count).reduce(0, +)
      use.last = uses.compactMap(\.last).max { $0.index < $1.index }
      use.versions = Set(uses.flatMap(\.versions))
      return use
    }.sorted { ($0.kind.rawValue, $0.who) < ($1.kind.rawValue, $1.who) }
  }

  private mutating func note(
    _ kind: Use.Kind, _ who: String, _ versions: [UInt64], _ moment: Moment, _ credential: inout Credentials
  ) {
    let key = Use(kind: kind, who: who)
    for version in versions {
      var use = credential.uses[key]?[version] ?? key
      use.count += 1
      use.last = moment
      use.versions = [version]
      credential.uses[key, default: [:]][version] = use
    }
    guard let part = credential.part, !parts[part].owed.isEmpty else { return }
    parts[part].uses = Self.uses(of: parts[part].leaked, in: credential)
    // Anyone who is handed a leaked pair now is part of what happened.
    if kind == .read, !Set(versions).isDisjoint(with: parts[part].leaked) { parts[part].append(moment) }
  }

  private mutating func follow(_ moment: Moment, _ credential: Credentials) {
    guard let part = credential.part else { return }
    let isOver = parts[part].owed.isEmpty
    // Deliveries, the end of a token and a second try to delete a stranger's pair come after the end.
    let isLate = ["delivery.", "token.", "pair."].contains { moment.entry.event.hasPrefix($0) }
    guard !isOver || isLate else { return }
    parts[part].append(moment)
    for version in parts[part].leaked where credential.versions.refusal(of: version) != nil {
      if parts[part].refused[version] == nil { parts[part].refused[version] = moment }
    }
    for version in parts[part].leaked where credential.versions.elsewhere.contains(version) {
      if parts[part].elsewhere[version] == nil { parts[part].elsewhere[version] = moment }
    }
  }
}

extension VaultView {
  /// The names of the credentials for which the records disagree with the log about these incidents: one says that
  /// something is owed, and the other does not. Any member who may write a record can write an untrue entry beside it.
  package func disagreements(with parts: [IncidentHistory.Part]) throws -> [String] {
    let newest = Dictionary(grouping: parts.filter { !$0.isRemoved }) { $0.credential }
    return try newest.sorted { $0.key < $1.key }.compactMap { name, parts in
      guard try hasCredential(name) else { return nil }
      let incident = try credential(name).leak?.incident
      let isOwed = Dictionary(grouping: parts, by: \.incident).mapValues { $0.contains { !$0.owed.isEmpty } }
      return isOwed.allSatisfy { $1 == ($0 == incident) } ? nil : name
    }
  }
}

extension LogEntry {
  /// Whether it came with a change of the record, if it is an entry that only comes with one. Verification compares
  /// such entries with the records; any member could write the same words without one.
  var isVouchedFor: Bool {
    let events: [EventName] = [.credentialLeaked, .deliveryDone]
    guard event.hasPrefix("rotation.") || events.contains(where: { $0.text == event }) else { return true }
    guard text("record") != nil else { return false }
    return !event.hasPrefix("rotation.") || details["rotation"] != nil && details["step"] != nil
  }

  /// The version it is about; nil if it is about none.
  package var version: UInt64? { number("version") }

  /// The versions that were opened.
  package var versions: [UInt64] { numbers("versions") }

  /// The versions that it says are of a former place and not known at the present one.
  package var elsewhereVersions: [UInt64] { numbers("elsewhere") }

  private func numbers(_ key: String) -> [UInt64] {
    guard case .array(let values)? = details[key] else { return [] }
    return values.compactMap { if case .integer(let number) = $0 { UInt64(exactly: number) } else { nil } }
  }

  /// The versions that it says were seen to be refused.
  var refusedVersions: [UInt64] {
    guard case .array(let values)? = details["refused"] else { return [] }
    return values.compactMap { value in
      guard case .object(let members) = value, case .integer(let number)? = members["version"] else { return nil }
      return UInt64(exactly: number)
    }
  }
}
