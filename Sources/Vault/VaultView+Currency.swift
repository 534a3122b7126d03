import Audit
import JSON
import Storage

extension VaultView {
  /// Goes through the whole log, and fails with `corrupt` unless every record is the newest that the log speaks of, none is
  /// missing, the indexes have just the rows that these call for, and owners alone did what is theirs.
  ///
  /// Reading a record shows that a member wrote it, not that none was written since: whoever can write the store could put
  /// back an older one. The time this takes grows with the log, so it belongs with the log's verification, not with reads.
  package func requireCurrent() throws {
    var newest: [String: UInt64] = [:]
    try replay { entry, index in
      guard case .string(let credential)? = entry.details["credential"] else { return }
      if entry.event == EventName.credentialRemoved.text {
        newest[credential] = nil
      } else if entry.details["record"] != nil {
        newest[credential] = index
      }
    }
    _ = try AccessHistory(self)
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
    try check.finish()
  }
}
