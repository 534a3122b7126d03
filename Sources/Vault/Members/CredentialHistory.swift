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

  private(set) var versions = RefusedVersions()
  /// Each newest known version, and the index of the entry that made it so.
  private var newest: [(index: UInt64, version: UInt64)]
  /// In the order of the log; each until the next. The first has no name until an entry says what it was.
  private var administrators: [(begin: Moment, name: String?)]

  init(_ name: String, added: Moment) {
    self.name = name
    self.added = added
    newest = [(added.index, 1)]
    administrators = [(added, nil)]
  }

  // MARK: - Results

  /// The newest version that somebody with access may have known just before `end`; may know now, if that is nil.
  func newestKnown(before end: Moment?) -> UInt64 {
    guard let end else { return versions.newestKnown }
    return newest.last { $0.index < end.index }?.version ?? versions.newestVersion
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
    versions.apply(entry, at: moment)
    if newest.last?.version != versions.newestKnown { newest.append((moment.index, versions.newestKnown)) }
  }

  /// Notes what an owner's entry says of its administrator, and of whom it is exposed to.
  mutating func noteTerms(_ entry: LogEntry, at moment: Moment) {
    if let administrator = entry.text("admin") {
      if case .object(let before)? = entry.details["before"], case .string(let former)? = before["admin"],
        administrators.count == 1
      {
        administrators[0].name = former
      }
      administrators.append((moment, administrator))
    }
    guard let exposure = try? entry.details["exposure"].map({ try Exposure($0) }) else { return }
    let version = min(exposure.version, versions.newestKnown)
    for name in exposure.to where version > exposed[name]?.version ?? 0 {
      exposed[name] = (exposed[name]?.moment ?? moment, version)
    }
  }

  mutating func remove(at moment: Moment) { removed = moment }
}
