import Dispatch
import Sodium
import Synchronization

/// The tree of entries as far as they are hashed.
struct HashedTree: Sendable {
  var frontier = MerkleFrontier()
  /// All its nodes, where they are to be compared with stored ones.
  var nodes: TreeSum?

  mutating func append(leafHash: SHA256Digest) {
    guard var nodes else { return frontier.append(leafHash: leafHash) }
    frontier.append(leafHash: leafHash) { nodes.add($0, $1) }
    self.nodes = nodes
  }
}

/// Hashes a long row of entries on another processor while the caller reads on: what is found in an entry and what its tree
/// hashes to need nothing of each other until a root is compared.
///
/// A few entries are hashed where they are asked for, and no thread is started.
struct LeafHashing {
  /// Copies of entries that follow each other.
  private struct Batch: Sendable {
    var bytes: [UInt8] = []
    /// Where each ends.
    var ends: [Int] = []
  }

  /// What is hashed so far, by whoever is at it.
  private final class Worktop: Sendable {
    let tree: Mutex<HashedTree>

    init(_ tree: HashedTree) { self.tree = Mutex(tree) }

    func append(_ batch: Batch) {
      tree.withLock { tree in
        var start = 0
        for end in batch.ends {
          tree.append(leafHash: MerkleTree.leafHash(batch.bytes.span.extracting(start..<end).bytes))
          start = end
        }
      }
    }
  }

  /// So much is handed over at a time, and so many of these wait at most.
  private static let bytesPerBatch = 1 << 16
  private static let mostWaiting = 4

  private let worktop: Worktop
  /// Made with the first batch: most logs that are read have nothing new, or a few entries.
  private var worker: (queue: DispatchQueue, room: DispatchSemaphore)?
  private var batch = Batch()
  /// Whether something was handed over that is perhaps not hashed yet.
  private var isBehind = false

  init(after tree: HashedTree) { worktop = Worktop(tree) }

  /// Adds the next entry.
  mutating func append(_ entry: borrowing Span<UInt8>) {
    entry.withUnsafeBufferPointer { batch.bytes.append(contentsOf: $0) }
    batch.ends.append(batch.bytes.count)
    guard batch.bytes.count >= Self.bytesPerBatch else { return }
    let (queue, room) =
      worker ?? (DispatchQueue(label: "relatch.audit.leaves"), DispatchSemaphore(value: Self.mostWaiting))
    worker = (queue, room)
    room.wait()
    queue.async { [worktop, batch] in
      worktop.append(batch)
      room.signal()
    }
    isBehind = true
    batch = Batch()
  }

  /// The tree of all entries added so far, once they are hashed. More may follow.
  mutating func finish() -> HashedTree {
    if isBehind { worker?.queue.sync {} }
    isBehind = false
    worktop.append(batch)
    batch.bytes.removeAll(keepingCapacity: true)
    batch.ends.removeAll(keepingCapacity: true)
    return worktop.tree.withLock { $0 }
  }
}
