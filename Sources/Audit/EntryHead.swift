import JSON

/// What verification needs of an entry that goes on with a run and changes no member, read without any allocation.
package struct EntryHead: Sendable {
  package let time: Timestamp
  /// Where the entry's event stands in its bytes.
  package let event: Range<Int>
  /// Where these of its members stand, strings without their quotes; nil if it has none of that name, or another kind of value.
  package private(set) var credential: Range<Int>?
  package private(set) var record: Range<Int>?
  package private(set) var terms: Range<Int>?
  package private(set) var rotation: UInt64?
  package private(set) var step: UInt32?

  private static let addition = Array("credential.added".utf8)

  /// Reads `bytes` if they are certainly a valid entry (`LogEntry`) by `member`, a valid name, of an event that changes no
  /// member; nil says nothing, and the full reader must decide. That it is an owner's run must be known of `credential.added`,
  /// which owners alone may write, and which with terms and without an exposure, as what a transfer
  /// brought has one, changes nothing else.
  init?(of bytes: [UInt8], by member: [UInt8], isOwner: Bool = false) {
    guard bytes.count <= LogEntry.maximumSize else { return nil }
    var version = 0..<0
    var moment = 0..<0
    var actor = 0..<0
    var event = 0..<0
    var (credential, record, terms, rotation, step) = (0..<0, 0..<0, 0..<0, 0..<0, 0..<0)
    var isExposed = false
    let isCanonical = PlainObject.isCanonical(bytes.span) { name, value in
      // The four names differ in length or first byte from each other; the full comparison follows.
      switch name.count {
      case 1 where bytes[name.lowerBound] == UInt8(ascii: "v"): version = value
      case 4 where bytes[name].elementsEqual("time".utf8): moment = value
      case 5 where bytes[name].elementsEqual("event".utf8): event = value
      case 6 where bytes[name].elementsEqual("member".utf8): actor = value
      case 4 where bytes[name].elementsEqual("step".utf8): step = value
      case 5 where bytes[name].elementsEqual("terms".utf8): terms = value
      case 6 where bytes[name].elementsEqual("record".utf8): record = value
      case 8 where bytes[name].elementsEqual("rotation".utf8): rotation = value
      case 8 where bytes[name].elementsEqual("exposure".utf8): isExposed = true
      case 10 where bytes[name].elementsEqual("credential".utf8): credential = value
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
      isString(moment), let time = Timestamp(ascii: bytes[moment])
    else { return nil }
    let isAddition =
      isOwner && !isExposed && isString(terms) && isString(credential) && bytes[event].elementsEqual(Self.addition)
    guard isAddition || !Membership.Change.events.contains(where: bytes[event].elementsEqual) else { return nil }
    self.time = time
    self.event = event
    if isString(credential) { self.credential = credential }
    if isString(record) { self.record = record }
    if isString(terms) { self.terms = terms }
    func number(_ range: Range<Int>) -> UInt64? {
      range.isEmpty || isString(range) ? nil : UInt64(decimal: bytes[range])
    }
    self.rotation = number(rotation)
    self.step = number(step).flatMap { UInt32(exactly: $0) }
  }
}

extension UInt64 {
  /// The number in these ASCII digits; nil for anything else, and for more than fits.
  fileprivate init?(decimal digits: ArraySlice<UInt8>) {
    var value: UInt64 = 0
    for digit in digits {
      guard (48...57).contains(digit) else { return nil }
      let (product, isProductTooLarge) = value.multipliedReportingOverflow(by: 10)
      let (sum, isSumTooLarge) = product.addingReportingOverflow(UInt64(digit - 48))
      guard !isProductTooLarge, !isSumTooLarge else { return nil }
      value = sum
    }
    self = value
  }
}
