import Audit
import Sodium
import Storage

/// The sums of the hashes of each credential's journalled steps, gathered in one pass over the journals of all.
struct JournalSums {
  /// Credentials one of whose rows is not one that a journal has.
  private(set) var damaged: Set<Identifier> = []
  /// Ascending, for they are read in their order: 24 bytes for each credential that was ever rotated.
  private var sums: [(high: UInt64, low: UInt64, sum: UInt64)] = []
  private let hash: KeyedHash

  /// `credentials` is about how many there are.
  init(_ transaction: any ReadTransaction, expecting credentials: Int, _ hash: KeyedHash) throws {
    self.hash = hash
    sums.reserveCapacity(credentials)
    try transaction.scan(.journal, from: []) { key, value in
      add(key, value)
      return true
    }
  }

  /// The sum of the steps of `credential`.
  func sum(of credential: Identifier) -> UInt64 {
    guard let id = Self.number(credential.bytes.span, 0, 16) else { return 0 }
    var (low, high) = (0, sums.count)
    while low < high {
      let middle = (low + high) / 2
      let found = sums[middle]
      if (found.high, found.low) == id { return found.sum }
      if (found.high, found.low) < id { low = middle + 1 } else { high = middle }
    }
    return 0
  }

  private mutating func add(_ key: borrowing Span<UInt8>, _ value: borrowing Span<UInt8>) {
    // Rows of no credential's, which are shorter, are not looked at here.
    guard key.count >= Identifier.size, let id = Self.number(key, 0, 16) else { return }
    guard key.count == 28, value.count == 8, let rotation = Self.number(key, 16, 8)?.low,
      let step = Self.number(key, 24, 4)?.low, let index = Self.number(value, 0, 8)?.low
    else {
      if let credential = Identifier((0..<Identifier.size).map { key[$0] }.hex) { damaged.insert(credential) }
      return
    }
    let hash = hash(rotation, UInt32(truncatingIfNeeded: step), index)
    if let last = sums.indices.last, (sums[last].high, sums[last].low) == id {
      sums[last].sum &+= hash
    } else {
      sums.append((id.high, id.low, hash))
    }
  }

  /// The number in `count` big-endian bytes.
  private static func number(
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

/// The sums of the hashes of the rows that records call for in the indexes: tables with the same sums have the same
/// rows.
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

  /// Throws `corrupt` unless the indexes of `view` have just these rows. A store of an older format has no index; then there
  /// is nothing to compare.
  func require(in view: VaultView) throws {
    guard try VaultIndex.isBuilt(in: view.transaction) else { return }
    guard try RowSum(of: .due, in: view.transaction, hash) == due,
      try RowSum(of: .apart, in: view.transaction, hash) == apart
    else {
      // Which row it is takes a look for each.
      var check = try IndexCheck(view)
      for credential in try view.credentials() { try check.require(credential) }
      try check.finish()
      throw VaultError(.corrupt, "the indexes have other rows than the credentials call for")
    }
  }
}

/// What everybody can see of the sealed secrets that records call for: that none is missing, or too short to be one. What is in them
/// only their keys can tell. The pair of a retired version is nobody's to read any more, and may be gone.
struct SealedRows {
  private var keys = RowSum()
  private let hash: KeyedHash

  init(_ hash: KeyedHash) { self.hash = hash }

  /// Throws `corrupt` unless each pair of `credential` that is not retired is there.
  mutating func require(_ credential: Credential, in view: VaultView) throws {
    keys.add(credential.id.bytes.span, hash)
    for version in credential.versions where version.stage != .retired {
      guard let sealed = try view.sealedPair(of: credential, version.number), SealedRecord.canBe(sealed.span)
      else {
        throw VaultError(.corrupt, "the pair of \(credential.name), version \(version.number), is missing or damaged")
      }
    }
  }

  /// Throws `corrupt` unless the credentials that were seen have each its key, and there is no other.
  func requireKeys(in view: VaultView) throws {
    guard try RowSum(sealed: .keys, in: view.transaction, hash) != keys else { return }
    for credential in try view.credentials() {
      guard let key = try view.transaction.value(in: .keys, for: credential.id.bytes), SealedRecord.canBe(key.span)
      else {
        throw VaultError(.corrupt, "the key of \(credential.name) is missing or damaged: its pairs cannot be opened")
      }
    }
    throw VaultError(.corrupt, "there are sealed keys that no credential has")
  }
}

/// Rows of a table, told apart from any others by the sum of the hashes of their keys.
private struct RowSum: Equatable {
  private var sum: UInt64 = 0
  private var count = 0

  init() {}

  init(of table: Table, in transaction: any ReadTransaction, _ hash: KeyedHash) throws {
    try transaction.scan(table, from: []) { key, _ in
      add(key, hash)
      return true
    }
  }

  /// Of those that can hold something sealed.
  init(sealed table: Table, in transaction: any ReadTransaction, _ hash: KeyedHash) throws {
    try transaction.scan(table, from: []) { key, value in
      if SealedRecord.canBe(value) { add(key, hash) }
      return true
    }
  }

  mutating func add(_ key: borrowing Span<UInt8>, _ hash: KeyedHash) {
    sum &+= hash(key, at: 0..<key.count)
    count += 1
  }
}
