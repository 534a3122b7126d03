package import Sodium
import Transport

/// The request for a client_credentials grant (RFC 6749 §4.4.2), built in guarded memory and ready to be sent.
package struct TokenRequest: Sendable {
  let body: HTTPRequest.Body
  let headers: [HTTPRequest.SecretHeader]

  private static let form = "application/x-www-form-urlencoded"
  private static let grantType = Array("grant_type=client_credentials".utf8)

  /// Copies the pair into the request; the copies are wiped when the request ends. `parameters` are further members of
  /// the form, such as `scope`, and must not be secret.
  package init(
    clientID: borrowing SecretBytes, clientSecret: borrowing SecretBytes, by authentication: ClientAuthentication,
    parameters: [(name: String, value: String)] = []
  ) throws {
    let opening = Self.grantType + parameters.flatMap { Array("&\($0.name)=".utf8) + FormEncoding.encoded($0.value) }
    switch authentication {
    case .body:
      body = .secret(SharedSecret(try Self.form(opening, clientID, clientSecret)), contentType: Self.form)
      headers = []
    case .basic, .basicRaw:
      body = .bytes(opening, contentType: Self.form)
      let value = try Self.userPassword(clientID, clientSecret, encoded: authentication == .basic)
      headers = [.init(name: "Authorization", prefix: "Basic ", value: SharedSecret(try base64(value)))]
    }
  }

  private static func form(
    _ opening: [UInt8], _ id: borrowing SecretBytes, _ secret: borrowing SecretBytes
  ) throws -> SecretBytes {
    let idName = Array("&client_id=".utf8)
    let secretName = Array("&client_secret=".utf8)
    let capacity =
      opening.count + idName.count + secretName.count + FormEncoding.capacity(of: id.count + secret.count)
    let (id, secret) = (id.bytes, secret.bytes)
    return try SecretBytes(capacity: capacity) { output in
      for byte in opening + idName { output.append(byte) }
      FormEncoding.append(id, to: &output)
      for byte in secretName { output.append(byte) }
      FormEncoding.append(secret, to: &output)
    }
  }

  private static func userPassword(
    _ id: borrowing SecretBytes, _ secret: borrowing SecretBytes, encoded: Bool
  ) throws -> SecretBytes {
    let (id, secret) = (id.bytes, secret.bytes)
    return try SecretBytes(capacity: FormEncoding.capacity(of: id.byteCount + secret.byteCount) + 1) { output in
      func append(_ part: RawSpan) {
        if encoded { return FormEncoding.append(part, to: &output) }
        for offset in part.byteOffsets { output.append(part.unsafeLoad(fromByteOffset: offset, as: UInt8.self)) }
      }
      append(id)
      output.append(UInt8(ascii: ":"))
      append(secret)
    }
  }
}

/// Standard base64 with padding, from guarded memory into guarded memory.
private func base64(_ bytes: borrowing SecretBytes) throws -> SecretBytes {
  let input = bytes.bytes
  let alphabet = [UInt8]("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  return try SecretBytes(capacity: (input.byteCount + 2) / 3 * 4) { output in
    for start in stride(from: 0, to: input.byteCount, by: 3) {
      let size = min(3, input.byteCount - start)
      var word = 0
      for place in 0..<size {
        word |= Int(input.unsafeLoad(fromByteOffset: start + place, as: UInt8.self)) << (16 - 8 * place)
      }
      for place in 0..<4 {
        output.append(place <= size ? alphabet[word >> (18 - 6 * place) & 63] : UInt8(ascii: "="))
      }
    }
  }
}
