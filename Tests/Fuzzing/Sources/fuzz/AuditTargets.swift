import JSON
import Sodium
import Storage
import Vault

@testable import Audit

let auditTargets = [
  FuzzTarget("log-entry", seeds: { log.entries.map(\.bytes) }) { input in
    let entry = try? LogEntry(decoding: input)
    for member in ["alice", entry?.member ?? "bob"] where LogEntry.isMember(member) {
      guard let head = EntryHead(of: input, by: Array(member.utf8)) else { continue }
      require(entry?.member == member && entry?.time == head.time, "an entry that is read in two ways")
      require(try entry.flatMap { try Membership.Change($0) } == nil, "a change of members that is overlooked")
    }
    guard let entry else { return }
    let again = try LogEntry(time: entry.time, member: entry.member, event: entry.event, details: entry.details)
    require(entry.bytes == input && again.bytes == input, "an entry with a second spelling")
    _ = try Membership.Change(entry)
    var membership = try Membership(genesis: entry)
    try membership.apply(entry, at: 1)
  },
  FuzzTarget("card", seeds: { cards.map { $0.json.canonicalBytes } }) { input in
    let card = try LogMember(JSONValue(readingCanonical: input))
    require(card.json.canonicalBytes == input, "a card with a second spelling")
  },
  FuzzTarget("checkpoint", seeds: { [log.checkpoint.bytes, Array(noteKey.description.utf8)] }) { input in
    if let key = try? NoteKey(String(decoding: input, as: UTF8.self)) {
      require(Array(key.description.utf8) == input, "a key with a second spelling")
    }
    let note = try SignedNote(decoding: input)
    require(note.bytes == input, "a note with a second spelling")
    let signed = try SignedCheckpoint(decoding: input)
    require(signed.bytes == input && Array(signed.checkpoint.text.utf8) == Array(note.text.utf8), "another checkpoint")
    try signed.verify(by: noteKey.key)
    require(signed.checkpoint == log.checkpoint.checkpoint, "a checkpoint that nobody signed")
  },
  FuzzTarget("witness-answer", seeds: { [[0] + cosignature, [1], [1, 0, 0, 9, 1], [0] + Array("20852014\n".utf8)] }) {
    input in
    guard let mode = input.first else { return }
    let rest = input.dropFirst()
    if let size = try? WitnessExchange.size(Array(rest)) {
      require(Array("\(size)\n".utf8) == Array(rest), "a size with a second spelling")
    }
    if let key = try? WitnessKey(String(decoding: rest, as: UTF8.self)) {
      require(Array(key.description.utf8) == Array(rest), "a key with a second spelling")
    }
    let answer = mode & 1 == 0 ? Array(rest) : edited(cosignature, by: rest)
    let cosigned = try log.checkpoint.cosigned(by: witnessKey, answer: answer)
    let lines = cosigned.note.signatures
    require(
      lines.count == 2 && cosigned.note.text == log.checkpoint.note.text, "a checkpoint with more than was asked for")
    require(try cosigned.cosignature(by: witnessKey)?.time == 1_767_225_700, "a cosignature that nobody made")
    require(try SignedCheckpoint(decoding: cosigned.bytes) == cosigned, "a cosigned checkpoint that is not read back")
  },
  FuzzTarget("witness", seeds: { witnesses.map { $0.json.canonicalBytes } }) { input in
    let witness = try Witness(JSONValue(readingCanonical: input))
    require(witness.json.canonicalBytes == input, "a witness with a second spelling")
  },
  FuzzTarget("proof", seeds: { log.proofs.map { [0] + $0.bytes } + [[1, 0, 0, 0, 1]] }) { input in
    guard let mode = input.first else { return }
    let rest = input.dropFirst()
    let index = Int(mode >> 1) % log.entries.count
    let bytes = mode & 1 == 0 ? Array(rest) : edited(log.proofs[index].bytes, by: rest)
    let proof = try LogProof(decoding: bytes)
    require(proof.bytes == bytes, "a proof with a second spelling")
    // Proofs of any shape must be refused, however wrong their numbers are.
    let root = log.checkpoint.checkpoint.root
    for size in [proof.index, proof.checkpoint.checkpoint.size, .max] {
      try? InclusionProof(index: proof.index, size: size, path: proof.path).verify(leafHash: root, root: root)
      try? ConsistencyProof(first: proof.index, second: size, path: proof.path)
        .verify(firstRoot: root, secondRoot: root)
    }
    for entry in log.entries where (try? proof.verify(entry.bytes, by: noteKey.key)) != nil {
      require(log.entries[Int(proof.index)] == entry, "a proof of an entry that stands elsewhere")
      require(proof.path == log.proofs[Int(proof.index)].path, "a proof by another path")
    }
  },
  FuzzTarget("log-file", seeds: { [[0] + log.file, [1], [1, 0, 0, 9, 1]] }) { input in
    guard let mode = input.first else { return }
    let rest = input.dropFirst()
    let expecting = LogExpectations(owner: noteKey, remembered: [log.checkpoint.checkpoint])
    let file = mode & 1 == 0 ? Array(rest) : edited(log.file, by: rest)
    _ = try? LogFile.verify(file, in: Tables(), expecting: LogExpectations())
    let report = try LogFile.verify(file, in: Tables(), expecting: expecting)
    require(
      report.entries == UInt64(log.entries.count) && report.root == log.checkpoint.checkpoint.root
        && report.members == log.report.members && report.checkpoint.checkpoint == log.checkpoint.checkpoint,
      "an altered log is taken for the one that was signed")
  },
  FuzzTarget("timestamp", seeds: { times }) { input in
    let text = String(decoding: input, as: UTF8.self)
    if let moment = Timestamp(text) {
      require(Array(moment.description.utf8) == input, "a moment with a second spelling")
    }
    if let moment = Timestamp(rfc3339: text) {
      require(Timestamp(moment.description) == moment, "a moment that is written otherwise than read")
      require(Timestamp(rfc3339: moment.description) == moment, "a moment that is read in two ways")
    }
  },
]

