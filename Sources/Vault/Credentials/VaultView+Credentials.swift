import Storage

extension VaultView {
  /// All credentials, by name. Throws what is wrong with the first damaged one; `credentialRecords` goes past it.
  package func credentials() throws -> [Credential] {
    var reader = CredentialReader()
    return try credentialRows(from: [], atMost: .max).map { try credential($0, by: &reader) }
  }

  /// The first rows of credentials, at most `count`, whose keys do not come before `key`. Their records are not looked
  /// at.
  func credentialRows(from key: [UInt8], atMost count: Int) throws -> [Row] {
    var rows: [Row] = []
    guard count > 0 else { return [] }
    try transaction.scan(.credentials, from: key, to: nil, reversed: false) {
      rows.append(Row(key: $0, value: $1))
      return rows.count < count
    }
    return rows
  }

  /// The credential in `row`; this process does not remember it.
  func credential(_ row: Row, by reader: inout CredentialReader) throws -> Credential {
    try credential(decoding: row.value, name: Self.name(row.key), by: &reader, isKept: false)
  }

  /// The names of all credentials, in order. Their records are not looked at.
  ///
  /// A name that no credential can have is given as `Name.printable` writes it. Nothing is found under that, so only a
  /// request for that one fails, and no other.
  package func names() throws -> [String] {
    var names: [String] = []
    try transaction.scan(.credentials, from: [], to: nil, reversed: false) { key, _ in
      names.append(Self.shownName(key))
      return true
    }
    return names
  }

  /// The name that a row of credentials is stored under, as `names` has it.
  static func shownName(_ key: [UInt8]) -> String {
    let name = String(decoding: key, as: UTF8.self)
    return (try? Name.check(name, "credential name")) != nil ? name : Name.printable(name)
  }

  /// The names, in order, of the credentials for which `isMeant` returns true and of those that are damaged. Nobody
  /// knows what these are, and a request for one must fail on its own.
  package func names(where isMeant: (Credential) throws -> Bool) throws -> [String] {
    try names().filter { name in
      guard let credential = try? credential(name) else { return true }
      return try isMeant(credential)
    }
  }

  /// The length of the longest name of a credential, in bytes. Their records are not looked at.
  package func maximumNameLength() throws -> Int {
    var longest = 0
    try transaction.scan(.credentials, from: [], to: nil, reversed: false) { key, _ in
      longest = max(longest, key.count)
      return true
    }
    return longest
  }

  /// The first credentials by name, at most `count`, whose keys do not come before `key`, which is where the page
  /// before says that the next one begins.
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

  /// The credentials called `names`, in that order. Throws `notFound` if one does not exist, which is no damage.
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
