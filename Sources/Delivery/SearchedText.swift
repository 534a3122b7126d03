package import Sodium

/// A text that is searched for secrets, in each form in which `OutputMask` masks them, and also in parts and in UTF-16,
/// which a mask does not see through: it must pass on what it can.
///
/// What a secret in any of these forms leaves in the text is noted once, so that a search for one that is not there
/// does not read the text again. Only of what seems to be there is every place compared.
package struct SearchedText: Sendable {
  /// The text, and the text with its parts joined if that differs. Both are searched, because what stands between parts
  /// may also be of the secret itself.
  private let readings: [SharedSecret]
  /// A bit for each value of a hash: whether some window of the text has it. Pieces of the text can be found with it, so
  /// it is guarded as the text is.
  private let windows: SharedSecret
  private let shift: UInt64

  /// Notes what is in `text`. Takes up to six bytes of guarded memory for each byte of it; throws `SodiumError` if there
  /// is no memory.
  package init(_ text: SharedSecret) throws {
    let text = try Self.withoutZeros(text)
    let readings = try [text] + [Self.joined(text)].compactMap(\.self)
    self.readings = readings
    // Sixteen bits a byte, so that the windows of all readings together fill a quarter of them at most.
    let bits = max(12, UInt64(64 - max(1, 16 * text.secret.count - 1).leadingZeroBitCount))
    let shift = 64 - bits
    self.shift = shift
    windows = SharedSecret(
      try SecretBytes(capacity: 1 << (bits - 3)) { output in
        output.withUnsafeMutableBytes { buffer, initialized in
          initialized = buffer.count
          let table = buffer.initializeMemory(as: UInt8.self, repeating: 0)
          func note(_ hash: UInt64) { table[Int(hash >> 3)] |= 1 << UInt8(hash & 7) }
          for reading in readings {
            reading.secret.withUnsafeBytes { text in
              Self.eachUnescapedWindow(of: text, shift, note)
              Self.eachHexadecimalWindow(of: text, shift, note)
            }
          }
        }
      })
  }

  /// Whether `secret` is in the text, in any form. Throws `SodiumError` if there is no memory for its forms.
  package func contains(_ secret: borrowing SecretBytes) throws -> Bool {
    try SecretPattern.patterns(of: secret).contains { mayContain($0) && contains($0) }
  }

  private func contains(_ pattern: SecretPattern) -> Bool {
    readings.contains { reading in
      reading.secret.withUnsafeBytes { text in
        pattern.isPlainly(in: text)
          || text.indices.contains { start in
            guard pattern.firstBytes[Int(text[start])], case .match = pattern.find(in: text, at: start) else {
              return false
            }
            return true
          }
      }
    }
  }

  /// False only if `pattern` is not in the text.
  private func mayContain(_ pattern: SecretPattern) -> Bool {
    windows.secret.withUnsafeBytes { table in
      pattern.secret.secret.withUnsafeBytes { secret in
        var isMissing = false
        func look(_ hash: UInt64) { if table[Int(hash >> 3)] & 1 << UInt8(hash & 7) == 0 { isMissing = true } }
        if pattern.form == .hexadecimal {
          Self.eachWindow(ofHexadecimal: secret, shift, look)
        } else {
          Self.eachWindow(ofSecret: secret, shift, look)
        }
        return !isMissing
      }
    }
  }
}

// MARK: - Windows

extension SearchedText {
  /// The last bytes that were taken, as one number.
  private struct Window {
    static let length = 8

    private var bytes: UInt64 = 0
    private var count = 0

    /// Takes the next byte, and returns the hash of the window that ends with it; nil until there are enough bytes. No
    /// window goes beyond a byte that is nil.
    mutating func take(_ byte: UInt8?, _ shift: UInt64) -> UInt64? {
      guard let byte else {
        count = 0
        return nil
      }
      bytes = bytes << 8 | UInt64(byte)
      count += 1
      return count < Self.length ? nil : (bytes &* 0x9E37_79B9_7F4A_7C15) >> shift
    }
  }

  /// The bytes of which windows are made; nil for others, which may be written in too many ways. Both alphabets of
  /// base64 count as one.
  private static func plain(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "-"): UInt8(ascii: "+")
    case UInt8(ascii: "_"): UInt8(ascii: "/")
    case UInt8(ascii: "%"), UInt8(ascii: "\\"), UInt8(ascii: "&"), UInt8(ascii: "'"): nil
    case 0x21...0x7E: byte
    default: nil
    }
  }

  /// The windows of a secret that its text has, escaped or not.
  private static func eachWindow(
    ofSecret secret: UnsafeRawBufferPointer, _ shift: UInt64, _ found: (UInt64) -> Void
  ) {
    var window = Window()
    // What stands before it in the text may be the beginning of an escape, too.
    var uncertain = SecretPattern.longestEscape
    for byte in secret {
      let plain = Self.plain(byte)
      if let hash = window.take(uncertain == 0 ? plain : nil, shift) { found(hash) }
      // After one of these the reader of escapes may take what follows for a part of it.
      uncertain = plain == nil ? SecretPattern.longestEscape : max(0, uncertain - 1)
    }
  }

  /// The windows of a text without its escapes and breaks.
  private static func eachUnescapedWindow(
    of text: UnsafeRawBufferPointer, _ shift: UInt64, _ found: (UInt64) -> Void
  ) {
    var window = Window()
    var position = 0
    while position < text.count {
      let escape = SecretPattern.unescaped(text, at: position)
      let byte = escape?.byte ?? text[position]
      position += escape?.count ?? 1
      if escape == nil, byte == 0x0A || byte == 0x0D { continue }
      if let hash = window.take(plain(byte), shift) { found(hash) }
    }
  }

  private static func eachHexadecimalWindow(
    of text: UnsafeRawBufferPointer, _ shift: UInt64, _ found: (UInt64) -> Void
  ) {
    var window = Window()
    var position = 0
    while position < text.count {
      let byte = text[position]
      let isPrefix =
        (byte == UInt8(ascii: "0") || byte == UInt8(ascii: "\\")) && position + 1 < text.count
        && text[position + 1] | 0x20 == UInt8(ascii: "x")
      position += isPrefix ? 2 : 1
      if isPrefix || SecretPattern.separatesHexadecimal(byte) { continue }
      if let hash = window.take(SecretPattern.digit(byte), shift) { found(hash) }
    }
  }

  private static func eachWindow(
    ofHexadecimal secret: UnsafeRawBufferPointer, _ shift: UInt64, _ found: (UInt64) -> Void
  ) {
    var window = Window()
    // All digits but the last, which an `x` that follows it in the text may make a part of a prefix.
    for index in 0..<max(0, 2 * secret.count - 1) {
      let byte = secret[index / 2]
      if let hash = window.take(index % 2 == 0 ? byte >> 4 : byte & 15, shift) { found(hash) }
    }
  }
}
