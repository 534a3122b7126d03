import Audit
import Foundation
import Testing

@testable import Rotation

@Suite("The rules of time zones")
struct TimeZoneTests {
  private static let database = "/usr/share/zoneinfo"

  /// Thousands of moments from 1971 to 2399, more often where clocks change.
  private static let seconds: [Int64] = stride(from: 33_333_333, to: 13_569_465_600, by: 3_456_789).map { Int64($0) }

  /// The offset that the system's `date` gives for each second in a zone.
  private func offsetsOfDate(_ zone: String, _ seconds: [Int64]) throws -> [Int64] {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("moments-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: file) }
    try seconds.map { "@\($0)\n" }.joined().write(to: file, atomically: true, encoding: .utf8)
    let pipe = try #require(popen("TZ='\(zone)' date -f '\(file.path)' '+%::z'", "r"))
    defer { pclose(pipe) }
    var text = ""
    var buffer = [CChar](repeating: 0, count: 4096)
    while fgets(&buffer, 4096, pipe) != nil {
      text += buffer.prefix { $0 != 0 }.map { String(UnicodeScalar(UInt8($0))) }.joined()
    }
    return text.split(separator: "\n").map { line in
      let parts = line.dropFirst().split(separator: ":").compactMap { Int64($0) }
      return (parts[0] * 3600 + parts[1] * 60 + parts[2]) * (line.first == "-" ? -1 : 1)
    }
  }

  private static let zones = [
    "Europe/Kyiv", "Europe/Dublin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu",
    "Africa/Casablanca", "America/Nuuk", "Asia/Gaza", "America/Santiago", "Pacific/Chatham", "Asia/Tehran",
    "Africa/Monrovia", "Antarctica/Troll", "Etc/GMT+12", "Pacific/Apia",
  ]

  @Test("agree with the system for centuries to come", arguments: zones)
  func system(zone: String) throws {
    guard let rules = TimeZoneRules(named: zone, database: Self.database) else { return }
    let expected = try offsetsOfDate(":\(zone)", Self.seconds)
    try #require(expected.count == Self.seconds.count)
    for (second, offset) in zip(Self.seconds, expected) {
      let found = rules.offset(at: Timestamp(milliseconds: second * 1000))
      guard found == offset else {
        Issue.record("\(zone) at \(second): \(found), expected \(offset)")
        return
      }
    }
  }

  @Test("are read alike from files with all transitions and from files with few", arguments: ["slim", "fat"])
  func compiled(form: String) throws {
    guard let compiler = ["/usr/sbin/zic", "/usr/bin/zic"].first(where: FileManager.default.isExecutableFile) else {
      return
    }
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("zones-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let source = """
      Rule E 1977 1980 - Apr Sun>=1 1:00u 1:00 S
      Rule E 1979 1995 - Sep lastSun 1:00u 0 -
      Rule E 1981 max - Mar lastSun 1:00u 1:00 S
      Rule E 1996 max - Oct lastSun 1:00u 0 -
      Zone Test/East 0:53:28 - LMT 1893 Apr
       1:00 E CE%sT
      Zone Test/Fixed -3:30 - -0330

      """
    try source.write(to: folder.appendingPathComponent("source"), atomically: true, encoding: .utf8)
    let pipe = try #require(popen("'\(compiler)' -b \(form) -d '\(folder.path)' '\(folder.path)/source'", "r"))
    try #require(pclose(pipe) == 0)
    for zone in ["Test/East", "Test/Fixed"] {
      let rules = try #require(TimeZoneRules(named: zone, database: folder.path))
      let expected = try offsetsOfDate(":\(folder.path)/\(zone)", Self.seconds)
      #expect(Self.seconds.map { rules.offset(at: Timestamp(milliseconds: $0 * 1000)) } == expected)
      let file = Array(try Data(contentsOf: folder.appendingPathComponent(zone)))
      for size in 0..<file.count { #expect(TimeZoneRules(name: "x", file: Array(file[..<size])) == nil) }
      // Whichever byte is changed, the file is read or refused.
      for index in file.indices {
        var bent = file
        bent[index] ^= 0xFF
        _ = TimeZoneRules(name: "x", file: bent)?.offset(at: moment("2050-07-01T00:00:00.000Z"))
      }
    }
  }

  @Test(
    "continue as the text at the end of the file says",
    arguments: [
      "UTC0", "EST5EDT,M3.2.0,M11.1.0", "CET-1CEST,M3.5.0,M10.5.0/3", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
      "IST-1GMT0,M10.5.0,M3.5.0/1", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "EET-2EEST,M3.4.4/50,M10.4.4/50",
      "XXX3YYY,J60/0,J300/24", "XXX-3YYY,59/0,300/24:30:15", "AAA-12:45BBB,M9.5.0/2:45,M4.1.0/3:45",
    ])
  func posix(text: String) throws {
    let rule = try #require(PosixTimeZone(text.utf8))
    let expected = try offsetsOfDate(text, Self.seconds)
    for (second, offset) in zip(Self.seconds, expected) where rule.offset(at: second) != offset {
      Issue.record("\(text) at \(second): \(rule.offset(at: second)), expected \(offset)")
      return
    }
  }

  /// The example of RFC 8536 §3.3.1, which C libraries disagree on.
  @Test("may keep daylight saving time all year")
  func allYear() throws {
    let rule = try #require(PosixTimeZone("XXX3EDT4,0/0,J365/23".utf8))
    #expect(Self.seconds.allSatisfy { rule.offset(at: $0) == -4 * 3600 })
    let newYear = moment("2026-01-01T03:00:00.000Z").milliseconds / 1000
    #expect((-2...2).allSatisfy { rule.offset(at: newYear + $0) == -4 * 3600 })
  }

  @Test(
    "are not guessed from an invalid text",
    arguments: [
      "", "UT0", "UTC", "UTC25", "UTC0 ", "EST5EDT", "EST5EDT,M3.2.0", "EST5EDT,M3.2.0,M13.1.0",
      "EST5EDT,M3.6.0,M11.1.0",
      "EST5EDT,M3.2.7,M11.1.0", "EST5EDT,J0,J365", "EST5EDT,366,1", "EST5EDT,M3.2.0/168,M11.1.0",
      "<EST5EDT,M3.2.0,M1.1.0",
      "EST5EDT,M3.2.0,M11.1.0,", "EST5:60EDT,M3.2.0,M11.1.0", "E\u{e9}T5",
    ])
  func badTexts(text: String) {
    #expect(PosixTimeZone(text.utf8) == nil)
  }

  @Test("are not read from a path that leads elsewhere")
  func badNames() {
    for name in ["../../etc/passwd", "/etc/localtime", "", ".", "Europe", "Europe/Kyiv/", "right/UTC\u{0}"] {
      #expect(TimeZoneRules(named: name) == nil, "\(name)")
    }
  }
}
