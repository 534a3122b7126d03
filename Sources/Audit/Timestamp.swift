/// A moment in UTC, to the millisecond: what the log and the records write, and what decisions take as `now`.
///
/// Written as RFC 3339 with exactly three fraction digits and `Z`, so that the order of texts is the order of moments.
package struct Timestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// Milliseconds since 1970-01-01T00:00:00Z, within the years 0000 to 9999.
  package let milliseconds: Int64

  private static let range: ClosedRange<Int64> = -62_167_219_200_000...253_402_300_799_999

  /// The moment nearest to `milliseconds` that has a four-digit year.
  package init(milliseconds: Int64) {
    self.milliseconds = min(max(milliseconds, Self.range.lowerBound), Self.range.upperBound)
  }

  /// Reads `2026-11-21T09:20:00.123Z`, and nothing else; nil for any other form or an impossible date.
  package init?(_ text: String) {
    let bytes = Array(text.utf8)
    self.init(bytes.span, at: 0..<bytes.count)
  }

  /// Reads the same from the bytes at `range`, without any allocation.
  package init?(_ bytes: borrowing Span<UInt8>, at range: Range<Int>) {
    guard range.count == 24, range.upperBound <= bytes.count else { return nil }
    let start = range.lowerBound
    guard bytes[start + 4] == UInt8(ascii: "-"), bytes[start + 7] == UInt8(ascii: "-"),
      bytes[start + 10] == UInt8(ascii: "T"), bytes[start + 13] == UInt8(ascii: ":"),
      bytes[start + 16] == UInt8(ascii: ":"), bytes[start + 19] == UInt8(ascii: "."),
      bytes[start + 23] == UInt8(ascii: "Z"), let century = Self.pair(bytes, start),
      let rest = Self.pair(bytes, start + 2), let month = Self.pair(bytes, start + 5),
      let day = Self.pair(bytes, start + 8), let hour = Self.pair(bytes, start + 11),
      let minute = Self.pair(bytes, start + 14), let second = Self.pair(bytes, start + 17),
      let tenths = Self.pair(bytes, start + 20), bytes[start + 22] &- 48 < 10
    else { return nil }
    let year = century * 100 + rest
    let fraction = tenths * 10 + Int64(bytes[start + 22] - 48)
    guard (1...12).contains(month), day >= 1, day <= Self.daysOfMonth(month, in: year), hour < 24, minute < 60,
      second < 60
    else { return nil }
    let days = Self.days(year: year, month: month, day: day)
    self.init(milliseconds: (days * 86_400 + (hour * 60 + minute) * 60 + second) * 1000 + fraction)
  }

  /// The number in two digits; nil if they are not both digits.
  private static func pair(_ bytes: borrowing Span<UInt8>, _ start: Int) -> Int64? {
    let (tens, ones) = (bytes[start] &- 48, bytes[start + 1] &- 48)
    return tens < 10 && ones < 10 ? Int64(tens) * 10 + Int64(ones) : nil
  }

  private static func daysOfMonth(_ month: Int64, in year: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// Reads the forms that people and other programs write (RFC 3339 §5.6): with or without a fraction, with `Z` or an
  /// offset, and with a space instead of the `T`. Anything finer than a millisecond is dropped. Nil for any other text.
  package init?(rfc3339 text: String) {
    var bytes = Array(text.utf8)
    guard bytes.count <= 64, let last = bytes.last else { return nil }
    var offset: Int64 = 0
    if last == UInt8(ascii: "Z") || last == UInt8(ascii: "z") {
      bytes.removeLast()
    } else {
      let zone = Array(bytes.suffix(6))
      let digits = [1, 2, 4, 5].compactMap { zone.indices.contains($0) ? Int64(zone[$0]) - 48 : nil }
      guard digits.count == 4, digits.allSatisfy({ (0...9).contains($0) }), zone[3] == UInt8(ascii: ":"),
        zone[0] == UInt8(ascii: "+") || zone[0] == UInt8(ascii: "-")
      else { return nil }
      let (hours, minutes) = (digits[0] * 10 + digits[1], digits[2] * 10 + digits[3])
      guard hours < 24, minutes < 60 else { return nil }
      offset = (hours * 60 + minutes) * 60_000 * (zone[0] == UInt8(ascii: "-") ? -1 : 1)
      bytes.removeLast(6)
    }
    guard bytes.count >= 19 else { return nil }
    if bytes[10] == UInt8(ascii: "t") || bytes[10] == UInt8(ascii: " ") { bytes[10] = UInt8(ascii: "T") }
    var fraction = bytes[19...]
    if !fraction.isEmpty {
      guard fraction.removeFirst() == UInt8(ascii: "."), !fraction.isEmpty,
        fraction.allSatisfy({ (48...57).contains($0) })
      else { return nil }
    }
    let milliseconds = Array((Array(fraction) + [48, 48, 48]).prefix(3))
    let text = Array(bytes[..<19] + [UInt8(ascii: ".")] + milliseconds + [UInt8(ascii: "Z")])
    guard let moment = Self(text.span, at: 0..<text.count) else { return nil }
    self.init(milliseconds: moment.milliseconds - offset)
  }

  package var description: String {
    let days = milliseconds.dividedDown(by: 86_400_000)
    let rest = milliseconds - days * 86_400_000
    let (year, month, day) = Self.date(days)
    let second = rest / 1000
    var text: [UInt8] = []
    text.reserveCapacity(24)
    func append(_ value: Int64, _ width: Int, _ end: Unicode.Scalar) {
      var divisor: Int64 = width == 4 ? 1000 : width == 3 ? 100 : 10
      while divisor > 0 {
        text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / divisor % 10))
        divisor /= 10
      }
      text.append(UInt8(ascii: end))
    }
    append(year, 4, "-")
    append(month, 2, "-")
    append(day, 2, "T")
    append(second / 3600, 2, ":")
    append(second / 60 % 60, 2, ":")
    append(second % 60, 2, ".")
    append(rest % 1000, 3, "Z")
    return String(decoding: text, as: UTF8.self)
  }

  package static func < (left: Self, right: Self) -> Bool { left.milliseconds < right.milliseconds }

  /// The moment `duration` later; fractions of a millisecond are dropped, and the result stays within year 9999.
  package static func + (moment: Self, duration: Duration) -> Self {
    let (seconds, attoseconds) = duration.components
    let limited = min(max(seconds, -1_000_000_000_000), 1_000_000_000_000)
    return Self(milliseconds: moment.milliseconds + limited * 1000 + attoseconds / 1_000_000_000_000_000)
  }

  /// How long after `right` this moment is; negative if before.
  package static func - (left: Self, right: Self) -> Duration { .milliseconds(left.milliseconds - right.milliseconds) }

  /// Days since 1970-01-01 of a date in the proleptic Gregorian calendar. Years are counted from March, so that the
  /// leap day comes last: 400 years have 146,097 days.
  private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let era = shifted.dividedDown(by: 400)
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  /// The inverse of `days(year:month:day:)`.
  private static func date(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let era = shifted.dividedDown(by: 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let month = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * month + 2) / 5 + 1
    let year = yearOfEra + era * 400 + (month >= 10 ? 1 : 0)
    return (year, month < 10 ? month + 3 : month - 9, day)
  }
}

extension Int64 {
  /// The quotient by a positive divisor, rounded towards negative infinity.
  package func dividedDown(by divisor: Int64) -> Int64 { self / divisor - (self % divisor < 0 ? 1 : 0) }
}
