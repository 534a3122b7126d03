import Sodium
import Storage

/// A fingerprint of a tree's nodes: the sum of their hashes under a key that is new for each fingerprint, so that
/// nobody who alters rows can know how to make up for it. Constant memory for a tree of any size.
struct TreeSum: Equatable {
  private let keyed: KeyedHash
  private var sum: UInt64 = 0
  private var count: UInt64 = 0

  /// The sum of no nodes, under a new key.
  init() { keyed = KeyedHash() }

  private init(keyOf other: TreeSum) { keyed = other.keyed }

  /// Whether two sums under the same key are of the same nodes.
  static func == (left: Self, right: Self) -> Bool { left.sum == right.sum && left.count == right.count }

  mutating func add(_ node: MerkleTree.Node, _ hash: SHA256Digest) {
    add(level: node.level, index: node.index, hash.words)
  }

  private mutating func add(level: UInt8, index: UInt64, _ digest: SIMD4<UInt64>) {
    var hasher = keyed.hasher
    // Whole words: the hasher would have to assemble anything smaller.
    hasher.combine(UInt64(level))
    hasher.combine(index)
    for place in 0..<4 { hasher.combine(digest[place]) }
    sum &+= UInt64(bitPattern: Int64(hasher.finalize()))
    count += 1
  }

  /// Whether the table `tree` has exactly these nodes.
  func isOfRows(in transaction: any ReadTransaction) throws -> Bool {
    var rows = TreeSum(keyOf: self)
    var isReadable = true
    try transaction.scan(.tree, from: []) { key, value in
      guard key.count == 9, value.count == SHA256Digest.size else {
        isReadable = false
        return false
      }
      let index = UInt64(bigEndian: key.bytes.unsafeLoadUnaligned(fromByteOffset: 1, as: UInt64.self))
      rows.add(
        level: key[0], index: index, value.bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: SIMD4<UInt64>.self))
      return true
    }
    return isReadable && rows == self
  }
}
