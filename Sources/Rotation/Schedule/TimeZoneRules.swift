package import Audit
import Vault

/// The offsets of one time zone from UTC, read from the system's TZif file (RFC 8536).
///
/// The C library's own conversion works on one zone for the whole process, and the usual date libraries bring 40 MB of
/// locales with them. A window of hours needs only this.
package struct TimeZoneRules: Hashable, Sendable {
  private let transitions: [(at: Int64, offset: Int64)]
  private let firstOffset: Int64
  /// The rule after the last transition; nil if that transition's offset holds for ever.
  private let rule: PosixTimeZone?
  /// As in `Europe/Kyiv`.
  package let name: String

  package static let utc = TimeZoneRules(name: "UTC", transitions: [], firstOffset: 0, rule: nil)

  private init(
    name: String, transitions: [(at: Int64, offset: Int64)], firstOffset: Int64, rule: PosixTimeZone?
  ) {
    self.name = name
    self.transitions = transitions
    self.firstOffset = firstOffset
    self.rule = rule
  }

  package static func == (left: Self, right: Self) -> Bool { left.name == right.name }
  package func hash(into hasher: inout Hasher) { hasher.combine(name) }

  /// The zone `name` of the system's database; nil if it is not there or not readable.
  package init?(named name: String, database: String = "/usr/share/zoneinfo") {
    if name == "UTC" {
      self = .utc
      return
    }
    // A name becomes part of a path, so only letters, digits and the other characters of zone names are allowed, and no
    // step upwards.
    let isPlain = name.utf8.allSatisfy { byte in
      (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || "_+-/".utf8.contains(byte)
    }
    guard isPlain, let first = name.utf8.first, first != UInt8(ascii: "/"), name.utf8.count <= 64,
      let bytes = try? PrivateFile.readPublic("\(database)/\(name)", limit: 1 << 18)
    else { return nil }
    self.init(name: name, file: bytes)
  }

  /// Seconds to add to UTC at `moment`.
  package func offset(at moment: Timestamp) -> Int64 {
    let second = moment.milliseconds.dividedDown(by: 1000)
    if let rule, second >= transitions.last?.at ?? .min { return rule.offset(at: second) }
    return transitions.last { $0.at <= second }?.offset ?? firstOffset
  }

  /// Reads the 64-bit data block of version 2 or later, which follows one of 32-bit times, and the footer after it. Nil
  /// if the file is incomplete, or counts leap seconds, which no clock of ours does.
  package init?(name: String, file: [UInt8]) {
    var reader = Reader(file)
    guard let first = Header(&reader), first.version >= UInt8(ascii: "2"), reader.skip(first.size(timeBytes: 4)),
      let second = Header(&reader), second.typeCount > 0, second.leapCount == 0
    else { return nil }
    var times: [Int64] = []
    for _ in 0..<second.timeCount {
      guard let time = reader.integer(8) else { return nil }
      times.append(time)
    }
    var kinds: [Int] = []
    for _ in 0..<second.timeCount {
      guard let kind = reader.integer(1), kind >= 0, kind < second.typeCount else { return nil }
      kinds.append(Int(kind))
    }
    var offsets: [Int64] = []
    for _ in 0..<second.typeCount {
      guard let offset = reader.integer(4), abs(offset) <= 26 * 3600, reader.skip(2) else { return nil }
      offsets.append(offset)
    }
    guard zip(times, times.dropFirst()).allSatisfy({ $0 < $1 }),
      reader.skip(second.characterCount + second.standardCount + second.utcCount), let footer = reader.footer()
    else { return nil }
    var rule: PosixTimeZone?
    if !footer.isEmpty {
      guard let read = PosixTimeZone(footer) else { return nil }
      rule = read
    }
    self.init(
      name: name, transitions: zip(times, kinds).map { (at: $0, offset: offsets[$1]) }, firstOffset: offsets[0],
      rule: rule)
  }

  private struct Header {
    let version: UInt8
    let utcCount: Int, standardCount: Int, leapCount: Int, timeCount: Int, typeCount: Int, characterCount: Int

    init?(_ reader: inout Reader) {
      guard reader.bytes(4) == Array("TZif".utf8), let version = reader.bytes(1)?.first, reader.skip(15) else {
        return nil
      }
      self.version = version
      var counts: [Int] = []
      for _ in 0..<6 {
        // No zone has more. This keeps the sizes below far from overflow.
        guard let count = reader.integer(4), (0...65_536).contains(count) else { return nil }
        counts.append(Int(count))
      }
      (utcCount, standardCount, leapCount) = (counts[0], counts[1], counts[2])
      (timeCount, typeCount, characterCount) = (counts[3], counts[4], counts[5])
    }

    func size(timeBytes: Int) -> Int {
      timeCount * (timeBytes + 1) + typeCount * 6 + characterCount + leapCount * (timeBytes + 4) + standardCount
        + utcCount
    }
  }

  private struct Reader {
    private let file: [UInt8]
    private var position = 0

    init(_ file: [UInt8]) { self.file = file }

    mutating func bytes(_ count: Int) -> [UInt8]? {
      guard count >= 0, count <= file.count - position else { return nil }
      defer { position += count }
      return Array(file[position..<position + count])
    }

    mutating func skip(_ count: Int) -> Bool { bytes(count) != nil }

    /// The text between two newlines at the end of the file.
    mutating func footer() -> [UInt8]? {
      let newline = UInt8(ascii: "\n")
      guard let rest = bytes(file.count - position), rest.count >= 2, rest.first == newline, rest.last == newline else {
        return nil
      }
      return Array(rest.dropFirst().dropLast())
    }

    /// A big-endian two's-complement integer of `count` bytes.
    mutating func integer(_ count: Int) -> Int64? {
      guard let bytes = bytes(count), let first = bytes.first else { return nil }
      let sign: UInt64 = first & 0x80 != 0 && count > 1 ? .max : 0
      return Int64(bitPattern: bytes.reduce(sign) { $0 << 8 | UInt64($1) })
    }
  }
}
