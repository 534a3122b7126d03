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

  /// What to do about it.
  package static let hint = "set this machine's clock: `timedatectl` says whether it is synchronised"
}
