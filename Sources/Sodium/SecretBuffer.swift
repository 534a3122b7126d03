import CSodium

/// Guarded memory that a secret of unknown length is received into, piece by piece. Growing wipes the smaller pages; what
/// is dropped unsealed is wiped too.
package struct SecretBuffer: ~Copyable, @unchecked Sendable {
  // Safe to send between threads: a noncopyable value has one owner, and the pages are reachable through it alone.
  private var base: UnsafeMutableRawPointer
  private var capacity: Int
  /// How many bytes it holds.
  package private(set) var count = 0

  /// An empty buffer with room for `capacity` bytes.
  package init(capacity: Int) throws {
    self.capacity = max(capacity, 1)
    base = try Self.pages(self.capacity)
  }

  deinit { sodium_free(base) }

  /// Appends a copy of `source`, at least doubling the room when there is too little. Throws `outOfSecureMemory` with the
  /// contents as they were.
  package mutating func append(_ source: UnsafeRawBufferPointer) throws {
    guard let start = source.baseAddress else { return }
    if source.count > capacity - count {
      let room = max(count + source.count, capacity * 2)
      let larger = try Self.pages(room)
      larger.copyMemory(from: base, byteCount: count)
      sodium_free(base)
      base = larger
      capacity = room
    }
    (base + count).copyMemory(from: start, byteCount: source.count)
    count += source.count
  }

  /// The bytes received, sealed read-only in the pages they are in.
  package consuming func seal() -> SecretBytes {
    let secret = SecretBytes(adopting: base, count: count)
    discard self
    return secret
  }

  private static func pages(_ size: Int) throws -> UnsafeMutableRawPointer {
    SodiumLibrary.start()
    guard let pages = sodium_malloc(size) else {
      throw SodiumError(.outOfSecureMemory, "cannot allocate \(size) bytes of guarded memory")
    }
    return pages
  }
}
