package import Audit
package import Vault

extension RotationWindow {
  /// When the window that is open at `now` opened; nil if it is closed.
  package func opening(at now: Timestamp, in zone: TimeZoneRules) -> Timestamp? {
    // A window that reaches past midnight may have opened yesterday.
    for daysBack in 0...1 {
      let (opens, closes) = span(of: now + .seconds(-86_400 * daysBack), in: zone)
      if let opens, let closes, opens <= now, now < closes { return opens }
    }
    return nil
  }

  /// When the window opens next after `now`; nil if it never does within a fortnight.
  package func nextOpening(after now: Timestamp, in zone: TimeZoneRules) -> Timestamp? {
    (0...14).lazy.compactMap { day in span(of: now + .seconds(86_400 * day), in: zone).opens }.first { $0 > now }
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
