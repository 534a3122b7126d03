import CSodium
internal import Glibc

/// Memory for one secret, with guard pages on both sides, a canary before its first byte and its last byte against the
/// guard page. It is locked and left out of core dumps as far as the kernel allows.
///
/// A secret that fits in a page gets a place, which is wiped and kept for the next one. A kept place costs no system
/// calls; `sodium_malloc` and `sodium_free` make eleven. Larger secrets come from libsodium.
struct GuardedPages {
  /// The first of `capacity` bytes, writable until `seal`. Do not use it after that.
  let base: UnsafeMutableRawPointer
  /// The same bytes, for reading.
  let view: UnsafeRawPointer
  let capacity: Int

  /// Throws `outOfSecureMemory`.
  init(capacity: Int) throws(SodiumError) {
    SodiumLibrary.start()
    let capacity = max(capacity, 1)
    self.capacity = capacity
    if capacity <= Place.room, let place = Place.take(capacity) {
      base = place.writable + (Place.size - capacity)
      view = place.readable + (Place.size - capacity)
    } else if capacity > Place.room, let start = Self.allocate(capacity) {
      base = start
      view = UnsafeRawPointer(start)
    } else {
      throw SodiumError(.outOfSecureMemory, "cannot allocate \(capacity) bytes of guarded memory")
    }
  }

  /// If the memory cannot be locked, frees the unused places and tries again: they may have used up the limit.
  private static func allocate(_ capacity: Int) -> UnsafeMutableRawPointer? {
    guard let base = sodium_malloc(capacity) else { return nil }
    if sodium_mlock(base, capacity) != 0, Place.freeKept() { sodium_mlock(base, capacity) }
    // A forked child has no use for the secret, and would hold it longer and unlocked.
    relatch_keep_from_forks(base, capacity)
    return base
  }

  /// Makes the bytes read-only. In a place they already are, at the address where they are read.
  func seal() {
    if !isInPlace { sodium_mprotect_readonly(base) }
  }

  /// Wipes the bytes and frees the memory. Stops the process if something was written before the first byte.
  func free() {
    guard isInPlace else { return sodium_free(base) }
    let offset = Place.size - capacity
    Place(readable: view - offset, writable: base - offset).giveBack(capacity)
  }

  private var isInPlace: Bool { capacity <= Place.room }

  /// Whether a secret that fits in a place can be locked now.
  static func canLock() -> Bool {
    SodiumLibrary.start()
    return Place.canLock()
  }
}

/// A page between guard pages, with one address for writing and another for reading. It has room for one secret, at its
/// end, and never holds two.
private struct Place {
  static let size = relatch_page_size()
  private static let canarySize = 16
  /// The largest secret that a place holds.
  static let room = size - canarySize

  /// Drawn once for the process, like libsodium's own.
  private static let canary = Randomness.system.bytes(canarySize)
  /// At most 4 MiB of locked memory: about what 64 concurrent rotations use.
  private static let kept = FreePages(limit: 1024)

  /// The page's first byte, for reading and for writing.
  let readable: UnsafeRawPointer
  let writable: UnsafeMutableRawPointer

  static func take(_ capacity: Int) -> Place? {
    guard let place = kept.take() ?? make() else { return nil }
    let base = place.writable + (size - capacity)
    canary.withUnsafeBytes { (base - canarySize).copyMemory(from: $0.uint8, byteCount: canarySize) }
    return place
  }

  /// Whether there is a locked place. If none is kept this makes one, which the next secret uses.
  static func canLock() -> Bool {
    guard let place = kept.take() ?? make() else { return false }
    // Only locked places are kept.
    guard kept.add(place) else {
      place.unmap()
      return false
    }
    return true
  }

  private static func make() -> Place? {
    var page = relatch_mirrored_page()
    guard relatch_mirror(&page) else { return nil }
    // A place that is not locked must not be kept: when the next secret comes, locking may work again.
    if !page.is_locked { kept.close() }
    return Place(readable: UnsafeRawPointer(page.readable), writable: UnsafeMutableRawPointer(page.writable))
  }

  func giveBack(_ capacity: Int) {
    let start = writable + (Self.size - capacity - Self.canarySize)
    let isWhole = Self.canary.withUnsafeBytes { sodium_memcmp(start, $0.uint8, Self.canarySize) == 0 }
    sodium_memzero(start, Self.canarySize + capacity)
    // As libsodium does: memory is corrupt, so nothing that this process does next can be trusted.
    precondition(isWhole, "a write before the start of guarded memory")
    if !Self.kept.add(self) { unmap() }
  }

  private func unmap() { relatch_unmirror(readable) }

  /// Returns all unused places to the system; false if there were none.
  static func freeKept() -> Bool {
    var isAny = false
    while let place = kept.take() {
      place.unmap()
      isAny = true
    }
    return isAny
  }
}

/// The unused places, shared by all threads.
private final class FreePages: @unchecked Sendable {
  // Safe to share: everything is accessed with `mutex` held. Not `Synchronization.Mutex`, whose futex ThreadSanitizer
  // does not see.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var places: [Place] = []
  private let limit: Int
  private var isClosed = false

  init(limit: Int) {
    self.limit = limit
    places.reserveCapacity(limit)
    // Fails only for bad attributes, and there are none.
    pthread_mutex_init(mutex, nil)
  }

  /// A wiped place, or `nil` if there is none.
  func take() -> Place? { withLock { places.popLast() } }

  /// Keeps a wiped place; false if it does not, and then the caller unmaps it.
  func add(_ place: Place) -> Bool {
    withLock {
      guard !isClosed, places.count < limit else { return false }
      places.append(place)
      return true
    }
  }

  /// From now on no place is kept.
  func close() { withLock { isClosed = true } }

  private func withLock<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }
}
