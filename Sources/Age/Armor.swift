import Sodium

/// ASCII armor (c2sp.org/age, "ASCII armor"): strict PEM (RFC 7468 §3) labelled `AGE ENCRYPTED FILE`.
///
/// In PEM as it is usually read, one file has many spellings. Here it has few: line ends are all LF or all CRLF, the
/// last may be missing, and blank lines may precede and follow the block.
enum Armor {
  private static let begin = "-----BEGIN AGE ENCRYPTED FILE-----"
  private static let end = "-----END AGE ENCRYPTED FILE-----"
  private static let columns = 64

  /// Whether `file` looks armored: after blank space it begins as armor does, which no binary file does.
  static func isArmored(_ file: RawSpan) -> Bool {
    file.extracting(droppingFirst: leadingSpace(of: file)).starts(with: "-----")
  }

  /// The armored form of a binary file.
  static func encode(_ file: [UInt8]) -> [UInt8] {
    let base64 = file.base64(padding: .required)
    var text = Array("\(begin)\n".utf8)
    text.reserveCapacity(base64.count + base64.count / columns + 80)
    for start in stride(from: 0, to: base64.count, by: columns) {
      text += base64[start..<min(start + columns, base64.count)]
      text.append(UInt8(ascii: "\n"))
    }
    return text + Array("\(end)\n".utf8)
  }

  /// The binary file inside the armor. Throws `malformedArmor`.
  static func decode(_ file: RawSpan) throws -> [UInt8] {
    let skipped = leadingSpace(of: file)
    guard skipped == 0 || file.byte(at: skipped - 1) == UInt8(ascii: "\n") else {
      throw AgeError(.malformedArmor, "armor does not begin at the beginning of a line")
    }
    let block = file.extracting(droppingFirst: skipped)
    // Checked before anything is copied: other kinds of PEM may hold a private key.
    guard block.starts(with: begin) else { throw AgeError(.malformedArmor, "armor does not begin with \"\(begin)\"") }
    let lines = try lines(in: block.publicPrefix(block.byteCount)[...])

    var text: [UInt8] = []
    text.reserveCapacity(block.byteCount)
    var previous = columns
    for line in lines {
      guard previous == columns, (1...columns).contains(line.count) else {
        throw AgeError(.malformedArmor, "armor is not wrapped at \(columns) columns with one shorter line at the end")
      }
      previous = line.count
      text += line
    }
    guard let bytes = [UInt8](base64: text, padding: .required) else {
      throw AgeError(.malformedArmor, "armor is not canonical padded base64")
    }
    return bytes
  }

  /// The base64 lines of a block that starts with `begin`, without their ends.
  private static func lines(in block: ArraySlice<UInt8>) throws -> [ArraySlice<UInt8>] {
    let size = block.count - block.reversed().prefix(while: isSpace).count
    let after = block.dropFirst(size)
    guard block.prefix(size).suffix(end.utf8.count).elementsEqual(end.utf8) else {
      throw AgeError(.malformedArmor, "armor does not end with \"\(end)\"")
    }
    guard after.isEmpty || after.starts(with: "\n".utf8) || after.starts(with: "\r\n".utf8) else {
      throw AgeError(.malformedArmor, "armor's last line goes on after \"\(end)\"")
    }
    var inner = block.prefix(size).dropLast(end.utf8.count).dropFirst(begin.utf8.count)
    let lineEnd: [UInt8] = inner.first == UInt8(ascii: "\r") ? Array("\r\n".utf8) : Array("\n".utf8)
    guard inner.starts(with: lineEnd) else {
      throw AgeError(.malformedArmor, "armor's first line goes on after \"\(begin)\"")
    }
    inner = inner.dropFirst(lineEnd.count)
    var reader = LineReader(Array(inner))
    var lines: [ArraySlice<UInt8>] = []
    while let line = reader.line() {
      // Any other carriage return is refused later, as it is not a base64 character.
      guard line.suffix(lineEnd.count - 1).elementsEqual(lineEnd.dropLast()) else {
        throw AgeError(.malformedArmor, "armor has both lines that end with LF and lines that end with CRLF")
      }
      lines.append(line.dropLast(lineEnd.count - 1))
    }
    guard reader.isAtEnd else { throw AgeError(.malformedArmor, "armor's last line does not begin with \"\(end)\"") }
    return lines
  }

  private static func leadingSpace(of file: RawSpan) -> Int {
    file.byteOffsets.first { !isSpace(file.byte(at: $0)) } ?? file.byteCount
  }

  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
  }
}
