import Dispatch
import Sodium
import Synchronization

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
  private final class Tree: Sendable {
    let frontier: Mutex<MerkleFrontier>

    init(_ frontier: MerkleFrontier) { self.frontier = Mutex(frontier) }

    func append(_ batch: Batch) {
      frontier.withLock { frontier in
        var start = 0
        for end in batch.ends {
          frontier.append(leafHash: MerkleTree.leafHash(batch.bytes.span.extracting(start..<end).bytes))
          start = end
        }
      }
    }
  }

  /// So much is handed over at a time, and so many of these wait at most.
  private static let bytesPerBatch = 1 << 16
  private static let mostWaiting = 4

  private let tree: Tree
  /// Made with the first batch: most logs that are read have nothing new, or a few entries.
  private var worker: (queue: DispatchQueue, room: DispatchSemaphore)?
  private var batch = Batch()
  /// Whether something was handed over that is perhaps not hashed yet.
  private var isBehind = false

  init(after frontier: MerkleFrontier) { tree = Tree(frontier) }

  /// Adds the next entry.
  mutating func append(_ entry: borrowing Span<UInt8>) {
    entry.withUnsafeBufferPointer { batch.bytes.append(contentsOf: $0) }
    batch.ends.append(batch.bytes.count)
    guard batch.bytes.count >= Self.bytesPerBatch else { return }
    let (queue, room) =
      worker ?? (DispatchQueue(label: "relatch.audit.leaves"), DispatchSemaphore(value: Self.mostWaiting))
    worker = (queue, room)
    room.wait()
    queue.async { [tree, batch] in
      tree.append(batch)
      room.signal()
    }
    isBehind = true
    batch = Batch()
  }

  /// The frontier of all entries added so far, once they are hashed.
  mutating func frontier() -> MerkleFrontier {
    if isBehind { worker?.queue.sync {} }
    isBehind = false
    tree.append(batch)
    batch.bytes.removeAll(keepingCapacity: true)
    batch.ends.removeAll(keepingCapacity: true)
    return tree.frontier.withLock { $0 }
  }
}
