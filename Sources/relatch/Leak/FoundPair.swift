import Audit
import Delivery
import Glibc
import JSON
import Providers
import Rotation
import Sodium
import Synchronization
import Vault

/// A file in which somebody found a pair: JSON, a settings file, a log, anything. It is searched, never printed.
struct FoundPair: Sendable {
  private let content: SearchedText
  /// The pair in it, if the file is one as JSON: there also a secret of a few letters is found.
  private let pair: Pair?

  /// The most bytes that a file may have.
  static let maximumSize = 16 << 20

  /// Reads the file at `path`, `-` for standard input. Throws `usage` if it is larger than `maximumSize`.
  init(path: String) throws {
    let bytes: SecretBytes
    do {
      bytes =
        if path == "-" {
          try PrivateFile.readAll(STDIN_FILENO, limit: Self.maximumSize, "standard input")
        } else { try PrivateFile.read(path, limit: Self.maximumSize) }
    } catch let error as VaultError where error.code == .invalidInput {
      throw Failure(
        .usage, "\(error)",
        hint: "search it in pieces: `split -C 15M FILE` cuts it at its lines, and each piece is given as a file")
    }
    let whole = SharedSecret(bytes)
    content = try SearchedText(whole)
    pair = try? Pair(reading: whole)
  }

  /// Whether the file holds the secret of `other`, or the token that manages its client: anyone who has that token can
  /// get the secret. Throws `SodiumError` if there is no memory for it.
  func holds(_ other: Pair) throws -> Bool {
    if let pair, pair.clientSecret.isEqual(to: other.clientSecret) { return true }
    if try holds(other.clientSecret) { return true }
    guard let token = other.registrationToken else { return false }
    if let found = pair?.registrationToken, found.secret.isEqual(to: token.secret) { return true }
    return try holds(token.secret)
  }

  /// A secret of a few letters is in almost every file.
  private func holds(_ secret: borrowing SecretBytes) throws -> Bool {
    try secret.count >= Pair.minimumSearchedLength && content.contains(secret)
  }
}

/// A version whose secret is in a file. Its provider is still to be asked whether it accepts it.
final class FoundVersion: Sendable {
  let credential: String
  private let version: Version
  private let pair: Pair
  private let incident: String
  /// Whether another version that is not retired is the same pair.
  private let isInUse: Bool
  /// Whether it was made at a place that the settings no longer name: a refusal says nothing about that one.
  let isElsewhere: Bool
  private let isTried = Mutex(false)
  /// What the provider said; nil if it did not say.
  private let isAccepted = Mutex<Bool?>(nil)

  init(_ found: (credential: String, version: Version, pair: Pair), incident: String, isInUse: Bool, isElsewhere: Bool)
  {
    (credential, version, pair) = found
    self.incident = incident
    self.isElsewhere = isElsewhere
    self.isInUse = isInUse
  }

  var number: UInt64 { version.number }

  /// Whether the provider accepts it, although it was seen to be refused before: no run deletes it once more.
  var isBack: Bool { isOver && isAccepted.withLock { $0 == true } }

  /// Whether nobody knows if it is accepted, and no run will find out: it was seen to be refused before.
  var isUnknown: Bool { isOver && isAccepted.withLock { $0 == nil } }

  private var isOver: Bool { version.stage == .retired && !isInUse }

  /// Tries it at its provider, once, with entries in the log, and reports the result.
  func attempt(by composition: RotationComposition, _ report: Report) async {
    let isFirst = isTried.withLock { isTried in
      defer { isTried = true }
      return !isTried
    }
    guard isFirst else { return }
    do { try await attemptNow(by: composition, report) } catch { report.failure(Failure(error), of: credential) }
  }

