import Audit
import Sodium
import Storage

/// Sums of hashes, one for each credential that has any.
private struct Sums {
  /// Ascending, because they are added in that order: 24 bytes each.
  private var sums: [(high: UInt64, low: UInt64, sum: UInt64)] = []
  /// How many credentials have one.
  var count: Int { sums.count }

  /// `count` is about how many credentials there will be.
  init(expecting count: Int) { sums.reserveCapacity(count) }

  /// The sum of `credential`; nil if it has none.
  func sum(of credential: Identifier) -> UInt64? {
    guard let id = Self.number(credential.bytes.span, 0, 16) else { return nil }
    var (low, high) = (0, sums.count)
    while low < high {
      let middle = (low + high) / 2
      let found = sums[middle]
      if (found.high, found.low) == id { return found.sum }
      if (found.high, found.low) < id { low = middle + 1 } else { high = middle }
    }
    return nil
  }

  mutating func add(_ hash: UInt64, to id: (high: UInt64, low: UInt64)) {
    if let last = sums.indices.last, (sums[last].high, sums[last].low) == id {
      sums[last].sum &+= hash
    } else {
      sums.append((id.high, id.low, hash))
    }
  }

  /// The number in `count` big-endian bytes.
  static func number(
    _ bytes: borrowing Span<UInt8>, _ start: Int, _ count: Int
  ) -> (high: UInt64, low: UInt64)? {
    guard start + count <= bytes.count else { return nil }
    var (high, low): (UInt64, UInt64) = (0, 0)
    for place in start..<start + count {
      high = high << 8 | low >> 56
      low = low << 8 | UInt64(bytes[place])
    }
    return (high, low)
  }
}

/// The sums of the hashes of each credential's journalled steps, gathered in one pass over all journals.
struct JournalSums {
  /// Credentials with a row that no journal can have.
  private(set) var damaged: Set<Identifier> = []
  /// Whether there are rows that do not begin with an identifier.
  private(set) var hasRowsWithoutIdentifier = false
  private var sums: Sums
  private let hash: KeyedHash

  /// `credentials` is about how many there are.
  init(_ transaction: any ReadTransaction, expecting credentials: Int, _ hash: KeyedHash) throws {
    self.hash = hash
    sums = Sums(expecting: credentials)
    try transaction.scan(.journal, from: []) { key, value in
      add(key, value)
      return true
    }
  }

  /// How many have steps.
  var count: Int { sums.count }

  /// The sum of the steps of `credential`, or of the restores of the vault; nil if there are none.
  func sum(of credential: Identifier) -> UInt64? { sums.sum(of: credential) }

  private mutating func add(_ key: borrowing Span<UInt8>, _ value: borrowing Span<UInt8>) {
    guard let id = Sums.number(key, 0, Identifier.size) else {
      hasRowsWithoutIdentifier = true
      return
    }
    guard key.count == 28, value.count == 8, let rotation = Sums.number(key, 16, 8)?.low,
      let step = Sums.number(key, 24, 4)?.low, let index = Sums.number(value, 0, 8)?.low
    else {
      if let credential = Identifier((0..<Identifier.size).map { key[$0] }.hex) { damaged.insert(credential) }
      return
    }
    sums.add(hash(rotation, UInt32(truncatingIfNeeded: step), index), to: id)
  }
}

/// The sums of the hashes of the names under which each credential's grants are stored, gathered in one pass over all
/// grants.
struct GrantSums {
  /// Whether there are rows that do not begin with an identifier.
  private(set) var hasRowsWithoutIdentifier = false
  private var sums = Sums(expecting: 0)

  init(_ transaction: any ReadTransaction, _ hash: KeyedHash) throws {
    try transaction.scan(.grants, from: []) { key, _ in
      if let id = Sums.number(key, 0, Identifier.size) {
        sums.add(hash(key, at: Identifier.size..<key.count), to: id)
      } else {
        hasRowsWithoutIdentifier = true
      }
      return true
    }
  }

  /// How many have grants.
  var count: Int { sums.count }

  /// The sum of those on `credential`; nil if there are none.
  func sum(of credential: Identifier) -> UInt64? { sums.sum(of: credential) }
}

/// The sums of the hashes of the index rows that the records call for: tables with the same sums have the same rows.
struct IndexSums {
  private var due = RowSum()
  private var apart = RowSum()
  private let hash: KeyedHash

  init(_ hash: KeyedHash) { self.hash = hash }

  /// Adds the rows that the record of `credential` calls for.
  mutating func add(_ credential: Credential) {
    for entry in VaultIndex.entries(of: credential) {
      if entry.table == .due { due.add(entry.key.span, hash) } else { apart.add(entry.key.span, hash) }
    }
  }

