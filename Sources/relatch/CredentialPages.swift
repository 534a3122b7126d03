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

  /// Reads each page by `body`, with nothing left open, then hands it to `use`.
  func each<Result: Sendable>(
    _ body: @Sendable (VaultView, [Credential]) throws -> Result, use: (_ page: Result) throws -> Void
  ) async throws {
    let tag = tag
    @Sendable func isChosen(_ credential: Credential) -> Bool { tag.map(credential.policy.tags.contains) ?? true }
    if let names {
      let page = try await vault.read { view in
        try body(view, names.map { try view.credential($0) }.filter(isChosen))
      }
      return try use(page)
    }
    var last: String?
    repeat {
      let after = last
      let (page, next) = try await vault.read { view in
        let credentials = try view.credentials(after: after, atMost: Self.size)
        return (
          try body(view, credentials.filter(isChosen)), credentials.count == Self.size ? credentials.last?.name : nil
        )
      }
      try use(page)
      last = next
    } while last != nil
  }
}
