package import Audit
import Storage

/// The rows by which credentials are found without going through all of them: `due` by when a schedule first calls for
/// them, `apart` by the credentials that they must not rotate together with.
///
/// Each row follows from one record, and is written with it. Nothing is believed because of a row: it says where to
/// look. A missing row hides a credential from a schedule, so code that goes through all the records compares the rows
/// with them.
enum VaultIndex {
  /// One row of an index; its value is empty.
  struct Entry: Hashable {
    let table: Table
    let key: [UInt8]
  }

  private static let never: UInt64 = .max

  /// The rows of a credential.
  static func entries(of credential: Credential) -> [Entry] {
    let name = Array(credential.name.utf8)
    return [dueEntry(of: credential, name)]
      + credential.policy.notTogetherWith.map { Entry(table: .apart, key: prefix(ofThoseApartFrom: $0) + name) }
  }

  private static func dueEntry(of credential: Credential, _ name: [UInt8]) -> Entry {
    Entry(table: .due, key: (credential.due.map(key) ?? never).bigEndianBytes + name)
  }

  private static func key(_ moment: Timestamp) -> UInt64 { UInt64(clamping: moment.milliseconds) }

  /// The key at which the rows of what comes due after `now` begin.
  static func bound(after now: Timestamp) -> [UInt8] { (key(now) + 1).bigEndianBytes }

  /// The name in a row of `due`.
  static func name(inDueRow key: [UInt8]) -> ArraySlice<UInt8> { key.dropFirst(8) }

  /// What the rows of the credentials whose policies name `name` begin with. A name has no zero byte.
  static func prefix(ofThoseApartFrom name: String) -> [UInt8] { Array(name.utf8) + [0] }

  /// Whether there is an index: a store of an older format has none until it is written to.
  static func isBuilt(in transaction: any ReadTransaction) throws -> Bool {
    try transaction.lastRow(in: .due) != nil
  }

  /// Whether there are no rows at all, as in a store of an older format. If only `due` is empty, the index is wrong: an
  /// upgrade leaves both tables empty.
  static func isEmpty(in transaction: any ReadTransaction) throws -> Bool {
    try !isBuilt(in: transaction) && transaction.lastRow(in: .apart) == nil
  }

  /// Replaces the rows of `old`, nil for a new credential, with those of `new`, nil for one that is removed. The record
  /// itself is written after this.
  static func update(from old: Credential?, to new: Credential?, in transaction: any WriteTransaction) throws {
    let before = old.map(entries) ?? []
    let after = new.map(entries) ?? []
    let isThere = try before.first.map { try transaction.value(in: $0.table, for: $0.key) != nil }
    if isThere != true, try !isBuilt(in: transaction) { try build(in: transaction) }
    guard before != after || isThere != true else { return }
    for entry in before where !after.contains(entry) { try transaction.remove(entry.key, from: entry.table) }
    for entry in after where isThere != true || !before.contains(entry) {
      try transaction.set([], in: entry.table, for: entry.key)
    }
  }

  /// Removes the rows of the credential called `name`, of which no record can be read. Looks at every row.
  static func remove(_ name: String, in transaction: any WriteTransaction) throws {
    let name = Array(name.utf8)
    var rows: [Entry] = []
    try transaction.scan(.due, from: [], to: nil, reversed: false) { key, _ in
      if Self.name(inDueRow: key).elementsEqual(name) { rows.append(Entry(table: .due, key: key)) }
      return true
    }
    try transaction.scan(.apart, from: [], to: nil, reversed: false) { key, _ in
      if key.drop(while: { $0 != 0 }).dropFirst().elementsEqual(name) { rows.append(Entry(table: .apart, key: key)) }
      return true
    }
    for row in rows { try transaction.remove(row.key, from: row.table) }
  }

