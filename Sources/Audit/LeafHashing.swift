import Dispatch
import Sodium
import Synchronization

/// The tree of the entries hashed so far.
struct HashedTree: Sendable {
  var frontier = MerkleFrontier()
  /// All its nodes, if they are to be compared with stored ones.
  var nodes: TreeSum?

  mutating func append(leafHash: SHA256Digest) {
    guard var nodes else { return frontier.append(leafHash: leafHash) }
    frontier.append(leafHash: leafHash) { nodes.add($0, $1) }
    self.nodes = nodes
  }
}

/// Hashes a long sequence of entries on another processor while the caller reads on: reading the entries and hashing
/// their tree do not depend on each other until a root is compared.
///
/// A few entries are hashed by the caller, and no thread is started.
struct LeafHashing {
  /// Copies of entries that follow each other.
  private struct Batch: Sendable {
    var bytes: [UInt8] = []
    /// Where each ends.
    var ends: [Int] = []
  }

  /// The tree hashed so far, shared by the caller and the worker.
  private final class SharedTree: Sendable {
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

  /// The size of a batch, and how many batches wait at most.
  private static let bytesPerBatch = 1 << 16
  private static let maximumWaiting = 4

  private let worktop: SharedTree
  /// Made with the first full batch: most logs that are read have nothing new, or a few entries.
  private var worker: (queue: DispatchQueue, room: DispatchSemaphore)?
  private var batch = Batch()
  /// Whether a batch was handed over that may not be hashed yet.
  private var isBehind = false

  init(after tree: HashedTree) { worktop = SharedTree(tree) }

  /// Adds the next entry.
  mutating func append(_ entry: borrowing Span<UInt8>) {
    entry.withUnsafeBufferPointer { batch.bytes.append(contentsOf: $0) }
    batch.ends.append(batch.bytes.count)
    guard batch.bytes.count >= Self.bytesPerBatch else { return }
    let (queue, room) =
      worker ?? (DispatchQueue(label: "relatch.audit.leaves"), DispatchSemaphore(value: Self.maximumWaiting))
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
