internal import Glibc

/// A moment in the only form of date that HTTP servers send (RFC 9110 §5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
package struct HTTPDate: Sendable {
  /// Since the beginning of 1970, without leap seconds.
  package let seconds: Int64

  /// Nil for any other form, and for an impossible date. The day of the week is not compared.
  package init?(_ text: String) {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let parts = text.split(separator: " ", omittingEmptySubsequences: false)
    guard parts.count == 6, parts[0].utf8.count == 4, parts[0].hasSuffix(","), parts[5] == "GMT",
      let month = months.firstIndex(of: String(parts[2])), let day = Self.number(parts[1], digits: 2),
      let year = Self.number(parts[3], digits: 4)
    else { return nil }
    let time = parts[4].split(separator: ":", omittingEmptySubsequences: false).map { Self.number($0, digits: 2) }
    guard time.count == 3, let hour = time[0], let minute = time[1], let second = time[2] else { return nil }
    var date = tm()
    (date.tm_year, date.tm_mon, date.tm_mday) = (year - 1900, Int32(month), day)
    (date.tm_hour, date.tm_min, date.tm_sec) = (hour, minute, second)
    let moment = timegm(&date)
    // It makes another date of an impossible one.
    guard date.tm_mday == day, date.tm_hour == hour, date.tm_min == minute, date.tm_sec == second else { return nil }
    seconds = Int64(moment)
  }

  private static func number(_ text: Substring, digits: Int) -> Int32? {
    text.utf8.count == digits && text.utf8.allSatisfy { (48...57).contains($0) } ? Int32(text) : nil
  }
}
