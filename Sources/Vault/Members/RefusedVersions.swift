import Audit
import JSON

/// Which versions of one credential there are and which of them were seen to be refused, by the steps of its rotations
/// in the order of the log.
///
/// Any member can write the words of a step; only one that stores the record is one. And what it says counts only for
/// versions that there are by then: whoever means to leak a later one could write beforehand that it is refused.
struct RefusedVersions: Sendable {
  typealias Moment = AccessHistory.Moment

  private(set) var newestVersion: UInt64 = 1
  /// Whether a pair was requested that is not saved yet: whoever requested it may know it.
  private(set) var isStaging = false
  /// Versions that were given up at a former place, and not seen to be refused there.
  private(set) var elsewhere: Set<UInt64> = []
  private var refusals: [UInt64: Moment] = [:]
  /// Versions that were given up and taken over as the next version: that is the same pair.
  private var takenOver: Set<UInt64> = []

  /// The newest version that somebody with access may know.
  var newestKnown: UInt64 { newestVersion + (isStaging ? 1 : 0) }

  /// When `version` was seen to be refused; nil if it was not. One that was taken over is refused when the next is.
  ///
  /// The newest entry counts: a true one comes with the change that retires the version in the record, and a later
  /// untrue one can only make the time longer in which the pair was known.
  func refusal(of version: UInt64) -> Moment? { refusals[version] }

  /// When the last of the versions up to `version` was; nil if one was not.
  func refusal(upTo version: UInt64) -> Moment? {
    var last: Moment?
    for number in 1...max(1, version) {
      guard let moment = refusals[number] else { return nil }
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

  /// Notes a step of a rotation; any other entry is none.
  mutating func apply(_ entry: LogEntry, at moment: Moment) {
    guard entry.event.hasPrefix("rotation."), entry.isVouchedFor else { return }
    isStaging = EventName.ofStaging.contains(EventName(entry.event))
    switch entry.event {
    case "rotation.staged":
      // Each version is one more than the last.
      if let version = entry.version, version > newestVersion { newestVersion += 1 }
    case "rotation.refused":
      for version in entry.refusedVersions { refuse(version, moment) }
      elsewhere.formUnion(entry.elsewhereVersions.filter { $0 <= newestKnown })
    case "rotation.discarded":
      guard let version = entry.version, version <= newestKnown else { return }
      if entry.says("reason", "adopted") {
        takenOver.insert(version)
        note(refusals[version + 1], of: version)
      } else if entry.elsewhereVersions.contains(version) {
        elsewhere.insert(version)
      } else if !entry.says("reason", "owed") {
        refuse(version, moment)
      }
    default: return
    }
  }

  private mutating func refuse(_ version: UInt64, _ moment: Moment) {
    guard version <= newestKnown, !takenOver.contains(version) else { return }
    note(moment, of: version)
  }

  /// Notes it also for the earlier versions that are the same pair.
  private mutating func note(_ moment: Moment?, of version: UInt64) {
    var number = version
    refusals[number] = moment
    while number > 1, takenOver.contains(number - 1) {
      number -= 1
      refusals[number] = moment
    }
  }
}
