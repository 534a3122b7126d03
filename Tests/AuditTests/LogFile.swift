import Sodium
import Storage

@testable import Audit

/// A log as one text, as vault/log.md shows it and the vectors have it: a line for each entry, and after each run its
/// checkpoint.
enum LogFile {
  /// Puts the log that `text` shows into an empty store, with the tree of its entries, as if its writers had left it
  /// so. Each checkpoint is stored where it stands, whatever it says: only the verification of the store judges it.
  static func put(_ text: [UInt8], in transaction: any WriteTransaction) throws {
    guard text.last == 0x0A else { throw AuditError(.malformed, "a log file must end with a newline") }
    var frontier = MerkleFrontier()
    var note: [UInt8] = []
    func endNote() throws {
      if !note.isEmpty { try transaction.set(note, in: .checkpoints, for: frontier.size.bigEndianBytes) }
      note = []
    }
    for line in text.dropLast().split(separator: 0x0A, omittingEmptySubsequences: false).map(Array.init) {
      // No line of our checkpoints begins like an entry.
      guard line.first == UInt8(ascii: "{") else {
        note += line + [0x0A]
        continue
      }
      try endNote()
      try transaction.set(line, in: .log, for: frontier.size.bigEndianBytes)
      try frontier.append(leafHash: MerkleTree.leafHash(line)) { try transaction.set($1.bytes, in: .tree, for: $0.key) }
    }
    try endNote()
  }

  /// Verifies the log that `text` shows, in `transaction`, whose store is empty.
  static func verify(
    _ text: [UInt8], in transaction: any WriteTransaction, expecting expectations: LogExpectations
  ) throws -> LogReport {
    try put(text, in: transaction)
    return try LogVerification.verify(storedIn: transaction, expecting: expectations)
  }

  /// The log in a store, as such a text.
  static func text(storedIn transaction: any ReadTransaction) throws -> [UInt8] {
    var checkpoints = try transaction.rows(in: .checkpoints)[...]
    var text: [UInt8] = []
    for entry in try transaction.rows(in: .log) {
      // The checkpoint of a size comes before the entry with that index.
      while let found = checkpoints.first, !entry.key.lexicographicallyPrecedes(found.key) {
        text += found.value
        checkpoints.removeFirst()
      }
      text += entry.value + [0x0A]
    }
    return text + checkpoints.flatMap(\.value)
  }
}
