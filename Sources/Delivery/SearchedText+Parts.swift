import Sodium

// A value that another format holds in parts: lines of base64 in JSON, of a diff or of an answered mail, strings of
// source code that are joined, the numbers of a C array.
extension SearchedText {
  /// `text` without zero bytes. ASCII in UTF-16 is then read as what it says, in either order, with a mark or without,
  /// and also where it was appended to something else.
  static func withoutZeros(_ text: SharedSecret) throws -> SharedSecret {
    let count = text.secret.withUnsafeBytes { $0.count { $0 != 0 } }
    guard count < text.secret.count else { return text }
    return SharedSecret(
      try SecretBytes(capacity: count) { output in
        text.secret.withUnsafeBytes { for byte in $0 where byte != 0 { output.append(byte) } }
      })
  }

  /// `text` without what stands between the parts of a value; nil if nothing does.
  static func joined(_ text: SharedSecret) throws -> SharedSecret? {
    let joined = try SecretBytes(capacity: text.secret.count) { output in
      text.secret.withUnsafeBytes { text in
        var position = 0
        while let (byte, count) = character(in: text, at: position) {
          let end = position + count
          if let rest = joint(in: text, after: byte, at: end) {
            position = end + rest
          } else {
            while position < end {
              output.append(text[position])
              position += 1
            }
          }
        }
      }
    }
    return joined.count == text.secret.count ? nil : SharedSecret(joined)
  }

  /// How many bytes at `start`, after the character `first`, belong with it to what ends one part and begins the next; nil if
  /// it does not. Reads no further than to the next quote, so that a text is joined in time that grows with its size.
  private static func joint(in text: UnsafeRawBufferPointer, after first: UInt8, at start: Int) -> Int? {
    switch first {
    case 0x0A, 0x0D: return margin(of: text, at: start)
    case UInt8(ascii: "\""), UInt8(ascii: "'"):
      var position = start
      while let next = character(in: text, at: position) {
        position += next.count
        switch next.byte {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return position - start
        case 0x09, 0x0A, 0x0D, 0x20, UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: ","): continue
        default: return nil
        }
      }
      return nil
    default: return nil
    }
  }

  /// How many bytes at `start`, where a line begins, are none of its content: more breaks, indentation, the sign of a
  /// diff, an answer or a comment.
  private static func margin(of text: UnsafeRawBufferPointer, at start: Int) -> Int {
    var position = start
    while let next = character(in: text, at: position) {
      switch next.byte {
      case 0x09, 0x0A, 0x0D, 0x20, UInt8(ascii: ">"), UInt8(ascii: "#"): break
      // Base64 has these, too, and lines that are broken by an escape or indented may begin with them.
      case UInt8(ascii: "+"), UInt8(ascii: "-"):
        guard text[position - 1] == 0x0A else { return position - start }
      default: return position - start
      }
      position += next.count
    }
    return position - start
  }

  /// The byte that is written at `position`, as it is or escaped, and how many bytes that takes; nil at the end.
  private static func character(in text: UnsafeRawBufferPointer, at position: Int) -> (byte: UInt8, count: Int)? {
    guard position < text.count else { return nil }
    guard let (byte, count) = SecretPattern.unescaped(text, at: position) else { return (text[position], 1) }
    // Backslashes and a letter, or a backslash that is escaped itself and a letter.
    let end = position + count
    let (letter, length) =
      byte == UInt8(ascii: "\\") && end < text.count ? (text[end], count + 1) : (text[end - 1], count)
    return switch letter {
    case UInt8(ascii: "n"): (0x0A, length)
    case UInt8(ascii: "r"): (0x0D, length)
    case UInt8(ascii: "t"): (0x09, length)
    default: (byte, count)
    }
  }
}
