extension SecretPattern {
  /// How many bytes an escape has at most, besides those that escape it once more.
  static let longestEscape = 12

  /// The byte that the escape at `start` stands for, however many times it was escaped, and how long it is; nil if there
  /// is none. Where an escape can be read in two ways, it is read as the longer one. A character that is not ASCII is
  /// told as a byte that is not.
  static func unescaped(_ text: UnsafeRawBufferPointer, at start: Int) -> (byte: UInt8, count: Int)? {
    func value(at place: Int, count: Int, radix: Int) -> Int? {
      guard place + count <= text.count else { return nil }
      var value = 0
      for byte in text[place..<place + count] {
        guard let digit = digit(byte), digit < radix else { return nil }
        value = value * radix + Int(digit)
      }
      return value
    }
    func ascii(_ value: Int) -> UInt8 { value < 0x80 ? UInt8(value) : 0xFF }
    switch text[start] {
    case UInt8(ascii: "%"):
      var place = start + 1
      var time = 1
      while time < maximumEscapeLevels, value(at: place, count: 2, radix: 16) == 0x25,
        value(at: place + 2, count: 2, radix: 16) != nil
      { (place, time) = (place + 2, time + 1) }
      return value(at: place, count: 2, radix: 16).map { (ascii($0), place + 2 - start) }
    case UInt8(ascii: "\\"):
      let run = text[start...].prefix(1 << maximumEscapeLevels).prefix { $0 == UInt8(ascii: "\\") }
      let place = start + run.count
      guard place < text.count else { return nil }
      switch text[place] {
      case UInt8(ascii: "x"):
        if let value = value(at: place + 1, count: 2, radix: 16) { return (ascii(value), place + 3 - start) }
      case UInt8(ascii: "u"):
        if let value = value(at: place + 1, count: 4, radix: 16) { return (ascii(value), place + 5 - start) }
      case UInt8(ascii: "0")...UInt8(ascii: "3"):
        if let value = value(at: place, count: 3, radix: 8) { return (ascii(value), place + 3 - start) }
      default: break
      }
      return (text[place], place + 1 - start)
    case UInt8(ascii: "&"):
      let rest = UnsafeRawBufferPointer(rebasing: text[start...])
      for (byte, name) in entities where rest.starts(with: name.utf8) { return (byte, name.utf8.count) }
      guard rest.starts(with: "&#".utf8), let end = rest.prefix(longestEscape).firstIndex(of: UInt8(ascii: ";"))
      else { return nil }
      let isHexadecimal = rest[2] | 0x20 == UInt8(ascii: "x")
      let (digits, radix) = isHexadecimal ? (3, 16) : (2, 10)
      guard digits < end else { return nil }
      return value(at: start + digits, count: end - digits, radix: radix).map { (ascii($0), end + 1) }
    default: return nil
    }
  }
}
