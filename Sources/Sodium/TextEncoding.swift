import CSodium

/// Whether `=` pads base64 to a multiple of four characters.
package enum Base64Padding: Sendable {
  case none, required

  fileprivate var variant: Int32 {
    switch self {
    case .none: Int32(sodium_base64_VARIANT_ORIGINAL_NO_PADDING)
    case .required: Int32(sodium_base64_VARIANT_ORIGINAL)
    }
  }
}

/// Base64 and hexadecimal from libsodium, whose run time does not depend on the bytes.
extension [UInt8] {
  /// Standard base64 with padding (RFC 4648 §4).
  package var base64: String { withUnsafeBytes { base64Text($0, .required) } }

  /// The same, with or without padding, as ASCII.
  package func base64(padding: Base64Padding) -> [UInt8] { Array(withUnsafeBytes { base64Text($0, padding) }.utf8) }

  /// Reads canonical base64 with padding; nil for anything else, including white space and stray bits.
  package init?(base64 text: some StringProtocol) { self.init(base64: text.utf8, padding: .required) }

  /// The same, with or without padding, from ASCII.
  package init?(base64 digits: some Collection<UInt8>, padding: Base64Padding) {
    let digits = Array(digits)
    var bytes = [UInt8](repeating: 0, count: digits.count / 4 * 3 + 3)
    var size = 0
    let status = digits.withUnsafeBytes { digits in
      sodium_base642bin(&bytes, bytes.count, digits.uint8, digits.count, nil, &size, nil, padding.variant)
    }
    guard status == 0 else { return nil }
    self = Array(bytes[..<size])
    // Each value has one spelling: libsodium refuses most others, and the comparison with our own encoding the rest.
    guard base64(padding: padding) == digits else { return nil }
  }

  /// Lower-case hexadecimal digits, two to a byte.
  package var hex: String {
    withUnsafeBytes { bytes in
      text(2 * bytes.count) { sodium_bin2hex($0, $1, bytes.uint8, bytes.count) }
    }
  }

  /// Reads lower-case hexadecimal digits, two to a byte; nil for anything else.
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

/// Standard base64 (RFC 4648 §4).
func base64Text(_ bytes: UnsafeRawBufferPointer, _ padding: Base64Padding) -> String {
  let size = sodium_base64_encoded_len(bytes.count, padding.variant) - 1
  return text(size) { sodium_bin2base64($0, $1, bytes.uint8, bytes.count, padding.variant) }
}

/// The `size` bytes of ASCII text that `write` writes, without the zero byte that it writes after them.
private func text(_ size: Int, _ write: (UnsafeMutablePointer<CChar>, Int) -> Void) -> String {
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: size + 1) { buffer in
    guard let start = buffer.baseAddress else { return "" }
    write(start, size + 1)
    return String(decoding: UnsafeRawBufferPointer(start: start, count: size), as: UTF8.self)
  }
}
