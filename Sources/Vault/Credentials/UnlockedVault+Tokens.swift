package import Audit
import JSON
package import Sodium

/// A credential's active pair, opened to get a token, and the key under which a token of it is kept.
package struct TokenAccess: Sendable {
  package let credential: Credential
  package let version: UInt64
  package let pair: Pair
  private let vault: Identifier
  private let key: SharedSecret

  init(_ credential: Credential, version: UInt64, _ pair: Pair, key: SharedSecret, vault: Identifier) {
    self.credential = credential
    self.version = version
    self.pair = pair
    self.key = key
    self.vault = vault
  }

  /// The name of the file that a token of this credential is kept in.
  package var fileName: String { credential.id.description }

  /// The greatest size of such a file.
  package static let maximumFileSize = 1 << 15

  /// Seals `token`, which ends at `end`, for this version of this credential. Only its key opens the record.
  package func seal(_ token: borrowing SecretBytes, end: Timestamp, randomness: Randomness) throws -> [UInt8] {
    let plaintext = try SecretBytes(capacity: 8 + token.count) { output in
      withUnsafeBytes(of: end.milliseconds.bigEndian) { for byte in $0 { output.append(byte) } }
      token.withUnsafeBytes { for byte in $0 { output.append(byte) } }
    }
    return try key.secret.withBytes { key in
      try SealedRecord.seal(
        plaintext.bytes, key: key, purpose: .token(credential.id, version: version), vault: vault,
        randomness: randomness)
    }
  }

  /// The token in `record` and when it ends; nil if it is not of this version, or sealed under another key.
  package func open(_ record: [UInt8]) -> (token: SharedSecret, end: Timestamp)? {
    Self.open(record, of: credential.id, version: version, under: key, vault)
  }

  /// Whether a new token may be kept in place of `record`, or where there is none. A token of a pair that leaked must
  /// be ended first.
  package func mayReplace(_ record: [UInt8]?, now: Timestamp) -> Bool {
    guard let record, let leak = credential.leak else { return true }
    guard let (_, end) = open(record) else { return false }
    return version > leak.version || end <= now
  }

  /// As above, for any version of the credential whose key is `key`.
  fileprivate static func open(
    _ record: [UInt8], of credential: Identifier, version: UInt64, under key: SharedSecret, _ vault: Identifier
  ) -> (token: SharedSecret, end: Timestamp)? {
    let opened = try? key.secret.withBytes { key in
      SharedSecret(try SealedRecord.open(record, key: key, purpose: .token(credential, version: version), vault: vault))
    }
    guard let opened, opened.secret.count > 8 else { return nil }
    let end = opened.secret.withUnsafeBytes { bytes in
      bytes.prefix(8).reduce(Int64(0)) { $0 << 8 | Int64($1) }
    }
    guard let token = try? SecretBytes(part: 8..<opened.secret.count, of: opened) else { return nil }
    return (SharedSecret(token), Timestamp(milliseconds: end))
  }
}

/// A token that was kept of a version that leaked.
package struct LeakedToken: Sendable {
  package let credential: Credential
  package let version: UInt64
  package let token: SharedSecret
  package let end: Timestamp
  /// The record that it was kept as.
  package let record: [UInt8]
}

extension UnlockedVault {
  /// Opens the active pair of `name` so that a token of it can be released, after logging that. Throws as `pairs` does,
  /// and `notFound` if it was handed over.
  package func tokenAccess(of name: String, now: Timestamp) async throws -> TokenAccess {
    let (sealed, pairs) = try await pairs(
      of: name,
      choosing: { credential in
        guard let active = credential.version(in: .active) else {
          throw VaultError(
            .notFound,
            "\(credential.name) has no active version\(credential.isTransferred ? ": it was handed over" : "")",
            hint: "`relatch status \(credential.name)` shows where it stands")
        }
        return [active]
      }, now: now
    ) { change, sealed in
      try change.log(.pairUsed, about: name, Self.opening(sealed.numbers, for: "token"))
      return sealed
    }
    guard let (version, pair) = pairs.first else { throw VaultError(.notFound, "\(name) has no active version") }
    let key = try open(key: sealed.key, of: sealed.credential, sealed.header)
    return TokenAccess(sealed.credential, version: version.number, pair, key: key, vault: sealed.header.id)
  }

  /// The tokens in `records` of those versions of `name` up to `newest` that are not active, so that they can be ended,
  /// and the records of no version under its present key. If there is such a token, that is logged before this returns.
  /// Throws as `pairs` does.
  package func leakedTokens(
    of name: String, upTo newest: UInt64, in records: [[UInt8]], now: Timestamp
  ) async throws -> (leaked: [LeakedToken], closed: [[UInt8]]) {
    let (key, credential) = try await credentialKey(of: name)
    var found: [LeakedToken] = []
    var closed: [[UInt8]] = []
    for record in records {
      var isOpen = false
      for version in credential.versions {
        guard
          let (token, end) = TokenAccess.open(record, of: credential.id, version: version.number, under: key, header.id)
        else { continue }
        isOpen = true
        guard version.number <= newest, version.stage != .active else { continue }
        found.append(
          LeakedToken(credential: credential, version: version.number, token: token, end: end, record: record))
      }
      if !isOpen { closed.append(record) }
    }
    guard !found.isEmpty else { return ([], closed) }
    let opened = JSONValue.array(Set(found.map(\.version)).sorted().map { .integer(Int(clamping: $0)) })
    try await change(now: now) {
      _ = try $0.log(.pairUsed, about: name, Self.opening(opened, for: "token-revocation"))
    }
    return (found, closed)
  }

  private static func opening(_ versions: JSONValue, for purpose: String) -> [String: JSONValue] {
    ["purpose": .string(purpose), "versions": versions]
  }
}
