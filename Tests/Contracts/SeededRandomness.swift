package import Sodium
import Synchronization

extension Randomness {
  /// Bytes determined by `seed` and the order of calls: BLAKE2b-512(seed || counter[8]), counted from 0, each call
  /// beginning a new block. Only for tests and vectors: what it draws is not secret.
  package static func seeded(_ seed: String) -> Randomness {
    let counter = SeedCounter()
    let prefix = Array(seed.utf8)
    return Randomness { buffer in
      var block: [UInt8] = []
      for index in buffer.indices {
        if block.isEmpty {
          let count = counter.next()
          // BLAKE2b supports this size, so it cannot refuse it; a zero block would show in every test.
          block =
            (try? BLAKE2b.hash(prefix + (0..<8).map { UInt8(truncatingIfNeeded: count >> (56 - 8 * $0)) }, size: 64))
            ?? [0]
        }
        buffer[index] = block.removeFirst()
      }
    }
  }
}

private final class SeedCounter: Sendable {
  private let count = Mutex<UInt64>(0)

  func next() -> UInt64 {
    count.withLock { count in
      defer { count += 1 }
      return count
    }
  }
}
