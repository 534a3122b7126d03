package import Sodium

/// Text signed by one or more keys (c2sp.org/signed-note): the text, an empty line, and a line for each signature.
package struct SignedNote: Hashable, Sendable {
  /// One signature line: whose it claims to be, and the signature.
  package struct Signature: Hashable, Sendable {
    package let name: String
    package let keyID: [UInt8]
    package let bytes: [UInt8]
  }

  /// The most bytes a note may have. Checkpoints have some 200; the limit bounds what a stranger can make us read.
  package static let maximumSize = 64 * 1024
  private static let dash = Array("— ".utf8)

  /// What is signed: UTF-8 that ends with a newline.
  package let text: String
  package let signatures: [Signature]

  /// Signs `text`, which must end with a newline and have no other control character.
  package init(signing text: String, name: String, key: SigningKey) throws(AuditError) {
    let noteKey = try NoteKey(name: name, key: key.verifyingKey)
    guard text.utf8.last == 0x0A, Self.isText(text.utf8) else {
      throw AuditError(.malformed, "a note's text must end with a newline and have no other control character")
    }
    self.text = text
    signatures = [Signature(name: name, keyID: noteKey.id, bytes: key.sign(Array(text.utf8)))]
  }

  /// A note of these parts, which were read before.
  init(text: String, signatures: [Signature]) {
    self.text = text
    self.signatures = signatures
  }

  /// Reads a note that fills `bytes`, and nothing else. No signature is verified.
  package init(decoding bytes: [UInt8]) throws(AuditError) {
    func malformed(_ what: String) -> AuditError { AuditError(.malformed, "a signed note \(what)") }
    guard bytes.count <= Self.maximumSize else {
      throw malformed("has \(bytes.count) bytes, expected at most \(Self.maximumSize)")
    }
    guard Self.isText(bytes) else { throw malformed("has a control character") }
    guard bytes.last == 0x0A else { throw malformed("does not end with a newline") }
    // The text may have empty lines; the last one of the note separates the signatures.
    let newlines = bytes.indices.dropLast().filter { bytes[$0] == 0x0A && bytes[$0 + 1] == 0x0A }
    guard let end = newlines.last else { throw malformed("has no empty line") }
    guard let text = String(validating: bytes[...end], as: UTF8.self) else { throw malformed("is not UTF-8") }
    self.text = text
    let lines = bytes[(end + 2)...].dropLast().split(separator: 0x0A, omittingEmptySubsequences: false)
    var signatures: [Signature] = []
    for line in lines {
      guard line.starts(with: Self.dash), let rest = String(validating: line.dropFirst(Self.dash.count), as: UTF8.self)
      else { throw malformed("has a line among its signatures that is not a signature") }
      let parts = rest.split(separator: " ", omittingEmptySubsequences: false)
      guard parts.count == 2, NoteKey.isName(parts[0]), let signature = [UInt8](base64: parts[1]), signature.count > 4
      else { throw malformed("has a signature line that is not \"— name base64\"") }
      signatures.append(
        Signature(name: String(parts[0]), keyID: Array(signature[..<4]), bytes: Array(signature[4...])))
    }
    self.signatures = signatures
  }

  /// The note as it is stored and sent.
  package var bytes: [UInt8] {
    var output = text + "\n"
    for signature in signatures {
      output += "— \(signature.name) \((signature.keyID + signature.bytes).base64)\n"
    }
    return Array(output.utf8)
  }

  /// Whether a signature line claims to be of `key`.
  package func isSigned(by key: NoteKey) -> Bool { signatures.contains { $0.isClaimed(by: key) } }

  /// The note with only the lines that claim to be of `key`: no signature covers the others, so anyone can have written
  /// them.
  package func only(by key: NoteKey) -> SignedNote {
    SignedNote(text: text, signatures: signatures.filter { $0.isClaimed(by: key) })
  }

  /// Fails with `unknownSigner` if no line claims to be of `key`, with `badSignature` if one that does is not valid.
  package func verify(by key: NoteKey) throws(AuditError) {
    guard isSigned(by: key) else {
      throw AuditError(.unknownSigner, "the note of \"\(key.name)\" is not signed with key \(key.id.hex)")
    }
    let message = Array(text.utf8)
    for signature in signatures where signature.isClaimed(by: key) {
      guard key.key.isValid(signature.bytes, of: message) else {
        throw AuditError(.badSignature, "the signature of \"\(key.name)\" with key \(key.id.hex) is not valid")
      }
    }
  }

  private static func isText(_ bytes: some Sequence<UInt8>) -> Bool { bytes.allSatisfy { $0 >= 0x20 || $0 == 0x0A } }
}

extension SignedNote.Signature {
  /// C2SP signed-note: name and key ID together name the key; a line that shares only one of them is another's.
  fileprivate func isClaimed(by key: NoteKey) -> Bool { keyID == key.id && name.utf8.elementsEqual(key.name.utf8) }
}
