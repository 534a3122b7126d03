import Audit
import JSON

/// What the log says of one credential, from the entry that added it to the one that removed it.
struct CredentialHistory: Sendable {
  typealias Access = AccessHistory.Access
  typealias Moment = AccessHistory.Moment

  /// A stretch of the log in which one credential administered another. `end` is nil if it still does.
  struct Administration: Sendable {
    let administrator: String
    let begin: Moment
    let end: Moment?
  }

  let name: String
  let added: Moment
  private(set) var removed: Moment?
  /// By member; those that have not ended.
  var accesses: [String: Access] = [:]
  var grantees: Set<String> = []
  /// The newest version that an owner's entry says is exposed to somebody, by their name, and the first entry that
  /// says so.
  private(set) var exposed: [String: (moment: Moment, version: UInt64)] = [:]

  private(set) var newestVersion: UInt64 = 1
  /// Whether a pair was requested that is not saved yet: whoever requested it may know it.
  private(set) var isStaging = false
  /// Each newest known version, and the index of the entry that made it so.
  private var newest: [(index: UInt64, version: UInt64)]
  private var refused: [UInt64: Moment] = [:]
  /// Versions that were given up and taken over as the next version: that is the same pair.
  private var takenOver: Set<UInt64> = []
  /// In the order of the log; each until the next. The first has no name until an entry says what it was.
  private var administrators: [(begin: Moment, name: String?)]

  init(_ name: String, added: Moment) {
    self.name = name
    self.added = added
    newest = [(added.index, 1)]
    administrators = [(added, nil)]
  }

  // MARK: - Results

  /// The newest version that somebody with access may know.
  var newestKnown: UInt64 { newestVersion + (isStaging ? 1 : 0) }

  /// The same just before `end`; now, if that is nil.
  func newestKnown(before end: Moment?) -> UInt64 {
    guard let end else { return newestKnown }
    return newest.last { $0.index < end.index }?.version ?? newestVersion
  }

  /// When the last of the versions up to `version` was seen to be refused; nil if one was not.
  func refusal(upTo version: UInt64) -> Moment? {
    var last: Moment?
    for number in 1...max(1, version) {
      guard let moment = refused[pairNumber(of: number)] else { return nil }
      last = max(last ?? moment, moment)
    }
    return last
  }

  /// The version that is refused with `version`: a later one, if that is the same pair.
  func pairNumber(of version: UInt64) -> UInt64 {
    var number = version
    while takenOver.contains(number) { number += 1 }
    return number
  }

  /// By whom else it was administered. `present` is its administrator now, which counts if the log does not say which
  /// was the first.
  func administrations(present: String?) -> [Administration] {
    administrators.indices.compactMap { index in
      guard let administrator = administrators[index].name ?? present, administrator != name else { return nil }
      let next = index + 1
      return Administration(
        administrator: administrator, begin: administrators[index].begin,
        end: next < administrators.count ? administrators[next].begin : removed)
    }
  }

  /// Whether the log says which administrator was the first.
  var hasKnownAdministrators: Bool { administrators.first?.name != nil }

  // MARK: - Replaying

  /// Notes a step of a rotation.
  mutating func noteStep(_ entry: LogEntry, at moment: Moment) {
    // Any member can write the words of a step; only one that stores the record is one.
    guard entry.isVouchedFor else { return }
    isStaging = EventName.ofStaging.contains(EventName(entry.event))
    switch entry.event {
    case "rotation.staged":
      // Each version is one more than the last.
      if let version = entry.version, version > newestVersion { newestVersion += 1 }
    case "rotation.refused": for version in entry.refusedVersions { refuse(version, moment) }
    case "rotation.discarded":
      guard let version = entry.version, version <= newestKnown else { break }
      if entry.says("reason", "adopted") {
        takenOver.insert(version)
      } else if !entry.says("reason", "owed"), !entry.elsewhereVersions.contains(version) {
        refuse(version, moment)
      }
    default: break
    }
    if newest.last?.version != newestKnown { newest.append((moment.index, newestKnown)) }
  }

  /// The newest entry counts: a true one comes with the change that retires the version in the record, and a later
  /// untrue one can only make the time longer in which the pair was known.
  private mutating func refuse(_ version: UInt64, _ moment: Moment) {
    if version <= newestKnown { refused[version] = moment }
  }

  /// Notes what an owner's entry says of its administrator, and of whom it is exposed to.
  mutating func noteTerms(_ entry: LogEntry, at moment: Moment) {
    if case .string(let administrator)? = entry.details["admin"] {
      if case .object(let before)? = entry.details["before"], case .string(let former)? = before["admin"],
        administrators.count == 1
      {
        administrators[0].name = former
      }
      administrators.append((moment, administrator))
    }
    guard let exposure = try? entry.details["exposure"].map({ try Exposure($0) }) else { return }
    let version = min(exposure.version, newestKnown)
    for name in exposure.to where version > exposed[name]?.version ?? 0 {
      exposed[name] = (exposed[name]?.moment ?? moment, version)
    }
  }

  mutating func remove(at moment: Moment) { removed = moment }
}
