import Audit
import Glibc
import JSON
import Rotation
import Sodium
import Vault

/// A file in which somebody found a pair: JSON, a settings file, a log, anything. It is searched, never printed.
struct FoundPair: Sendable {
  private let content: SharedSecret
  /// The pair in it, if it is one as JSON: there a secret may be written with escapes.
  private let pair: Pair?

  /// Reads the file at `path`, `-` for standard input, of at most 1 MiB.
  init(path: String) throws {
    let limit = 1 << 20
    let bytes =
      if path == "-" { try PrivateFile.readAll(STDIN_FILENO, limit: limit, "standard input") } else {
        try PrivateFile.read(path, limit: limit)
      }
    content = SharedSecret(bytes)
    pair = try? Pair(reading: content)
  }

  /// Whether the secret of `other` stands in it.
  func holds(_ other: Pair) -> Bool {
    if let pair, pair.clientSecret.isEqual(to: other.clientSecret) { return true }
    return content.secret.withUnsafeBytes { content in
      other.clientSecret.withUnsafeBytes { secret in Self.holds(content, secret) }
    }
  }

  private static func holds(_ text: UnsafeRawBufferPointer, _ secret: UnsafeRawBufferPointer) -> Bool {
    guard let first = secret.first, let pattern = secret.baseAddress else { return false }
    var rest = text[...]
    while rest.count >= secret.count, let start = UnsafeRawBufferPointer(rebasing: rest).baseAddress {
      guard let match = memchr(start, Int32(first), rest.count - secret.count + 1) else { return false }
      if memcmp(match, pattern, secret.count) == 0 { return true }
      rest = rest.dropFirst(UnsafeRawPointer(match) - start + 1)
    }
    return false
  }
}

extension RotationComposition {
  /// Whose secrets stand in `found`: says so, and tries each at its provider, with entries in the log. All versions count, of
  /// the credentials `names` or of all that the identity can open.
  ///
  /// Throws `notFound` if none does.
  func search(
    _ found: FoundPair, in names: [String], incident: String, _ report: Report
  ) async throws -> [LeakedVersion] {
    let member = vault.member
    let chosen =
      try await names.isEmpty
      ? vault.read { view in try view.credentials().filter { try view.canOpen($0, member) }.map(\.name) } : names
    var leaks: [LeakedVersion] = []
    for name in chosen {
      let pairs = try await vault.pairs(
        of: name, choosing: { $0.versions }, event: .pairUsed, ["purpose": "leak"], now: WallClock.now())
      let matches = pairs.filter { found.holds($0.pair) }
      for (version, pair) in matches { try await attempt(pair, version, of: name, incident: incident, report) }
      if let newest = matches.map(\.version.number).max() {
        leaks.append(LeakedVersion(credential: name, version: newest))
      }
    }
    guard !leaks.isEmpty else {
      throw Failure(
        .notFound, "the file holds no secret of the \(chosen.count) credentials that were compared with it",
        hint: "see at the provider whose it is; a pair that this vault never had cannot be revoked by it")
    }
    return leaks
  }

  /// Tries a leaked pair at its provider, and says whether it is accepted.
  private func attempt(
    _ pair: Pair, _ version: Version, of name: String, incident: String, _ report: Report
  ) async throws {
    var fields: [String: JSONValue] = [
      "incident": .string(incident), "version": .integer(Int(clamping: version.number)),
    ]
    try await vault.change(now: WallClock.now()) { [fields] in _ = try $0.log(.leakIntended, about: name, fields) }
    let standing: String
    do {
      let evidence = try await provider(of: name).grant(pair)
      fields["accepted"] = true
      fields["status"] = .integer(evidence.status)
      standing = "the provider accepts it"
    } catch let error as ProviderError {
      if let local = error.local { throw local }
      fields["reason"] = .string(error.code.rawValue)
      fields["detail"] = .string(error.description)
      if error.code == .refused { fields["accepted"] = false }
      standing =
        error.code == .refused ? "the provider refuses it" : "whether the provider accepts it is not known: \(error)"
    }
    try await vault.change(now: WallClock.now()) { [fields] in _ = try $0.log(.leakTried, about: name, fields) }
    try report.confirmation(
      .object(
        fields.merging(
          ["credential": .string(name), "stage": .string(version.stage.rawValue), "type": "found"]) { $1 }),
      text: "\(name): version \(version.number), which is \(version.stage.rawValue), stands in the file; \(standing)")
  }
}
