import JSON

/// What verification needs of a plain entry, read without any allocation. Ranges are positions in the entry's bytes;
/// those of strings exclude the quotes.
package struct EntryHead: Sendable {
  package let time: Timestamp
  package let member: Range<Int>
  package let event: Range<Int>
  // Members that not every entry has. If one has another type than expected, the full reader must decide.
  package private(set) var credential: Range<Int>?
  package private(set) var record: Range<Int>?
  package private(set) var terms: Range<Int>?
  package private(set) var rotation: UInt64?
  package private(set) var step: UInt32?
  /// Whether it has a member of this name, of any type.
  package private(set) var hasExposure = false

  /// Reads `bytes` if they are certainly a valid entry (`LogEntry`); nil says nothing, and the full reader must decide.
  package init?(of bytes: borrowing Span<UInt8>) {
    guard bytes.count <= LogEntry.maximumSize else { return nil }
    var (event, member, time): (Range<Int>?, Range<Int>?, Timestamp?)
    var isFirstVersion = false
    var isPlain = true
    var reader = PlainReader()
    do throws(PlainReader.NotPlain) {
      try reader.beginObject(bytes)
      var last: Range<Int>?
      while let name = try reader.name(after: last, bytes) {
        last = name
        let value = try reader.value(bytes)
        // Few names have the same size.
        switch name.count {
        case 1 where bytes.equals("v", at: name): isFirstVersion = !value.isString && bytes.equals("1", at: value.range)
        case 4 where bytes.equals("time", at: name) && value.isString: time = Timestamp(bytes, at: value.range)
        case 4 where bytes.equals("step", at: name):
          step = value.isString ? nil : bytes.number(at: value.range).flatMap { UInt32(exactly: $0) }
          isPlain = isPlain && step != nil
        case 5 where bytes.equals("event", at: name) && value.isString: event = value.range
        case 5 where bytes.equals("terms", at: name):
          terms = value.range
          isPlain = isPlain && value.isString
        case 6 where bytes.equals("member", at: name) && value.isString: member = value.range
        case 6 where bytes.equals("record", at: name):
          record = value.range
          isPlain = isPlain && value.isString
        case 8 where bytes.equals("rotation", at: name):
          rotation = value.isString ? nil : bytes.number(at: value.range)
          isPlain = isPlain && rotation != nil
        case 8 where bytes.equals("exposure", at: name): hasExposure = true
        case 10 where bytes.equals("credential", at: name):
          credential = value.range
          isPlain = isPlain && value.isString
        default: break
        }
      }
      try reader.finish(bytes)
    } catch { return nil }
    guard isFirstVersion, isPlain, let time, let member, let event, LogEntry.isMember(bytes, at: member),
      LogEntry.isEvent(bytes, at: event)
    else { return nil }
    self.time = time
    self.member = member
    self.event = event
  }

  /// The same if the entry is by `member`, and its event changes no membership. `credential.added` passes only in an
  /// owner's run, because only owners may write it, and only with terms and without an exposure (one that a transfer
  /// brought has an exposure): then it changes nothing else.
  init?(of bytes: borrowing Span<UInt8>, by member: [UInt8], isOwner: Bool = false) {
    self.init(of: bytes)
    guard bytes.equals(member.span, at: self.member) else { return nil }
    let isAddition =
      isOwner && !hasExposure && terms != nil && credential != nil && bytes.equals("credential.added", at: event)
    guard isAddition || !Membership.Change.isNamed(bytes, at: event) else { return nil }
  }

  init?(of bytes: [UInt8], by member: [UInt8], isOwner: Bool = false) {
    self.init(of: bytes.span, by: member, isOwner: isOwner)
  }
}

extension Span<UInt8> {
  /// The number in the ASCII digits at `range`; nil for anything else, and for more than fits.
  fileprivate borrowing func number(at range: Range<Int>) -> UInt64? {
    guard !range.isEmpty else { return nil }
    var value: UInt64 = 0
    for place in range {
      guard (48...57).contains(self[place]) else { return nil }
      let (product, isProductTooLarge) = value.multipliedReportingOverflow(by: 10)
      let (sum, isSumTooLarge) = product.addingReportingOverflow(UInt64(self[place] - 48))
      guard !isProductTooLarge, !isSumTooLarge else { return nil }
      value = sum
    }
    return value
  }
}
