import JSON
import Rotation
import Sodium
import Vault

/// A request to the program: docs/providers/command-contract.md. It is written straight into guarded memory.
struct CommandRequest: Sendable {
  static let version = 1

  private enum Piece: Sendable {
    case plain(String)
    case secret(SharedSecret)
  }

  let operation: Operation
  /// The pairs in the request, which are masked in what the program says.
  private(set) var pairs: [Pair] = []
  private var pieces: [Piece] = []

  enum Operation: String, Sendable {
    case observe, stage, promote, delete, grant

    /// Whether it changes something there.
    var isMutating: Bool { self == .stage || self == .promote || self == .delete }
    /// Whether its answer may contain a pair that the vault does not know.
    var mayShowUnknownPairs: Bool { self == .observe || self == .stage }
  }

  init(_ operation: Operation, admin: Pair? = nil, key: String? = nil) throws(ProviderError) {
    self.operation = operation
    pieces.append(.plain(#"{"relatch":\#(Self.version),"operation":"\#(operation.rawValue)""#))
    if let admin {
      pieces.append(.plain(#","admin":"#))
      try append(admin)
    }
    if let key { pieces.append(.plain(",\"key\":\(JSONValue.string(key).canonicalText)")) }
  }

  /// Adds the vault's pairs.
  mutating func add(_ known: KnownPairs) throws(ProviderError) {
    pieces.append(.plain(#","known":["#))
    for (index, one) in known.all.enumerated() {
      if index > 0 { pieces.append(.plain(",")) }
      try append(one.pair, [("stage", one.stage.rawValue)] + (one.handle.map { [("handle", $0)] } ?? []))
    }
    pieces.append(.plain("]"))
  }

  mutating func add(_ name: String, _ pair: Pair) throws(ProviderError) {
    pieces.append(.plain(",\"\(name)\":"))
    try append(pair)
  }

  /// Adds a pair as it was observed. Its secret may be unknown.
  mutating func add(_ name: String, _ seen: ObservedPair) throws(ProviderError) {
    pieces.append(.plain(",\"\(name)\":"))
    let members = seen.handle.isEmpty ? [] : [("handle", seen.handle)]
    guard let secret = seen.clientSecret else {
      return append(seen.clientID, nil, members)
    }
    append(seen.clientID, secret, members)
    do { pairs.append(try Pair(clientID: seen.clientID.secret.clone(), clientSecret: secret.secret.clone())) } catch {
      throw ProviderError(.malformed, "there is no memory for a pair")
    }
  }

  private mutating func append(_ pair: Pair, _ members: [(String, String)] = []) throws(ProviderError) {
    pairs.append(pair)
    append(try SharedSecret(copying: pair.clientID), try SharedSecret(copying: pair.clientSecret), members)
  }

  private mutating func append(_ id: SharedSecret, _ secret: SharedSecret?, _ members: [(String, String)]) {
    pieces += [.plain(#"{"client_id":""#), .secret(id), .plain("\"")]
    if let secret { pieces += [.plain(#","client_secret":""#), .secret(secret), .plain("\"")] }
    for (name, value) in members { pieces.append(.plain(",\"\(name)\":\(JSONValue.string(value).canonicalText)")) }
    pieces.append(.plain("}"))
  }

  /// The whole object.
  func document() throws(ProviderError) -> SharedSecret {
    // At worst every byte is a control character, which takes six bytes.
    let capacity = pieces.reduce(2) { sum, piece in
      switch piece {
      case .plain(let text): sum + text.utf8.count
      case .secret(let secret): sum + 6 * secret.secret.count
      }
    }
    do {
      let document = try SecretBytes(capacity: capacity) { output in
        for piece in pieces {
          switch piece {
          case .plain(let text): for byte in text.utf8 { output.append(byte) }
          case .secret(let secret): secret.secret.withUnsafeBytes { Self.escape($0, to: &output) }
          }
        }
        output.append(UInt8(ascii: "}"))
        output.append(UInt8(ascii: "\n"))
      }
      return SharedSecret(document)
    } catch { throw ProviderError(.malformed, "there is no memory for a request") }
  }

  /// RFC 8259 §7.
  private static func escape(_ bytes: UnsafeRawBufferPointer, to output: inout OutputRawSpan) {
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        output.append(UInt8(ascii: "\\"))
        output.append(byte)
      case 0..<0x20:
        for digit in #"\u00"#.utf8 { output.append(digit) }
        output.append(UInt8(ascii: "0") + byte >> 4)
        output.append(Array("0123456789abcdef".utf8)[Int(byte & 15)])
      default: output.append(byte)
      }
    }
  }
}
