import Sodium

/// The textual header of an age file (c2sp.org/age, "Header"): version line, stanzas, MAC.
struct Header {
  static let versionPrefix = "age-encryption.org/"
  static let version = "v1"
  /// In bytes. The specification sets no limit. Ten thousand recipients fit in this one, which bounds the work of
  /// trying them all.
  static let maximumSize = 1 << 20

  private static let mark = Array("---".utf8)

  let stanzas: [Stanza]
  /// The MAC the header ends with.
  let code: [UInt8]
  /// What the MAC covers: everything up to and including the `---` mark.
  let covered: [UInt8]
  /// Where the payload begins.
  let size: Int

  /// Reads the header at the beginning of a binary `file`. Nothing in it is authentic before `authenticate(with:)`.
  init(parsing file: RawSpan) throws {
    // Checked before anything is copied: the caller may pass a plaintext identity file.
    guard file.starts(with: Self.versionPrefix) else {
      throw AgeError(.notAnAgeFile, "file does not begin with \"\(Self.versionPrefix)\"")
    }
    let bytes = file.publicPrefix(Self.maximumSize)
    var reader = LineReader(bytes)
    try Self.requireVersion(try Self.line(from: &reader))
    var stanzas: [Stanza] = []
    while true {
      let start = reader.position
      let line = try Self.line(from: &reader)
      if line.starts(with: Stanza.opening) {
        stanzas.append(try Stanza(argumentLine: line, bodyFrom: &reader))
      } else {
        code = try Self.code(in: line)
        covered = Array(bytes[..<(start + Self.mark.count)])
        break
      }
    }
    guard !stanzas.isEmpty else {
      throw AgeError(.malformedHeader, "header has no recipient stanza, expected one or more")
    }
    self.stanzas = stanzas
    size = reader.position
  }

  /// Whether `bytes`, the beginning of a file, hold the whole header, if they begin with one.
  static func isWhole(in bytes: [UInt8]) -> Bool {
    let feed = UInt8(ascii: "\n")
    guard let mark = bytes.indices.first(where: { bytes[$0] == feed && bytes[($0 + 1)...].starts(with: Self.mark) })
    else { return false }
    return bytes[(mark + 1)...].contains(feed)
  }

  /// The bytes of a header with `stanzas`, authenticated with `fileKey`.
  static func encode(_ stanzas: [Stanza], fileKey: borrowing SecretBytes) throws -> [UInt8] {
    var text = Array("\(versionPrefix)\(version)\n".utf8)
    for stanza in stanzas { text += stanza.encoded() }
    text += mark
    let key = try codeKey(of: fileKey)
    let code = HMACSHA256.code(of: text, key: key.bytes)
    return text + [UInt8(ascii: " ")] + code.base64(padding: .none) + [UInt8(ascii: "\n")]
  }

  /// Fails unless the header was written with `fileKey`.
  func authenticate(with fileKey: borrowing SecretBytes) throws {
    let key = try Self.codeKey(of: fileKey)
    guard HMACSHA256.isValid(code, of: covered, key: key.bytes) else {
      throw AgeError(.headerNotAuthentic, "header does not match its MAC")
    }
  }

  /// c2sp.org/age, "Header MAC".
  private static func codeKey(of fileKey: borrowing SecretBytes) throws -> SecretBytes {
    try HKDFSHA256.derive(inputKey: fileKey.bytes, salt: [], info: "header")
  }

  private static func line(from reader: inout LineReader) throws -> ArraySlice<UInt8> {
    guard let line = reader.line() else {
      if reader.position + reader.rest.count >= maximumSize {
        throw AgeError(.tooLarge, "header does not end within \(maximumSize) bytes")
      }
      throw AgeError(.malformedHeader, "header ends before its MAC line")
    }
    return line
  }

  private static func requireVersion(_ line: ArraySlice<UInt8>) throws {
    let version = line.dropFirst(versionPrefix.utf8.count)
    guard !version.isEmpty, version.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw AgeError(.malformedHeader, "version line is not visible ASCII ended by one line feed")
    }
    guard version.elementsEqual(Self.version.utf8) else {
      throw AgeError(.unsupportedVersion, "file has another format version, expected \(Self.version)")
    }
  }

  private static func code(in line: ArraySlice<UInt8>) throws -> [UInt8] {
    let opening = mark + [UInt8(ascii: " ")]
    guard line.starts(with: opening) else {
      throw AgeError(.malformedHeader, "header line begins neither a stanza nor the MAC")
    }
    guard let code = [UInt8](base64: line.dropFirst(opening.count), padding: .none), code.count == HMACSHA256.size
    else {
      throw AgeError(.malformedHeader, "header MAC is not \(HMACSHA256.size) bytes of canonical unpadded base64")
    }
    return code
  }
}
