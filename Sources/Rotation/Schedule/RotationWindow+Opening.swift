package import Audit
package import Vault

extension RotationWindow {
  /// When the window that is open at `now` opened; nil if it is closed.
  package func opening(at now: Timestamp, in zone: TimeZoneRules) -> Timestamp? {
    let today = Self.day(of: now, in: zone)
    // A window that reaches past midnight may have opened yesterday.
    for day in [today, today - 1] {
      if let (opens, closes) = span(ofDay: day, in: zone), opens <= now, now < closes { return opens }
    }
    return nil
  }

  /// When the window opens next after `now`; nil if it does not within a fortnight, as at the end of time.
  package func nextOpening(after now: Timestamp, in zone: TimeZoneRules) -> Timestamp? {
    let today = Self.day(of: now, in: zone)
    return (today - 1...today + 14).lazy.compactMap { span(ofDay: $0, in: zone)?.opens }.first { $0 > now }
  }

  /// The first window that opens at `moment` or later, or is open then and stays open for at least `reserve`; nil if
  /// there is none within a fortnight.
  package func first(
    from moment: Timestamp, reserve: Duration, in zone: TimeZoneRules
  ) -> (opens: Timestamp, closes: Timestamp)? {
    let today = Self.day(of: moment, in: zone)
    return (today - 1...today + 14).lazy.compactMap { span(ofDay: $0, in: zone) }.first { span in
      span.opens >= moment || (span.closes > moment && span.closes >= moment + reserve)
    }
  }

  /// The local day of `moment`, counted from 1970-01-01.
  private static func day(of moment: Timestamp, in zone: TimeZoneRules) -> Int64 {
    (moment.milliseconds + zone.offset(at: moment) * 1000).dividedDown(by: 86_400_000)
  }

  /// The window that opens on a local day; nil on days without one.
  private func span(ofDay day: Int64, in zone: TimeZoneRules) -> (opens: Timestamp, closes: Timestamp)? {
    // 1970-01-01 was a Thursday, day 3 of a week that begins on Monday.
    guard days.contains(Int(((day + 3) % 7 + 7) % 7)) else { return nil }
    let opens = Self.utc(day: day, minute: begins, in: zone)
    let closes = Self.utc(day: ends > begins ? day : day + 1, minute: ends, in: zone)
    // If clocks jump over the whole window, it is as long as on other days.
    return (opens, closes > opens ? closes : opens + length)
  }

  /// How long it is on a day on which clocks do not change.
  var length: Duration { .seconds(60 * (ends > begins ? ends - begins : ends + 1440 - begins)) }

  /// The moment of a local wall time: the first if there are two; if there is none, the one that the clock would show
  /// had it not changed.
  private static func utc(day: Int64, minute: Int, in zone: TimeZoneRules) -> Timestamp {
    let local = Timestamp(milliseconds: (day * 1440 + Int64(minute)) * 60_000)
    let before = zone.offset(at: local + .seconds(-2 * 86_400))
    let after = zone.offset(at: local + .seconds(2 * 86_400))
    let first = local + .seconds(-before)
    let second = local + .seconds(-after)
    return zone.offset(at: first) != before && zone.offset(at: second) == after ? second : first
  }
}
