import Vault

/// What was found of several credentials. One of which nothing can be found fails by itself, and hides no other.
struct CredentialFindings<Found: Sendable>: Sendable {
  private(set) var found: [Found] = []
  private(set) var failures: [(credential: String, failure: Failure)]

  /// What `find` gives for those of `records` that can be read; nil leaves one out.
  init(_ records: CredentialRecords, _ find: (Credential) throws -> Found?) {
    failures = records.failures.map { (credential: $0.credential, failure: Failure($0.error)) }
    for credential in records.credentials {
      do {
        if let one = try find(credential) { found.append(one) }
      } catch { failures.append((credential.name, Failure(error))) }
    }
  }
}

extension Report {
  /// Tells each of `failures` of its credential. Returns with what code they end a command; nil if there are none.
  func failures(_ failures: [(credential: String, failure: Failure)]) -> ExitCode? {
    for (credential, failure) in failures { self.failure(failure, of: credential) }
    return failures.first?.failure.code
  }
}
