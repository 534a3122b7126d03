import Storage

extension VaultView {
  /// The credentials that a schedule does not rotate together with `credential`: those its policy names, and those whose
  /// policy names it. By name.
  ///
  /// Records that name nobody are passed over unread, and so not authenticated: this is looked up while a vault of many
  /// thousands is locked for writing.
  package func partners(of credential: Credential) throws -> [Credential] {
    var partners: [String: Credential] = [:]
    for name in credential.policy.notTogetherWith where try hasCredential(name) {
      partners[name] = try self.credential(name)
    }
    let key = Array("\"not-together-with\":".utf8)
    for row in try transaction.rows(in: .credentials) where row.value.contains(sequence: key) {
      guard let name = String(validating: row.key, as: UTF8.self), partners[name] == nil else { continue }
      let other = try self.credential(name)
      if other.policy.notTogetherWith.contains(credential.name) { partners[name] = other }
    }
    partners[credential.name] = nil
    return partners.values.sorted { $0.name < $1.name }
  }

  /// Fails unless `names` can be what `name` is not to be rotated together with.
  func requirePartners(_ names: [String], of name: String) throws {
    for other in names {
      guard other != name else {
        throw VaultError(.invalidInput, "policy \"not-together-with\": \(name) cannot be kept apart from itself")
      }
      guard try hasCredential(other) else {
        throw VaultError(
          .notFound, "policy \"not-together-with\": the vault has no credential \(Name.printable(other))")
      }
    }
  }
}

extension [UInt8] {
  /// Whether `part` stands somewhere in it.
  fileprivate func contains(sequence part: [UInt8]) -> Bool {
    guard let first = part.first, count >= part.count else { return part.isEmpty }
    return indices.dropLast(part.count - 1).contains { index in
      self[index] == first && self[index..<index + part.count].elementsEqual(part)
    }
  }
}
