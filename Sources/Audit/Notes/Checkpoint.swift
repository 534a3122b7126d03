package import Sodium

/// The log's size and root at one moment (c2sp.org/tlog-checkpoint): the text of the note that a member signs.
package struct Checkpoint: Hashable, Sendable {
  /// Which log: `relatch/` and the vault's identifier.
  package let origin: String
  package let size: UInt64
  package let root: SHA256Digest
  /// Lines that others may add. We write none and keep those we read, which are signed with the rest.
  package let extensions: [String]

  /// Throws `malformed` unless `origin` can be the name of a note's key, because it is used as one.
  package init(origin: String, size: UInt64, root: SHA256Digest) throws(AuditError) {
    guard NoteKey.isName(origin) else { throw AuditError(.malformed, "\"\(origin)\" cannot be the origin of a log") }
    self.origin = origin
    self.size = size
    self.root = root
    extensions = []
  }

  /// Reads the text of a note, and nothing else.
  package init(text: String) throws(AuditError) {
    // Split as scalars: a Swift character may join a newline with what precedes it.
    let lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard lines.count >= 4, lines.last == "", lines.dropLast().allSatisfy({ !$0.isEmpty }) else {
      throw AuditError(.malformed, "a checkpoint needs an origin, a size, a root and no empty line")
    }
    guard let size = strictDecimal(lines[1]) else {
      throw AuditError(.malformed, "a checkpoint's size is not a decimal number without leading zeros")
    }
    guard let hash = [UInt8](base64: lines[2]), let root = try? SHA256Digest(hash) else {
      throw AuditError(.malformed, "a checkpoint's root is not the base64 of 32 bytes")
    }
    origin = lines[0]
    self.size = size
    self.root = root
    extensions = Array(lines[3...].dropLast())
  }

  /// What is signed.
  package var text: String {
    extensions.reduce("\(origin)\n\(size)\n\(root.bytes.base64)\n") { $0 + $1 + "\n" }
  }
}

/// A checkpoint with its signatures.
package struct SignedCheckpoint: Hashable, Sendable {
  package let checkpoint: Checkpoint
  package let note: SignedNote

  /// Signs `checkpoint`. The key's name is the origin, as tlog-checkpoint recommends, and the key's hash tells whose it
  /// is.
  package init(_ checkpoint: Checkpoint, key: SigningKey) throws(AuditError) {
    self.checkpoint = checkpoint
    note = try SignedNote(signing: checkpoint.text, name: checkpoint.origin, key: key)
  }

  /// The same checkpoint in another note of the same text.
  init(_ checkpoint: Checkpoint, _ note: SignedNote) {
    self.checkpoint = checkpoint
    self.note = note
  }

  /// Reads a note whose text is a checkpoint. No signature is verified.
  package init(decoding bytes: [UInt8]) throws(AuditError) {
    note = try SignedNote(decoding: bytes)
    checkpoint = try Checkpoint(text: note.text)
  }

  package var bytes: [UInt8] { note.bytes }

  /// The same checkpoint with only the signature of `key`.
  package func only(by key: VerifyingKey) throws(AuditError) -> SignedCheckpoint {
    SignedCheckpoint(checkpoint, note.only(by: try NoteKey(name: checkpoint.origin, key: key)))
  }

  /// Fails with `unknownSigner` or `badSignature` unless `key` signed this in the name of the log.
  package func verify(by key: VerifyingKey) throws(AuditError) {
    try note.verify(by: NoteKey(name: checkpoint.origin, key: key))
  }
}

/// The number in ASCII decimal without sign or leading zero; nil for any other text.
func strictDecimal(_ text: some StringProtocol) -> UInt64? {
  guard let value = UInt64(text), String(value).utf8.elementsEqual(text.utf8) else { return nil }
  return value
}
