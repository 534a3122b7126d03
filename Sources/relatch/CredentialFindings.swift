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

extension VaultView {
  /// Those of `names` that `member` can open, and those that are damaged: these fail in their own runs.
  func names(_ names: [String], openTo member: Member) throws -> [String] {
    try names.filter { try (try? credential($0)).map { try canOpen($0, member) } ?? true }
  }

  /// The damaged credentials that are not among `names`. What applies to all, or to what one member reached, may apply
  /// to them, too. They fail in their own runs.
  func damaged(besides names: [String]) throws -> [String] {
    let known = Set(names)
    return try self.names { _ in false }.filter { !known.contains($0) }
  }

  /// The credentials with `tag`, and the damaged ones: nobody knows which tags those have.
  ///
  /// Throws `notFound` if none has it, and `corrupt` if only a damaged one may have it.
  func names(tagged tag: String) throws -> [String] {
    let tagged = try names { $0.policy.tags.contains(tag) }
    let damaged = tagged.filter { (try? credential($0)) == nil }
    guard damaged.count < tagged.count else { throw Failure(noneWithTag: tag, damaged: damaged) }
    return tagged
  }
}

extension Report {
  /// Notes how many credentials are left out because `member` has no grant on them: what is for others is not a
  /// failure.
  func note(leftOut others: Int, notGrantedTo member: Member) {
    if others > 0 { note("left out: \(others) not granted to \(member.name)") }
  }
}
