package import Sodium

/// A proof that a tree is an extension of a smaller one: nothing was changed, removed or reordered (RFC 6962 §2.1.2).
package struct ConsistencyProof: Hashable, Sendable {
  package let first: UInt64
  package let second: UInt64
  package let path: [SHA256Digest]

  package init(first: UInt64, second: UInt64, path: [SHA256Digest]) {
    self.first = first
    self.second = second
    self.path = path
  }

  /// The proof from `first` leaves to `second`; empty from no leaves, which every tree extends.
  package init(from first: UInt64, to second: UInt64, _ nodes: MerkleTree.NodeSource) throws {
    guard first <= second else {
      throw AuditError(.notFound, "no consistency proof from \(first) entries to only \(second)")
    }
    self.init(
      first: first, second: second,
      path: first == 0 ? [] : try MerkleTree.consistencyPath(from: first, to: second, nodes))
  }

  /// Fails with `badProof` unless the tree with `secondRoot` extends that with `firstRoot` (RFC 9162 §2.1.4.2).
  package func verify(firstRoot: SHA256Digest, secondRoot: SHA256Digest) throws(AuditError) {
    guard first <= second else { throw wrongLength }
    if first == 0 || first == second {
      let expected = first == second ? secondRoot : MerkleTree.emptyRoot
      guard path.isEmpty else { throw wrongLength }
      guard firstRoot == expected, second > 0 || secondRoot == MerkleTree.emptyRoot else { throw wrongRoot }
      return
    }
    // A complete first tree is itself the first node of the path, which the verifier already has.
    var hashes = first & (first - 1) == 0 ? [firstRoot] : []
    hashes += path
    guard !path.isEmpty, let seed = hashes.first else { throw wrongLength }
    let shift = (~(first - 1)).trailingZeroBitCount
    var position = (first - 1) >> shift
    var last = (second - 1) >> shift
    var (firstHash, secondHash) = (seed, seed)
    for hash in hashes.dropFirst() {
      guard last > 0 else { throw wrongLength }
      if position & 1 == 1 || position == last {
        firstHash = MerkleTree.nodeHash(hash, firstHash)
        secondHash = MerkleTree.nodeHash(hash, secondHash)
        while position & 1 == 0 && position != 0 {
          position >>= 1
          last >>= 1
        }
      } else {
        secondHash = MerkleTree.nodeHash(secondHash, hash)
      }
      position >>= 1
      last >>= 1
    }
    guard last == 0 else { throw wrongLength }
    guard firstHash == firstRoot, secondHash == secondRoot else { throw wrongRoot }
  }

  private var wrongLength: AuditError {
    AuditError(
      .badProof, "consistency proof from \(first) to \(second) entries has \(path.count) hashes, not the right number")
  }

  private var wrongRoot: AuditError {
    AuditError(.badProof, "consistency proof from \(first) to \(second) entries leads to other roots")
  }
}
