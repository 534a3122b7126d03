import CSodium
internal import Glibc

/// Memory for one secret: guard pages on both sides, a canary before its first byte, its last byte against the guard page,
/// locked and left out of core dumps as far as the kernel grants that.
///
/// What fits a page is taken from places that are kept between uses, wiped and without access: `sodium_malloc` and
/// `sodium_free` make eleven system calls, most of them slow, a kept place four. The rest is libsodium's own.
struct GuardedPages {
  /// The first of `capacity` bytes, writable until `seal`.
  let base: UnsafeMutableRawPointer
  let capacity: Int

  /// Throws `outOfSecureMemory`.
  init(capacity: Int) throws(SodiumError) {
    SodiumLibrary.start()
    let capacity = max(capacity, 1)
    guard let base = capacity <= Place.room ? Place.take(capacity) : Self.allocate(capacity) else {
      throw SodiumError(.outOfSecureMemory, "cannot allocate \(capacity) bytes of guarded memory")
    }
    self.base = base
    self.capacity = capacity
  }

  /// Places that nobody uses must not be what keeps a larger secret from being locked.
  private static func allocate(_ capacity: Int) -> UnsafeMutableRawPointer? {
    guard let base = sodium_malloc(capacity) else { return nil }
    if sodium_mlock(base, capacity) != 0, Place.freeKept() { sodium_mlock(base, capacity) }
    return base
  }

  /// Makes the bytes read-only.
  func seal() { sodium_mprotect_readonly(isPlace ? Place.start(base, capacity) : base) }

  /// Wipes the bytes and ends all access to them. Stops the process if something was written before the first byte.
  func free() {
    if isPlace { Place.giveBack(base, capacity) } else { sodium_free(base) }
  }

  private var isPlace: Bool { capacity <= Place.room }
}

/// A page from `sodium_malloc` between guard pages of its own, with room for one secret at its end. It never holds two.
private enum Place {
  /// With libsodium's own canary before it, a page of 4 KiB.
  private static let size = 4096 - 16
  private static let canarySize = 16
  /// The largest secret that a place holds.
  static let room = size - canarySize

  /// Drawn once, as libsodium's own is.
  private static let canary = Randomness.system.bytes(canarySize)
  /// 4 MiB of locked memory at most: what some hundred rotations at once hold.
  private static let kept = KeptPlaces(limit: 1024)

  static func start(_ base: UnsafeMutableRawPointer, _ capacity: Int) -> UnsafeMutableRawPointer {
    base + capacity - size
  }

  static func take(_ capacity: Int) -> UnsafeMutableRawPointer? {
    guard let start = reuse() ?? make() else { return nil }
    let base = start + size - capacity
    canary.withUnsafeBytes { (base - canarySize).copyMemory(from: $0.uint8, byteCount: canarySize) }
    return base
  }

  private static func reuse() -> UnsafeMutableRawPointer? {
    guard let start = kept.take() else { return nil }
    guard sodium_mprotect_readwrite(start) == 0 else {
      sodium_free(start)
      return nil
    }
    return start
  }

  private static func make() -> UnsafeMutableRawPointer? {
    guard let start = sodium_malloc(size) else { return nil }
    // `sodium_malloc` does not say whether the kernel let it lock. A place that is not locked must not be kept: memory for
    // the next secret might be lockable again.
    if sodium_mlock(start, size) != 0 { kept.close() }
    return start
  }

  static func giveBack(_ base: UnsafeMutableRawPointer, _ capacity: Int) {
    let start = start(base, capacity)
    sodium_mprotect_readwrite(start)
    let isWhole = canary.withUnsafeBytes { sodium_memcmp(base - canarySize, $0.uint8, canarySize) == 0 }
    sodium_memzero(base - canarySize, canarySize + capacity)
    // As libsodium does: memory is corrupt, and nothing that this process would do now can be trusted.
    precondition(isWhole, "a write before the start of guarded memory")
    guard sodium_mprotect_noaccess(start) == 0, kept.add(start) else { return sodium_free(start) }
  }

  /// Gives all unused places back to the system; false if there were none.
  static func freeKept() -> Bool {
    var isAny = false
    while let start = kept.take() {
      sodium_free(start)
      isAny = true
    }
    return isAny
  }
}

/// The unused places, of all threads. (A child made by `fork` would have them unlocked; this program makes none that does
/// not call `exec` at once.)
private final class KeptPlaces: @unchecked Sendable {
  // Safe to share: everything is reached with `mutex` held. Not `Synchronization.Mutex`, whose futex ThreadSanitizer does
  // not see.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var places: [UnsafeMutableRawPointer] = []
  private let limit: Int
  private var isClosed = false

  init(limit: Int) {
    self.limit = limit
    places.reserveCapacity(limit)
    // Fails for bad attributes alone, and there are none.
    pthread_mutex_init(mutex, nil)
  }

  /// A place without access, or `nil` if there is none.
  func take() -> UnsafeMutableRawPointer? { withLock { places.popLast() } }

  /// Takes a wiped place, or answers false.
  func add(_ place: UnsafeMutableRawPointer) -> Bool {
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
