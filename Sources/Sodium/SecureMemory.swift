import CSodium

/// Whether the kernel grants what guarded memory promises.
package enum SecureMemory {
  /// Whether a page can be locked out of swap now. `sodium_malloc` ignores a refusal, so callers that promise locked memory
  /// ask here and say so.
  package static func canLock() -> Bool {
    SodiumLibrary.start()
    let size = 4096
    guard let pages = sodium_malloc(size) else { return false }
    defer { sodium_free(pages) }
    return sodium_mlock(pages, size) == 0
  }
}
