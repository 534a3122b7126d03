import CSodium

/// Bytes that must stay in this process: in memory between guard pages, locked out of swap, left out of core
/// dumps, read-only once filled, and wiped when the value ends.
///
/// The compiler refuses to copy, print, compare with `==`, encode or throw it. Reading it takes `import Sodium`, so the
/// list of modules that import Sodium is the list of those that can read a secret.
///
/// Each value takes at least four pages, and one that does not fit in a page costs about 40 µs. So keep one document in
/// one value, and take its fields as parts of it: they share its pages and keep them until the last part ends.
/// The kernel may refuse to lock the memory (`RLIMIT_MEMLOCK`), which raises no error; see `SecureMemory`.
package struct SecretBytes: ~Copyable, @unchecked Sendable {
  // Safe to send between threads: the pages are read-only after `init`, and only `deinit` frees them.
  private let base: UnsafeRawPointer
  /// Nil if the bytes are part of `whole`.
  private let pages: GuardedPages?
  private let whole: SharedSecret?
  /// How many bytes the secret has.
  package let count: Int

  /// Allocates `capacity` bytes, lets `fill` append at most that many, and seals them read-only.
  ///
  /// If `fill` throws, what it wrote is wiped.
  package init(capacity: Int, _ fill: (inout OutputRawSpan) throws -> Void) throws {
    let pages = try GuardedPages(capacity: capacity)
    let buffer = UnsafeMutableRawBufferPointer(start: pages.base, count: capacity)
    var output = OutputRawSpan(buffer: buffer, initializedCount: 0)
    do {
      try fill(&output)
    } catch {
      pages.free()
      throw error
    }
    self.init(adopting: pages, count: output.finalize(for: buffer))
  }

  /// The bytes of `whole` at `range`, not copied. Throws `badParameters` if `range` is not within it.
  package init(part range: Range<Int>, of whole: SharedSecret) throws {
    guard range.lowerBound >= 0, range.upperBound <= whole.secret.count else {
      throw SodiumError(.badParameters, "a part \(range) of a secret of \(whole.secret.count) bytes")
    }
    base = whole.secret.base + range.lowerBound
    count = range.count
    pages = nil
    self.whole = whole
  }

  /// A copy of `bytes`. The source is not wiped: use this for bytes that are not secret, or are already guarded.
  package init(copying bytes: RawSpan) throws {
    try self.init(capacity: bytes.byteCount) { $0.append(copying: bytes) }
  }

  /// A secret of exactly `count` bytes, written by `body` into guarded memory, for C functions.
  init(count: Int, writing body: (UnsafeMutablePointer<UInt8>) throws -> Void) throws {
    try self.init(capacity: count) { output in
      try output.withUnsafeMutableBytes { buffer, initialized in
        sodium_memzero(buffer.baseAddress, count)
        // `body` runs for 0 bytes too: it checks the tag of an empty message.
        try body(buffer.uint8)
        initialized = count
      }
    }
  }

  /// Takes over guarded `pages` whose first `count` bytes are the secret, and seals them.
  init(adopting pages: GuardedPages, count: Int) {
    base = pages.view
    self.pages = pages
    whole = nil
    self.count = count
    pages.seal()
  }

  deinit { pages?.free() }

  /// The bytes, for as long as this value is borrowed.
  package var bytes: RawSpan {
    @_lifetime(borrow self)
    get {
      let span = RawSpan(_unsafeStart: base, byteCount: count)
      return _overrideLifetime(span, borrowing: self)
    }
  }

  /// Calls `body` with the bytes. For a secret that an object holds, where `bytes` has no borrow to depend on.
  package func withBytes<Result: ~Copyable, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(bytes)
  }

  /// Calls `body` with the guarded pages themselves. The pointer is valid as long as this value lives, not only during the
  /// call, so an object that owns the secret can hand it to libcurl. It is never valid for writing.
  package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try body(UnsafeRawBufferPointer(start: base, count: count))
  }

  /// Whether both hold the same bytes, in time that depends only on the lengths.
  package func isEqual(to other: borrowing SecretBytes) -> Bool {
    count == other.count && sodium_memcmp(base, other.base, count) == 0
  }

  /// A second guarded copy; for a part, the same part of the same whole, not copied.
  package func clone() throws -> SecretBytes {
    guard let whole else { return try SecretBytes(copying: bytes) }
    let start = base - whole.secret.base
    return try SecretBytes(part: start..<start + count, of: whole)
  }
}

/// A secret that several owners hold: arrays, tasks and continuations cannot hold a `SecretBytes`. Wiped when the last
/// owner lets go.
package final class SharedSecret: Sendable {
  package let secret: SecretBytes

  package init(_ secret: consuming SecretBytes) { self.secret = secret }
}
