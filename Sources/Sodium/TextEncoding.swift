import CSodium

/// Base64 and hexadecimal by libsodium, whose run time does not depend on the bytes.
extension [UInt8] {
  /// Standard base64 with padding (RFC 4648 §4).
  package var base64: String {
    var text = [CChar](
      repeating: 0, count: sodium_base64_encoded_len(count, Int32(sodium_base64_VARIANT_ORIGINAL)))
    sodium_bin2base64(&text, text.count, self, count, Int32(sodium_base64_VARIANT_ORIGINAL))
    return String(decoding: text.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Reads canonical base64 with padding; nil for anything else, white space and stray bits included.
  package init?(base64 text: String) {
    let digits = Array(text.utf8)
    var bytes = [UInt8](repeating: 0, count: digits.count / 4 * 3 + 1)
    var size = 0
    let status = digits.withUnsafeBytes { digits in
      sodium_base642bin(
        &bytes, bytes.count, digits.uint8, digits.count, nil, &size, nil, Int32(sodium_base64_VARIANT_ORIGINAL))
    }
    guard status == 0 else { return nil }
    self = Array(bytes[..<size])
    // One text for each value: libsodium refuses most other spellings, and writing it again refuses the rest.
    guard base64 == text else { return nil }
  }

  /// Lower-case hexadecimal digits, two a byte.
  package var hex: String {
    var text = [CChar](repeating: 0, count: 2 * count + 1)
    sodium_bin2hex(&text, text.count, self, count)
    return String(decoding: text.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Reads lower-case hexadecimal digits, two a byte; nil for anything else.
  package init?(hex text: String) {
    let digits = Array(text.utf8)
    var bytes = [UInt8](repeating: 0, count: digits.count / 2 + 1)
    var size = 0
    let status = digits.withUnsafeBytes { digits in
      sodium_hex2bin(&bytes, bytes.count, digits.uint8, digits.count, nil, &size, nil)
    }
    guard status == 0, 2 * size == digits.count else { return nil }
    self = Array(bytes[..<size])
    guard hex == text else { return nil }
  }
}
