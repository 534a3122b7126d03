import CSodium
internal import Glibc

/// Memory for one secret: guard pages on both sides, a canary before its first byte, its last byte against the guard page,
/// locked and left out of core dumps as far as the kernel grants that.
///
/// What fits a page is in a place that is kept between uses, wiped: `sodium_malloc` and `sodium_free` make eleven system
/// calls, a kept place none. The rest is libsodium's own.
struct GuardedPages {
  /// The first of `capacity` bytes, writable until `seal`. To be forgotten then.
  let base: UnsafeMutableRawPointer
  /// The same bytes, to read.
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

  /// Places that nobody uses must not be what keeps a larger secret from being locked.
  private static func allocate(_ capacity: Int) -> UnsafeMutableRawPointer? {
    guard let base = sodium_malloc(capacity) else { return nil }
    if sodium_mlock(base, capacity) != 0, Place.freeKept() { sodium_mlock(base, capacity) }
    // What forks has no use for it, and would have it unlocked and for longer.
    relatch_keep_from_forks(base, capacity)
    return base
  }

  /// Makes the bytes read-only. Those in a place are, at the address where they are read.
  func seal() {
    if !isInPlace { sodium_mprotect_readonly(base) }
  }

  /// Wipes the bytes and gives the memory back. Stops the process if something was written before the first byte.
  func free() {
    guard isInPlace else { return sodium_free(base) }
    let offset = Place.size - capacity
    Place(readable: view - offset, writable: base - offset).giveBack(capacity)
  }

  private var isInPlace: Bool { capacity <= Place.room }

  /// Whether a secret of up to a page is locked now.
  static func canLock() -> Bool {
    SodiumLibrary.start()
    return Place.canLock()
  }
}

/// A page between guard pages, at an address to write and another to read, with room for one secret at its end. It never
/// holds two.
private struct Place {
  static let size = relatch_page_size()
  private static let canarySize = 16
  /// The largest secret that a place holds.
  static let room = size - canarySize

  /// Drawn once, as libsodium's own is.
  private static let canary = Randomness.system.bytes(canarySize)
  /// 4 MiB of locked memory at most: what some hundred rotations at once hold.
  private static let kept = KeptPlaces(limit: 1024)

  /// The page's first byte, to read and to write.
  let readable: UnsafeRawPointer
  let writable: UnsafeMutableRawPointer

  static func take(_ capacity: Int) -> Place? {
    guard let place = kept.take() ?? make() else { return nil }
    let base = place.writable + (size - capacity)
    canary.withUnsafeBytes { (base - canarySize).copyMemory(from: $0.uint8, byteCount: canarySize) }
    return place
  }

  /// Whether there is a place that is locked: one is made if need be, and is the next secret's.
  static func canLock() -> Bool {
    guard let place = kept.take() ?? make() else { return false }
    // Only what is locked is kept.
    guard kept.add(place) else {
      place.unmap()
      return false
    }
    return true
  }

  private static func make() -> Place? {
    var page = relatch_mirrored_page()
    guard relatch_mirror(&page) else { return nil }
    // A place that is not locked must not be kept: memory for the next secret might be lockable again.
    if !page.is_locked { kept.close() }
    return Place(readable: UnsafeRawPointer(page.readable), writable: UnsafeMutableRawPointer(page.writable))
  }

  func giveBack(_ capacity: Int) {
    let start = writable + (Self.size - capacity - Self.canarySize)
    let isWhole = Self.canary.withUnsafeBytes { sodium_memcmp(start, $0.uint8, Self.canarySize) == 0 }
    sodium_memzero(start, Self.canarySize + capacity)
    // As libsodium does: memory is corrupt, and nothing that this process would do now can be trusted.
    precondition(isWhole, "a write before the start of guarded memory")
    if !Self.kept.add(self) { unmap() }
  }

  private func unmap() { relatch_unmirror(readable) }

  /// Gives all unused places back to the system; false if there were none.
  static func freeKept() -> Bool {
    var isAny = false
    while let place = kept.take() {
      place.unmap()
      isAny = true
    }
    return isAny
  }
}

/// The unused places, of all threads.
private final class KeptPlaces: @unchecked Sendable {
  // Safe to share: everything is reached with `mutex` held. Not `Synchronization.Mutex`, whose futex ThreadSanitizer does
  // not see.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var places: [Place] = []
  private let limit: Int
  private var isClosed = false

  init(limit: Int) {
    self.limit = limit
    places.reserveCapacity(limit)
    // Fails for bad attributes alone, and there are none.
    pthread_mutex_init(mutex, nil)
  }

  /// A wiped place, or `nil` if there is none.
  func take() -> Place? { withLock { places.popLast() } }

  /// Takes a wiped place, or answers false.
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
