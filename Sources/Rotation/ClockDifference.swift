package import Audit

/// How far this machine's clock is from the provider's, as far as one answer shows.
package struct ClockDifference: Sendable {
  /// A difference of at least this much is reported.
  package static let notable = Duration.seconds(60)
  /// A difference of at least this much is an obstacle, because proofs, graces and windows are measured by the clock.
  package static let limit = Duration.seconds(300)

  /// The least that the difference can be; zero if the provider's time lies between the request and the answer.
  package let duration: Duration
  private let isAhead: Bool

  /// `theirs` is the provider's time in an answer; `asked` and `answered` are this machine's times of the request and
  /// of the answer.
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

  /// Fails with `configuration` if `evidence` shows that one of the two clocks is wrong. Nothing that later times are
  /// counted from is dated by such a clock. `asked` and `answered` are this machine's times of the request and of the
  /// answer.
  static func check(_ evidence: GrantEvidence, asked: Timestamp, answered: Timestamp) throws(ProviderError) {
    guard let theirs = evidence.providerTime else { return }
    let difference = Self(theirs, asked: asked, answered: answered)
    guard difference.duration >= limit else { return }
    throw ProviderError(.configuration, difference.text, hint: hint)
  }

  /// Fails with `configuration` if the two clocks differ by `limit` or more and it is not yet `graceEnds` by the
  /// provider's.
  static func check(
    _ evidence: GrantEvidence, isAfter graceEnds: Timestamp, asked: Timestamp, answered: Timestamp
  ) throws(ProviderError) {
    guard let theirs = evidence.providerTime, theirs < graceEnds else { return }
    let difference = Self(theirs, asked: asked, answered: answered)
    guard difference.duration >= limit else { return }
    throw ProviderError(
      .configuration, "\(difference.text); by the provider's, the grace has not ended: it ends at \(graceEnds)",
      hint: "\(hint); or `relatch retire NAME` ends the grace now")
  }

  /// What to do about it.
  package static let hint = "set this machine's clock: `timedatectl` says whether it is synchronised"
}
