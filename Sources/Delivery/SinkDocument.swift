import Glibc
import Rotation
package import Sodium
package import Vault

/// The content of a file sink, made in guarded memory.
package enum SinkDocument {
  /// The greatest size of a template in bytes.
  package static let maximumTemplateSize = 1 << 16

  /// The content of a file for `pair`, version `version` of `credential`.
  ///
  /// Throws `DeliveryError.unusable` if the template cannot be read, has an unknown placeholder, or has no placeholder
  /// of the pair.
  package static func make(
    _ pair: Pair, _ format: FileSettings.Format, credential: String, version: UInt64
  ) throws -> SecretBytes {
    switch format {
    case .json:
      let document = try pair.document()
      return try join([.secret(SharedSecret(document)), .plain("\n")])
    case .dotenv(let prefix):
      return try join([
        .plain("\(prefix)_CLIENT_ID="), .secret(SharedSecret(try quoted(pair.clientID))),
        .plain("\n\(prefix)_CLIENT_SECRET="), .secret(SharedSecret(try quoted(pair.clientSecret))), .plain("\n"),
      ])
    case .template(let path):
      let template = try Template(reading: path)
      return try join(
        try template.parts.map { part in
          switch part {
          case .text(let range): .template(template.bytes, range)
          case .placeholder(.clientID): .secret(SharedSecret(try pair.clientID.clone()))
          case .placeholder(.clientSecret): .secret(SharedSecret(try pair.clientSecret.clone()))
          case .placeholder(.name): .plain(credential)
          case .placeholder(.version): .plain(String(version))
          }
        })
    }
  }

  /// Fails if a file of this format could not be made now.
  static func check(_ format: FileSettings.Format) throws {
    if case .template(let path) = format { _ = try Template(reading: path) }
  }

  private enum Piece {
    case plain(String)
    case secret(SharedSecret)
    case template(SharedSecret, Range<Int>)

    var count: Int {
      switch self {
      case .plain(let text): text.utf8.count
      case .secret(let secret): secret.secret.count
      case .template(_, let range): range.count
      }
    }

    func append(to output: inout OutputRawSpan) {
      switch self {
      case .plain(let text): for byte in text.utf8 { output.append(byte) }
      case .secret(let secret): secret.secret.withUnsafeBytes { for byte in $0 { output.append(byte) } }
      case .template(let bytes, let range):
        bytes.secret.withUnsafeBytes { for byte in $0[range] { output.append(byte) } }
      }
    }
  }

  private static func join(_ pieces: [Piece]) throws -> SecretBytes {
    try SecretBytes(capacity: pieces.reduce(0) { $0 + $1.count }) { output in
      for piece in pieces { piece.append(to: &output) }
    }
  }

  /// A value that POSIX shells and systemd's `EnvironmentFile=` read as `part`: unquoted if it needs no quotes,
  /// otherwise in single quotes, and if it contains a single quote itself, in double quotes with backslashes.
  private static func quoted(_ part: borrowing SecretBytes) throws -> SecretBytes {
    let isPlain = part.withUnsafeBytes { $0.allSatisfy(isHarmless) }
    let hasQuote = part.withUnsafeBytes { $0.contains(UInt8(ascii: "'")) }
    return try SecretBytes(capacity: 2 * part.count + 2) { output in
      let quote: UInt8? = isPlain ? nil : UInt8(ascii: hasQuote ? "\"" : "'")
      if let quote { output.append(quote) }
      part.withUnsafeBytes { bytes in
        for byte in bytes {
          if hasQuote, "\"\\$`".utf8.contains(byte) { output.append(UInt8(ascii: "\\")) }
          output.append(byte)
        }
      }
      if let quote { output.append(quote) }
    }
  }

  private static func isHarmless(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 65...90, 97...122: true
    default: "_-./+=:@%,".utf8.contains(byte)
    }
  }
}

/// A file with placeholders in double braces. Its text should not be secret, but nothing says that it is not, so it is
/// read into guarded memory.
struct Template {
  enum Placeholder: String, CaseIterable {
    case clientID = "client_id"
    case clientSecret = "client_secret"
    case name
    case version
  }

  enum Part {
    case text(Range<Int>)
    case placeholder(Placeholder)

    /// Whether it stands for a part of the pair.
    var isOfPair: Bool {
      switch self {
      case .placeholder(.clientID), .placeholder(.clientSecret): true
      case .placeholder(.name), .placeholder(.version), .text: false
      }
    }
  }

  let bytes: SharedSecret
  let parts: [Part]

  init(reading path: String) throws {
    let file = try TrustedFile(path) { Self.refusal(path, $0) }
    let (descriptor, information) = try file.openRegular { Self.refusal(path, $0) }
    defer { close(descriptor) }
    // Whoever can write to it decides what is delivered, and how it is quoted.
    if let distrust = file.distrust(of: information) { throw Self.refusal(path, distrust) }
    let bytes: SecretBytes
    do {
      bytes = try PrivateFile.readAll(descriptor, limit: SinkDocument.maximumTemplateSize, Name.printable(path))
    } catch let error as VaultError { throw DeliveryError(.unusable, "the template: \(error)") }
    let parts: [Part]?
    let offender: Int
    (parts, offender) = bytes.withUnsafeBytes { Self.parse($0) }
    guard let parts else {
      let known = Placeholder.allCases.map { "{{\($0.rawValue)}}" }.joined(separator: ", ")
      throw Self.refusal(path, "has a placeholder at byte \(offender) that is none of \(known)")
    }
    // A file made from a template has no placeholders. Used as a template it would deliver the old pair for ever, and
    // nobody would notice.
    guard parts.contains(where: \.isOfPair) else {
      throw Self.refusal(path, "has neither {{client_id}} nor {{client_secret}}")
    }
    self.bytes = SharedSecret(bytes)
    self.parts = parts
  }

  /// The parts; or nil, and the position of an unknown placeholder.
  static func parse(_ bytes: UnsafeRawBufferPointer) -> ([Part]?, Int) {
    var parts: [Part] = []
    var start = 0
    var position = 0
    func begins(_ word: String, at offset: Int) -> Bool {
      offset + word.utf8.count <= bytes.count && bytes[offset..<offset + word.utf8.count].elementsEqual(word.utf8)
    }
    while position < bytes.count {
      guard begins("{{", at: position) else {
        position += 1
        continue
      }
      guard let found = Placeholder.allCases.first(where: { begins("{{\($0.rawValue)}}", at: position) }) else {
        return (nil, position)
      }
      if start < position { parts.append(.text(start..<position)) }
      parts.append(.placeholder(found))
      position += found.rawValue.utf8.count + 4
      start = position
    }
    if start < position { parts.append(.text(start..<position)) }
    return (parts, 0)
  }

  private static func refusal(_ path: String, _ found: String) -> DeliveryError {
    DeliveryError(
      .unusable, "the template \(Name.printable(path)) \(found)", hint: "correct it; it is read at each delivery")
  }
}
