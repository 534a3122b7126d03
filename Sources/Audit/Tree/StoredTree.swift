import Sodium
package import Storage

extension Table {
  /// Row per entry: its index (8 bytes, big-endian) and its canonical JSON.
  package static let log = Table("log")
  /// Row per complete subtree: level (1 byte), index (8 bytes, big-endian), and its hash (32 bytes).
  package static let tree = Table("tree")
  /// Row per run of one member's entries: the size at its end (8 bytes, big-endian) and the signed note.
  package static let checkpoints = Table("checkpoints")
}

extension MerkleTree.Node {
  var key: [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 9) { bytes, count in
      bytes[0] = level
      for place in 0..<8 { bytes[1 + place] = UInt8(truncatingIfNeeded: index >> UInt64(56 - 8 * place)) }
      count = 9
    }
  }
}

/// The nodes of the table `tree`. A complete subtree never changes, so neither does a row once written.
struct StoredTree {
  let transaction: any ReadTransaction

  func hash(_ node: MerkleTree.Node) throws -> SHA256Digest {
    guard let row = try transaction.value(in: .tree, for: node.key), let digest = try? SHA256Digest(row) else {
      throw AuditError(
        .corrupt, "the log's tree has no readable node at level \(node.level), index \(node.index)")
    }
    return digest
  }

  func leafHash(at index: UInt64) throws -> SHA256Digest {
    do {
      return try hash(MerkleTree.Node(level: 0, index: index))
    } catch let error as AuditError {
      throw error.at(index)
    }
  }
}
