package import Audit

/// How far this machine's clock is from the provider's, as far as one answer shows.
package struct ClockDifference: Sendable {
  /// From this much on a difference is told.
  package static let notable = Duration.seconds(60)
  /// From this much on it is an obstacle: proofs, graces and windows are counted by the clock.
  package static let greatest = Duration.seconds(300)

  /// How much it is at least; zero if their time lies between the question and the answer.
  package let duration: Duration
  private let isAhead: Bool

  /// `theirs` is the time of an answer that was asked for and arrived at these times of this machine's clock.
  package init(_ theirs: Timestamp, asked: Timestamp, answered: Timestamp) {
    isAhead = theirs < asked
    duration = isAhead ? asked - theirs : theirs > answered ? theirs - answered : .zero
  }

  /// As a sentence.
  package var text: String {
    guard duration >= Self.notable else { return "this machine's clock agrees with the provider's" }
    return
      "this machine's clock is \(duration.components.seconds) s \(isAhead ? "ahead of" : "behind") the provider's"
  }

  /// Fails with `configuration` where the answer `evidence`, asked for and arrived at these times of this machine's clock, shows that one
  /// of the two clocks is wrong. By such a clock nothing is dated that is counted from.
  static func check(_ evidence: GrantEvidence, asked: Timestamp, answered: Timestamp) throws(ProviderError) {
    guard let theirs = evidence.providerTime else { return }
    let difference = Self(theirs, asked: asked, answered: answered)
    guard difference.duration >= greatest else { return }
    throw ProviderError(.configuration, difference.text, hint: hint)
  }

  /// Fails with `configuration` where by the clock of the provider, which is another, it is not yet `graceEnds`.
  static func check(
    _ evidence: GrantEvidence, isAfter graceEnds: Timestamp, asked: Timestamp, answered: Timestamp
  ) throws(ProviderError) {
    guard let theirs = evidence.providerTime, theirs < graceEnds else { return }
    let difference = Self(theirs, asked: asked, answered: answered)
    guard difference.duration >= greatest else { return }
    throw ProviderError(
      .configuration, "\(difference.text), by which the grace goes on until \(graceEnds)",
      hint: "\(hint); or `relatch retire NAME` ends the grace now")
  }

  /// What to do about it.
  package static let hint = "set this machine's clock: `timedatectl` says whether it is synchronised"
}
