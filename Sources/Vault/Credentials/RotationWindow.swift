/// When rotations may begin: days of the week and hours of the day, in a named time zone.
///
/// Written as `DAYS HOURS ZONE`, for example `mon-fri 01:00-05:00 Europe/Kyiv`. Hours that end before they begin reach
/// past midnight and belong to the day they begin on. Parts may be left out from the right; the zone is then UTC, and
/// the hours are all day.
package struct RotationWindow: Hashable, Sendable, CustomStringConvertible {
  private static let dayNames = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

  /// 0 is Monday.
  package let days: Set<Int>
  /// Minutes since midnight, 0 to 1439.
  package let begins: Int
  /// Minutes since midnight, 1 to 1440; at most `begins` if the window reaches past midnight.
  package let ends: Int
  package let zone: String
  package let description: String

  /// Reads the form above; nil for anything else. Whether the zone exists is not checked here.
  package init?(_ text: String) {
    let parts = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    guard (1...3).contains(parts.count), let days = Self.days(parts[0]) else { return nil }
    guard let (begins, ends) = parts.count > 1 ? Self.hours(parts[1]) : (0, 1440) else { return nil }
    let zone = parts.count > 2 ? parts[2] : "UTC"
    guard (1...64).contains(zone.utf8.count), zone.utf8.allSatisfy(Self.isOfZone) else { return nil }
    self.days = days
    self.begins = begins
    self.ends = ends
    self.zone = zone
    description = text
  }

  /// Whether `byte` may be in the name of a zone. Others write records that are shown on a terminal.
  private static func isOfZone(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "+-_/".utf8.contains(byte)
    }
  }

  private static func days(_ text: String) -> Set<Int>? {
    if text == "daily" { return Set(0..<7) }
    var days: Set<Int> = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map {
        dayNames.firstIndex(of: String($0))
      }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2 else { return nil }
      var day = first
      days.insert(day)
      while day != last {
        day = (day + 1) % 7
        days.insert(day)
      }
    }
    return days
  }

  private static func hours(_ text: String) -> (Int, Int)? {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { minutes(String($0)) }
    guard ends.count == 2, let begins = ends[0], let ends = ends[1], begins < 1440, ends > 0, begins != ends else {
      return nil
    }
    return (begins, ends)
  }

  private static func minutes(_ text: String) -> Int? {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 && $0.utf8.allSatisfy { (48...57).contains($0) } }),
      let hour = Int(parts[0]), let minute = Int(parts[1]), minute < 60, hour * 60 + minute <= 1440
    else { return nil }
    return hour * 60 + minute
  }
}
