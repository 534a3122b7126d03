package import Audit
import JSON
package import Sodium

/// A credential's active pair, opened to be granted a token, and what a token of it is kept under.
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
  package static let greatestFile = 1 << 15

  /// A record of `token`, which ends at `end`: for this version of this credential, and nobody without its key.
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
    let opened = try? key.secret.withBytes { key in
      SharedSecret(
        try SealedRecord.open(record, key: key, purpose: .token(credential.id, version: version), vault: vault))
    }
    guard let opened, opened.secret.count > 8 else { return nil }
    let end = opened.secret.withUnsafeBytes { bytes in
      bytes.prefix(8).reduce(Int64(0)) { $0 << 8 | Int64($1) }
    }
    guard let token = try? SecretBytes(part: 8..<opened.secret.count, of: opened) else { return nil }
    return (SharedSecret(token), Timestamp(milliseconds: end))
  }
}

extension UnlockedVault {
  /// Opens the active pair of `name` for a token of it to be released, after logging that. Throws as `pairs` does, and
  /// `notFound` if it was handed over.
  package func tokenAccess(of name: String, now: Timestamp) async throws -> TokenAccess {
    let accesses = try await tokenAccesses(of: name, purpose: "token", now: now) { credential in
      credential.version(in: .active).map { [$0] } ?? []
    }
    guard let access = accesses.first else { throw VaultError(.notFound, "\(name) has no active version") }
    return access
  }

  /// Opens the versions of `name` up to `newest` that are not active, so that a kept token of one of them can be ended, after
  /// logging that. Throws as `pairs` does.
  package func leakedTokenAccesses(of name: String, upTo newest: UInt64, now: Timestamp) async throws -> [TokenAccess] {
    try await tokenAccesses(of: name, purpose: "token-revocation", now: now) { credential in
      credential.versions.filter { $0.number <= newest && $0.stage != .active }
    }
  }

  private func tokenAccesses(
    of name: String, purpose: String, now: Timestamp, choosing choose: @Sendable (Credential) -> [Version]
  ) async throws -> [TokenAccess] {
    let member = member
    let (found, pairs) = try await pairs(
      of: name,
      choosing: { credential in
        let versions = choose(credential)
        guard !versions.isEmpty else {
          throw VaultError(.notFound, "\(credential.name) has no \(purpose == "token" ? "active" : "such") version")
        }
        return versions
      }, now: now
    ) { change, credential, versions in
      try change.log(
        .pairUsed, about: name,
        ["purpose": .string(purpose), "versions": .array(versions.map { .integer(Int(clamping: $0.number)) })])
      let view = change.view
      return (header: view.header, credential: credential, key: try view.sealedKey(of: credential, for: member))
    }
    let key = try open(key: found.key, of: found.credential, found.header)
    return pairs.map {
      TokenAccess(found.credential, version: $0.version.number, $0.pair, key: key, vault: found.header.id)
    }
  }
}
