import JSON
package import Sodium

/// `client_id` and `client_secret`, always one unit. Both live in guarded memory: the identifier is kept as secret as
/// the secret from everyone who may not read the pair.
package final class Pair: Sendable {
  package let clientID: SecretBytes
  package let clientSecret: SecretBytes
  /// The token that manages this client at its provider, if the provider issues one with each client (RFC 7592 §3). It
  /// is sealed with the pair, and is left out wherever a pair is delivered or read.
  package let registrationToken: SharedSecret?

  /// The greatest size of either part in bytes.
  package static let maximumPartSize = 4096

  package init(
    clientID: consuming SecretBytes, clientSecret: consuming SecretBytes, registrationToken: SharedSecret? = nil
  ) {
    self.clientID = clientID
    self.clientSecret = clientSecret
    self.registrationToken = registrationToken
  }

  /// Reads `{"client_id":"…","client_secret":"…"}` from guarded memory: both parts present, 1 to 4,096 bytes, no
  /// control character, and no other member except possibly a `registration_access_token` like them. The parts share
  /// its pages. Throws `JSONError`, or `VaultError.invalidInput`.
  package convenience init(reading document: SharedSecret) throws {
    let node = try document.secret.withBytes { try JSONNode(reading: $0) }
    guard case .object(let members) = node else {
      throw JSONError(.wrongType, "the pair: expected an object with client_id and client_secret")
    }
    let parts = ["client_id", "client_secret", Self.tokenName]
    guard members.allSatisfy({ parts.contains($0.name) }) else {
      throw JSONError(.wrongType, "the pair: expected client_id and client_secret, and no other member")
    }
    let token =
      node[Self.tokenName] == nil ? nil : SharedSecret(try Self.part(Self.tokenName, of: node, in: document))
    self.init(
      clientID: try Self.part("client_id", of: node, in: document),
      clientSecret: try Self.part("client_secret", of: node, in: document), registrationToken: token)
  }

  private static let tokenName = "registration_access_token"

  private static func part(_ name: String, of node: JSONNode, in document: SharedSecret) throws -> SecretBytes {
    guard let member = node[name] else { throw JSONError(.missing, "the pair: member \"\(name)\" is missing") }
    let part = try part(member, in: document)
    try check(part, name)
    return part
  }

  private static func part(_ member: JSONNode, in document: SharedSecret) throws -> SecretBytes {
    try document.secret.withBytes { bytes in
      if let range = member.verbatim(in: bytes) { return try SecretBytes(part: range, of: document) }
      return try SecretBytes(capacity: member.capacity) { try member.write(to: &$0, in: bytes) }
    }
  }

  /// Whether `other` has the same identifier and the same secret. Takes the same time wherever they differ.
  package func isSame(as other: Pair) -> Bool {
    let isSameClient = clientID.isEqual(to: other.clientID)
    return clientSecret.isEqual(to: other.clientSecret) && isSameClient
  }

  /// Fails unless `part` is fit for a header, a form and a log-safe comparison.
  package static func check(_ part: borrowing SecretBytes, _ name: String) throws {
    guard (1...maximumPartSize).contains(part.count) else {
      throw VaultError(.invalidInput, "\(name) has \(part.count) bytes, expected 1 to \(maximumPartSize)")
    }
    let hasControl = part.withUnsafeBytes { bytes in bytes.contains { $0 < 0x20 || $0 == 0x7F } }
    guard !hasControl else { throw VaultError(.invalidInput, "\(name) holds a control character") }
    // Validating copies nothing: the bytes stay where they are.
    let isText = part.withUnsafeBytes { bytes in Self.isUTF8(bytes) }
    guard isText else { throw VaultError(.invalidInput, "\(name) is not UTF-8") }
  }

  /// Fails unless `token` is fit for the header that it is sent in: as above, and only visible ASCII.
  package static func check(token: borrowing SecretBytes, _ name: String) throws {
    try check(token, name)
    let isVisible = token.withUnsafeBytes { bytes in bytes.allSatisfy { (0x21...0x7E).contains($0) } }
    guard isVisible else { throw VaultError(.invalidInput, "\(name) has characters that a header cannot contain") }
  }

  private static func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    while true {
      switch decoder.decode(&iterator) {
      case .scalarValue: continue
      case .emptyInput: return true
      case .error: return false
      }
    }
  }

  /// The canonical JSON text of the pair (RFC 8785), in guarded memory: what `read` prints, and what is delivered.
  package func document() throws -> SecretBytes { try document(with: nil) }

  /// The same with everything that the vault has of the pair: this is what is sealed.
  package func sealedDocument() throws -> SecretBytes { try document(with: registrationToken) }

  private func document(with token: SharedSecret?) throws -> SecretBytes {
    let open = Array(#"{"client_id":""#.utf8)
    let middle = Array(#"","client_secret":""#.utf8)
    let last = Array("\",\"\(Self.tokenName)\":\"".utf8)
    let close = Array(#""}"#.utf8)
    // Only quote and backslash can need escaping: control characters were refused.
    let capacity =
      open.count + middle.count + last.count + close.count
      + 2 * (clientID.count + clientSecret.count + (token?.secret.count ?? 0))
    return try SecretBytes(capacity: capacity) { output in
      for byte in open { output.append(byte) }
      clientID.withUnsafeBytes { Self.escape($0, to: &output) }
      for byte in middle { output.append(byte) }
      clientSecret.withUnsafeBytes { Self.escape($0, to: &output) }
      if let token {
        for byte in last { output.append(byte) }
        token.secret.withUnsafeBytes { Self.escape($0, to: &output) }
      }
      for byte in close { output.append(byte) }
    }
  }

  private static func escape(_ bytes: UnsafeRawBufferPointer, to output: inout OutputRawSpan) {
    for byte in bytes {
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { output.append(UInt8(ascii: "\\")) }
      output.append(byte)
    }
  }
}
