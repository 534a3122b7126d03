import Sodium
package import Storage

/// The part of a log's stored tree that was proved to be under one signed checkpoint, for reading many entries one
/// after the other: each proof ends at the first node that an earlier one passed through.
///
/// Only what was proved is kept, and never more than two megabytes of it.
package final class ProvenTree {
  /// Powers of two.
  private static let (levels, placesOfLevel) = (16, 1 << 10)
  private static let maximumFirst = 128

  private typealias Proven = (node: MerkleTree.Node, hash: SHA256Digest)

  private let frontier: MerkleFrontier
  /// What was proved first, which is enough for reading a few entries. Moved into `proven` when it is full.
  private var first: [Proven] = []
  /// Each node at the one place that its level and index determine; a later node replaces an earlier one.
  private var proven: [Proven?] = []

  /// A tree under `end`, whose frontier has the root of its checkpoint.
  package init(_ end: LogEnd) { frontier = end.frontier }

  /// How many entries the log has.
  package var size: UInt64 { frontier.size }

  /// The entry at `index`, which the checkpoint is proved to cover. Throws `notFound` if there is none, `corrupt` if it
  /// or the stored tree was changed.
  package func entry(at index: UInt64, in transaction: any ReadTransaction) throws -> LogEntry {
    let bytes = try bytes(at: index, in: transaction)
    do { return try LogEntry(decoding: bytes) } catch { throw error.at(index) }
  }

  /// The entry's bytes, for callers that need little of it.
  package func bytes(at index: UInt64, in transaction: any ReadTransaction) throws -> [UInt8] {
    guard index < size, let bytes = try transaction.value(in: .log, for: index.bigEndianBytes) else {
      throw AuditError(.notFound, "there is no entry \(index) in the log")
    }
    try prove(MerkleTree.leafHash(bytes), at: index, in: StoredTree(transaction: transaction))
    return bytes
  }

  private func prove(_ leafHash: SHA256Digest, at index: UInt64, in nodes: StoredTree) throws {
    var (node, hash) = (MerkleTree.Node(level: 0, index: index), leafHash)
    var passed: [Proven] = []
    while true {
      if let known = frontier.subtree(node) ?? known(node) {
        guard known == hash else {
          throw AuditError(.corrupt, entry: index, "found other bytes than the log's tree has the hash of")
        }
        break
      }
      let sibling = MerkleTree.Node(level: node.level, index: node.index ^ 1)
      let other = try nodes.hash(sibling)
      if passed.isEmpty { passed.reserveCapacity(64) }
      passed.append((node, hash))
      passed.append((sibling, other))
      hash = node.index & 1 == 0 ? MerkleTree.nodeHash(hash, other) : MerkleTree.nodeHash(other, hash)
      node = MerkleTree.Node(level: node.level + 1, index: node.index >> 1)
    }
    keep(passed)
  }

  private func known(_ node: MerkleTree.Node) -> SHA256Digest? {
    guard !proven.isEmpty else { return first.first { $0.node == node }?.hash }
    guard let found = proven[Self.place(of: node)], found.node == node else { return nil }
    return found.hash
  }

  private func keep(_ passed: [Proven]) {
    if proven.isEmpty, first.count + passed.count <= Self.maximumFirst {
      first += passed
      return
    }
    if proven.isEmpty {
      proven = Array(repeating: nil, count: Self.levels * Self.placesOfLevel)
      for known in first { proven[Self.place(of: known.node)] = known }
      first = []
    }
    for known in passed { proven[Self.place(of: known.node)] = known }
  }

  /// Each level has `placesOfLevel` places, and the highest levels share theirs. Leaves near each other are read at
  /// about the same time, and of the upper levels all nodes are kept.
  private static func place(of node: MerkleTree.Node) -> Int {
    min(Int(node.level), levels - 1) * placesOfLevel + Int(truncatingIfNeeded: node.index) & (placesOfLevel - 1)
  }
}
