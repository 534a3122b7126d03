/// The failure to use an age file, recipient or identity: what was found and what was expected. Never a byte of a
/// secret, a passphrase or a file.
package struct AgeError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What kind of failure this is. Equality and callers' branches look only at this.
  package enum Code: Sendable {
    /// The bytes are not an age file at all: they begin with neither a version line nor an armor line.
    case notAnAgeFile
    /// An age file of another version than v1.
    case unsupportedVersion
    /// The header breaks the grammar, or a stanza breaks the rules of its type.
    case malformedHeader
    /// The file key was found, but the header does not match its MAC.
    case headerNotAuthentic
    /// The ASCII armor is not canonical.
    case malformedArmor
    /// The payload was altered, reordered, cut short or extended.
    case corruptPayload
    /// No stanza opens with the given identities. Or identities were given and the file needs a passphrase, or the
    /// reverse.
    case noMatchingIdentity
    /// The file is protected by another passphrase.
    case wrongPassphrase
    /// The scrypt work factor is outside what the caller accepts.
    case workFactorOutOfRange
    /// A file, header or plaintext is larger than this module holds in memory.
    case tooLarge
    /// The text is not a recipient, or is one that no file may be sealed to.
    case malformedRecipient
    /// The text is not an `AGE-SECRET-KEY-1…` identity, or not a file of identities.
    case malformedIdentity
    /// The caller named no recipient, or an empty passphrase.
    case nothingToSealTo
  }

  package let code: Code
  package let description: String

  init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }

  package static func == (left: Self, right: Self) -> Bool { left.code == right.code }
}
