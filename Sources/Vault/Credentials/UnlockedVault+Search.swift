package import Audit
import JSON
import Sodium
import Storage

extension UnlockedVault {
  /// The result of a search through the pairs of many credentials.
  package struct Findings: Sendable {
    /// By credential in the order of the search, then by version.
    package fileprivate(set) var found: [(credential: String, version: Version, pair: Pair)] = []
    /// What could not be opened, because it is damaged or not granted: it was not compared.
    package fileprivate(set) var failures: [(credential: String, error: any Error)] = []
    /// How many credentials were compared.
    package fileprivate(set) var compared = 0
  }

  /// How many credentials are logged in one commit.
  private static let searchPage = 256

  /// The pairs for which `isFound` returns true, among all versions of `names` or, if that is nil, of all credentials.
  /// An entry `pair.used` with `purpose` is durable before any pair of a credential is opened; the pairs of only one
  /// credential are open at once. Neither a damaged credential nor one that the member cannot open stops the search,
  /// nor one for which `isFound` throws.
  ///
  /// Throws what a change throws: if the log cannot be written, nothing is opened.
  package func search(
    _ names: [String]?, purpose: String, now: Timestamp, for isFound: (Pair) throws -> Bool
  ) async throws -> Findings {
    let all = try await names == nil ? read { try $0.names() } : names ?? []
    var findings = Findings()
    for start in stride(from: 0, to: all.count, by: Self.searchPage) {
      let page = Array(all[start..<min(all.count, start + Self.searchPage)])
      let opened = try await logSearch(of: page, where: { _ in true }, purpose: purpose, now: now)
      for (name, result) in opened {
        do {
          let found = try open(result.get()).pairs.filter { try isFound($0.pair) }
          findings.compared += 1
          findings.found += found.map { (name, $0.version, $0.pair) }
        } catch { findings.failures.append((name, error)) }
      }
    }
    return findings
  }

  /// What `read` returns for each pair of the versions of `names` that `isMeant`, with the credential as it was then; as
  /// above otherwise. What cannot be opened is left out.
  package func search<Value: Sendable>(
    _ names: [String], where isMeant: @Sendable (Version) -> Bool, purpose: String, now: Timestamp,
    reading read: @Sendable (Pair) throws -> Value
  ) async throws -> [(credential: Credential, version: Version, value: Value)] {
    var found: [(credential: Credential, version: Version, value: Value)] = []
    for start in stride(from: 0, to: names.count, by: Self.searchPage) {
      let page = Array(names[start..<min(names.count, start + Self.searchPage)])
      let opened = try await logSearch(of: page, where: isMeant, purpose: purpose, now: now)
      for sealed in opened.compactMap({ try? $0.1.get() }) {
        guard let pairs = try? open(sealed).pairs else { continue }
        found += try pairs.map { (sealed.credential, $0.version, try read($0.pair)) }
      }
    }
    return found
  }

  private func logSearch(
    of names: [String], where isMeant: @Sendable (Version) -> Bool, purpose: String, now: Timestamp
  ) async throws -> [(name: String, Result<SealedVersions, any Error>)] {
    let member = member
    return try await change(now: now) { change in
      var opened: [(name: String, Result<SealedVersions, any Error>)] = []
      for name in names {
        let sealed: SealedVersions
        do {
          sealed = try change.view.sealedVersions(of: change.view.credential(name), for: member) {
            $0.versions.filter(isMeant)
          }
        } catch let error as StorageError {
          throw error
        } catch {
          opened.append((name, .failure(error)))
          continue
        }
        try change.log(.pairUsed, about: name, ["purpose": .string(purpose), "versions": sealed.numbers])
        opened.append((name, .success(sealed)))
      }
      return opened
    }
  }
}

extension Pair {
  /// The fewest bytes of a secret that is looked for in a text: a shorter one can be in any text, and says nothing.
  package static let minimumSearchedLength = 8

  /// Whether `text` contains its secret, or the token that manages its client.
  package func isTold(in text: String) -> Bool {
    let text = Array(text.utf8)
    func isTold(_ secret: borrowing SecretBytes) -> Bool {
      secret.withUnsafeBytes { secret in
        guard secret.count >= Self.minimumSearchedLength, text.count >= secret.count else { return false }
        return (0...text.count - secret.count).contains { text[$0..<$0 + secret.count].elementsEqual(secret) }
      }
    }
    return isTold(clientSecret) || registrationToken.map { isTold($0.secret) } ?? false
  }
}