  private static func build(in transaction: any WriteTransaction) throws {
    // Rows that are still here although `due` is empty may belong to no record.
    for row in try transaction.rows(in: .apart) { try transaction.remove(row.key, from: .apart) }
    var entries: [Entry] = []
    try transaction.scan(.credentials, from: [], to: nil, reversed: false) { key, value in
      // Nobody knows which rows a damaged record calls for. If it comes back whole, a pass through all records finds
      // them missing.
      if let credential = try? Credential(decoding: value, name: VaultView.name(key)) {
        entries += Self.entries(of: credential)
      }
      return true
    }
    for entry in entries { try transaction.set([], in: entry.table, for: entry.key) }
  }
}

/// Compares the indexes of a vault with its records while the caller goes through these.
package struct IndexCheck {
  private let transaction: any ReadTransaction
  private let isEmpty: Bool
  private var expected: [Table: Int] = [.due: 0, .apart: 0]

  /// A store of an older format has no index; then there is nothing to compare.
  package init(_ view: VaultView) throws {
    transaction = view.transaction
    isEmpty = try VaultIndex.isEmpty(in: transaction)
  }

  /// Throws `corrupt` if a row of `credential` is missing.
  package mutating func require(_ credential: Credential) throws {
    guard !isEmpty else { return }
    for entry in VaultIndex.entries(of: credential) {
      guard try transaction.value(in: entry.table, for: entry.key) != nil else {
        throw VaultError(
          .corrupt,
          "the index \(entry.table.name) lacks the row of \(credential.name): no schedule would find it"
        )
      }
      expected[entry.table, default: 0] += 1
    }
  }

  /// Throws `corrupt` if there are more rows than those of the credentials that were checked, which must be all.
  package func finish() throws {
    guard !isEmpty else { return }
    for (table, count) in expected {
      var found = 0
      try transaction.scan(table, from: [], to: nil, reversed: false) { _, _ in
        found += 1
        return true
      }
      guard found == count else {
        throw VaultError(
          .corrupt, "the index \(table.name) has \(found) rows, expected \(count) for the credentials")
      }
    }
  }
}

extension VaultView {
  /// Throws `corrupt` unless the indexes have each row of `credential`.
  package func requireIndexed(_ credential: Credential) throws {
    var check = try IndexCheck(self)
    try check.require(credential)
  }

  /// The credentials, by name, for which a schedule may have something to do at `now`: all of those, and some that
  /// something still delays. The time this takes does not grow with the other credentials.
  ///
  /// A damaged record, and a row that names a credential that does not exist or a moment that is not its record's, is a
  /// failure of that credential: it hides no other.
  package func credentials(dueAt now: Timestamp) throws -> CredentialRecords {
    var due = CredentialRecords()
    guard try VaultIndex.isBuilt(in: transaction) else {
      for name in try names() {
        due.add(name) { try credential(name, isKept: false) }
      }
      due.credentials.removeAll { credential in credential.due.map { $0 > now } ?? true }
      return due
    }
    var keys: [[UInt8]] = []
    try transaction.scan(.due, from: [], to: VaultIndex.bound(after: now), reversed: false) { key, _ in
      keys.append(key)
      return true
    }
    for key in keys {
      let name = VaultIndex.name(inDueRow: key)
      due.add(String(decoding: name, as: UTF8.self)) {
        let credential = try credential(self.name(indexed: name, in: .due))
        guard VaultIndex.entries(of: credential).contains(VaultIndex.Entry(table: .due, key: key)) else {
          throw VaultError(.corrupt, "the index due has another time than the record of \(credential.name)")
        }
        return credential
      }
    }
    due.credentials.sort { $0.name < $1.name }
    return due
  }

  /// The name of the credential that a row of an index is about.
  func name(indexed name: some Collection<UInt8>, in table: Table) throws -> String {
    let name = String(decoding: name, as: UTF8.self)
    guard try hasCredential(name) else {
      throw VaultError(.corrupt, "the index \(table.name) names \(Name.printable(name)), which is not there")
    }
    return name
  }
}
