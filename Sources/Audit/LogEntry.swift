package import JSON

/// One act, as the log keeps it forever: a canonical JSON object (RFC 8785) that says when, who and what. It never
/// holds a secret.
///
///     {"credential":"crm/prod","event":"version.staged","member":"ana","time":"2026-11-21T09:20:00.123Z","v":1,"version":2}
package struct LogEntry: Hashable, Sendable {
  /// The most bytes an entry may have.
  package static let maximumSize = 64 * 1024
  /// The members that every entry has; an event's own members have other names.
  package static let reservedNames = ["v", "time", "member", "event"]

  /// By the clock of the member who acted: it informs, and never decides an order.
  package let time: Timestamp
  /// The name of the member who acted.
  package let member: String
  /// Dotted lower-case words, such as `version.staged`.
  package let event: String
  /// The members that this event adds.
  package let details: [String: JSONValue]
  /// The canonical text: what is stored, hashed and signed.
  package let bytes: [UInt8]

  /// Throws `notCanonical` if reading the entry back would not give the same.
  package init(time: Timestamp, member: String, event: String, details: [String: JSONValue] = [:]) throws(AuditError) {
    if let name = details.keys.filter(Self.reservedNames.contains).min() {
      throw AuditError(.notCanonical, "a log entry's detail \"\(name)\" has the name of a member that every entry has")
    }
    var members = details
    members["v"] = 1
    members["time"] = .string(time.description)
    members["member"] = .string(member)
    members["event"] = .string(event)
    let bytes = JSONValue.object(members).canonicalBytes
    if Self.isMember(member), EntryHead(of: bytes, by: Array(member.utf8)) != nil {
      self.init(checked: bytes, time, member, event, details)
    } else {
      // Reading back enforces the size, the depth, the range of integers and the form of names in one place.
      try self.init(decoding: bytes)
    }
  }

  private init(
    checked bytes: [UInt8], _ time: Timestamp, _ member: String, _ event: String, _ details: [String: JSONValue]
  ) {
    self.time = time
    self.member = member
    self.event = event
    self.details = details
    self.bytes = bytes
  }

  /// Reads an entry that fills `bytes` in its one canonical form.
  package init(decoding bytes: [UInt8]) throws(AuditError) {
    guard bytes.count <= Self.maximumSize else {
      throw AuditError(
        .notCanonical, "a log entry has \(bytes.count) bytes, expected at most \(Self.maximumSize)")
    }
    if let plain = try? LogEntry(plain: bytes) {
      self = plain
      return
    }
    do throws(JSONError) {
      let value = try JSONValue(readingCanonical: bytes)
      var members = try JSONMembers(of: value, "a log entry")
      let version = try members.count("v")
      let moment = try members.string("time")
      member = try members.string("member")
      event = try members.string("event")
      guard version == 1, let time = Timestamp(moment), Self.isMember(member), Self.isEvent(event.utf8) else {
        throw JSONError(
          .wrongType, "a log entry: \"v\", \"time\", \"member\" or \"event\" does not have the required form")
      }
      self.time = time
      guard case .object(let all) = value else { throw JSONError(.wrongType, "a log entry: expected an object") }
      details = all.filter { !Self.reservedNames.contains($0.key) }
      self.bytes = bytes
    } catch {
      throw AuditError(.notCanonical, error.description)
    }
  }

  /// Reads an entry that is certainly valid, as almost all are, in one pass; throws for any other, and then the full
  /// reader must decide.
  private init(plain bytes: [UInt8]) throws(PlainReader.NotPlain) {
    let span = bytes.span
    var (event, member, time): (Range<Int>?, Range<Int>?, Timestamp?)
    var isFirstVersion = false
    // Room for what most entries have: growing means hashing all names again.
    var details = [String: JSONValue](minimumCapacity: 6)
    var reader = PlainReader()
    try reader.beginObject(span)
    var last: Range<Int>?
    while let name = try reader.name(after: last, span) {
      last = name
      let value = try reader.value(span)
      switch name.count {
      case 1 where span.equals("v", at: name):
        isFirstVersion = !value.isString && span.equals("1", at: value.range)
      case 4 where span.equals("time", at: name): if value.isString { time = Timestamp(span, at: value.range) }
      case 5 where span.equals("event", at: name): if value.isString { event = value.range }
      case 6 where span.equals("member", at: name): if value.isString { member = value.range }
      default: details[span.text(at: name)] = JSONValue(value, in: bytes)
      }
    }
    try reader.finish(span)
    guard isFirstVersion, let time, let member, let event, Self.isMember(span, at: member),
      Self.isEvent(span, at: event)
    else { throw PlainReader.NotPlain() }
    self.init(checked: bytes, time, span.text(at: member), span.text(at: event), details)
  }

  /// From 1 to 128 printable ASCII characters, no space: names that look alike are alike.
  package static func isMember(_ name: String) -> Bool {
    (1...128).contains(name.utf8.count) && name.utf8.allSatisfy { (0x21...0x7E).contains($0) }
  }

  /// The name in the member `key`. Throws `notCanonical` unless it is a valid name.
  ///
  /// Beyond ASCII, Swift treats some texts of different bytes as equal, so one reader could refuse what another
  /// accepts.
  func name(_ key: String) throws(AuditError) -> String {
    guard let name = text(key), Self.isMember(name) else {
      throw AuditError(.notCanonical, "\(event): expected a name in \"\(key)\"")
    }
    return name
  }

  /// Its member `key`; nil if that is no text.
  package func text(_ key: String) -> String? {
    if case .string(let text)? = details[key] { text } else { nil }
  }

  /// Its member `key`; nil if that is no number from 0 on.
  package func number(_ key: String) -> UInt64? {
    if case .integer(let number)? = details[key] { UInt64(exactly: number) } else { nil }
  }

  /// The name of the credential that it is about; nil if it is about none. No credential has a name that is not valid,
  /// and one that Swift takes for the name of a credential must not pass for it.
  package var credential: String? { text("credential").flatMap { Self.isMember($0) ? $0 : nil } }

  /// Whether its member `key` is `text`, byte for byte.
  package func says(_ key: String, _ text: String) -> Bool {
    guard case .string(let found)? = details[key] else { return false }
    return found.utf8.elementsEqual(text.utf8)
  }

  /// The same of the bytes at `range`.
  static func isMember(_ bytes: borrowing Span<UInt8>, at range: Range<Int>) -> Bool {
    guard (1...128).contains(range.count) else { return false }
    for place in range where !(0x21...0x7E).contains(bytes[place]) { return false }
    return true
  }

  /// Two or more words of `[a-z0-9_-]`, each beginning with a letter, joined by dots; at most 128 characters.
  static func isEvent(_ name: some Collection<UInt8>) -> Bool {
    var words = Words()
    return name.count <= 128 && name.allSatisfy { words.take($0) } && words.areWhole
  }

  /// The same of the bytes at `range`.
  static func isEvent(_ bytes: borrowing Span<UInt8>, at range: Range<Int>) -> Bool {
    guard range.count <= 128 else { return false }
    var words = Words()
    for place in range {
      guard words.take(bytes[place]) else { return false }
    }
    return words.areWhole
  }

  /// The words of an event's name so far.
  private struct Words {
    private var isAtStart = true
    private var count = 0

    /// Whether there are two or more, and the last has begun.
    var areWhole: Bool { count > 1 && !isAtStart }

    /// Whether `byte` may come next.
    mutating func take(_ byte: UInt8) -> Bool {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"):
        if isAtStart { count += 1 }
        isAtStart = false
        return true
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"): return !isAtStart
      case UInt8(ascii: "."):
        defer { isAtStart = true }
        return !isAtStart
      default: return false
      }
    }
  }
}
