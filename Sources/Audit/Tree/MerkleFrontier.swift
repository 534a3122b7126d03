package import Sodium

/// The right edge of a growing tree: the roots of its maximal complete subtrees, one for each bit set in its size.
/// Enough to append and to know the root, in constant memory.
package struct MerkleFrontier: Sendable {
  package private(set) var size: UInt64
  /// From the largest subtree to the smallest, which is from left to right.
  private var subtrees: [SHA256Digest]

  /// The frontier of no leaves.
  package init() {
    size = 0
    subtrees = []
  }

  /// The frontier of a tree of `size` leaves whose complete subtrees `nodes` knows.
  package init(size: UInt64, _ nodes: MerkleTree.NodeSource) throws {
    self.size = size
    subtrees = []
    for level in (UInt8(0)..<64).reversed() where size >> level & 1 == 1 {
      // The subtree starts where the larger ones before it end: at the bits of the size above this one.
      subtrees.append(try nodes(MerkleTree.Node(level: level, index: (size >> level) - 1)))
    }
  }

  /// Adds one leaf and reports every subtree it completes, the leaf first.
  package mutating func append(
    leafHash: SHA256Digest, completing: (MerkleTree.Node, SHA256Digest) throws -> Void
  ) rethrows {
    var hash = leafHash
    var node = MerkleTree.Node(level: 0, index: size)
    try completing(node, hash)
    // Adding 1 to the size carries through its trailing ones; each carry joins two subtrees.
    for _ in 0..<(~size).trailingZeroBitCount {
      guard let left = subtrees.popLast() else { break }
      hash = MerkleTree.nodeHash(left, hash)
      node = MerkleTree.Node(level: node.level + 1, index: node.index >> 1)
      try completing(node, hash)
    }
    subtrees.append(hash)
    size += 1
  }

  /// The hash of `node` if it is one of the maximal complete subtrees; otherwise nil.
  func subtree(_ node: MerkleTree.Node) -> SHA256Digest? {
    guard node.level < 64, size >> node.level & 1 == 1, node.index == (size >> node.level) - 1 else { return nil }
    // One for each larger bit of the size comes before it.
    return subtrees[(node.level == 63 ? 0 : size >> (node.level + 1)).nonzeroBitCount]
  }

  /// Adds one leaf.
  package mutating func append(leafHash: SHA256Digest) { append(leafHash: leafHash) { _, _ in } }

  /// The root of the tree (RFC 6962 §2.1).
  package var root: SHA256Digest {
    guard var hash = subtrees.last else { return MerkleTree.emptyRoot }
    for left in subtrees.dropLast().reversed() { hash = MerkleTree.nodeHash(left, hash) }
    return hash
  }
}
