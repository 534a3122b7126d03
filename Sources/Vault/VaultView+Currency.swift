import Audit
import JSON
import Storage

extension VaultView {
  /// Goes through the whole log, and fails with `corrupt` unless every record is the newest that the log speaks of, none is
  /// missing, and the indexes have just the rows that these call for.
  ///
  /// Reading a record shows that a member wrote it, not that none was written since: whoever can write the store could put
  /// back an older one. The time this takes grows with the log, so it belongs with the log's verification, not with reads:
  /// it takes the log as it is stored, which verification has found to be whole.
  package func requireCurrent() throws {
    var newest: [String: UInt64] = [:]
    var membership: Membership?
    var index: UInt64 = 0
    try transaction.scan(.log, from: [], to: nil, reversed: false) { key, bytes in
      guard key == index.bigEndianBytes else { throw VaultError(.corrupt, "the log has no entry \(index)") }
      if let quick = RecordHead(of: bytes), membership != nil {
        if let credential = quick.credential { newest[credential] = index }
      } else {
        let entry = try LogEntry(decoding: bytes)
        if membership == nil { membership = try Membership(genesis: entry) } else { try membership?.apply(entry) }
        if case .string(let credential)? = entry.details["credential"] {
          if entry.event == "credential.removed" {
            newest[credential] = nil
          } else if entry.details["record"] != nil {
            newest[credential] = index
          }
        }
      }
      index += 1
      return true
    }
    var check = try IndexCheck(self)
    var (last, isAtEnd) = (String?.none, false)
    while !isAtEnd {
      let page = try credentials(after: last, atMost: 1000)
      for credential in page {
        guard newest.removeValue(forKey: credential.name) == credential.entry else {
          throw VaultError(
            .corrupt,
            "the record of \(credential.name) is that of log entry \(credential.entry), and there is a newer one or it was removed"
          )
        }
        try check.require(credential)
      }
      (last, isAtEnd) = (page.last?.name, page.isEmpty)
    }
    guard newest.isEmpty else {
      throw VaultError(.corrupt, "the records of \(newest.keys.sorted().joined(separator: ", ")) are missing")
    }
    guard members.map(\.card).sorted(by: { $0.name < $1.name }) == membership?.members else {
      throw VaultError(.corrupt, "the members are not those that the log ends with")
    }
    try check.finish()
  }
}

/// What currency needs of an entry that changes no member and removes no credential, read without a copy of the rest.
private struct RecordHead {
  /// The credential whose record the entry carries the digest of; nil if it carries none.
  let credential: String?

  /// Nil says nothing: the full reader must decide.
  init?(of bytes: [UInt8]) {
    var (name, event, hasRecord) = (0..<0, 0..<0, false)
    let isCanonical = PlainObject.isCanonical(bytes.span) { member, value in
      switch member.count {
      case 5 where bytes[member].elementsEqual("event".utf8): event = value
      case 6 where bytes[member].elementsEqual("record".utf8): hasRecord = true
      case 10 where bytes[member].elementsEqual("credential".utf8): name = value
      default: break
      }
    }
    guard isCanonical, event.lowerBound > 0,
      ["rotation.", "pair.", "delivery."].contains(where: { bytes[event].starts(with: $0.utf8) }),
      name.isEmpty || bytes[name.lowerBound - 1] == UInt8(ascii: "\"")
    else { return nil }
    credential = hasRecord && !name.isEmpty ? String(decoding: bytes[name], as: UTF8.self) : nil
  }
}
