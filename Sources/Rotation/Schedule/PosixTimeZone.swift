import Audit

/// The rule for a time zone after the last change that its file lists: the footer of a TZif file (RFC 8536 §3.3). It is
/// POSIX's `TZ` text, with hours that may be negative or beyond a day.
///
/// For example `CET-1CEST,M3.5.0,M10.5.0/3`, where offsets count westwards.
struct PosixTimeZone: Hashable, Sendable {
  /// Seconds to add to UTC.
  private let standard: Int64
  private let daylight: Daylight?

  private struct Daylight: Hashable, Sendable {
    let offset: Int64
    let begins: Change
    let ends: Change
  }

  /// When clocks change, in seconds of the wall time that holds until then.
  private struct Change: Hashable, Sendable {
    enum Day: Hashable, Sendable {
      /// `Jn`: 1 to 365, not counting the 29th of February.
      case julian(Int64)
      /// `n`: 0 to 365, counting it.
      case ordinal(Int64)
      /// `Mm.w.d`: the w-th d-day of a month, the last for 5; 0 is Sunday.
      case month(Int64, week: Int64, weekday: Int64)
    }

    let day: Day
    let time: Int64

    /// Seconds since 1970-01-01T00:00 of the wall clock.
    func moment(in year: Int64) -> Int64 { dayNumber(in: year) * 86_400 + time }

    private func dayNumber(in year: Int64) -> Int64 {
      let newYear = Calendar.days(year, 1, 1)
      switch day {
      case .ordinal(let ordinal): return newYear + ordinal
      case .julian(let julian): return newYear + julian - 1 + (Calendar.isLeap(year) && julian >= 60 ? 1 : 0)
      case .month(let month, let week, let weekday):
        let first = Calendar.days(year, month, 1)
        // 1970-01-01 was a Thursday, day 4 of a week that begins on Sunday.
        let firstWeekday = ((first + 4) % 7 + 7) % 7
        var found = first + (weekday - firstWeekday + 7) % 7 + (week - 1) * 7
        let next = month == 12 ? Calendar.days(year + 1, 1, 1) : Calendar.days(year, month + 1, 1)
        while found >= next { found -= 7 }
        return found
      }
    }
  }

  /// Reads the text; nil for anything that RFC 8536 does not allow there.
  init?(_ text: some Collection<UInt8>) {
    var scanner = Scanner(Array(text))
    guard scanner.name(), let west = scanner.duration(maximumHours: 24) else { return nil }
    standard = -west
    if scanner.isAtEnd {
      daylight = nil
      return
    }
    guard scanner.name() else { return nil }
    var offset = standard + 3600
    if scanner.next != UInt8(ascii: ",") {
      guard let west = scanner.duration(maximumHours: 24) else { return nil }
      offset = -west
    }
    // If the text does not say when clocks change, POSIX leaves that to each system. A file says it.
    guard scanner.take(","), let begins = scanner.change(), scanner.take(","), let ends = scanner.change(),
      scanner.isAtEnd
    else { return nil }
    daylight = Daylight(offset: offset, begins: begins, ends: ends)
  }

  /// Seconds to add to UTC at `second`, counted from 1970.
  func offset(at second: Int64) -> Int64 {
    guard let daylight else { return standard }
    // A change may lie up to a week outside its year, so the neighbouring years are considered as well.
    let year = Calendar.year(ofDay: second.dividedDown(by: 86_400))
    let years = year - 1...year + 1
    let begun = years.map { daylight.begins.moment(in: $0) - standard }.filter { $0 <= second }.max()
    let ended = years.map { daylight.ends.moment(in: $0) - daylight.offset }.filter { $0 <= second }.max()
    // If one period ends as the next begins, daylight saving lasts all year.
    return begun ?? .min >= ended ?? .min ? daylight.offset : standard
  }

  /// Whole days of the proleptic Gregorian calendar, as `Timestamp` counts them.
  private enum Calendar {
    static func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
      let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][Int(month - 1)]
      let past = year - 1
      let leapDays = past.dividedDown(by: 4) - past.dividedDown(by: 100) + past.dividedDown(by: 400)
      return past * 365 + leapDays + Int64(before) + (month > 2 && isLeap(year) ? 1 : 0) + day - 719_163
    }

    static func year(ofDay day: Int64) -> Int64 {
      var year = 1970 + day.dividedDown(by: 366)
      while days(year + 1, 1, 1) <= day { year += 1 }
      return year
    }
  }

  private struct Scanner {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var next: UInt8? { position < bytes.count ? bytes[position] : nil }
    var isAtEnd: Bool { position == bytes.count }

    mutating func take(_ character: Character) -> Bool {
      guard let next, next == character.asciiValue else { return false }
      position += 1
      return true
    }

    /// Letters, or letters, digits and signs between `<` and `>`: at least three.
    mutating func name() -> Bool {
      let isQuoted = take("<")
      let first = position
      while let next, isLetter(next) || (isQuoted && (isDigit(next) || "+-".utf8.contains(next))) { position += 1 }
      let count = position - first
      return count >= 3 && (!isQuoted || take(">"))
    }

    /// `[+-]hh[:mm[:ss]]` in seconds.
    mutating func duration(maximumHours: Int64) -> Int64? {
      let isNegative = take("-")
      if !isNegative { _ = take("+") }
      guard let hours = number(0...maximumHours) else { return nil }
      var seconds = hours * 3600
      if take(":") {
        guard let minutes = number(0...59) else { return nil }
        seconds += minutes * 60
        if take(":") {
          guard let rest = number(0...59) else { return nil }
          seconds += rest
        }
      }
      return isNegative ? -seconds : seconds
    }

    mutating func change() -> Change? {
      guard let day = day() else { return nil }
      guard take("/") else { return Change(day: day, time: 2 * 3600) }
      guard let time = duration(maximumHours: 167) else { return nil }
      return Change(day: day, time: time)
    }

    private mutating func day() -> Change.Day? {
      if take("J") { return number(1...365).map { .julian($0) } }
      guard take("M") else { return number(0...365).map { .ordinal($0) } }
      guard let month = number(1...12), take("."), let week = number(1...5), take("."), let weekday = number(0...6)
      else { return nil }
      return .month(month, week: week, weekday: weekday)
    }

    private mutating func number(_ range: ClosedRange<Int64>) -> Int64? {
      var value: Int64 = 0
      let first = position
      while let next, isDigit(next), position - first < 3 {
        value = value * 10 + Int64(next - 48)
        position += 1
      }
      return position > first && range.contains(value) ? value : nil
    }

    private func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }
    private func isLetter(_ byte: UInt8) -> Bool { (65...90).contains(byte) || (97...122).contains(byte) }
  }
}
