import Sodium
import Storage

/// The nodes of a tree, told apart from any others by the sum of their hashes under a key that is another in each of these: whoever
/// alters rows cannot know by what to make up for it. Constant memory for a tree of any size.
struct TreeSum: Equatable {
  private let first: UInt64
  private let second: UInt64
  private var sum: UInt64 = 0
  private var count: UInt64 = 0

  /// Of no nodes, under a new key.
  init() {
    first = UInt64.random(in: 0...UInt64.max)
    second = UInt64.random(in: 0...UInt64.max)
  }

  private init(keyOf other: TreeSum) { (first, second) = (other.first, other.second) }

  mutating func add(_ node: MerkleTree.Node, _ hash: SHA256Digest) {
    add(level: node.level, index: node.index) { hasher in
      hash.withUnsafeBytes { hasher.combine(bytes: $0) }
    }
  }

  private mutating func add(level: UInt8, index: UInt64, _ digest: (inout Hasher) -> Void) {
    var hasher = Hasher()
    hasher.combine(first)
    hasher.combine(second)
    hasher.combine(level)
    hasher.combine(index)
    digest(&hasher)
    sum &+= UInt64(bitPattern: Int64(hasher.finalize()))
    count += 1
  }

  /// Whether the table `tree` has just these nodes.
  func isOfRows(in transaction: any ReadTransaction) throws -> Bool {
    var rows = TreeSum(keyOf: self)
    var isReadable = true
    try transaction.scan(.tree, from: []) { key, value in
      guard key.count == 9, value.count == SHA256Digest.size else {
        isReadable = false
        return false
      }
      var index: UInt64 = 0
      for place in 1..<9 { index = index << 8 | UInt64(key[place]) }
      rows.add(level: key[0], index: index) { hasher in
        value.withUnsafeBufferPointer { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
      }
      return true
    }
    return isReadable && rows == self
  }
}
