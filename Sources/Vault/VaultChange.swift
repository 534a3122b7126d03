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
    var fields = fields
    if let credential { fields["credential"] = .string(credential) }
    let entry = try LogEntry(time: now, member: member, event: event.text, details: fields)
    // Such an entry would make the log one that nobody can verify, for ever.
    if try Membership.Change(entry) != nil,
      !view.members.contains(where: { $0.name == member && $0.card.role == .owner })
    {
      throw VaultError(.notPermitted, "member \(member) is no owner and cannot change who is a member")
    }
    if [EventName.deliveryAdded.text, EventName.deliveryRemoved.text].contains(event.text) {
      guard view.members.contains(where: { $0.name == member && $0.card.role == .owner }) else {
        throw VaultError(.notPermitted, "member \(member) is no owner and cannot change sinks and hooks")
      }
    }
    entries.append(entry)
    return entry
  }

  /// Stores `credential` as `event` leaves it, with an entry that carries the record's digest.
  @discardableResult
  package func save(
    _ credential: Credential, _ event: EventName, _ fields: [String: JSONValue] = [:]
  ) throws -> Credential {
    var credential = credential
    credential.entry = nextIndex
    let bytes = credential.bytes
    var fields = fields
    fields["record"] = .string(SHA256.hash(bytes).bytes.base64)
    let entry = try log(event, about: credential.name, fields)
    try transaction.set(bytes, in: .credentials, for: Array(credential.name.utf8))
    records.append(VaultMemory.Record(bytes: bytes, credential: credential, entry: entry))
    return credential
  }

  /// Stores `credential` with a journalled step of its newest rotation: the journal points at the log entry.
  @discardableResult
  package func saveStep(
    _ credential: Credential, step: UInt32, _ event: EventName, _ fields: [String: JSONValue] = [:]
  ) throws -> Credential {
    let key = credential.id.bytes + credential.rotation.bigEndianBytes + step.bigEndianBytes
    guard try transaction.value(in: .journal, for: key) == nil else {
      throw VaultError(
        .alreadyExists, "step \(step) of rotation \(credential.rotation) of \(credential.name) is journalled")
    }
    var credential = credential
    try credential.count(step: step)
    try transaction.set(nextIndex.bigEndianBytes, in: .journal, for: key)
    var fields = fields
    fields["rotation"] = .integer(Int(clamping: credential.rotation))
    fields["step"] = .integer(Int(step))
    return try save(credential, event, fields)
  }

  /// Makes the journal point at the next entry as that of restore `number`.
  func storeRestore(_ number: UInt64) throws {
    let key = view.header.id.bytes + number.bigEndianBytes + UInt32(0).bigEndianBytes
    try transaction.set(nextIndex.bigEndianBytes, in: .journal, for: key)
  }

  /// Stores the wrapped key of a new credential.
  func storeKey(_ wrapped: [UInt8], of credential: Identifier) throws {
    try transaction.set(wrapped, in: .keys, for: credential.bytes)
  }

  /// Stores the sealed pair of one version; a version is immutable, so a second one is refused.
  package func storePair(_ sealed: SealedPair) throws {
    let key = sealed.credential.bytes + sealed.version.bigEndianBytes
    guard try transaction.value(in: .versions, for: key) == nil else {
      throw VaultError(.alreadyExists, "version \(sealed.version) is stored already")
    }
    try transaction.set(sealed.record, in: .versions, for: key)
  }

  /// The transaction, for leases: they belong to storage.
  package var leases: any WriteTransaction { transaction }

  /// Appends what was logged. It is signed as the commit's last step, once for all the changes that share that.
  func commit(by signer: LogSigner, remembering memory: VaultMemory) throws {
    guard !entries.isEmpty else { return }
    var (view, unsigned) = (view, transaction.finishingStep as? UnsignedChanges)
    if unsigned?.size != view.unsigned?.size {
      // The body has had the earlier changes signed.
      view = try VaultView(changing: transaction, remembering: memory)
      unsigned = view.unsigned
      guard view.logSize == firstIndex else { throw VaultError(.corrupt, "the log was changed under a change") }
    }
    var changes =
      try unsigned
      ?? UnsignedChanges(
        memory, after: view.known, run: LogRun(after: view.known.end, by: signer, knowing: view.verifyingKey))
    try changes.append(entries, records, in: transaction)
    transaction.finishingStep = changes
  }
}
