import Audit
import JSON
import Storage

extension VaultView {
  /// Goes through the whole log, and fails with `corrupt` unless every record is the newest that the log speaks of, none is
  /// missing, owners alone did what is theirs, and the journals of all rotations, those that are over too, point at every
  /// step.
  ///
  /// Reading a record shows that a member wrote it, not that none was written since: whoever can write the store could put
  /// back an older one. The time this takes grows with the log, so it belongs with the log's verification, not with reads.
  package func requireCurrent() throws {
    let found = try credentials()
    let identifiers = Dictionary(found.map { ($0.name, $0.id) }, uniquingKeysWith: { first, _ in first })
    // The first step that no journal points at, by the name of its credential.
    var missed: [String: UInt64] = [:]
    var newest: [String: UInt64] = [:]
    try replay { entry, index in
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
    for credential in found where newest[credential.name] != credential.entry {
      throw VaultError(
        .corrupt,
        "the record of \(credential.name) is that of log entry \(credential.entry), and there is a newer one or it was removed"
      )
    }
    if let (name, index) = missed.first {
      throw VaultError(.corrupt, "the journal of \(name) does not point at its step in log entry \(index)")
    }
    guard found.count == newest.count else {
      let missing = newest.keys.filter { name in !found.contains { $0.name == name } }.sorted()
      throw VaultError(.corrupt, "the records of \(missing.joined(separator: ", ")) are missing")
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
