/// Whether the kernel grants what guarded memory promises.
package enum SecureMemory {
  /// Whether a page can be locked out of swap now. Guarded memory is had all the same where it cannot, so callers that promise
  /// locked memory ask here and say so.
  package static func canLock() -> Bool { GuardedPages.canLock() }
}
