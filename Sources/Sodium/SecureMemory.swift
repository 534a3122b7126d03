/// Whether the kernel allows what guarded memory promises.
package enum SecureMemory {
  /// Whether a page can be locked out of swap now. Guarded memory works even if it cannot, so callers that promise
  /// locked memory ask here and report it.
  package static func canLock() -> Bool { GuardedPages.canLock() }
}
