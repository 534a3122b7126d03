import Age
import Contracts
import Foundation
import JSON
import Sodium
import Storage
import Synchronization
import Testing

@testable import Audit
@testable import Vault

/// Flips every single bit of every row of a vault, key and value, and of its key file, and reads the vault in every
/// possible way. Each answer must be that of the intact vault, or say that the vault is damaged. At least one of them
/// must notice each damage, except to rows that record nothing.
@Suite struct SingleBitTests {
  /// Rows that record nothing and end automatically. Verification also covers the journal of a rotation that is over,
  /// and the nodes of the tree that no record's proof leads through.
  private static let derived: Set<Table> = [.leases]
  private static let workers = 2

  @Test(arguments: vaultTables) func everyBitOfARow(_ table: Table) async throws {
    let rows = try await Complete.shared.value.rows.rows(of: table)
    // No policy here keeps credentials apart: `IndexTests` covers those rows.
    #expect(!rows.isEmpty || table == .apart)
    let unnoticed = try await withThrowingTaskGroup(of: Int.self) { group in
      for worker in 0..<Self.workers {
        group.addTask {
          let reader = try await VaultReader()
          var unnoticed = 0
          for index in rows.indices {
            let bits = (rows[index].key.count + rows[index].value.count) * 8
            for bit in stride(from: worker, to: bits, by: Self.workers) {
              unnoticed += try await reader.isNoticed(bit, ofRow: index, in: table) ? 0 : 1
            }
          }
          return unnoticed
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(unnoticed == 0 || Self.derived.contains(table), "\(table.name): \(unnoticed)")
  }

  @Test func everyBitOfTheKeyFile() async throws {
    let vault = try await Complete.shared.value
    let key = try SharedSecret(AgeFile.open(vault.keyFile.span.bytes, with: [vault.carol.age]))
    for bit in 0..<vault.keyFile.count * 8 {
      var file = vault.keyFile
      file[bit / 8] ^= 1 << UInt8(bit % 8)
      if let opened = try? AgeFile.open(file.span.bytes, with: [vault.carol.age]) {
        let isSame = opened.isEqual(to: key.secret)
        #expect(isSame, "bit \(bit)")
      } else if bit % 8 == bit / 8 % 8 {
        // An age file can be wrong in many ways: to a member who opens a vault they are all damage.
        let damaged = file
        await #expect(throws: VaultError(.corrupt, ""), "bit \(bit)") {
          _ = try await UnlockedVault(
            vault.rows, identity: vault.carol, keyFile: { _ in damaged }, randomness: .seeded("opened"))
        }
      }
    }
  }
}

/// Reads copies of the complete vault in which one bit was flipped, in every possible way.
///
/// A way is tried only if it read the row that was flipped, or would have found it under its new key: a way that has
/// not seen a row cannot answer differently. What each reads from the intact vault is recorded beforehand.
private struct VaultReader {
  /// What was found, compared as a whole.
  typealias Answer = [AnyHashable]

  /// One way to read a vault.
  struct Way {
    let name: String
    let read: (SortedRows) async throws -> Answer
    var reads = Reads()
    var answer: Answer = []
  }

  private let vault: Complete
  /// Everything that is verified whenever a vault is used.
  private let opening: Way
  private let root: SHA256Digest
  /// What is read after that. Each way begins with what opening found, so that the same is not verified again and
  /// again.
  private let others: [Way]
  /// What the log's verifier knew before each entry, and the next checkpoint.
  private let states: [(before: LogVerification, checkpoint: (size: Int, bytes: [UInt8]))]

  init() async throws {
    let vault = try await Complete.shared.value
    self.vault = vault
    func know(_ way: Way) async throws -> Way {
      var way = way
      var rows = vault.rows
      rows.reads = way.reads
      way.answer = try await way.read(rows)
      return way
    }
    opening = try await know(
      Way(name: "opening") { rows in
        let view = try VaultView(SortedTransaction(rows))
        return [view.header, view.members, view.seenLog.checkpoint.checkpoint]
      })
    root = try VaultView(SortedTransaction(vault.rows)).seenLog.checkpoint.checkpoint.root
    var others: [Way] = []
    for way in try await Self.ways(of: vault) { others.append(try await know(way)) }
    self.others = others
    states = try Self.states(of: vault.rows)
  }

  private static func ways(of vault: Complete) async throws -> [Way] {
    let opened = try VaultView(SortedTransaction(vault.rows))
    let known = opened.known
    let crm = try opened.credential(Complete.credential)
    /// A view of a vault that was opened by somebody who has read nothing of it yet.
    func view(_ rows: SortedRows) throws -> VaultView {
      let memory = VaultMemory()
      _ = memory.learn(known, isNewest: true)
      return try VaultView(SortedTransaction(rows), remembering: memory, after: nil)
    }
    var ways = [
      Way(name: "credentials") { try view($0).credentials() },
      Way(name: "journal") { try view($0).journal(of: crm, rotation: crm.rotation) },
      Way(name: "deliveries") {
        try view($0).requireDeliveriesAddedByOwners(of: crm)
        return []
      },
      Way(name: "verification") { [try VaultView.verify(SortedTransaction($0))] },
    ]
    for name in [Complete.credential, Complete.plain] {
      ways.append(Way(name: "credential") { [try view($0).credential(name)] })
    }
    for (identity, name) in [
      (vault.fixture.owner, Complete.credential), (vault.bob, Complete.credential), (vault.carol, Complete.plain),
    ] {
      let store = SwitchedRows(vault.rows)
      ways.append(
        Way(name: "pairs") { rows in
          // By somebody who has just opened the intact vault: this store forgets what is committed, and a reader who
          // saw it would notice that first.
          store.rows.withLock { $0 = vault.rows }
          let locked = LockedVault(store)
          _ = locked.memory.learn(known, isNewest: true)
          let opened = try await vault.opened(locked, by: identity)
          store.rows.withLock { $0 = rows }
          let pairs = try await opened.pairs(
            of: name, choosing: \.versions, event: .pairRead, now: Fixture.at(100))
          return try pairs.map { "\($0.version.number) \(try $0.pair.text)" }
        })
    }
    return ways
  }

  private static func states(
    of rows: SortedRows
  ) throws -> [(before: LogVerification, checkpoint: (size: Int, bytes: [UInt8]))] {
    let checkpoints = try rows.rows(of: .checkpoints).map { row in
      (size: Int(try #require(UInt64(bigEndianBytes: row.key))), bytes: row.value)
    }
    var verification = LogVerification()
    return try rows.rows(of: .log).enumerated().map { index, row in
      let next = try #require(checkpoints.first { $0.size > index })
      let before = verification
      try verification.add(entry: row.value)
      if next.size == index + 1 { try verification.add(checkpoint: next.bytes) }
      return (before, next)
    }
  }

  /// Fails the test if something is read that is not in the intact vault, or is refused for a reason other than damage.
  /// Returns whether any way notices the flip.
  func isNoticed(_ bit: Int, ofRow index: Int, in table: Table) async throws -> Bool {
    let row = vault.rows.rows(of: table)[index]
    let flipped = row.flipping(bit)
    // If the new key is another row's, there would be two changes.
    guard let rows = vault.rows.replacing(index, of: table, by: flipped) else { return true }
    let what = "\(table.name) \(row.key.hex), bit \(bit)"
    func isRead(_ way: Way) -> Bool {
      way.reads.include(row.key, of: table) || (flipped.key != row.key && way.reads.include(flipped.key, of: table))
    }
    if flipped.key == row.key, table == .log || table == .tree, bit % 32 != bit / 32 % 32 {
      return try isNoticedAtOnce(rows, index, table, what)
    }
    var isNoticed = false
    if isRead(opening), try await isRefused(opening, rows, what) {
      // If this fails, nothing else is begun except the verification of the log.
      for way in others where way.name == "verification" && isRead(way) { _ = try await isRefused(way, rows, what) }
      return true
    }
    for way in others where isRead(way) {
      if try await isRefused(way, rows, what) { isNoticed = true }
    }
    return isNoticed
  }

  private func isRefused(_ way: Way, _ rows: SortedRows, _ what: String) async throws -> Bool {
    do {
      let answer = try await way.read(rows)
      #expect(answer == way.answer, "\(way.name): \(what)")
      return false
    } catch {
      #expect(isDamage(error, way), "\(way.name): \(what): \(error)")
      return true
    }
  }

  /// Whether `error` ends a command with 65.
  private func isDamage(_ error: any Error, _ way: Way) -> Bool {
    switch error {
    case let error as VaultError:
      // If the row of a credential or a grant has another key, its name alone does not show that it ever existed;
      // reading all rows finds that a row is where none may be. And the digit of a record's format may have become
      // another's.
      [.corrupt, .unsupportedFormat].contains(error.code)
        || (error.code == .notFound && ["credential", "pairs"].contains(way.name))
        || (error.code == .notPermitted && way.name == "pairs")
    case is AuditError: true
    case let error as StorageError: error.code == .corrupt
    default: false
    }
  }

  /// For most bits of entries and nodes, of which there are many: reads only what everything else passes through. One
  /// bit of each four bytes also goes through all ways.
  private func isNoticedAtOnce(_ rows: SortedRows, _ index: Int, _ table: Table, _ what: String) throws -> Bool {
    let transaction = SortedTransaction(rows)
    if table == .log {
      // Every reader of an entry reads it here, except the verifier.
      #expect(throws: AuditError.self, "\(what)") { try AuditLog.entry(at: UInt64(index), in: transaction) }
      #expect(throws: AuditError.self, "\(what)") {
        let (before, checkpoint) = states[index]
        var verification = before
        for later in index..<checkpoint.size { try verification.add(entry: rows.rows(of: .log)[later].value) }
        try verification.add(checkpoint: checkpoint.bytes)
      }
      return true
    }
    // A node is on the path of every entry below its sibling; the last ones, which have no sibling, make the log's
    // root.
    let size = UInt64(rows.rows(of: .log).count)
    let key = rows.rows(of: .tree)[index].key
    let level = UInt64(try #require(key.first))
    let place = try #require(UInt64(bigEndianBytes: key.dropFirst()))
    if level == 0 {
      #expect(throws: AuditError.self, "\(what)") { try AuditLog.entry(at: place, in: transaction) }
    }
    let entry = (place ^ 1) << level
    guard entry < size else {
      #expect(throws: AuditError.self, "\(what)") { try VaultView(transaction) }
      return true
    }
    let proof = try AuditLog.inclusionProof(of: entry, size: size, in: transaction)
    let leaf = MerkleTree.leafHash(rows.rows(of: .log)[Int(entry)].value)
    #expect(throws: AuditError.self, "\(what)") { try proof.verify(leafHash: leaf, root: root) }
    return true
  }
}

/// A store whose rows can be exchanged while it is in use.
private final class SwitchedRows: Store {
  let rows: Mutex<SortedRows>

  init(_ rows: SortedRows) { self.rows = Mutex(rows) }

  func read<Result: Sendable>(_ body: @Sendable (any ReadTransaction) throws -> Result) async throws -> Result {
    try await rows.withLock { $0 }.read(body)
  }

  func write<Result: Sendable>(_ body: @Sendable (any WriteTransaction) throws -> Result) async throws -> Result {
    try await rows.withLock { $0 }.write(body)
  }
}

extension LogVerification {
  /// Adds the next entry, as `addStored` does, but hashes it at once.
  fileprivate mutating func add(entry bytes: [UInt8]) throws(AuditError) {
    _ = try read(entry: bytes.span)
    var tree = tree
    tree.append(leafHash: MerkleTree.leafHash(bytes))
    try catchUp(tree)
  }
}
