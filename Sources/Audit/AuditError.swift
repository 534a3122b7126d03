/// A log, note or proof that is not what it claims to be: which entry, what was found, what was expected.
///
/// Entries hold no secret, but errors still quote only names, numbers and digests.
package struct AuditError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What kind of failure this is; equality and callers' branches look only at this.
  package enum Code: String, Sendable {
    /// Bytes that are not a note, checkpoint, key or proof of the format.
    case malformed
    /// A log entry that is not in the one canonical form, or lacks what every entry of its event has.
    case notCanonical
    /// What is stored contradicts itself or a signed root: something was changed.
    case corrupt
    /// Entries or checkpoints that must be there are not: something was cut off or removed.
    case incomplete
    /// A signature that does not verify under the key it must be of.
    case badSignature
    /// Someone acted or signed who is not a member at that point, or whose key is not known.
    case unknownSigner
    /// A member did what only another role may do.
    case notPermitted
    /// A log that is not the one it must be: it has another origin or owner, or does not extend a remembered
    /// checkpoint.
    case inconsistent
    /// A proof that does not lead to the root.
    case badProof
    /// There is no such entry, or nothing is said of such a checkpoint.
    case notFound
  }

  package let code: Code
  /// The first entry, counted from 0, that cannot be relied on.
  package let entry: UInt64?
  package let description: String

  package init(_ code: Code, entry: UInt64? = nil, _ description: String) {
    self.code = code
    self.entry = entry
    self.description = entry.map { "entry \($0): \(description)" } ?? description
  }

  /// This error, attributed to the entry at `index` unless it names one already.
  func at(_ index: UInt64) -> AuditError { entry == nil ? AuditError(code, entry: index, description) : self }

  package static func == (left: Self, right: Self) -> Bool { left.code == right.code }
}
