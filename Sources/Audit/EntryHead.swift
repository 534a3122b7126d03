import JSON

/// What verification needs of an entry that goes on with a run and changes no member, read without any allocation.
struct EntryHead {
  let time: Timestamp

  /// Reads `bytes` if they are certainly a valid entry (`LogEntry`) by `member`, a valid name, of an event that changes no
  /// member; nil says nothing, and the full reader must decide.
  init?(of bytes: [UInt8], by member: [UInt8]) {
    guard bytes.count <= LogEntry.maximumSize else { return nil }
    var version = 0..<0
    var moment = 0..<0
    var actor = 0..<0
    var event = 0..<0
    let isCanonical = PlainObject.isCanonical(bytes.span) { name, value in
      // The four names differ in length or first byte from each other; the full comparison follows.
      switch name.count {
      case 1 where bytes[name.lowerBound] == UInt8(ascii: "v"): version = value
      case 4 where bytes[name].elementsEqual("time".utf8): moment = value
      case 5 where bytes[name].elementsEqual("event".utf8): event = value
      case 6 where bytes[name].elementsEqual("member".utf8): actor = value
      default: break
      }
    }
    // A string's place begins after its quote: so a number's is told from a string's, and an absent member's from both.
    func isString(_ range: Range<Int>) -> Bool {
      range.lowerBound > 0 && bytes[range.lowerBound - 1] == UInt8(ascii: "\"")
    }
    guard isCanonical, version.count == 1, bytes[version.lowerBound] == UInt8(ascii: "1"), !isString(version),
      isString(actor), bytes[actor].elementsEqual(member),
      isString(event), LogEntry.isEvent(bytes[event]),
      !Membership.Change.events.contains(where: bytes[event].elementsEqual),
      isString(moment), let time = Timestamp(ascii: bytes[moment])
    else { return nil }
    self.time = time
  }
}
