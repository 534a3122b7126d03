import Vault

/// The credentials of a vault by name, a page at a time, so that a hundred thousand are never held at once. Each page
/// shows a single moment, later than that of the page before.
struct CredentialPages {
  private static let size = 1000

  private let vault: LockedVault
  /// Nil for all.
  private let names: [String]?
  /// Nil for credentials with any tags or none.
  private let tag: String?

  /// The credentials called `names`, in that order, or all by name if `names` is empty. If `tag` is given, only those
  /// that have it.
  init(of vault: LockedVault, _ names: [String] = [], tag: String? = nil) {
    self.vault = vault
    self.tag = tag
    self.names = names.isEmpty ? nil : names
  }

  /// Reads each credential with `find`, then hands a page of results to `use`, with nothing left open. A damaged
  /// credential counts as having the tag: nobody knows which tags it has.
  func each<Found: Sendable>(
    _ find: @Sendable (VaultView, Credential) throws -> Found, use: (_ page: CredentialFindings<Found>) throws -> Void
  ) async throws {
    let (tag, names) = (tag, names)
    var next: [UInt8]? = []
    while let begin = next {
      let page: CredentialFindings<Found>
      (page, next) = try await vault.read { view in
        let records =
          try names.map { try view.credentialRecords(of: $0) }
          ?? view.credentialRecords(from: begin, atMost: Self.size)
        let page = CredentialFindings(records) { credential in
          try tag.map(credential.policy.tags.contains) ?? true ? find(view, credential) : nil
        }
        return (page, records.next)
      }
      try use(page)
    }
  }
}
