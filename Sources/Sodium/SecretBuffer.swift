import CSodium

/// Guarded memory that receives a secret of unknown length piece by piece. Growing wipes the smaller pages; a buffer
/// dropped without `seal` is wiped too.
package struct SecretBuffer: ~Copyable, @unchecked Sendable {
  // Safe to send between threads: a noncopyable value has one owner, and only through it can the pages be reached.
  private var pages: GuardedPages
  /// How many bytes it holds.
  package private(set) var count = 0

  /// An empty buffer with room for `capacity` bytes.
  package init(capacity: Int) throws {
    pages = try GuardedPages(capacity: capacity)
  }

  deinit { pages.free() }

  /// Appends a copy of `source`, at least doubling the room if there is too little. If it throws `outOfSecureMemory`
  /// the contents are unchanged.
  package mutating func append(_ source: UnsafeRawBufferPointer) throws {
    guard let start = source.baseAddress else { return }
    if source.count > pages.capacity - count {
      let larger = try GuardedPages(capacity: max(count + source.count, pages.capacity * 2))
      larger.base.copyMemory(from: pages.view, byteCount: count)
      pages.free()
      pages = larger
    }
    (pages.base + count).copyMemory(from: start, byteCount: source.count)
    count += source.count
  }

  /// Wipes the bytes and keeps the memory.
  package mutating func removeAll() {
    sodium_memzero(pages.base, count)
    count = 0
  }

  /// Calls `body` with the bytes, which must not leave it: the next change may move or wipe them.
  package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try body(UnsafeRawBufferPointer(start: pages.view, count: count))
  }

  /// The received bytes, sealed read-only in the pages they are already in.
  package consuming func seal() -> SecretBytes {
    let secret = SecretBytes(adopting: pages, count: count)
    discard self
    return secret
  }
}
