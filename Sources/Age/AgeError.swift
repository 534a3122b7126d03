/// An age file, recipient or identity that could not be used: what was found and what was expected. Never a byte of a
/// secret, of a passphrase or of a file.
package struct AgeError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What kind of failure this is; equality and callers' branches look at this alone.
  package enum Code: Sendable {
    /// The bytes are not an age file at all: they begin neither with a version line nor with an armor line.
    case notAnAgeFile
    /// An age file of another version than v1.
    case unsupportedVersion
    /// The header breaks the grammar, or a stanza breaks the rules of its type.
    case malformedHeader
    /// The file key was found, and the header's MAC is of another header.
    case headerNotAuthentic
    /// The ASCII armor is not canonical.
    case malformedArmor
    /// The payload was altered, reordered, cut short or extended.
    case corruptPayload
    /// No stanza opens with the identities given; or the file wants a passphrase where identities were given, or the
    /// reverse.
    case noMatchingIdentity
    /// The file is passphrase-protected, and not by this passphrase.
    case wrongPassphrase
    /// The scrypt work factor is outside what the caller accepts.
    case workFactorOutOfRange
    /// A file, header or plaintext is larger than this module holds in memory.
    case tooLarge
    /// Text that is not an `age1…` recipient, or a recipient that no file may be sealed to.
    case malformedRecipient
    /// Text that is not an `AGE-SECRET-KEY-1…` identity, or not a file of such.
    case malformedIdentity
    /// Sealing was asked for with no recipient, or with an empty passphrase.
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