  private func attemptNow(by composition: RotationComposition, _ report: Report) async throws {
    let vault = composition.vault
    let name = credential
    // A leak that was noted before keeps the name of its incident.
    let noted = try? await vault.read { try $0.credential(name).leak?.incident }
    var fields: [String: JSONValue] = [
      "incident": .string(noted ?? incident), "version": .integer(Int(clamping: version.number)),
    ]
    try await vault.change(now: WallClock.now()) { [fields] in _ = try $0.log(.leakIntended, about: name, fields) }
    let standing: String
    do {
      let evidence = try await composition.provider(of: name).grant(pair)
      fields["accepted"] = true
      isAccepted.withLock { $0 = true }
      fields["status"] = .integer(evidence.status)
      standing = "the provider accepts it"
    } catch let error as ProviderError {
      if let local = error.local { throw local }
      fields["reason"] = .string(error.code.rawValue)
      fields["detail"] = .string(error.description)
      if error.code == .refused, !isElsewhere {
        fields["accepted"] = false
        isAccepted.withLock { $0 = false }
      }
      standing =
        error.code != .refused
        ? "whether the provider accepts it is not known: \(error)"
        : isElsewhere
          ? "it was made at a former place, and whether that accepts it is not known" : "the provider refuses it"
    }
    try await vault.change(now: WallClock.now()) { [fields] in _ = try $0.log(.leakTried, about: name, fields) }
    try report.confirmation(
      .object(
        fields.merging(
          ["credential": .string(name), "stage": .string(version.stage.rawValue), "type": "found"]) { $1 }),
      text: "\(name): version \(version.number), which is \(version.stage.rawValue), is in the file; \(standing)")
  }
}

extension UnlockedVault {
  /// The versions whose secrets are in `file`, of the credentials `names` or of all. All versions count. Asks no
  /// provider. What could not be compared, because it is damaged or not granted, is reported as a failure, and counted
  /// in `failures`.
  ///
  /// Throws `notFound` if no secret is in it, or `notPermitted` if that is not known of what the identity may not open.
  func versions(
    in file: FoundPair, of names: [String], incident: String, _ report: Report
  ) async throws -> (found: [FoundVersion], failures: Int) {
    let findings = try await search(
      names.isEmpty ? nil : names, purpose: "leak", now: WallClock.now(), for: file.holds)
    let failures = findings.failures.map { (credential: $0.credential, failure: Failure($0.error)) }
    for (name, failure) in failures { report.failure(failure, of: name) }
    guard !findings.found.isEmpty else {
      throw Failure(
        findings: findings.compared, missing: failures.count,
        isPermitted: !failures.contains { $0.failure.code == .notPermitted })
    }
    let unretired = Dictionary(grouping: findings.found.filter { $0.version.stage != .retired }, by: \.credential)
    let elsewhere = try await versionsElsewhere(among: findings.found.map { ($0.credential, $0.version) })
    let found = findings.found.map { one in
      // One that was given up and taken over as another is the same pair, and is refused with that.
      let isInUse = unretired[one.credential, default: []].contains {
        $0.pair.clientSecret.isEqual(to: one.pair.clientSecret)
      }
      let isElsewhere = elsewhere[one.credential]?.contains(one.version.number) ?? false
      return FoundVersion(one, incident: incident, isInUse: isInUse, isElsewhere: isElsewhere)
    }
    return (found, failures.count)
  }

  /// The retired versions among `found` that were made at a place that the settings no longer name, by credential.
  private func versionsElsewhere(
    among found: [(credential: String, version: Version)]
  ) async throws -> [String: Set<UInt64>] {
    let retired = Dictionary(grouping: found.filter { $0.version.stage == .retired }, by: \.credential)
    guard !retired.isEmpty else { return [:] }
    return try await read { view in
      let history = try FormerSettings(of: Set(retired.keys), in: view)
      return try retired.mapValues { found in
        let credential = try view.credential(found[0].credential)
        let kind = try providerKind(credential.provider)
        return Set(
          found.map(\.version.number).filter { number in
            credential.elsewhere.contains(number)
              || kind.moves(history.record(of: credential, atVersion: number), to: credential)
          })
      }
    }
  }
}

extension Failure {
  /// Nothing was found in a file that was compared with so many credentials, `missing` others left out.
  fileprivate init(findings compared: Int, missing: Int, isPermitted: Bool) {
    let found = "the file contains no secret of the \(compared) credentials that were compared with it"
    guard missing > 0 else {
      self.init(
        .notFound, found,
        hint: "if it is compressed, a dump, or encoded twice, unpack it first; otherwise look up at the provider whose"
          + " pair it is: this vault cannot revoke a pair that it never had")
      return
    }
    self.init(
      isPermitted ? .notFound : .notPermitted, "\(found); \(missing) could not be compared",
      hint: isPermitted
        ? "the pair may be of one that is damaged: look up at the provider whose it is"
        : "the pair may be of one of those: the same command with an owner's identity compares all")
  }
}
