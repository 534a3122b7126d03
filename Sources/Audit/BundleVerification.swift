import JSON
import Sodium

/// What verifying a bundle found.
package struct BundleReport: Hashable, Sendable {
  /// How many entries it has, including those that say who is a member.
  package let entries: UInt64
  /// The newest checkpoint, and who signed it.
  package let checkpoint: SignedCheckpoint
  package let signer: LogMember
  /// The vault's identifier in hexadecimal.
  package let vault: String
  /// The owner who created the vault.
  package let owner: LogMember
  /// Who is a member after the last entry in it.
  package let members: [LogMember]
  /// Checkpoints that this log extends, with cosignatures that are not verified yet.
  package let cosigned: [SignedCheckpoint]
}

/// The reader of a bundle (vault/bundle.md): line by line, offline, in constant memory. Do not use it after an error.
package struct BundleVerification {
  private enum Place {
    case head
    case newest
    /// A run's checkpoint, the proof of one more entry of the current run, a cosigned checkpoint, or the end.
    case next
    case entry(InclusionProof)
    case end
  }

  private struct Run {
    let signed: SignedCheckpoint
    /// The size of the previous run's checkpoint: this run's entries come after it.
    let start: UInt64
    var actor: String?
  }

  private let expectations: LogExpectations
  private var place = Place.head
  private var origin = ""
  private var newest: SignedCheckpoint?
  private var cosigned: [SignedCheckpoint] = []
  private var run: Run?
  private var membership: Membership?
  private var owner: LogMember?
  /// How many entries were added.
  private(set) var entries: UInt64 = 0
  /// The least index that the next entry can have.
  private var lower: UInt64 = 0
  /// Remembered checkpoints that have not been met yet.
  private var remembered: [Checkpoint]

  package init(expecting expectations: LogExpectations = LogExpectations()) {
    self.expectations = expectations
    remembered = expectations.remembered.filter { $0.size > 0 }
  }

  /// Adds the next line, without its newline. Throws `AuditError`.
  package mutating func add(_ line: [UInt8]) throws {
    guard line.count <= LogBundle.maximumLineLength else {
      throw AuditError(
        .malformed, "a line of a bundle has \(line.count) bytes, expected at most \(LogBundle.maximumLineLength)")
    }
    do {
      switch place {
      case .head: try readHead(line)
      case .newest: try readNewest(line)
      case .next: try readNext(line)
      case .entry(let proof):
        do { try add(line, proof) } catch let error as AuditError { throw error.at(proof.index) }
      case .end: throw AuditError(.malformed, "a bundle goes on after its end")
      }
    } catch let error as JSONError {
      throw AuditError(.malformed, "a line of a bundle: \(error)")
    }
  }

  /// Fails with `incomplete` if the bundle ends too early, and with `notFound` if it is sound but says nothing about a
  /// remembered checkpoint; otherwise returns what was verified.
  package func finish() throws -> BundleReport {
    guard case .end = place, let newest, let membership, let owner, let last = run else {
      throw AuditError(.incomplete, "a bundle ends too early")
    }
    if newest.checkpoint.size == last.signed.checkpoint.size, newest != last.signed {
      throw AuditError(.inconsistent, "a bundle has two checkpoints of \(newest.checkpoint.size) entries")
    }
    let signer = try membership.members.first { member in
      newest.note.isSigned(by: try NoteKey(name: origin, key: member.signing))
    }
    guard let signer else { throw AuditError(.unknownSigner, "no member signed the newest checkpoint of the bundle") }
    try newest.verify(by: signer.signing)
    if let missing = remembered.first {
      throw AuditError(
        .notFound, "the bundle has no checkpoint of \(missing.size) entries, and says nothing about the remembered one")
    }
    return BundleReport(
      entries: entries, checkpoint: newest, signer: signer, vault: membership.vault, owner: owner,
      members: membership.members, cosigned: cosigned)
  }

  // MARK: - Lines

  private mutating func readHead(_ line: [UInt8]) throws {
    var members = try JSONMembers(of: JSONValue(readingCanonical: line), "the head of a bundle")
    origin = try members.string("origin")
    let (type, version) = (try members.string("type"), try members.count("v"))
    try members.finish()
    guard type == "bundle", version == LogBundle.format else {
      throw AuditError(.malformed, "found \(type) of version \(version), expected a bundle of \(LogBundle.format)")
    }
    place = .newest
  }

  private mutating func readNewest(_ line: [UInt8]) throws {
    var members = try JSONMembers(of: JSONValue(readingCanonical: line), "a checkpoint of a bundle")
    let (signed, path) = try readCheckpoint(&members)
    guard path.isEmpty else { throw AuditError(.malformed, "a bundle's newest checkpoint has a path") }
    newest = signed
    try compareRemembered(signed.checkpoint)
    place = .next
  }

  private mutating func readNext(_ line: [UInt8]) throws {
    var members = try JSONMembers(of: JSONValue(readingCanonical: line), "a line of a bundle")
    if let type = try members.optionalString("type") {
      let count = try members.count("entries")
      try members.finish()
      guard type == "end", UInt64(count) == entries, run?.actor != nil else {
        throw AuditError(.incomplete, "a bundle ends with \(entries) entries, expected \(count)")
      }
      place = .end
      return
    }
    if let note = try members.optionalString("cosigned") {
      let path = try Self.readPath(&members)
      try members.finish()
      return try add(cosigned: SignedCheckpoint(decoding: Array(note.utf8)), path)
    }
    guard let index = try members.optionalCount("index") else {
      let (signed, path) = try readCheckpoint(&members)
      return try begin(signed, path)
    }
    let path = try Self.readPath(&members)
    try members.finish()
    guard let run else { throw AuditError(.malformed, "a bundle has a proof before the checkpoint of its run") }
    place = .entry(InclusionProof(index: UInt64(index), size: run.signed.checkpoint.size, path: path))
  }

  private func readCheckpoint(_ members: inout JSONMembers) throws -> (SignedCheckpoint, [SHA256Digest]) {
    let signed = try SignedCheckpoint(decoding: Array(members.string("note").utf8))
    let path = try Self.readPath(&members)
    try members.finish()
    guard signed.checkpoint.origin == origin else {
      throw AuditError(.inconsistent, "found a checkpoint of \(signed.checkpoint.origin), expected \(origin)")
    }
    // Anyone could add a line to a note; nothing would vouch for it.
    guard signed.note.signatures.count == 1 else {
      throw AuditError(.malformed, "a checkpoint in a bundle has one signature")
    }
    return (signed, path)
  }

  private static func readPath(_ members: inout JSONMembers) throws -> [SHA256Digest] {
    try members.array("path").map { value in
      guard case .string(let text) = value, let bytes = [UInt8](base64: text), let digest = try? SHA256Digest(bytes)
      else {
        throw AuditError(.malformed, "a path in a bundle has something other than base64 of 32 bytes")
      }
      return digest
    }
  }

  // MARK: - What they say

  private mutating func add(cosigned signed: SignedCheckpoint, _ path: [SHA256Digest]) throws {
    guard let newest, run == nil, cosigned.count < LogBundle.maximumCosigned else {
      throw AuditError(.malformed, "a bundle has a cosigned checkpoint where none belongs")
    }
    let (found, before) = (signed.checkpoint, cosigned.last?.checkpoint.size ?? 0)
    guard found.origin == origin, !signed.note.signatures.isEmpty else {
      throw AuditError(.inconsistent, "a cosigned checkpoint of another log or form, expected one of \(origin)")
    }
    guard found.size > before, found.size <= newest.checkpoint.size else {
      throw AuditError(.inconsistent, "a bundle's cosigned checkpoints of \(before) and \(found.size) are out of order")
    }
    try ConsistencyProof(first: found.size, second: newest.checkpoint.size, path: path)
      .verify(firstRoot: found.root, secondRoot: newest.checkpoint.root)
    try compareRemembered(found)
    cosigned.append(signed)
  }

  /// Begins the run that `signed` closes.
  private mutating func begin(_ signed: SignedCheckpoint, _ path: [SHA256Digest]) throws {
    guard let newest else { return }
    let (found, start) = (signed.checkpoint, run?.signed.checkpoint.size ?? 0)
    guard run == nil || run?.actor != nil else {
      throw AuditError(.malformed, "a bundle has a run's checkpoint and no entry of that run")
    }
    guard found.size > start, found.size <= newest.checkpoint.size else {
      throw AuditError(.inconsistent, "a bundle's checkpoints of \(start) and \(found.size) entries are out of order")
    }
    try ConsistencyProof(first: found.size, second: newest.checkpoint.size, path: path)
      .verify(firstRoot: found.root, secondRoot: newest.checkpoint.root)
    try compareRemembered(found)
    run = Run(signed: signed, start: start)
    lower = max(lower, start)
  }

  private mutating func add(_ line: [UInt8], _ proof: InclusionProof) throws {
    guard let run else { return }
    guard proof.index >= lower else {
      throw AuditError(.inconsistent, "found this entry where at least \(lower) was expected")
    }
    let entry = try LogEntry(decoding: line)
    try proof.verify(leafHash: MerkleTree.leafHash(line), root: run.signed.checkpoint.root)
    let actor: LogMember
    if membership == nil {
      guard proof.index == 0 else { throw AuditError(.incomplete, "a bundle begins with the entry vault.created") }
      let genesis = try Membership(genesis: entry)
      actor = try genesis.member(entry.member)
      try expectations.check(origin: genesis.origin, owner: actor)
      guard genesis.origin == origin else {
        throw AuditError(.inconsistent, "found the log of \(genesis.origin), expected \(origin)")
      }
      (membership, owner) = (genesis, actor)
    } else {
      guard let member = try membership?.member(entry.member) else { return }
      actor = member
      try membership?.apply(entry, at: proof.index)
    }
    if let before = run.actor {
      guard before == entry.member else {
        throw AuditError(.inconsistent, "an entry by \"\(entry.member)\" in a run by \"\(before)\"")
      }
    } else {
      try run.signed.verify(by: actor.signing)
      self.run?.actor = entry.member
    }
    entries += 1
    lower = proof.index + 1
    place = .next
  }

  private mutating func compareRemembered(_ found: Checkpoint) throws {
    for checkpoint in remembered where checkpoint.size == found.size {
      guard checkpoint.root == found.root, checkpoint.origin == found.origin else {
        throw AuditError(
          .inconsistent, "the first \(found.size) entries are not those of the remembered checkpoint")
      }
    }
    remembered.removeAll { $0.size == found.size }
  }
}
