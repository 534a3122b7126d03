package import Sodium

/// A proof that one entry is in a tree of a given size (RFC 6962 §2.1.1).
package struct InclusionProof: Hashable, Sendable {
  package let index: UInt64
  package let size: UInt64
  /// From the leaf's sibling to a child of the root.
  package let path: [SHA256Digest]

  package init(index: UInt64, size: UInt64, path: [SHA256Digest]) {
    self.index = index
    self.size = size
    self.path = path
  }

  /// The proof for the leaf at `index` of the first `size` leaves. Throws `notFound` if there is no such leaf.
  package init(of index: UInt64, size: UInt64, _ nodes: MerkleTree.NodeSource) throws {
    guard index < size else { throw AuditError(.notFound, "no entry \(index) among \(size)") }
    self.init(
      index: index, size: size, path: try MerkleTree.inclusionPath(of: index, size: size, nodes))
  }

  /// Fails with `badProof` unless the leaf is in the tree with this root (RFC 9162 §2.1.3.2).
  package func verify(leafHash: SHA256Digest, root: SHA256Digest) throws(AuditError) {
    guard index < size else { throw AuditError(.badProof, "inclusion proof for entry \(index) of only \(size)") }
    var position = index
    var last = size - 1
    var hash = leafHash
    for sibling in path {
      guard last > 0 else { throw wrongLength }
      if position & 1 == 1 || position == last {
        hash = MerkleTree.nodeHash(sibling, hash)
        // A last leaf without a sibling moves up unchanged.
        while position & 1 == 0 && position != 0 {
          position >>= 1
          last >>= 1
        }
      } else {
        hash = MerkleTree.nodeHash(hash, sibling)
      }
      position >>= 1
      last >>= 1
    }
    guard last == 0 else { throw wrongLength }
    guard hash == root else {
      throw AuditError(.badProof, "inclusion proof of entry \(index) leads to another root of \(size) entries")
    }
  }

  private var wrongLength: AuditError {
    AuditError(.badProof, "inclusion proof of entry \(index) of \(size) has \(path.count) hashes, not the right number")
  }
}
