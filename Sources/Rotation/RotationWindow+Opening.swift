package import Audit
package import Vault

extension RotationWindow {
  /// When the window that is open at `now` opened; nil if it is closed.
  package func opening(at now: Timestamp, in zone: TimeZoneRules) -> Timestamp? {
    // A window that reaches past midnight may have opened yesterday.
    spans(around: now, days: -1...0, in: zone).last { $0.opens <= now && now < $0.closes }?.opens
  }

  /// When the window opens next after `now`; nil if it never does within a fortnight.
  package func nextOpening(after now: Timestamp, in zone: TimeZoneRules) -> Timestamp? {
    spans(around: now, days: 0...14, in: zone).first { $0.opens > now }?.opens
  }

  /// The first window that opens at `moment` or later, or is open then and stays so for `reserve` at least; nil if there is
  /// none within a fortnight.
  package func first(
    from moment: Timestamp, reserve: Duration, in zone: TimeZoneRules
  ) -> (opens: Timestamp, closes: Timestamp)? {
    spans(around: moment, days: -1...14, in: zone).first { span in
      span.opens >= moment || (span.closes > moment && span.closes >= moment + reserve)
    }
  }

  /// The windows that open on the local days around `moment`, in order.
  private func spans(
    around moment: Timestamp, days: ClosedRange<Int>, in zone: TimeZoneRules
  ) -> some BidirectionalCollection<(opens: Timestamp, closes: Timestamp)> {
    // By half days: a whole one would step over a local day of 23 hours. Days met twice do no harm.
    (days.lowerBound * 2...days.upperBound * 2 + 1).lazy.compactMap { half in
      let (opens, closes) = span(of: moment + .seconds(43_200 * half), in: zone)
      guard let opens, let closes else { return nil }
      return (opens, closes)
    }
  }

  /// The window that opens on the local day of `moment`; nil on days without one.
  private func span(of moment: Timestamp, in zone: TimeZoneRules) -> (opens: Timestamp?, closes: Timestamp?) {
    let local = moment + .seconds(zone.offset(at: moment))
    let day = local.milliseconds / 86_400_000 - (local.milliseconds % 86_400_000 < 0 ? 1 : 0)
    // 1970-01-01 was a Thursday, day 3 of a week that begins on Monday.
    let weekday = Int(((day + 3) % 7 + 7) % 7)
    guard days.contains(weekday) else { return (nil, nil) }
    let length = ends > begins ? ends - begins : ends + 1440 - begins
    let opens = utc(day: day, minute: begins, in: zone)
    return (opens, opens + .seconds(60 * length))
  }

  /// The moment of a local wall time. Where clocks change, the offset before the change decides; a window is then an hour
  /// longer or shorter on that night, and never absent.
  private func utc(day: Int64, minute: Int, in zone: TimeZoneRules) -> Timestamp {
    let local = Timestamp(milliseconds: (day * 1440 + Int64(minute)) * 60_000)
    let guess = local + .seconds(-zone.offset(at: local))
    return local + .seconds(-zone.offset(at: guess))
  }
}
