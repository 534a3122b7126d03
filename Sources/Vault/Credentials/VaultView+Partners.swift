import Storage

extension VaultView {
  /// The credentials, by name, that a schedule does not rotate together with `credential`: those its policy names, and
  /// those whose policy names it. One whose record is damaged is left out: nobody rotates it, so it keeps no other from
  /// being rotated.
  ///
  /// Found through the index, because this is looked up while a vault of many thousands is locked for writing.
  package func partners(of credential: Credential) throws -> [Credential] {
    var partners: [String: Credential] = [:]
    for name in credential.policy.notTogetherWith where try hasCredential(name) {
      partners[name] = try? self.credential(name)
    }
    if try VaultIndex.isBuilt(in: transaction) {
      let prefix = VaultIndex.prefix(ofThoseApartFrom: credential.name)
      for row in try transaction.rows(in: .apart, withPrefix: prefix) {
        let name = try self.name(indexed: row.key.dropFirst(prefix.count), in: .apart)
        guard let other = try? self.credential(name) else { continue }
        guard other.policy.notTogetherWith.contains(credential.name) else {
          throw VaultError(.corrupt, "the index apart names what the policy of \(other.name) does not")
        }
        partners[other.name] = other
      }
    } else {
      for other in try names().compactMap({ try? self.credential($0, isKept: false) })
      where other.policy.notTogetherWith.contains(credential.name) {
        partners[other.name] = other
      }
    }
    partners[credential.name] = nil
    return partners.values.sorted { $0.name < $1.name }
  }

  /// Fails unless `names` can be credentials that `name` is not to be rotated together with.
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
