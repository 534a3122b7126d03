package import Sodium

/// The hashes of RFC 6962 §2.1 with SHA-256, and the paths of §2.1.1 and §2.1.2 over stored nodes.
///
/// A tree of five leaves; `a`, `b` and `c` are complete subtrees, and only those are ever stored:
///
///          root
///         /    \
///        c      \
///      /   \     \
///     a     b     \
///    / \   / \     \
///   0   1 2   3     4
package enum MerkleTree {
  /// The root of no leaves: the hash of nothing.
  package static let emptyRoot = SHA256.hash([])

  /// The prefix byte keeps a leaf from being taken for a node (RFC 6962 §2.1, second-preimage resistance).
  package static func leafHash(_ entry: [UInt8]) -> SHA256Digest { leafHash(entry.span.bytes) }

  package static func leafHash(_ entry: RawSpan) -> SHA256Digest {
    var hasher = SHA256()
    hasher.update(0x00)
    hasher.update(entry)
    return hasher.finalize()
  }

  package static func nodeHash(_ left: SHA256Digest, _ right: SHA256Digest) -> SHA256Digest {
    var hasher = SHA256()
    hasher.update(0x01)
    hasher.update(left)
    hasher.update(right)
    return hasher.finalize()
  }

  /// The position of a complete subtree: it covers the 2^`level` leaves from `index` × 2^`level`.
  package struct Node: Hashable, Sendable {
    package let level: UInt8
    package let index: UInt64

    package init(level: UInt8, index: UInt64) {
      self.level = level
      self.index = index
    }
  }

  /// Looks up the hash of a complete subtree, wherever these are kept.
  package typealias NodeSource = (Node) throws -> SHA256Digest

  /// MTH(D[leaves]) of RFC 6962 §2.1: at most one node per level is read.
  package static func root(of leaves: Range<UInt64>, _ nodes: NodeSource) throws -> SHA256Digest {
    if leaves.isEmpty { return emptyRoot }
    let count = leaves.upperBound - leaves.lowerBound
    if count & (count - 1) == 0, leaves.lowerBound & (count - 1) == 0 {
      let level = UInt8(count.trailingZeroBitCount)
      return try nodes(Node(level: level, index: leaves.lowerBound >> level))
    }
    let middle = leaves.lowerBound + split(count)
    return try nodeHash(
      root(of: leaves.lowerBound..<middle, nodes), root(of: middle..<leaves.upperBound, nodes))
  }

  /// PATH(index, D[0:size]) of RFC 6962 §2.1.1, from the leaf's sibling upwards. `index` must be less than `size`.
  static func inclusionPath(of index: UInt64, size: UInt64, _ nodes: NodeSource) throws -> [SHA256Digest] {
    var path: [SHA256Digest] = []
    var leaves = 0..<size
    while leaves.upperBound - leaves.lowerBound > 1 {
      let middle = leaves.lowerBound + split(leaves.upperBound - leaves.lowerBound)
      let (inside, sibling) =
        index < middle
        ? (leaves.lowerBound..<middle, middle..<leaves.upperBound)
        : (middle..<leaves.upperBound, leaves.lowerBound..<middle)
      path.append(try root(of: sibling, nodes))
      leaves = inside
    }
    return path.reversed()
  }

  /// PROOF(first, D[0:second]) of RFC 6962 §2.1.2. `first` must be from 1 to `second`.
  static func consistencyPath(from first: UInt64, to second: UInt64, _ nodes: NodeSource) throws -> [SHA256Digest] {
    var path: [SHA256Digest] = []
    var leaves = 0..<second
    // SUBPROOF's flag b: whether the subtree is one whose root the verifier already holds as the first root.
    var isKnown = true
    while first < leaves.upperBound {
      let middle = leaves.lowerBound + split(leaves.upperBound - leaves.lowerBound)
      if first <= middle {
        path.append(try root(of: middle..<leaves.upperBound, nodes))
        leaves = leaves.lowerBound..<middle
      } else {
        path.append(try root(of: leaves.lowerBound..<middle, nodes))
        leaves = middle..<leaves.upperBound
        isKnown = false
      }
    }
    if !isKnown { path.append(try root(of: leaves, nodes)) }
    return path.reversed()
  }

  /// The largest power of two less than `count`, which is at least 2.
  private static func split(_ count: UInt64) -> UInt64 { 1 << UInt64(63 - (count - 1).leadingZeroBitCount) }
}
