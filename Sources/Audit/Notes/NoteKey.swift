package import Sodium

/// A named Ed25519 key that verifies notes, as people exchange it (the `vkey` of C2SP signed-note):
///
///     PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW
package struct NoteKey: Hashable, Sendable, CustomStringConvertible {
  /// The signature type of C2SP signed-note, "Ed25519 signatures".
  private static let ed25519: UInt8 = 0x01

  package let name: String
  package let key: VerifyingKey
  /// SHA-256(name || 0x0A || 0x01 || public key)[:4]: tells keys apart, and proves nothing.
  package let id: [UInt8]

  /// Throws `malformed` if `name` is empty or has a space, a plus or a control character.
  package init(name: String, key: VerifyingKey) throws(AuditError) {
    guard Self.isName(name) else { throw AuditError(.malformed, "\"\(name)\" cannot be the name of a note's key") }
    self.name = name
    self.key = key
    id = Array(SHA256.hash(Array(name.utf8) + [0x0A, Self.ed25519] + key.bytes).bytes.prefix(4))
  }

  /// Reads `name+hash+base64`, and nothing else.
  package init(_ text: String) throws(AuditError) {
    let parts = text.split(separator: "+", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, let encoded = [UInt8](base64: parts[2]), encoded.first == Self.ed25519,
      let key = try? VerifyingKey(Array(encoded.dropFirst()))
    else { throw AuditError(.malformed, "expected a key name+hash+base64 of an Ed25519 key") }
    try self.init(name: String(parts[0]), key: key)
    guard description.utf8.elementsEqual(text.utf8) else {
      throw AuditError(.malformed, "the hash of key \"\(name)\" is \(parts[1]), expected \(id.hex)")
    }
  }

  package var description: String { "\(name)+\(id.hex)+\(([Self.ed25519] + key.bytes).base64)" }

  /// C2SP signed-note: a key name is not empty and has no Unicode spaces and no plus; notes have no control characters.
  static func isName(_ text: some StringProtocol) -> Bool {
    !text.isEmpty
      && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0 != "+" && !$0.properties.isWhitespace }
  }
}
