import Sodium

/// `application/x-www-form-urlencoded` bytes, written straight into guarded memory.
package enum FormEncoding {
  /// The most bytes that `append` writes for `count` bytes.
  package static func capacity(of count: Int) -> Int { 3 * count }

  /// Appends `bytes` with everything except `A-Z a-z 0-9 - . _ ~` percent-encoded, which every server reads the same
  /// way.
  package static func append(_ bytes: RawSpan, to output: inout OutputRawSpan) {
    for offset in bytes.byteOffsets {
      let byte = bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
      switch byte {
      case 0x41...0x5A, 0x61...0x7A, 0x30...0x39, 0x2D, 0x2E, 0x5F, 0x7E:
        output.append(byte)
      default:
        output.append(UInt8(ascii: "%"))
        output.append(digit(byte >> 4))
        output.append(digit(byte & 15))
      }
    }
  }

  /// The encoded form of text that is not secret.
  package static func encoded(_ text: String) -> [UInt8] { encoded(text.utf8) }

  /// The encoded form of bytes that are not secret.
  package static func encoded(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    bytes.flatMap { byte -> [UInt8] in
      switch byte {
      case 0x41...0x5A, 0x61...0x7A, 0x30...0x39, 0x2D, 0x2E, 0x5F, 0x7E: [byte]
      default: [UInt8(ascii: "%"), digit(byte >> 4), digit(byte & 15)]
      }
    }
  }

  private static func digit(_ nibble: UInt8) -> UInt8 {
    nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "A") + nibble - 10
  }
}
