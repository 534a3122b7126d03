import JSON
import Sodium
import Storage
import Testing

@testable import Audit

/// Members with keys made from their names, and the logs they write.
struct Fixture {
  static let vault = "00112233445566778899aabbccddeeff"
  static let origin = "relatch/" + vault

  /// The seed of every key in the vectors: SHA-256 of the member's name.
  static func key(of name: String) throws -> SigningKey {
    let seed = SHA256.hash(Array(name.utf8)).bytes
    return try SigningKey(seed: seed.span.bytes)
  }

  static func signer(_ name: String) throws -> LogSigner {
    LogSigner(member: name, origin: origin, key: try key(of: name))
  }

  static func card(_ name: String, _ role: LogMember.Role) throws -> LogMember {
    LogMember(name: name, age: "age1\(name)", signing: try key(of: name).verifyingKey, role: role)
  }

  /// The keys of everyone who takes part in a test.
  static func keys(_ name: String) throws -> VerifyingKey? {
    ["ana", "bo", "cy"].contains(name) ? try key(of: name).verifyingKey : nil
  }

  static func entry(_ name: String, _ event: String, at second: Int64, _ details: [String: JSONValue] = [:]) throws
    -> LogEntry
  {
    // 2026-11-21T09:20:00Z, plus one second for each entry.
    let time = Timestamp(milliseconds: 1_795_252_800_000 + second * 1000)
    return try LogEntry(time: time, member: name, event: event, details: details)
  }

  static func genesis() throws -> LogEntry {
    try entry("ana", "vault.created", at: 0, ["vault": .string(vault), "owner": card("ana", .owner).json])
  }

  static func added(_ name: String, _ role: LogMember.Role = .operator, by actor: String = "ana", at second: Int64)
    throws -> LogEntry
  {
    try entry(actor, "member.added", at: second, ["added": card(name, role).json])
  }

  /// Seven entries in three runs: ana creates the vault and adds bo; bo rotates; ana removes bo.
  static func runs() throws -> [(member: String, entries: [LogEntry])] {
    [
      ("ana", [try genesis(), try added("bo", at: 1)]),
      (
        "bo",
        [
          try entry("bo", "rotation.staged", at: 2, ["credential": "crm/prod", "version": 2]),
          try entry("bo", "rotation.validated", at: 3, ["credential": "crm/prod", "version": 2]),
          try entry("bo", "rotation.promoted", at: 4, ["credential": "crm/prod", "version": 2]),
        ]
      ),
      (
        "ana",
        [
          try entry("ana", "member.removed", at: 5, ["removed": "bo"]),
          try entry("ana", "rotation.refused", at: 6, ["credential": "crm/prod", "version": 1]),
        ]
      ),
    ]
  }

  /// The log of `runs`, in a store.
  static func log() throws -> MemoryTransaction {
    let store = MemoryTransaction()
    for run in try runs() {
      // One by one, so that checkpoints are replaced as they are in use.
      for entry in run.entries { _ = try AuditLog.append([entry], by: signer(run.member), in: store, knowing: keys) }
    }
    return store
  }

  /// The newest checkpoint of `store`, whose end is as it must be.
  static func newest(of store: MemoryTransaction) throws -> Checkpoint {
    try #require(try AuditLog.authenticateHead(in: store, knowing: keys)).checkpoint.checkpoint
  }

  /// The parts of a log file made by hand: each run's entries and its checkpoint, signed by `signers` or by the run's
  /// member.
  static func file(_ runs: [(member: String, entries: [LogEntry])], signedBy signers: [String?] = []) throws
    -> [[UInt8]]
  {
    var frontier = MerkleFrontier()
    var parts: [[UInt8]] = []
    for (index, run) in runs.enumerated() {
      for entry in run.entries {
        frontier.append(leafHash: MerkleTree.leafHash(entry.bytes))
        parts.append(entry.bytes + [0x0A])
      }
      let name = (index < signers.count ? signers[index] : nil) ?? run.member
      let checkpoint = try Checkpoint(origin: origin, size: frontier.size, root: frontier.root)
      parts.append(try SignedCheckpoint(checkpoint, key: key(of: name)).bytes)
    }
    return parts
  }
}

extension LogFile {
  /// Verifies the log that `text` shows.
  static func verify(_ text: [UInt8], expecting expectations: LogExpectations = LogExpectations()) throws -> LogReport {
    try verify(text, in: MemoryTransaction(), expecting: expectations)
  }
}

extension LogVerification {
  /// Adds the next entry, as `addStored` does, but hashes it at once.
  mutating func add(entry bytes: [UInt8]) throws(AuditError) {
    _ = try read(entry: bytes.span)
    var tree = tree
    tree.append(leafHash: MerkleTree.leafHash(bytes))
    try catchUp(tree)
  }
}

extension [UInt8] {
  init(hex: String) {
    let digits = hex.utf8.map { UInt8($0 < 58 ? $0 - 48 : $0 - 87) }
    self = stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  /// A copy with one bit changed.
  func flipping(bit: Int) -> [UInt8] {
    var copy = self
    copy[bit / 8] ^= 1 << UInt8(bit % 8)
    return copy
  }
}
