package import Audit
import JSON
import Sodium
package import Storage

/// A vault as one transaction sees it, with nothing unlocked. Every record it returns is authenticated: its digest is
/// in a log entry covered by the newest checkpoint, which a member signed.
package struct VaultView {
  let transaction: any ReadTransaction
  /// What was verified of the vault before anything is read from it.
  let known: VaultMemory.Known
  /// What earlier changes that share this commit have appended since.
  let unsigned: UnsignedChanges?
  private let memory: VaultMemory?
  /// The part of the log's tree by which entries were proved, for those read later.
  private let proven: ProvenTree

  package var header: VaultHeader { known.header }
  /// Everyone the vault knows, by name.
  package var members: [Member] { known.members }
  /// How many entries the log has.
  package var logSize: UInt64 { unsigned?.size ?? known.end.size }

  /// Checks everything that vouches for the vault: the whole log, its end, the header and the members.
  ///
  /// Throws `notFound` if the store holds no vault; `VaultError.corrupt` or `AuditError` if it does not authenticate.
  /// The time this takes grows with the log: `LockedVault` continues from what was seen before.
  package init(_ transaction: any ReadTransaction) throws { try self.init(transaction, after: nil) }

  /// The same, but continues from `seen`, which was verified of this very store.
  init(_ transaction: any ReadTransaction, after seen: SeenLog?) throws {
    try (transaction as? any WriteTransaction)?.finishNow()
    known = try Self.authenticate(VaultRows(transaction), in: transaction, after: seen)
    proven = ProvenTree(known.end)
    self.transaction = transaction
    memory = nil
    unsigned = nil
  }

  /// The same, but does not verify again what `memory` knows of the very same bytes. `seen` is what `memory` had seen
  /// before the transaction began, because others may commit meanwhile.
  init(_ transaction: any ReadTransaction, remembering memory: VaultMemory, after seen: SeenLog?) throws {
    let rows = try VaultRows(transaction)
    known =
      try memory.recall(rows, in: transaction, after: seen)
      ?? memory.learn(Self.authenticate(rows, in: transaction, after: seen), isNewest: false)
    // Readers see only what is committed.
    memory.found(known.seen)
    proven = ProvenTree(known.end)
    self.transaction = transaction
    self.memory = memory
    unsigned = nil
  }

  /// The same for a change, which continues from what earlier changes in the same commit have left unsigned.
  init(changing transaction: any WriteTransaction, remembering memory: VaultMemory) throws {
    let rows = try VaultRows(transaction)
    if let unsigned = transaction.finishingStep as? UnsignedChanges, unsigned.memory === memory,
      unsigned.base.rows == rows, try unsigned.run.isLastStored(in: transaction)
    {
      known = unsigned.base
      self.unsigned = unsigned
    } else {
      // Another member's unsigned changes, or the store is no longer as this process left it.
      try transaction.finishNow()
      known =
        try memory.recall(rows, in: transaction, after: memory.seen)
        ?? memory.learn(Self.authenticate(rows, in: transaction, after: memory.seen), isNewest: true)
      unsigned = nil
    }
    proven = ProvenTree(known.end)
    self.transaction = transaction
    self.memory = memory
  }

  private static func authenticate(
    _ rows: VaultRows, in transaction: any ReadTransaction, after seen: SeenLog? = nil
  ) throws -> VaultMemory.Known {
    let header = try VaultHeader(decoding: rows.header)
    let members = try rows.members.map { try Member(decoding: $0.value, name: name($0.key)) }
    if let seen {
      guard let newest = try AuditLog.latestCheckpoint(in: transaction) else {
        throw VaultError(.corrupt, "the vault's log is missing")
      }
      try requireExtension(of: seen, newest: newest.checkpoint, in: transaction)
    }
    let (end, verified) = try LogVerification.verify(storedIn: transaction, after: seen)
    var membership = verified
    guard header.origin == membership.origin else {
      throw VaultError(.corrupt, "the vault's log is another vault's")
    }
    // Only the log says who the members are, and which key is in use: rows that say otherwise were altered.
    guard membership.standings == members else {
      throw VaultError(.corrupt, "the members are not those that the log ends with")
    }
    guard header.keyID == membership.keyID else {
      throw VaultError(.corrupt, "the header and the log name different vault keys")
    }
    var known: VaultMemory.Known {
      VaultMemory.Known(rows: rows, header: header, membership: membership, members: members, end: end)
    }
    let view = VaultView(transaction: transaction, known: known, unsigned: nil, memory: nil)
    let first = try view.authenticatedEntry(at: 0)
    guard first.event == EventName.vaultCreated.text, first.time == header.created else {
      throw VaultError(.corrupt, "the vault's header is not the one its log begins with")
    }
    try membership.noteFounder(first)
    return known
  }

  private init(
    transaction: any ReadTransaction, known: VaultMemory.Known, unsigned: UnsignedChanges?, memory: VaultMemory?
  ) {
    self.transaction = transaction
    self.known = known
    proven = ProvenTree(known.end)
    self.unsigned = unsigned
    self.memory = memory
  }

  /// The key of a member by name; nil if there is no such member.
  func verifyingKey(of name: String) -> VerifyingKey? { members.first { $0.name == name }?.card.signing }

  /// The log entry at `index`, proved to be covered by the newest checkpoint, or appended in this very transaction.
  package func authenticatedEntry(at index: UInt64) throws -> LogEntry {
    if let entry = unsigned?.entry(at: index) { return entry }
    try requireEntry(index)
    return try proven.entry(at: index, in: transaction)
  }

  /// The bytes of that entry, for callers that need little of it.
  func authenticatedBytes(at index: UInt64) throws -> [UInt8] {
    if let entry = unsigned?.entry(at: index) { return entry.bytes }
    try requireEntry(index)
    return try proven.bytes(at: index, in: transaction)
  }

  private func requireEntry(_ index: UInt64) throws {
    guard index < proven.size else {
      throw VaultError(.corrupt, "the log has \(proven.size) entries, but a record names entry \(index)")
    }
  }

  /// Who holds the lease of this name; nil if nobody ever did, or it was given back. Leases are not authenticated.
  package func leaseHolder(of lease: String) throws -> LeaseHolder? { try transaction.leaseHolder(of: lease) }

  /// The key of `credential` as it is stored for owners.
  func wrappedKey(of credential: Credential) throws -> [UInt8] {
    guard let wrapped = try transaction.value(in: .keys, for: credential.id.bytes) else {
      throw VaultError(.corrupt, "the key of \(credential.name) is missing")
    }
    return wrapped
  }

  /// `names`, and the credentials of `all` that these administer, however long the chain: anyone with an
  /// administrator's pair can read at the provider the pairs of what it administers. Sorted by name.
  ///
  /// If a record is damaged or missing, nobody knows who administers that credential, so it counts as administered.
  func withAdministered(_ names: [String], of all: [String]) throws -> [String] {
    guard !names.isEmpty else { return [] }
    var reached = Set(names)
    var others: [(name: String, admin: String)] = []
    for name in all where !reached.contains(name) {
      do {
        others.append((name, try credential(name, isKept: false).admin))
      } catch let error as VaultError where error.isDamage { reached.insert(name) }
    }
    while true {
      let more = others.filter { !reached.contains($0.name) && reached.contains($0.admin) }
      guard !more.isEmpty else { return reached.sorted() }
      reached.formUnion(more.map(\.name))
    }
  }

  /// Whether the record of `name` can be read: false if there is none, or if it is damaged.
  package func canRead(_ name: String) throws -> Bool {
    do {
      _ = try credential(name, isKept: false)
      return true
    } catch let error as VaultError where error.isDamage || error.code == .unsupportedFormat { return false }
  }

  /// Whether there is a grant for `member`. Anyone who can write the store can make it seem so.
  func hasGrant(on credential: Credential, _ member: String) throws -> Bool {
    try transaction.value(in: .grants, for: credential.id.bytes + Array(member.utf8)) != nil
  }

  /// Hands `visit` every entry of the log with its index, in order. Only when this returns is it certain that the
  /// newest checkpoint covers what was visited.
  ///
  /// `isIdle` may leave out entries whose head (`EntryHead`) shows that they are valid and that `visit` does not need
  /// them.
  func replay(
    leavingOut isIdle: (_ entry: borrowing Span<UInt8>) -> Bool = { _ in false },
    _ visit: (_ entry: LogEntry, _ index: UInt64) throws -> Void
  ) throws {
    let size = known.end.size
    try AuditLog.replay(known.end, in: transaction, leavingOut: isIdle, visit)
    for index in size..<max(size, logSize) { try visit(authenticatedEntry(at: index), index) }
  }

  /// The name that a row is stored under.
  static func name(_ key: [UInt8]) throws -> String {
    guard let name = String(validating: key, as: UTF8.self) else {
      throw VaultError(.corrupt, "a record has a name that is not UTF-8")
    }
    return name
  }

  /// Whether there is a credential `name`.
  package func hasCredential(_ name: String) throws -> Bool {
    try transaction.value(in: .credentials, for: Array(name.utf8)) != nil
  }

  /// The credential `name`. Throws `notFound`.
  package func credential(_ name: String) throws -> Credential { try credential(name, isKept: true) }

  /// The same; `isKept` says whether this process is to remember it.
  func credential(_ name: String, isKept: Bool) throws -> Credential {
    guard let bytes = try transaction.value(in: .credentials, for: Array(name.utf8)) else {
      throw VaultError(.notFound, "the vault has no credential \(Name.printable(name))")
    }
    var reader = CredentialReader()
    return try credential(decoding: bytes, name: name, by: &reader, isKept: isKept)
  }

  /// What this process knows of the record of `name`; nil if nothing.
  func remembered(_ name: String) -> VaultMemory.Record? { memory?.record(of: name, under: known) }

  /// `isKept` says whether this process is to remember it: a caller that goes through all records does not come back
  /// for one.
  func credential(
    decoding bytes: [UInt8], name: String, by reader: inout CredentialReader, isKept: Bool
  ) throws -> Credential {
    if let record = remembered(name), record.bytes == bytes,
      try transaction.value(in: .log, for: record.credential.entry.bigEndianBytes) == record.entry.bytes
    {
      return record.credential
    }
    let credential = try askingLog(about: bytes, name) { try reader.credential(decoding: bytes, name: name) }
    let entry = try requireDigest(of: bytes, of: credential)
    try requireTerms(of: credential)
    try requireTransfer(of: credential)
    // What this transaction appends is learned when it is signed.
    if isKept, let memory, credential.entry < known.end.size {
      let record = VaultMemory.Record(bytes: bytes, credential: credential, entry: try LogEntry(decoding: entry))
      memory.learn(record, of: known.history)
    }
    return credential
  }

  /// The sealed pair of one version, or nil. It authenticates itself when it is opened.
  func sealedPair(of credential: Credential, _ version: UInt64) throws -> [UInt8]? {
    try transaction.value(in: .versions, for: credential.id.bytes + version.bigEndianBytes)
  }

  /// The sealed key of `credential` that `member` can open: for an owner the wrapped key, for others their grant.
  func sealedKey(of credential: Credential, for member: Member) throws -> [UInt8] {
    if member.card.role == .owner { return try wrappedKey(of: credential) }
    guard let grant = try transaction.value(in: .grants, for: credential.id.bytes + Array(member.name.utf8)) else {
      throw VaultError(.notPermitted, "member \(member.name) holds no grant on \(credential.name)")
    }
    return grant
  }

  /// Throws `notPermitted` unless `member` can open `credential`.
  package func requireKey(of credential: Credential, for member: Member) throws {
    _ = try sealedKey(of: credential, for: member)
  }

  /// The log entries of one rotation, in order: its journal. That of the newest rotation is known to be whole.
  package func journal(of credential: Credential, rotation: UInt64) throws -> [LogEntry] {
    let prefix = credential.id.bytes + rotation.bigEndianBytes
    let rows = try transaction.rows(in: .journal, withPrefix: prefix)
    guard rotation != credential.rotation || rows.count == Int(credential.steps) else {
      throw VaultError(
        .corrupt, "the journal of \(credential.name) has \(rows.count) steps, its record \(credential.steps)")
    }
    return try rows.enumerated().map { step, row in
      guard row.key == prefix + UInt32(clamping: step).bigEndianBytes, let index = UInt64(bigEndianBytes: row.value)
      else { throw VaultError(.corrupt, "the journal of \(credential.name) is damaged at step \(step)") }
      let entry = try authenticatedEntry(at: index)
      guard entry.says("credential", credential.name), entry.details["step"] == .integer(step),
        entry.details["rotation"] == .integer(Int(clamping: rotation))
      else { throw VaultError(.corrupt, "the journal of \(credential.name) points at another's log entry \(index)") }
      return entry
    }
  }

  /// Reads the record of `name`, which is `bytes`, by `read`. A newer program's record is sound, and must not be taken
  /// for damaged; but anybody can write bytes that claim to be one: `unsupportedFormat` becomes `corrupt` unless the log
  /// vouches for them.
  func askingLog(about bytes: [UInt8], _ name: String, _ read: () throws -> Credential) throws -> Credential {
    do { return try read() } catch let error as VaultError where error.code == .unsupportedFormat {
      guard try vouches(for: bytes, of: name) else {
        throw VaultError(
          .corrupt,
          "the record of \(Name.printable(name)) was altered: it has an unknown format or member, and no log entry names it"
        )
      }
      // Any member may have signed it, also one who wants to stay: there must be a way on without a newer program.
      throw VaultError(
        error.code, error.description,
        hint: "use a newer relatch; if there is none, `relatch remove \(name) --forget-debts` gives the credential up")
    }
  }

  /// Whether the log vouches for `bytes` as the record of `name`. This program knows nothing of them but which entry
  /// they name.
  private func vouches(for bytes: [UInt8], of name: String) throws -> Bool {
    guard case .object(let members)? = try? JSONValue(readingCanonical: bytes),
      case .integer(let index)? = members["entry"],
      let index = UInt64(exactly: index), index < logSize
    else { return false }
    let entry = try authenticatedEntry(at: index)
    return entry.says("credential", name) && entry.says("record", SHA256.hash(bytes).base64)
  }

  /// Fails unless the log entry named by the record of `credential`, whose bytes are `bytes`, is authentic, is about
  /// that credential, and carries the record's digest. Returns the entry's bytes.
  private func requireDigest(of bytes: [UInt8], of credential: Credential) throws -> [UInt8] {
    let found = try authenticatedBytes(at: credential.entry)
    let digest = SHA256.hash(bytes).base64
    let isIts: Bool
    if let head = EntryHead(of: found.span) {
      isIts =
        head.credential.map { found.span.equals(credential.name, at: $0) } ?? false
        && head.record.map { found.span.equals(digest, at: $0) } ?? false
    } else {
      let entry = try authenticatedEntry(at: credential.entry)
      isIts = entry.says("credential", credential.name) && entry.says("record", digest)
    }
    guard isIts else {
      throw VaultError(
        .corrupt,
        "the record of \(Name.printable(credential.name)) does not match log entry \(credential.entry): it was altered")
    }
    return found
  }
}
