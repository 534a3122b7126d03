/// A vault that could not do what was asked.
package struct VaultError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What kind of failure this is; equality and callers' branches look only at this.
  package enum Code: Sendable {
    /// There is no vault, credential, version or member of that name.
    case notFound
    /// One of that name is there already.
    case alreadyExists
    /// The credential has a version of that number, which is never replaced. Nothing was changed.
    case versionExists
    /// What is stored does not authenticate: damaged, altered, or moved from elsewhere.
    case corrupt
    /// Not an extension of what was seen of this vault before: an older copy, another history, or another vault.
    case rolledBack
    /// Another vault under the identifier of one that was seen before: somebody else founded it. It is no older copy of
    /// that one, whatever its size.
    case foundedByAnother
    /// Written by a newer version of the format.
    case unsupportedFormat
    /// The identity is not a member, or holds no grant on this.
    case notPermitted
    /// A key was renewed while something was being sealed under it. Nothing was changed: seal it again.
    case keyChanged
    /// A name, setting, policy or pair given is not acceptable.
    case invalidInput
    /// A file or folder could not be read.
    case cannotRead
    /// The system could not read a file just now: too many are open, there is no memory, or the disk fails. It says
    /// nothing about the file.
    case unavailable
    /// A file or folder could not be written. Nothing was changed.
    case cannotWrite
  }

  package let code: Code
  package let description: String
  /// What to do about it, where the code does not say enough.
  package let hint: String?

  package init(_ code: Code, _ description: String, hint: String? = nil) {
    self.code = code
    self.description = description
    self.hint = hint
  }

  package static func == (left: Self, right: Self) -> Bool { left.code == right.code }
}

extension VaultError {
  /// Whether it says that one record, or what belongs to it, is damaged or missing: other records may be whole. Damage
  /// to the log, on which all records rest, is an `AuditError`.
  package var isDamage: Bool { [.corrupt, .notFound, .invalidInput].contains(code) }
}
