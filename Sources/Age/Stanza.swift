import Sodium

/// A recipient stanza (c2sp.org/age, "Recipient stanza"): arguments, of which the first names its type, and a body.
///
///     -> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc
///     hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE
struct Stanza: Equatable {
  /// A body line has this many columns, except the last, which has fewer.
  static let columns = 64
  static let opening = Array("-> ".utf8)

  /// One or more strings of visible ASCII, as bytes.
  let arguments: [[UInt8]]
  let body: [UInt8]

  init(_ arguments: [[UInt8]], body: [UInt8]) {
    self.arguments = arguments
    self.body = body
  }

  /// Whether the first argument is `type`. Types are case-sensitive.
  func isOf(type: String) -> Bool { arguments.first?.elementsEqual(type.utf8) ?? false }

  /// Reads the body that follows the argument line `line`.
  init(argumentLine line: ArraySlice<UInt8>, bodyFrom reader: inout LineReader) throws {
    arguments = try line.dropFirst(Self.opening.count)
      .split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
      .map { argument in
        guard !argument.isEmpty, argument.allSatisfy({ (0x21...0x7E).contains($0) }) else {
          throw AgeError(.malformedHeader, "stanza argument is empty or not visible ASCII")
        }
        return Array(argument)
      }
    var body: [UInt8] = []
    var lineLength = Self.columns
    while lineLength == Self.columns {
      guard let line = reader.line() else {
        throw AgeError(.malformedHeader, "stanza body ends with a full line, expected a shorter one")
      }
      guard line.count <= Self.columns else {
        throw AgeError(
          .malformedHeader, "stanza body line has \(line.count) columns, expected at most \(Self.columns)")
      }
      guard let bytes = [UInt8](base64: line, padding: .none) else {
        throw AgeError(.malformedHeader, "stanza body is not canonical unpadded base64")
      }
      body += bytes
      lineLength = line.count
    }
    self.body = body
  }

  /// The stanza's lines, each with its line feed.
  func encoded() -> [UInt8] {
    var text = Self.opening + Array(arguments.joined(separator: [UInt8(ascii: " ")])) + [UInt8(ascii: "\n")]
    let body = self.body.base64(padding: .none)
    for start in stride(from: 0, to: body.count, by: Self.columns) {
      text += body[start..<min(start + Self.columns, body.count)] + [UInt8(ascii: "\n")]
    }
    // A body that consists only of full lines ends with an empty line.
    if body.count % Self.columns == 0 { text.append(UInt8(ascii: "\n")) }
    return text
  }
}
