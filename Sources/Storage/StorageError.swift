/// A store that could not do what was asked.
package struct StorageError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What kind of failure this is; equality and callers' branches look only at this.
  package enum Code: Sendable {
    /// There is no store at the place given.
    case notFound
    /// A store is already at the place given.
    case alreadyExists
    /// What is there is not a store, or its pages are damaged.
    case corrupt
    /// The store was made by a newer or foreign program.
    case unsupportedFormat
    /// The medium refused to read: permissions, input/output error.
    case cannotRead
    /// The medium refused to write: full, read-only, permissions, input/output error. Nothing was changed.
    case cannotWrite
    /// Another process held the store for longer than we wait.
    case busy
    /// Another holder has the lease.
    case leaseHeld
    /// Another holder has since taken the lease, or it was released: this number no longer holds it.
    case leaseLost
  }

  package let code: Code
  package let description: String

  package init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }

  package static func == (left: Self, right: Self) -> Bool { left.code == right.code }
}