  /// Throws `corrupt` unless the indexes of `view` have exactly these rows. A store of an older format has no index;
  /// then there is nothing to compare.
  func require(in view: VaultView) throws {
    guard try !VaultIndex.isEmpty(in: view.transaction) else { return }
    guard try RowSum(of: .due, in: view.transaction, hash) == due,
      try RowSum(of: .apart, in: view.transaction, hash) == apart
    else {
      // Finding the wrong row takes a look at each credential.
      var check = try IndexCheck(view)
      for credential in try view.credentials() { try check.require(credential) }
      try check.finish()
      throw VaultError(.corrupt, "the indexes do not match the credentials")
    }
  }
}

/// What everybody can see of the sealed secrets: that there is one for each that the records call for, none too short
/// to be one, and no others. Only their keys can tell what is in them. Nobody is to read the pair of a retired version
/// any more, and it may be gone.
struct SealedRows {
  private var keys = RowSum()
  private var versions = RowSum()
  private let hash: KeyedHash
  private static let hint = "no run wrote them, and none uses them: find out who can write the vault's folder"

  init(_ hash: KeyedHash) { self.hash = hash }

  /// Adds the rows that the record of `credential` calls for.
  mutating func add(_ credential: Credential) {
    let id = credential.id.bytes
    keys.add(id.span, hash)
    for version in credential.versions { versions.add((id + version.number.bigEndianBytes).span, hash) }
  }

  /// Throws `corrupt` unless each credential that was added has its key and its pairs, and there are no others.
  func require(in view: VaultView) throws {
    try requireKeys(in: view)
    guard try RowSum(sealed: .versions, in: view.transaction, hash) != versions else { return }
    var left = 0
    try view.transaction.scan(.versions, from: []) { _, _ in
      left += 1
      return true
    }
    for credential in try view.credentials() { left -= try Self.count(of: credential, in: view) }
    guard left == 0 else {
      throw VaultError(.corrupt, "there are sealed pairs that belong to no credential", hint: Self.hint)
    }
  }

  /// How many sealed pairs `credential` has. Throws `corrupt` if a pair that it needs is missing or damaged, or its
  /// record has no version for one.
  private static func count(of credential: Credential, in view: VaultView) throws -> Int {
    var found = 0
    for version in credential.versions {
      let sealed = try view.sealedPair(of: credential, version.number)
      if sealed != nil { found += 1 }
      guard version.stage == .retired || sealed.map({ SealedRecord.canBe($0.span) }) ?? false else {
        throw VaultError(.corrupt, "the pair of \(credential.name), version \(version.number), is missing or damaged")
      }
    }
    let rows = try view.transaction.rows(in: .versions, withPrefix: credential.id.bytes)
    guard rows.count == found else {
      throw VaultError(
        .corrupt, "there are sealed pairs of \(credential.name) for which its record has no version",
        hint: "\(Self.hint); `relatch rekey` removes them")
    }
    return found
  }

  private func requireKeys(in view: VaultView) throws {
    guard try RowSum(sealed: .keys, in: view.transaction, hash) != keys else { return }
    for credential in try view.credentials() {
      guard let key = try view.transaction.value(in: .keys, for: credential.id.bytes), SealedRecord.canBe(key.span)
      else {
        throw VaultError(.corrupt, "the key of \(credential.name) is missing or damaged: its pairs cannot be opened")
      }
    }
    throw VaultError(.corrupt, "there are sealed keys that belong to no credential")
  }
}

/// Rows of a table, told apart from any others by the sum of the hashes of their keys.
private struct RowSum: Equatable {
  private var sum: UInt64 = 0
  private var count = 0
  /// Rows that cannot be what is looked for.
  private var others = 0

  init() {}

  init(of table: Table, in transaction: any ReadTransaction, _ hash: KeyedHash) throws {
    try transaction.scan(table, from: []) { key, _ in
      add(key, hash)
      return true
    }
  }

  /// Sums the rows that can hold something sealed. If there are others, this equals no sum that was made by `add`.
  init(sealed table: Table, in transaction: any ReadTransaction, _ hash: KeyedHash) throws {
    try transaction.scan(table, from: []) { key, value in
      if SealedRecord.canBe(value) { add(key, hash) } else { others += 1 }
      return true
    }
  }

  mutating func add(_ key: borrowing Span<UInt8>, _ hash: KeyedHash) {
    sum &+= hash(key, at: 0..<key.count)
    count += 1
  }
}
