import Vault

/// The credentials of a vault by name, some at a time: one of a hundred thousand is never held whole. Each page is as one
/// moment sees it, which is a later one than that of the page before.
struct CredentialPages {
  private static let size = 1000

  private let vault: LockedVault
  /// Nil for all.
  private let names: [String]?
  /// Nil for whatever tags they have.
  private let tag: String?

  /// Those called `names`, in that order; all, by name, if there are none; of these only those with `tag`, if that is given.
  init(of vault: LockedVault, _ names: [String] = [], tag: String? = nil) {
    self.vault = vault
    self.tag = tag
    self.names = names.isEmpty ? nil : names
  }

  /// Reads each credential by `find`, then hands a page of them to `use`, with nothing left open. What is damaged has whatever tag
  /// is asked for: nobody knows which it has.
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
