import JSON
import Sodium

/// The plaintext of a handoff file: terms, pair and signature, as one canonical JSON object in guarded memory.
enum HandoffDocument {
  private static let opening = Array(#"{"handoff":"#.utf8)
  private static let middle = Array(#","pair":"#.utf8)
  private static let closing = Array(#","signature":""#.utf8)
  private static let end = Array(#""}"#.utf8)
  private static let signatureTextSize = (SigningKey.signatureSize + 2) / 3 * 4

  /// The digest of what the sender signs.
  static func digest(_ handoff: Handoff, _ pair: Pair) throws -> SHA256Digest {
    let document = try pair.sealedDocument()
    var hash = SHA256()
    hash.update(opening + handoff.json.canonicalBytes + middle)
    hash.update(document.bytes)
    hash.update([UInt8(ascii: "}")])
    return hash.finalize()
  }

  static func encode(_ handoff: Handoff, _ pair: Pair, signature: [UInt8]) throws -> SecretBytes {
    let document = try pair.sealedDocument()
    let before = opening + handoff.json.canonicalBytes + middle
    let after = closing + Array(signature.base64.utf8) + end
    return try SecretBytes(capacity: before.count + document.count + after.count) { output in
      output.append(copying: before.span.bytes)
      output.append(copying: document.bytes)
      output.append(copying: after.span.bytes)
    }
  }

  /// Reads a document in exactly that form. The signature is not verified. Throws `JSONError` or `VaultError`.
  static func decode(_ document: SharedSecret) throws -> (handoff: Handoff, pair: Pair, signature: [UInt8]) {
    let (value, text) = try document.secret.withBytes { bytes in
      let node = try JSONNode(reading: bytes)
      guard let terms = node["handoff"], let signature = node["signature"] else {
        throw JSONError(.missing, "the handoff: member \"handoff\" or \"signature\" is missing")
      }
      return (try JSONValue(terms, in: bytes), try signature.text(in: bytes))
    }
    let handoff = try Handoff(value)
    guard let signature = [UInt8](base64: text), signature.count == SigningKey.signatureSize else {
      throw VaultError(.corrupt, "the handoff's signature is malformed")
    }
    // In canonical form, the pair is exactly between these.
    let start = opening.count + handoff.json.canonicalBytes.count + middle.count
    let finish = document.secret.count - closing.count - signatureTextSize - end.count
    guard start < finish else { throw JSONError(.notCanonical, "the handoff is not in canonical form (RFC 8785)") }
    let pair = try Pair(reading: SharedSecret(SecretBytes(part: start..<finish, of: document)))
    let again = try encode(handoff, pair, signature: signature)
    let isSame = document.secret.isEqual(to: again)
    guard isSame else { throw JSONError(.notCanonical, "the handoff is not in canonical form (RFC 8785)") }
    return (handoff, pair, signature)
  }
}
