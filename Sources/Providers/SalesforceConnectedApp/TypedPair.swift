import Rotation
import Sodium
import Vault

/// A pair as a person pasted it, and what is obviously wrong with it.
struct TypedPair: Sendable {
  let key: SharedSecret
  let secret: SharedSecret

  /// Drops blanks at both ends, which pages and terminals add. Throws if there is no guarded memory.
  init(_ key: SharedSecret, _ secret: SharedSecret) throws {
    self.key = try Self.trimmed(key)
    self.secret = try Self.trimmed(secret)
  }

  private static func trimmed(_ typed: SharedSecret) throws -> SharedSecret {
    let range = typed.secret.withUnsafeBytes { bytes -> Range<Int> in
      func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
      guard let first = bytes.firstIndex(where: { !isBlank($0) }), let last = bytes.lastIndex(where: { !isBlank($0) })
      else { return 0..<0 }
      return first..<last + 1
    }
    return SharedSecret(try SecretBytes(part: range, of: typed))
  }

  /// The beginning of every consumer key that was ever seen.
  private static let keyBeginning = Array("3MVG9".utf8)

  /// Why it cannot be a new pair beside `known`, without quoting any of it; nil if it can.
  func problem(beside known: KnownPairs) -> String? {
    if key.secret.count == 0 || secret.secret.count == 0 { return "nothing was typed for one of the two" }
    let secretIsKey = secret.secret.withUnsafeBytes { $0.starts(with: Self.keyBeginning) }
    let isKey = key.secret.withUnsafeBytes { bytes in
      bytes.starts(with: Self.keyBeginning) && (20...512).contains(bytes.count)
        && bytes.allSatisfy { byte in
          (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
            || [0x2E, 0x2D, 0x5F].contains(byte)
        }
    }
    if secretIsKey { return isKey ? "the key was typed twice" : "key and secret look swapped: the key comes first" }
    guard isKey else {
      return
        "what was typed first is not a consumer key: it begins with 3MVG9 and has letters, digits, dots and underscores"
    }
    let isSecret = secret.secret.withUnsafeBytes { bytes in
      (16...512).contains(bytes.count) && bytes.allSatisfy { (0x21...0x7E).contains($0) }
    }
    guard isSecret else {
      return "what was typed second is not a consumer secret: expected at least 16 characters without blanks"
    }
    if let old = known.all.first(where: { $0.pair.clientID.isEqual(to: key.secret) }) {
      return "that is the key of the \(old.stage.rawValue) pair, which the vault has: take the staged details"
    }
    if let old = known.all.first(where: { $0.pair.clientSecret.isEqual(to: secret.secret) }) {
      return "that is the secret of the \(old.stage.rawValue) pair, which the vault has: take both staged details"
    }
    return nil
  }

  /// The pair. Throws if there is no guarded memory.
  func pair() throws -> Pair { Pair(clientID: try key.secret.clone(), clientSecret: try secret.secret.clone()) }
}
