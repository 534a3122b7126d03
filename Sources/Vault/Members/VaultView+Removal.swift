extension VaultView {
  /// Throws `invalidInput` if `credential` administers others, or, unless `forgettingDebts`, if a pair of it leaked, is staged or
  /// is still owed.
  package func requireRemovable(_ credential: Credential, forgettingDebts: Bool) throws {
    let name = credential.name
    let others = try names().filter { $0 != name }.map { try self.credential($0) }
    if let other = others.first(where: { $0.admin == name }) {
      throw VaultError(
        .invalidInput, "cannot remove \(name): it administers \(other.name), which could not be rotated without it",
        hint: "remove \(other.name) first, or give it another: `relatch settings \(other.name) --admin …`")
    }
    guard !forgettingDebts else { return }
    if credential.isActiveLeaked, let active = credential.version(in: .active) {
      throw VaultError(
        .invalidInput, "cannot remove \(name): version \(active.number) leaked, and was not seen to be refused",
        hint: "`relatch resume \(name)` ends it, unless only a person can; --forget-debts removes it all the same")
    }
    let forgotten = credential.unended.map(\.number)
    guard forgotten.isEmpty else {
      let numbers = forgotten.map(String.init).joined(separator: ", ")
      throw VaultError(
        .invalidInput,
        "cannot remove \(name): the provider may accept version \(numbers), which nobody would know of any more",
        hint: "`relatch retire \(name)` ends what was replaced; --forget-debts removes it all the same")
    }
  }
}
