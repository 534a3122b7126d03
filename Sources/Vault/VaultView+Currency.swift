import Audit
import JSON
import Storage

extension VaultView {
  /// Goes through the whole log, and fails with `corrupt` unless every record is the newest that the log speaks of, none is
  /// missing, the indexes have just the rows that these call for, owners alone did what is theirs, and the journals of all
  /// rotations, those that are over too, point at every step.
  ///
  /// Reading a record shows that a member wrote it, not that none was written since: whoever can write the store could put
  /// back an older one. The time this takes grows with the log, so it belongs with the log's verification, not with reads.
  package func requireCurrent() throws {
    var identifiers: [String: Identifier] = [:]
    try forEachPage { for credential in $0 { identifiers[credential.name] = credential.id } }
    // The first step that no journal points at, by the name of its credential.
    var missed: [String: UInt64] = [:]
    var newest: [String: UInt64] = [:]
    var restore: UInt64?
    try replay { entry, index in
      if entry.event == EventName.vaultRestored.text { restore = index }
      guard case .string(let credential)? = entry.details["credential"] else { return }
      if entry.event == EventName.credentialRemoved.text {
        newest[credential] = nil
      } else if entry.details["record"] != nil {
        newest[credential] = index
      }
      // What was before belongs to another of that name, which was removed.
      if entry.event == EventName.credentialAdded.text { missed[credential] = nil }
      if let identifier = identifiers[credential], try !isJournalled(entry, at: index, of: identifier) {
        missed[credential] = missed[credential] ?? index
      }
    }
    _ = try AccessHistory(self)
    var check = try IndexCheck(self)
    try forEachPage { page in
      for credential in page {
        guard newest.removeValue(forKey: credential.name) == credential.entry else {
          throw VaultError(
            .corrupt,
            "the record of \(credential.name) is that of log entry \(credential.entry), and there is a newer one or it was removed"
          )
        }
        try check.require(credential)
      }
    }
    if let (name, index) = missed.first {
      throw VaultError(.corrupt, "the journal of \(name) does not point at its step in log entry \(index)")
    }
    guard newest.isEmpty else {
      throw VaultError(.corrupt, "the records of \(newest.keys.sorted().joined(separator: ", ")) are missing")
    }
    try check.finish()
    guard try restoration()?.entry == restore else {
      throw VaultError(.corrupt, "the journal does not point at the newest restore that the log speaks of")
    }
  }

  /// Hands `visit` all credentials, some at a time.
  private func forEachPage(_ visit: ([Credential]) throws -> Void) throws {
    var last: String?
    while true {
      let page = try credentials(after: last, atMost: 1000)
      guard let end = page.last else { return }
      try visit(page)
      last = end.name
    }
  }

  /// Whether the journal of the credential `identifier` points at `entry`, if it is a step.
  private func isJournalled(_ entry: LogEntry, at index: UInt64, of identifier: Identifier) throws -> Bool {
    guard case .integer(let rotation)? = entry.details["rotation"], case .integer(let step)? = entry.details["step"],
      let rotation = UInt64(exactly: rotation), let step = UInt32(exactly: step)
    else { return true }
    let key = identifier.bytes + rotation.bigEndianBytes + step.bigEndianBytes
    return try transaction.value(in: .journal, for: key) == index.bigEndianBytes
  }
}