private let cards = made {
  [
    try Fixed.identity.card(named: "alice", role: .owner), try Fixed.other.card(named: "bob", role: .operator),
  ]
}
private let noteKey = made { try NoteKey(name: log.origin, key: Fixed.identity.signingKey.verifyingKey) }
private let witnessKey = made { try WitnessKey(name: "witness.example/w1", key: Fixed.other.signingKey.verifyingKey) }
private let cosignature = made {
  let line = Cosignature.signature(
    over: log.checkpoint.note.text, time: 1_767_225_700, by: witnessKey, key: Fixed.other.signingKey)
  let note = SignedNote(text: log.checkpoint.note.text, signatures: [line]).bytes
  return Array(note.dropFirst(log.checkpoint.note.text.utf8.count + 1))
}
private let witnesses = made {
  [
    try Witness(name: "usb", kind: .file(path: "/mnt/usb/note")),
    try Witness(name: "all", kind: .folder(path: "/mnt/all")),
    try Witness(name: "ask", kind: .command(["/usr/bin/ask", "w1"], witnessKey)),
    try Witness(name: "w1", kind: .http(url: "https://witness.example/prefix", witnessKey)),
  ]
}
private let times = [
  "2026-11-21T09:20:00.123Z", "2026-11-21 09:20:00+05:30", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999-23:59",
  "2024-02-29t00:00:00z",
].map { Array($0.utf8) }

private let log = made { try Log() }

/// A log of three runs, the last by alice, and everything made from it.
private struct Log: Sendable {
  let vault = "00112233445566778899aabbccddeeff"
  let origin: String
  let entries: [LogEntry]
  let checkpoint: SignedCheckpoint
  let proofs: [LogProof]
  let file: [UInt8]
  let report: LogReport

  init() throws {
    origin = "relatch/" + vault
    let start = Timestamp(milliseconds: 1_767_225_600_000)
    let about: [String: JSONValue] = ["credential": "crm/prod", "version": 2]
    let told: [(String, String, [String: JSONValue])] = [
      ("alice", "vault.created", ["vault": .string(vault), "owner": cards[0].json]),
      ("alice", "member.added", ["added": cards[1].json]), ("bob", "rotation.staged", about),
      ("bob", "rotation.promoted", about), ("alice", "member.removed", ["removed": "bob"]),
      ("alice", "rotation.refused", about),
    ]
    entries = try told.enumerated().map { index, told in
      try LogEntry(time: start + .seconds(index), member: told.0, event: told.1, details: told.2)
    }
    let tables = Tables()
    for entry in entries {
      let identity = entry.member == "alice" ? Fixed.identity : Fixed.other
      _ = try AuditLog.append(
        [entry], by: LogSigner(member: entry.member, origin: origin, key: identity.signingKey), in: tables
      ) { name in cards.first { $0.name == name }?.signing }
    }
    guard let newest = try AuditLog.latestCheckpoint(in: tables) else { fatalError("the log has no checkpoint") }
    checkpoint = newest
    let size = newest.checkpoint.size
    proofs = try (0..<size).map { index in
      let proof = try AuditLog.inclusionProof(of: index, size: size, in: tables)
      return LogProof(index: index, path: proof.path, checkpoint: newest)
    }
    file = try LogFile.text(storedIn: tables)
    report = try LogVerification.verify(storedIn: tables)
  }
}
