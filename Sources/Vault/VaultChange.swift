package import Audit
package import JSON
import Sodium
package import Storage

/// One change of a vault: records, journal and log entries that become durable together or not at all.
///
/// Valid only inside the closure it is handed to. Log entries are appended and signed when the closure ends.
package final class VaultChange {
  package let view: VaultView
  package let now: Timestamp
  private let transaction: any WriteTransaction
  private let member: String
  private let firstIndex: UInt64
  private var entries: [LogEntry] = []
  private var records: [VaultMemory.Record] = []
  /// The index in `records` of each credential's newest record, by name.
  private var newestRecords: [String: Int] = [:]
  /// By name, for each record that this change has stored: the identifier and newest version of the one that it found
  /// there.
  private var versionsBefore: [String: (id: Identifier, newest: UInt64)] = [:]

  init(_ transaction: any WriteTransaction, view: VaultView, member: String, now: Timestamp) {
    self.transaction = transaction
    self.view = view
    self.member = member
    self.now = now
    firstIndex = view.logSize
  }

  /// The index of the entry that is written next.
  var nextIndex: UInt64 { firstIndex + UInt64(entries.count) }

  /// Writes one log entry about `credential`, or about the vault if nil, and returns it.
  @discardableResult
  package func log(
    _ event: EventName, about credential: String? = nil, _ fields: [String: JSONValue] = [:]
  ) throws -> LogEntry {
    let entry = try entry(event, about: credential, fields, at: now)
    entries.append(entry)
    return entry
  }

  /// The entry that would be written next, with `time` as its own.
  private func entry(
    _ event: EventName, about credential: String?, _ fields: [String: JSONValue], at time: Timestamp
  ) throws -> LogEntry {
    var fields = fields
    if let credential { fields["credential"] = .string(credential) }
    let entry = try LogEntry(time: time, member: member, event: event.text, details: fields)
    // From anyone else, such an entry would leave a log that nobody can ever verify.
    if try Membership.Change(entry) != nil {
      guard view.members.contains(where: { $0.name == member && $0.card.role == .owner }) else {
        throw VaultError(.notPermitted, "member \(member) is not an owner, and only owners can do that (\(event.text))")
      }
    }
    return entry
  }

  /// A record as it is to be stored, with the entry that carries its digest.
  struct PreparedRecord {
    let credential: Credential
    fileprivate let old: Credential?
    fileprivate let bytes: [UInt8]
    fileprivate let entry: LogEntry
  }

  /// Stores `credential` as `event` leaves it, with an entry that carries the record's digest.
  @discardableResult
  package func save(
    _ credential: Credential, _ event: EventName, _ fields: [String: JSONValue] = [:]
  ) throws -> Credential {
    try store(prepare(credential, event, fields))
  }

  /// All of `save` that can fail because of what the record holds. Writes nothing; nothing may be logged between this
  /// and `store`.
  func prepare(
    _ credential: Credential, replacing old: Credential? = nil, _ event: EventName, _ fields: [String: JSONValue] = [:],
    at time: Timestamp? = nil
  ) throws -> PreparedRecord {
    var credential = credential
    credential.entry = nextIndex
    var fields = fields
    if event == .credentialAdded || event == .credentialRekeyed {
      credential.keyed = nextIndex
      fields.merge(credential.termsFields) { given, _ in given }
    }
    let bytes = credential.bytes
    fields["record"] = .string(SHA256.hash(bytes).bytes.base64)
    return PreparedRecord(
      credential: credential, old: try old ?? stored(credential.name), bytes: bytes,
      entry: try entry(event, about: credential.name, fields, at: time ?? now))
  }

  /// Stores what `prepare` made.
  @discardableResult
  func store(_ prepared: PreparedRecord) throws -> Credential {
    let credential = prepared.credential
    guard credential.entry == nextIndex else {
      throw VaultError(.keyChanged, "something was logged before the record of \(credential.name) was stored")
    }
    entries.append(prepared.entry)
    if versionsBefore[credential.name] == nil {
      versionsBefore[credential.name] = (prepared.old?.id ?? credential.id, prepared.old?.newestNumber ?? 0)
    }
    try VaultIndex.update(from: prepared.old, to: credential, in: transaction)
    try transaction.set(prepared.bytes, in: .credentials, for: Array(credential.name.utf8))
    if prepared.entry.event == EventName.credentialRekeyed.text { try removeOtherPairs(than: credential) }
    newestRecords[credential.name] = records.count
    records.append(VaultMemory.Record(bytes: prepared.bytes, credential: credential, entry: prepared.entry))
    return credential
  }

  /// Removes the pairs that `credential` has no version for. Whoever wrote them, they are sealed under no key that it
  /// has.
  private func removeOtherPairs(than credential: Credential) throws {
    for row in try transaction.rows(in: .versions, withPrefix: credential.id.bytes) {
      let number = UInt64(bigEndianBytes: row.key.dropFirst(Identifier.size))
      guard number.flatMap({ credential.version($0) }) == nil else { continue }
      try transaction.remove(row.key, from: .versions)
    }
  }

  /// Says that no earlier record of `name` counts any more: it is damaged, and should have been given another key.
  /// Every reader refuses an earlier record that is put back, because its terms rest on an older entry, and no record
  /// has the terms that this entry names.
  func withhold(_ name: String, _ fields: [String: JSONValue] = [:]) throws {
    try log(.credentialRekeyed, about: name, fields.merging(["terms": .string(Credential.noTerms)]) { $1 })
  }

  /// The credential `name` as it is stored now, for the index: it is not authenticated again. Nil if there is none.
  private func stored(_ name: String) throws -> Credential? {
    guard let bytes = try transaction.value(in: .credentials, for: Array(name.utf8)) else { return nil }
    if let known = newestRecords[name].map({ records[$0] }) ?? view.remembered(name), known.bytes == bytes {
      return known.credential
    }
    return try Credential(decoding: bytes, name: name)
  }

  /// Stores `credential` with a journalled step of its newest rotation: the journal points at the log entry. Throws
  /// `alreadyExists` if the stored record has that step. A row that the record does not account for is no step, and is
  /// replaced.
  @discardableResult
  package func saveStep(
    _ credential: Credential, step: UInt32, _ event: EventName, _ fields: [String: JSONValue] = [:],
    at time: Timestamp? = nil
  ) throws -> Credential {
    let rotation = credential.id.bytes + credential.rotation.bigEndianBytes
    let key = rotation + step.bigEndianBytes
    let isThere = try transaction.value(in: .journal, for: key) != nil
    if isThere, let before = try stored(credential.name), before.id == credential.id,
      (before.rotation, before.steps) > (credential.rotation, step)
    {
      throw VaultError(
        .alreadyExists, "step \(step) of rotation \(credential.rotation) of \(credential.name) is already journalled")
    }
    if step == 0 {
      for row in try transaction.rows(in: .journal, withPrefix: rotation) {
        try transaction.remove(row.key, from: .journal)
      }
    }
    var credential = credential
    try credential.count(step: step)
    try transaction.set(nextIndex.bigEndianBytes, in: .journal, for: key)
    var fields = fields
    fields["rotation"] = .integer(Int(clamping: credential.rotation))
    fields["step"] = .integer(Int(step))
    return try store(prepare(credential, event, fields, at: time))
  }

  /// Makes the journal point at the next entry as the entry of restore `number`.
  func storeRestore(_ number: UInt64) throws {
    let key = view.header.id.bytes + number.bigEndianBytes + UInt32(0).bigEndianBytes
    try transaction.set(nextIndex.bigEndianBytes, in: .journal, for: key)
  }

  /// Stores the wrapped key of a credential.
  func storeKey(_ wrapped: [UInt8], of credential: Identifier) throws {
    try transaction.set(wrapped, in: .keys, for: credential.bytes)
  }

  /// Stores the sealed pair of one version of `credential`, which is as it is in this transaction. A version is
  /// immutable: throws `versionExists` if the record had it before this change. A row that no record accounts for is no
  /// version, whoever wrote it, and is replaced. Throws `keyChanged` if the credential has another key than the pair is
  /// sealed under.
  package func storePair(_ sealed: SealedPair, of credential: Credential) throws {
    guard sealed.credential == credential.id, sealed.keyID == credential.keyID else {
      throw VaultError(.keyChanged, "the key of \(credential.name) was renewed while a pair was sealed under it")
    }
    let key = sealed.credential.bytes + sealed.version.bigEndianBytes
    let before =
      try versionsBefore[credential.name] ?? stored(credential.name).map { (id: $0.id, newest: $0.newestNumber) }
    if let before, before.id == credential.id, sealed.version <= before.newest {
      throw VaultError(.versionExists, "\(credential.name) has a version \(sealed.version) already, and keeps it")
    }
    try transaction.set(sealed.record, in: .versions, for: key)
  }

  /// Replaces a sealed pair with the same pair sealed under another key.
  func replacePair(_ record: [UInt8], version: UInt64, of credential: Identifier) throws {
    try transaction.set(record, in: .versions, for: credential.bytes + version.bigEndianBytes)
  }

  /// Stores the header, with an entry that says the same.
  ///
  /// `credentials` says that each credential also gets another key, later in this change.
  func save(_ header: VaultHeader, rekeyingCredentials credentials: Bool) throws {
    try log(.vaultRekeyed, ["key": .string(header.keyID)].merging(credentials ? ["credentials": true] : [:]) { $1 })
    try transaction.set(header.bytes, in: .header, for: VaultHeader.row)
  }

  /// Stores a member, with the entry that adds it.
  func addMember(_ card: LogMember) throws {
    let member = Member(card: card, entry: nextIndex)
    try log(.memberAdded, ["added": card.json, "record": .string(SHA256.hash(member.bytes).bytes.base64)])
    try transaction.set(member.bytes, in: .members, for: Array(card.name.utf8))
  }

  /// Removes a member, with the entry that says so.
  func removeMember(_ name: String) throws {
    try log(.memberRemoved, ["removed": .string(name)])
    try transaction.remove(Array(name.utf8), from: .members)
  }

  /// Replaces the grants on a credential: member name to the credential's key sealed to that member.
  func storeGrants(_ grants: [String: [UInt8]], on credential: Identifier) throws {
    for row in try transaction.rows(in: .grants, withPrefix: credential.bytes) {
      try transaction.remove(row.key, from: .grants)
    }
    for (name, grant) in grants { try storeGrant(grant, on: credential, to: name) }
  }

  func storeGrant(_ grant: [UInt8], on credential: Identifier, to member: String) throws {
    try transaction.set(grant, in: .grants, for: credential.bytes + Array(member.utf8))
  }

  /// Every credential key as it is stored, with the identifier it is stored under, whether or not a credential has
  /// that.
  func wrappedKeys() throws -> [(credential: Identifier, wrapped: [UInt8])] {
    try transaction.rows(in: .keys).compactMap { row in Identifier(row.key.hex).map { ($0, row.value) } }
  }

  /// Removes a credential and all that belongs to it, with the entry that says so.
  func remove(_ credential: Credential) throws {
    try log(.credentialRemoved, about: credential.name)
    try VaultIndex.update(from: credential, to: nil, in: transaction)
    try transaction.remove(Array(credential.name.utf8), from: .credentials)
    for table in Self.tablesOfOne {
      for row in try transaction.rows(in: table, withPrefix: credential.id.bytes) {
        try transaction.remove(row.key, from: table)
      }
    }
  }

  /// The same for the credential called `name`, of which no record can be read. The rest that belongs to it stays.
  func remove(unreadable name: String) throws {
    try log(.credentialRemoved, about: name)
    try VaultIndex.remove(name, in: transaction)
    try transaction.remove(Array(name.utf8), from: .credentials)
  }

  /// The tables whose keys begin with a credential's identifier.
  private static let tablesOfOne = [Table.keys, .grants, .versions, .journal]

  /// Removes what belongs to no credential of `credentials`, which must be all there are. Returns the identifiers that
  /// it was stored under.
  @discardableResult
  func removeRowsOfOthers(than credentials: Set<Identifier>) throws -> [Identifier] {
    // The rows under the vault's own identifier are the journal of its restores.
    let kept = Set(credentials.map(\.bytes) + [view.header.id.bytes])
    var removed: Set<[UInt8]> = []
    for table in Self.tablesOfOne {
      var keys: [[UInt8]] = []
      try transaction.scan(table, from: [], to: nil, reversed: false) { key, _ in
        if !kept.contains(Array(key.prefix(Identifier.size))) { keys.append(key) }
        return true
      }
      for key in keys {
        try transaction.remove(key, from: table)
        removed.insert(Array(key.prefix(Identifier.size)))
      }
    }
    return removed.compactMap { Identifier($0.hex) }
  }

  /// The transaction, for leases: they belong to storage.
  package var leases: any WriteTransaction { transaction }

  /// Appends what was logged. It is signed as the commit's last step, once for all the changes that share the commit;
  /// what is returned then holds the log that was signed. Nil if nothing was logged.
  func commit(by signer: LogSigner, remembering memory: VaultMemory) throws -> UnsignedChanges.Signed? {
    guard !entries.isEmpty else { return nil }
    var (view, unsigned) = (view, transaction.finishingStep as? UnsignedChanges)
    if unsigned?.size != view.unsigned?.size {
      // The body caused the earlier changes to be signed.
      view = try VaultView(changing: transaction, remembering: memory)
      unsigned = view.unsigned
      guard view.logSize == firstIndex else { throw VaultError(.corrupt, "the log was changed during another change") }
    }
    let earlier =
      try unsigned
      ?? UnsignedChanges(
        memory, after: view.known, run: LogRun(after: view.known.end, by: signer, knowing: view.verifyingKey))
    let changes = try earlier.appending(entries, records, in: transaction)
    transaction.finishingStep = changes
    return changes.signed
  }
}
