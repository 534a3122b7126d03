import Sodium
package import Storage

/// The part of a log's stored tree that was proved to be under one signed checkpoint, while many entries are read one after
/// the other: each proof ends at the first node that an earlier one has been through.
///
/// Only what was proved is kept, and never more than some megabytes of it.
package final class ProvenTree {
  /// Nodes below this level are cheaper to prove again than to keep.
  private static let lowestKept: UInt8 = 3
  private static let mostKept = 1 << 15

  private let frontier: MerkleFrontier
  /// What was proved first; who reads a few entries needs no more. Moved into `proven` when it is full.
  private var first: [(node: MerkleTree.Node, hash: SHA256Digest)] = []
  private static let mostFirst = 128
  private var proven: [MerkleTree.Node: SHA256Digest] = [:]

  /// Under `end`, whose frontier has the root that its checkpoint has.
  package init(_ end: LogEnd) { frontier = end.frontier }

  /// How many entries the log has.
  package var size: UInt64 { frontier.size }

  /// The entry at `index`, which the checkpoint is proved to cover. Throws `notFound` if there is none, `corrupt` if it or
  /// the stored tree was changed.
  package func entry(at index: UInt64, in transaction: any ReadTransaction) throws -> LogEntry {
    guard index < size, let bytes = try transaction.value(in: .log, for: index.bigEndianBytes) else {
      throw AuditError(.notFound, "there is no entry \(index) in the log")
    }
    try prove(MerkleTree.leafHash(bytes), at: index, in: StoredTree(transaction: transaction))
    do { return try LogEntry(decoding: bytes) } catch { throw error.at(index) }
  }

  private func prove(_ leafHash: SHA256Digest, at index: UInt64, in nodes: StoredTree) throws {
    var (node, hash) = (MerkleTree.Node(level: 0, index: index), leafHash)
    var passed: [(MerkleTree.Node, SHA256Digest)] = []
    while true {
      if let known = frontier.subtree(node) ?? known(node) {
        guard known == hash else {
          throw AuditError(.corrupt, entry: index, "found other bytes than the log's tree has the hash of")
        }
        break
      }
      let sibling = MerkleTree.Node(level: node.level, index: node.index ^ 1)
      let other = try nodes.hash(sibling)
      if node.level >= Self.lowestKept { passed += [(node, hash), (sibling, other)] }
      hash = node.index & 1 == 0 ? MerkleTree.nodeHash(hash, other) : MerkleTree.nodeHash(other, hash)
      node = MerkleTree.Node(level: node.level + 1, index: node.index >> 1)
    }
    keep(passed)
  }

  private func known(_ node: MerkleTree.Node) -> SHA256Digest? {
    proven.isEmpty ? first.first { $0.node == node }?.hash : proven[node]
  }

  private func keep(_ passed: [(MerkleTree.Node, SHA256Digest)]) {
    if proven.isEmpty, first.count + passed.count <= Self.mostFirst {
      first += passed
    } else {
      if proven.count + first.count + passed.count > Self.mostKept { proven = [:] }
      for (node, hash) in first { proven[node] = hash }
      for (node, hash) in passed { proven[node] = hash }
      first = []
    }
  }
}
