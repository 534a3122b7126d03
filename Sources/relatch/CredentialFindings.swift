import Vault

/// What was found about several credentials. A credential that cannot be read is a failure of its own and hides no
/// other.
struct CredentialFindings<Found: Sendable>: Sendable {
  private(set) var found: [Found] = []
  private(set) var failures: [(credential: String, failure: Failure)]

  /// Collects what `find` returns for each of `records` that can be read; nil leaves that one out.
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
  /// Reports each of `failures` with its credential. Returns the exit code that they give a command; nil if there are
  /// none.
  func failures(_ failures: [(credential: String, failure: Failure)]) -> ExitCode? {
    for (credential, failure) in failures { self.failure(failure, of: credential) }
    return failures.first?.failure.code
  }
}
