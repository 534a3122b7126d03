import Sodium

/// Bech32 (BIP 173) without its length limit, for keys of any secrecy: text and bytes stay in guarded memory, and only
/// registers come between them.
///
/// A key has one spelling: the whole text has the case of the prefix (c2sp.org/age writes recipients in lower case and
/// identities in upper case), and the bits left over are zero.
enum Bech32 {
  /// Why a text is not a key in Bech32. It reveals nothing of the text itself, which may be a mistyped secret.
  enum Flaw: Error, Equatable {
    case wrongPrefix
    case wrongSize(found: Int, expected: Int)
    case wrongCharacter(at: Int)
    case wrongChecksum
    case nonZeroPadding
  }

  private static let alphabet = Array("qpzry9x8gf2tvdw0s3jn54khce6mua7l".utf8)
  private static let checksumSize = 6

  /// The text of `bytes` with `prefix`, in the case of `prefix`.
  static func encode(_ bytes: RawSpan, prefix: String) throws -> SecretBytes {
    let isUppercase = isUppercase(prefix)
    let textSize = textSize(prefix: prefix, byteCount: bytes.byteCount)
    return try SecretBytes(capacity: textSize) { output in
      for character in prefix.utf8 { output.append(character) }
      output.append(UInt8(ascii: "1"))
      var checksum = Checksum(prefix: prefix)
      var buffer: UInt32 = 0
      var bits: UInt32 = 0
      for offset in bytes.byteOffsets {
        buffer = (buffer << 8 | UInt32(bytes.byte(at: offset))) & 0xFFF
        bits += 8
        while bits >= 5 {
          bits -= 5
          let value = buffer >> bits & 31
          checksum.add(value)
          output.append(character(of: value, isUppercase))
        }
      }
      if bits > 0 {
        let value = buffer << (5 - bits) & 31
        checksum.add(value)
        output.append(character(of: value, isUppercase))
      }
      let ending = checksum.ending
      for shift in stride(from: 5 * (checksumSize - 1), through: 0, by: -5) {
        output.append(character(of: ending >> UInt32(shift) & 31, isUppercase))
      }
    }
  }

  /// The `count` bytes that `text` encodes with `prefix`. Throws a `Flaw`.
  static func decode(_ text: RawSpan, prefix: String, count: Int) throws -> SecretBytes {
    guard text.starts(with: prefix + "1") else { throw Flaw.wrongPrefix }
    let textSize = textSize(prefix: prefix, byteCount: count)
    guard text.byteCount == textSize else { throw Flaw.wrongSize(found: text.byteCount, expected: textSize) }
    let isUppercase = isUppercase(prefix)
    let checksumStart = textSize - checksumSize
    return try SecretBytes(capacity: count) { output in
      var checksum = Checksum(prefix: prefix)
      var buffer: UInt32 = 0
      var bits: UInt32 = 0
      for offset in (prefix.utf8.count + 1)..<textSize {
        guard let value = value(of: text.byte(at: offset), isUppercase) else { throw Flaw.wrongCharacter(at: offset) }
        checksum.add(value)
        guard offset < checksumStart else { continue }
        buffer = (buffer << 5 | value) & 0xFFF
        bits += 5
        if bits >= 8 {
          bits -= 8
          output.append(UInt8(truncatingIfNeeded: buffer >> bits))
        }
      }
      guard checksum.isValid else { throw Flaw.wrongChecksum }
      guard buffer & (1 << bits - 1) == 0 else { throw Flaw.nonZeroPadding }
    }
  }

  private static func textSize(prefix: String, byteCount: Int) -> Int {
    prefix.utf8.count + 1 + (byteCount * 8 + 4) / 5 + checksumSize
  }

  private static func isUppercase(_ prefix: String) -> Bool { prefix == prefix.uppercased() }

  private static func character(of value: UInt32, _ isUppercase: Bool) -> UInt8 {
    let character = alphabet[Int(value)]
    let isLetter = character >= UInt8(ascii: "a")
    return isUppercase && isLetter ? character - 0x20 : character
  }

  private static func value(of character: UInt8, _ isUppercase: Bool) -> UInt32? {
    // Digits have no case; a letter of the other case would make a second spelling.
    let isLetter = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(character)
    let lowercase = isUppercase ? (isLetter ? character + 0x20 : character) : character
    if isUppercase && lowercase == character && character >= UInt8(ascii: "a") { return nil }
    return alphabet.firstIndex(of: lowercase).map { UInt32($0) }
  }
}

extension Bech32 {
  /// The BCH code of BIP 173, always over the lower-case text.
  private struct Checksum {
    private static let generator: [UInt32] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3]
    private var remainder: UInt32 = 1

    init(prefix: String) {
      let prefix = prefix.lowercased().utf8
      for character in prefix { add(UInt32(character) >> 5) }
      add(0)
      for character in prefix { add(UInt32(character) & 31) }
    }

    mutating func add(_ value: UInt32) {
      let top = remainder >> 25
      remainder = (remainder & 0x1FF_FFFF) << 5 ^ value
      // A mask instead of a branch: the values may belong to a secret.
      for (bit, coefficient) in Self.generator.enumerated() {
        remainder ^= coefficient & (0 &- (top >> UInt32(bit) & 1))
      }
    }

    /// Whether the values added end with their own checksum.
    var isValid: Bool { remainder == 1 }

    /// The six 5-bit values that end the text, the first in the highest bits.
    var ending: UInt32 {
      var closed = self
      for _ in 0..<checksumSize { closed.add(0) }
      return closed.remainder ^ 1
    }
  }
}

extension Bech32.Flaw {
  /// The end of a sentence about the text, such as "has a wrong checksum".
  var explanation: String {
    switch self {
    case .wrongPrefix: "does not begin as expected"
    case .wrongSize(let found, let expected): "has \(found) characters, expected \(expected)"
    case .wrongCharacter(let offset): "has a wrong character at \(offset + 1), or a letter of the wrong case"
    case .wrongChecksum: "has a wrong checksum: it was mistyped or cut"
    case .nonZeroPadding: "is not canonical"
    }
  }
}
