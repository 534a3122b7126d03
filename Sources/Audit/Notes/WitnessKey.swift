package import Sodium

/// A witness's name and Ed25519 key, as people exchange them: a vkey of C2SP signed-note whose signature type is that
/// of cosignatures (c2sp.org/tlog-cosignature).
package struct WitnessKey: Hashable, Sendable, CustomStringConvertible {
  /// The signature type of "cosignature/v1".
  private static let cosignature: UInt8 = 0x04

  package let name: String
  package let key: VerifyingKey
  /// SHA-256(name || 0x0A || 0x04 || public key)[:4]: tells keys apart, and proves nothing.
  package let id: [UInt8]

  /// Throws `malformed` if `name` is empty or has a space, a plus or a control character.
  package init(name: String, key: VerifyingKey) throws(AuditError) {
    guard NoteKey.isName(name) else {
      throw AuditError(.malformed, "\"\(name)\" cannot be the name of a witness's key")
    }
    self.name = name
    self.key = key
    id = Array(SHA256.hash(Array(name.utf8) + [0x0A, Self.cosignature] + key.bytes).bytes.prefix(4))
  }

  /// Reads `name+hash+base64`, and nothing else. Keys that sign logs (type 1) are refused: their signatures mean
  /// something else.
  package init(_ text: String) throws(AuditError) {
    let parts = text.split(separator: "+", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, let encoded = [UInt8](base64: parts[2]), encoded.first == Self.cosignature,
      let key = try? VerifyingKey(Array(encoded.dropFirst()))
    else {
      throw AuditError(.malformed, "expected a witness's key name+hash+base64, of type 4 (Ed25519 cosignature/v1)")
    }
    try self.init(name: String(parts[0]), key: key)
    guard description.utf8.elementsEqual(text.utf8) else {
      throw AuditError(.malformed, "the hash of key \"\(name)\" is \(parts[1]), expected \(id.hex)")
    }
  }

  package var description: String { "\(name)+\(id.hex)+\(([Self.cosignature] + key.bytes).base64)" }
}
