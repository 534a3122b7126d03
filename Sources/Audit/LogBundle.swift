import JSON
import Sodium
package import Storage

/// A part of a log in one file, with all it takes to verify it offline (vault/bundle.md): the selected entries, who was
/// a member when, the checkpoints that the acting members signed, and the proofs that connect them.
package enum LogBundle {
  /// The most bytes a line may have.
  package static let maximumLineLength = 128 * 1024
  static let format = 1
  /// The most checkpoints with cosignatures that a bundle has.
  package static let maximumCosigned = 16

  /// What to include besides the entries that say who is a member.
  package struct Selection: Sendable {
    /// Names of credentials; if there are none, all entries are selected.
    package let credentials: Set<String>
    package let since: Timestamp?
    package let until: Timestamp?

    package init(credentials: Set<String> = [], since: Timestamp? = nil, until: Timestamp? = nil) {
      self.credentials = credentials
      self.since = since
      self.until = until
    }

    /// Whether `entry`, at `index`, is selected.
    package func includes(_ entry: LogEntry, at index: UInt64, in span: Span) -> Bool {
      guard span.includes(index) else { return false }
      if credentials.isEmpty { return true }
      guard let name = entry.credential else { return false }
      return credentials.contains { $0.utf8.elementsEqual(name.utf8) }
    }
  }

  /// The part of a log that a selection's times bound: from the first entry dated `since` or later to the last one
  /// dated `until` or before. Each member dates entries by their own clock, so every entry in between is included,
  /// whatever its time.
  package struct Span: Sendable {
    private let selection: Selection
    private var first: UInt64?
    private var last: UInt64?

    package init(of selection: Selection) { self.selection = selection }

    /// Whether all entries must be noted before `includes` can answer for any of them.
    package var isOfTime: Bool { selection.since != nil || selection.until != nil }

    /// Takes note of the entries in order.
    package mutating func note(_ time: Timestamp, at index: UInt64) {
      if first == nil, selection.since.map({ time >= $0 }) ?? true { first = index }
      if selection.until.map({ time <= $0 }) ?? true { last = index }
    }

    fileprivate func includes(_ index: UInt64) -> Bool {
      guard isOfTime else { return true }
      guard let first, let last else { return false }
      return first <= index && index <= last
    }
  }

  /// One checkpoint of each size, ascending, with the signatures of all that have its text.
  private static func merged(_ cosigned: [SignedCheckpoint]) -> [SignedCheckpoint] {
    var merged: [SignedCheckpoint] = []
    for signed in cosigned.sorted(by: { $0.checkpoint.size < $1.checkpoint.size })
    where merged.last?.checkpoint.size != signed.checkpoint.size {
      merged.append(signed.adding(signaturesOf: cosigned))
    }
    return merged
  }

  /// The key of each member, as the entries so far give it.
  private struct Cards {
    private var byName: [String: LogMember] = [:]

    mutating func note(_ entry: LogEntry) throws(AuditError) {
      guard let card = entry.details[entry.event == "vault.created" ? "owner" : "added"],
        entry.event == "vault.created" || entry.event == "member.added"
      else { return }
      let member = try LogMember(card)
      byName[member.name] = member
    }

    func key(of member: String) -> VerifyingKey? { byName[member]?.signing }
  }

  /// The key of the member who signed the newest checkpoint, if more than one of its signature lines might be theirs.
  private static func newestSigner(of end: LogEnd, in transaction: any ReadTransaction) throws -> VerifyingKey? {
    let checkpoint = end.checkpoint
    guard checkpoint.note.signatures.count(where: { $0.name == checkpoint.checkpoint.origin }) > 1 else { return nil }
    var cards = Cards()
    try AuditLog.replay(end, in: transaction) { entry, _ in try cards.note(entry) }
    return cards.key(of: end.last.member)
  }

  static let membershipEvents: Set<String> = ["vault.created", "member.added", "member.removed"]

  /// Writes the bundle of `selection` from the log that ends with `end`, line by line, without newlines. Each line is
  /// verified as a reader does before it goes to `output`; what was output is a bundle only if this returns.
  ///
  /// `cosigned` are checkpoints of this log with cosignatures of witnesses, and no other signatures. `remembered` are
  /// those that whoever gets the bundle has kept: at most `maximumCosigned`, each of at least one entry.
  ///
  /// Throws `AuditError` if the stored log does not support what is to be written, as when it does not extend one of
  /// `remembered`.
  package static func write(
    _ selection: Selection, of end: LogEnd, cosigned: [SignedCheckpoint] = [], remembered: [SignedCheckpoint] = [],
    in transaction: any ReadTransaction, to output: ([UInt8]) throws -> Void
  ) throws -> BundleReport {
    var verification = BundleVerification(expecting: LogExpectations(remembered: remembered.map(\.checkpoint)))
    func put(_ members: [String: JSONValue]) throws {
      let line = JSONValue.object(members).canonicalBytes
      try verification.add(line)
      try output(line)
    }
    var span = Span(of: selection)
    if span.isOfTime { try AuditLog.replay(end, in: transaction) { entry, index in span.note(entry.time, at: index) } }
    let nodes = StoredTree(transaction: transaction)
    let newest = end.checkpoint.checkpoint
    try put(["origin": .string(newest.origin), "type": "bundle", "v": .integer(format)])
    try put(["note": end.checkpoint.line(of: newestSigner(of: end, in: transaction)).json, "path": .array([])])
    // If there are too many, those that were asked for come before the others.
    let others = merged(cosigned).filter { one in !remembered.contains { $0.checkpoint.size == one.checkpoint.size } }
    let asked = merged(remembered).map { $0.adding(signaturesOf: cosigned) }
    for signed in merged(asked + others.suffix(maximumCosigned - asked.count)) {
      let proof = try ConsistencyProof(from: signed.checkpoint.size, to: newest.size, nodes.hash)
      try put(["cosigned": signed.json, "path": .array(proof.path.map(\.json))])
    }
    var checkpoints = RowPages(of: .checkpoints)
    var run: (signed: SignedCheckpoint, isWritten: Bool)?
    var cards = Cards()
    try AuditLog.replay(end, in: transaction) { entry, index in
      try cards.note(entry)
      // A removed member may come back under the same name with another key, so every change of members is included.
      guard membershipEvents.contains(entry.event) || selection.includes(entry, at: index, in: span)
      else { return }
      while run.map({ $0.signed.checkpoint.size <= index }) ?? true {
        guard let row = try checkpoints.next(in: transaction) else {
          throw AuditError(.incomplete, entry: index, "no checkpoint covers this entry")
        }
        run = (try SignedCheckpoint(decoding: row.value), false)
      }
      guard let current = run else { return }
      let size = current.signed.checkpoint.size
      if !current.isWritten {
        let proof = try ConsistencyProof(from: size, to: newest.size, nodes.hash)
        try put([
          "note": current.signed.line(of: cards.key(of: entry.member)).json, "path": .array(proof.path.map(\.json)),
        ])
        run?.isWritten = true
      }
      let proof = try InclusionProof(of: index, size: size, nodes.hash)
      try put(["index": .integer(Int(clamping: index)), "path": .array(proof.path.map(\.json))])
      try verification.add(entry.bytes)
      try output(entry.bytes)
    }
    try put(["entries": .integer(Int(clamping: verification.entries)), "type": "end"])
    return try verification.finish()
  }
}

extension SignedCheckpoint {
  /// The checkpoint with only the line that `key` made or, if that is not known, with all lines in the name of the log.
  /// Anyone who can write the store can add other lines, and a bundle has none that nothing vouches for.
  fileprivate func line(of key: VerifyingKey?) throws(AuditError) -> SignedCheckpoint {
    let id = try key.map { key throws(AuditError) in try NoteKey(name: checkpoint.origin, key: key).id }
    return SignedCheckpoint(
      checkpoint,
      SignedNote(
        text: note.text,
        signatures: note.signatures.filter { $0.name == checkpoint.origin && (id == nil || $0.keyID == id) }))
  }

  fileprivate var json: JSONValue { .string(String(decoding: bytes, as: UTF8.self)) }
}

extension SHA256Digest {
  fileprivate var json: JSONValue { .string(bytes.base64) }
}
