import Audit
import Storage

extension VaultView {
  /// Throws `invalidInput` if the credential `name` administers another. `passing` says that the records that only a
  /// newer program can read do not count: one of them may be what is to be given up next.
  func requireNotAdministrator(_ name: String, passing: Bool = false) throws {
    guard let other = try administered(by: name, passingNewer: passing).first else { return }
    throw VaultError(
      .invalidInput, "cannot remove \(name): it administers \(other), which could not be rotated without it",
      hint: "remove \(other) first, or give it another: `relatch settings \(other) --admin …`")
  }

  /// The others that `name` administers, by name. A damaged one cannot be rotated by anyone, so it blocks nothing. Where
  /// the log under a record is damaged, the record's own word counts: it can block, and nothing else rests on it.
  func administered(by name: String, passingNewer: Bool = false) throws -> [String] {
    var others: [(name: String, record: [UInt8])] = []
    try transaction.scan(.credentials, from: [], to: nil, reversed: false) { key, record in
      if let other = try? Self.name(key), other != name { others.append((other, record)) }
      return true
    }
    return try others.filter { other in
      do { return try credential(other.name).admin == name } catch let error as VaultError
        where error.isDamage || passingNewer && error.code == .unsupportedFormat
      {
        return false
      } catch is AuditError {
        return (try? Credential(decoding: other.record, name: other.name))?.admin == name
      }
    }.map(\.name)
  }

  /// Throws `invalidInput` if `credential` administers others, or, unless `forgettingDebts`, if a pair of it leaked, is
  /// staged or is still owed.
  package func requireRemovable(_ credential: Credential, forgettingDebts: Bool) throws {
    let name = credential.name
    try requireNotAdministrator(name)
    guard !forgettingDebts else { return }
    if credential.isActiveLeaked, let active = credential.version(in: .active) {
      throw VaultError(
        .invalidInput, "cannot remove \(name): version \(active.number) leaked, but was not seen to be refused",
        hint: "`relatch resume \(name)` ends it, unless only a person can; --forget-debts removes it anyway")
    }
    if let reach = credential.reach {
      throw VaultError(
        .invalidInput,
        "cannot remove \(name): its pair may have been read with a leaked one of \(reach.by.joined(separator: ", "))",
        hint: "`relatch resume` ends that leak, and then replaces the pair of \(name); --forget-debts removes it anyway"
      )
    }
    let forgotten = credential.unsettled.map(\.number)
    guard forgotten.isEmpty else {
      let numbers = forgotten.map(String.init).joined(separator: ", ")
      throw VaultError(
        .invalidInput,
        "cannot remove \(name): the provider may accept version \(numbers), of which no record would be left",
        hint: "`relatch retire \(name)` ends what was replaced; --forget-debts removes it anyway")
    }
  }
}
