/// Base 64 (RFC 4648 §4), canonical only (c2sp.org/age, "Conventions").
///
/// It handles only headers and ciphertext, so ordinary arrays and table look-ups are fine. Secrets are written in
/// Bech32.
enum Base64 {
  /// Whether `=` pads the text to a multiple of four characters: never in the header, always in the armor.
  enum Padding { case none, required }

  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let invalid: UInt8 = 0xFF
  private static let values: [UInt8] = {
    var values = [UInt8](repeating: invalid, count: 256)
    for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
    return values
  }()

  /// The only valid encoding of `bytes`.
  static func encode(_ bytes: [UInt8], padding: Padding = .none) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    var buffer: UInt32 = 0
    var bits = 0
    for byte in bytes {
      buffer = buffer << 8 | UInt32(byte)
      bits += 8
      while bits >= 6 {
        bits -= 6
        text.append(alphabet[Int(buffer >> UInt32(bits) & 63)])
      }
    }
    if bits > 0 { text.append(alphabet[Int(buffer << UInt32(6 - bits) & 63)]) }
    if padding == .required { while text.count % 4 != 0 { text.append(UInt8(ascii: "=")) } }
    return text
  }

  /// The bytes of `text`, or nil unless `text` is exactly what `encode` would write for them.
  static func decode(_ text: ArraySlice<UInt8>, padding: Padding = .none) -> [UInt8]? {
    var characters = text
    if padding == .required {
      guard text.count % 4 == 0 else { return nil }
      // At most two: a third `=` stays in `characters`, and is refused because it is not in the alphabet.
      for _ in 0..<2 where characters.last == UInt8(ascii: "=") { characters.removeLast() }
    }
    // A last group of one character holds 6 bits, less than a byte.
    guard characters.count % 4 != 1 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(characters.count / 4 * 3 + 2)
    var buffer: UInt32 = 0
    var bits = 0
    for character in characters {
      let value = values[Int(character)]
      guard value != invalid else { return nil }
      buffer = buffer << 6 | UInt32(value)
      bits += 6
      if bits >= 8 {
        bits -= 8
        bytes.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
      }
    }
    // Bits left over must be zero (RFC 4648 §3.5); otherwise several texts would stand for the same bytes.
    guard buffer & (1 << UInt32(bits) - 1) == 0 else { return nil }
    return bytes
  }
}
