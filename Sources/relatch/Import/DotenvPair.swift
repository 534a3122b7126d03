import Sodium
import Vault

/// The one pair in a dotenv file: `…CLIENT_ID` and `…CLIENT_SECRET`, or `…CONSUMER_KEY` and `…CONSUMER_SECRET`, with
/// the same beginning. Other variables are ignored.
struct DotenvPair {
  private let content: SharedSecret
  private var values: [(name: String, range: Range<Int>, line: Int)] = []

  init(_ content: SharedSecret) throws {
    self.content = content
    for (number, range) in ImportedFile.lines(of: content) {
      if let found = try Self.variable(in: content, range, number) { values.append((found.name, found.value, number)) }
    }
  }

  private static let endings = [("CLIENT_ID", "CLIENT_SECRET"), ("CONSUMER_KEY", "CONSUMER_SECRET")]

  /// Whether a variable of this name may be a part of the pair.
  private static func isOurs(_ name: String) -> Bool {
    endings.contains { name.hasSuffix($0) || name.hasSuffix($1) }
  }

  func entry() throws -> ImportedFile.Entry {
    var found: [(id: Range<Int>, secret: Range<Int>, line: Int)] = []
    for (idEnding, secretEnding) in Self.endings {
      for id in values where id.name.hasSuffix(idEnding) {
        let name = id.name.dropLast(idEnding.count) + secretEnding
        guard let secret = values.last(where: { $0.name == name }) else { continue }
        found.append((id.range, secret.range, id.line))
      }
    }
    guard found.count == 1, let pair = found.first else {
      throw ImportedFile.unreadable(
        "it is neither JSON nor a dotenv file with one CLIENT_ID and CLIENT_SECRET, in capital letters: found"
          + " \(found.count) such pairs")
    }
    // Which of two is meant is not guessed.
    let others = values.filter { Self.isOurs($0.name) && ![pair.id, pair.secret].contains($0.range) }
    guard others.isEmpty else {
      throw ImportedFile.unreadable(
        "line \(others[0].line) has another part of a pair, beside that of line \(pair.line): expected one CLIENT_ID and one"
          + " CLIENT_SECRET")
    }
    return ImportedFile.Entry(
      place: "line \(pair.line)",
      pair: try ImportedFile.checked(
        Pair(
          clientID: SecretBytes(part: pair.id, of: content), clientSecret: SecretBytes(part: pair.secret, of: content)),
        "line \(pair.line)"))
  }

  /// The name of a variable and where its value is; nil for a comment. Quotes around a value are not part of it.
  private static func variable(
    in content: SharedSecret, _ range: Range<Int>, _ number: Int
  ) throws -> (name: String, value: Range<Int>)? {
    try content.secret.withUnsafeBytes { bytes in
      func skip(_ start: Int) -> Int {
        bytes[start..<range.upperBound].firstIndex { $0 != 0x20 && $0 != 0x09 } ?? start
      }
      var start = skip(range.lowerBound)
      guard bytes[start] != UInt8(ascii: "#") else { return nil }
      if bytes[start..<range.upperBound].starts(with: "export ".utf8) { start = skip(start + 7) }
      guard let equals = bytes[start..<range.upperBound].firstIndex(of: UInt8(ascii: "=")),
        bytes[start..<equals].allSatisfy({ byte in
          (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 0x5F
        }), start < equals
      else { throw ImportedFile.unreadable("line \(number) is neither JSON nor NAME=VALUE") }
      let name = String(decoding: bytes[start..<equals], as: UTF8.self)
      var value = equals + 1..<range.upperBound
      while let last = value.last, bytes[last] == 0x20 || bytes[last] == 0x09 { value = value.dropLast() }
      guard let quote = value.first.map({ bytes[$0] }), quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else {
        // Some readers take this for a comment, others for a part of the value. They differ over leading blanks, too.
        let isAmbiguous = value.contains { place in
          let before = bytes[place - 1]
          return bytes[place] == UInt8(ascii: "#") && (place == equals + 1 || before == 0x20 || before == 0x09)
        }
        guard !isOurs(name) || !(isAmbiguous || skip(equals + 1) != equals + 1) else {
          throw ImportedFile.unreadable(
            "line \(number): its value begins with a blank, or has a # that may begin a comment: put quotes around it")
        }
        return (name, value)
      }
      // A backslash means different things to different readers, and is not guessed at.
      let inner = value.dropFirst().dropLast()
      let isClosed = value.count >= 2 && bytes[value.upperBound - 1] == quote && !bytes[inner].contains(quote)
      guard isClosed, quote == UInt8(ascii: "'") || !bytes[inner].contains(UInt8(ascii: "\\")) else {
        throw ImportedFile.unreadable("line \(number): its quotes are not closed, or it has escapes")
      }
      return (name, inner)
    }
  }
}
