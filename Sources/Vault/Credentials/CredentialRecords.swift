import Storage

/// Credentials that were looked for, and those that cannot be read: one that is damaged hides no other.
package struct CredentialRecords: Sendable {
  package internal(set) var credentials: [Credential] = []
  /// What cannot be read, by the name that it stands under, and why.
  package private(set) var failures: [(credential: String, error: any Error)] = []
  /// Where the next page begins; nil if nothing is left.
  package fileprivate(set) var next: [UInt8]?

  mutating func add(_ name: String, _ read: () throws -> Credential) {
    do { credentials.append(try read()) } catch { failures.append((name, error)) }
  }
}

extension VaultView {
  /// The first credentials by name, at most so many, whose keys do not come before `key`: where the page before says that the next
  /// begins.
  package func credentialRecords(from key: [UInt8] = [], atMost count: Int = .max) throws -> CredentialRecords {
    var records = CredentialRecords()
    let rows = try credentialRows(from: key, atMost: count)
    var reader = CredentialReader()
    for row in rows {
      let name = Self.shownName(row.key)
      records.add(name) { try credential(row, by: &reader) }
    }
    if rows.count == count, let last = rows.last { records.next = last.key + [0] }
    return records
  }

  /// Those called `names`, in that order. Throws `notFound` if there is none of a name, which is no damage.
  package func credentialRecords(of names: [String]) throws -> CredentialRecords {
    var records = CredentialRecords()
    for name in names {
      guard try hasCredential(name) else {
        throw VaultError(.notFound, "the vault has no credential \(Name.printable(name))")
      }
      records.add(name) { try credential(name, isKept: false) }
    }
    return records
  }
}
