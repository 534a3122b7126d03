import Audit
import Contracts
import JSON
import Sodium
import Storage
import StorageSQLite
import Synchronization
import Testing

@testable import Vault

/// What a process remembers of a vault must never make its answers differ from those without that memory.
@Suite struct VaultMemoryTests {
  private static let parts = 8

  /// Does what `TamperingTests` does to a newly opened vault, but between two transactions of one open vault.
  @Test(arguments: [Table.header, .members, .credentials, .journal, .log, .tree, .checkpoints], 0..<parts)
  func whatIsChangedBetweenTwoTransactionsIsFound(_ table: Table, _ part: Int) async throws {
    let vault = try await Small.tiny.value
    let store = SwitchedStore(vault.snapshot)
    let expected = try await vault.snapshot.read { try Self.reading(VaultView($0)) }
    for row in vault.snapshot.rows(of: table) {
      // One bit of each byte, a different one each time.
      for byte in stride(from: part, to: row.key.count + row.value.count, by: Self.parts) {
        let flipped = row.flipping(byte * 8 + (byte / Self.parts) % 8)
        var tampered = vault.snapshot
        tampered.tables[table]?[row.key] = nil
        if tampered[table, flipped.key] != nil { continue }
        tampered[table, flipped.key] = flipped.value
        let (snapshot, what) = (tampered, Comment(rawValue: "\(table.name) \(row.key.hex), byte \(byte)"))
        // A change that is the first in its commit remembers whatever it finds to be true.
        store.snapshot.withLock { $0 = vault.snapshot }
        // Opened again: this store forgets what is committed, and that would be noticed.
        let owner = try await vault.fixture.opened(in: store)
        #expect(try await owner.change(now: Fixture.at(20)) { try Self.reading($0.view) } == expected)
        let plain = try? await snapshot.read { try Self.reading(VaultView($0)) }
        store.snapshot.withLock { $0 = snapshot }
        let read = try? await owner.read { try Self.reading($0) }
        let changed = try? await owner.change(now: Fixture.at(20)) { change in
          let reading = try Self.reading(change.view)
          try change.log(.pairRead, about: Fixture.name)
          return reading
        }
        #expect(read == nil || read == expected, what)
        #expect(changed == nil || changed == expected, what)
        // The tree, older entries and older checkpoints prove what is already known: they are not read again, so they
        // cannot change an answer.
        let isOld = row.key != vault.snapshot.rows(of: table).last?.key
        if table == .tree || (table == .log || table == .checkpoints) && isOld { continue }
        if plain == nil { #expect(read == nil && changed == nil, what) }
      }
    }
  }

  @Test func whatIsKnownIsNotProvedAgain() async throws {
    let vault = try await Small.tiny.value
    let store = SwitchedStore(vault.snapshot)
    let owner = try await vault.fixture.opened(in: store)
    let expected = try await owner.read { try $0.credential(Fixture.name) }
    var treeless = vault.snapshot
    treeless.tables[.tree] = [:]
    let snapshot = treeless
    await #expect(throws: (any Error).self) { _ = try await snapshot.read { try VaultView($0).header } }
    store.snapshot.withLock { $0 = snapshot }
    #expect(try await owner.read { try $0.credential(Fixture.name) } == expected)
    #expect(try await owner.change(now: Fixture.at(20)) { try $0.view.credential(Fixture.name) } == expected)
  }

  /// The record was true once. Going through the log finds it, just as without any memory.
  @Test func aRecordPutBackIsWhatItWouldBeWithoutMemory() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    let old = try await Snapshot(of: fixture.store, vaultTables)
    try await fixture.rotate()
    var tampered = try await Snapshot(of: fixture.store, vaultTables)
    let store = SwitchedStore(tampered)
    let owner = try await fixture.opened(in: store)
    _ = try await owner.read { try $0.credentials() }
    tampered.tables[.credentials] = old.tables[.credentials]
    let snapshot = tampered
    store.snapshot.withLock { $0 = snapshot }
    let plain = try await snapshot.read { try VaultView($0).credentials() }
    #expect(try await owner.read { try $0.credentials() } == plain)
    await #expect(throws: VaultError(.corrupt, "")) { try await store.read { _ = try VaultView.verify($0) } }
  }

  @Test func changesOfOneCommitAreSignedOnceAndSeeEachOther() async throws {
    let (store, owner, _) = try await Self.grouping()
    let before = store.committed
    try await owner.step(0)
    try await owner.step(1)
    // A body that throws takes nothing with it, even if it has logged.
    await #expect(throws: StorageError(.leaseLost, "")) {
      try await owner.change(now: Fixture.at(30)) { change in
        try change.log(.pairRead, about: Fixture.name)
        throw StorageError(.leaseLost, "on purpose")
      }
    }
    try await owner.step(2)
    let steps = try await owner.change(now: Fixture.at(30)) { change in
      let credential = try change.view.credential(Fixture.name)
      return try change.view.journal(of: credential, rotation: credential.rotation).map(\.details["step"])
    }
    #expect(steps == [0, 1, 2])
    #expect(store.committed.tables == before.tables)
    try store.commit()
    try await Self.requireSound(store.committed, entries: 3, after: before, runs: 0)
  }

  @Test func aBodyThatLooksAtTheWholeVaultFindsItSigned() async throws {
    let (store, owner, _) = try await Self.grouping()
    let before = store.committed
    try await owner.step(0)
    try await owner.change(now: Fixture.at(30)) { change in
      try change.log(.pairRead, about: Fixture.name)
      _ = try VaultView(change.leases)
      _ = try VaultView.verify(change.leases)
    }
    try await owner.step(1)
    try await owner.change(now: Fixture.at(30)) {
      _ = try VaultView($0.leases)
      _ = try VaultView.verify($0.leases)
    }
    // Signed inside a body that is then undone.
    await #expect(throws: StorageError(.leaseLost, "")) {
      try await owner.change(now: Fixture.at(30)) { change in
        _ = try VaultView(change.leases)
        throw StorageError(.leaseLost, "on purpose")
      }
    }
    try await owner.step(2)
    try store.commit()
    try await Self.requireSound(store.committed, entries: 4, after: before, runs: 0)
  }

  @Test func eachMemberSignsTheirOwnRunOfASharedCommit() async throws {
    let (store, owner, bob) = try await Self.grouping()
    let before = store.committed
    try await owner.step(0)
    try await bob.step(1)
    try await bob.step(2)
    try await owner.step(3)
    try store.commit()
    // The first run continues the one that the log ended with.
    try await Self.requireSound(store.committed, entries: 4, after: before, runs: 2)
    #expect(try await bob.read { try $0.credential(Fixture.name).steps } == 4)
  }

  @Test func whatWasSignedAndNotCommittedIsForgotten() async throws {
    let (store, owner, bob) = try await Self.grouping()
    let before = store.committed
    for vault in [owner, bob] {
      // Another event each time, so that the same indices get other entries.
      try await vault.step(0, of: Fixture.name, "rotation.lost")
      try store.commit(isRefused: true)
      #expect(store.committed.tables == before.tables)
    }
    try await owner.step(0)
    try await owner.step(1)
    try store.commit()
    try await Self.requireSound(store.committed, entries: 2, after: before, runs: 0)
    let journal = try await owner.read { view in
      let credential = try view.credential(Fixture.name)
      return try view.journal(of: credential, rotation: credential.rotation).map(\.event)
    }
    #expect(journal == ["rotation.step", "rotation.step"])
  }

  @Test func aRowChangedBetweenTwoChangesOfOneCommitIsFound() async throws {
    for table in [Table.header, .members, .credentials] {
      let (store, owner, _) = try await Self.grouping()
      let before = store.committed
      try await owner.step(0)
      try await store.write { transaction in
        for row in try transaction.rows(in: table) {
          try transaction.set(row.flipping((row.key.count + 40) * 8).value, in: table, for: row.key)
        }
      }
      await #expect(throws: (any Error).self, "\(table.name)") { try await owner.step(1) }
      #expect(store.committed.tables == before.tables)
    }
  }

  /// The last entry that is not signed yet must be the one that was appended: nobody signs what they did not write.
  @Test func anEntryAddedBesideTheVaultIsNotSigned() async throws {
    let (store, owner, _) = try await Self.grouping()
    try await owner.step(0)
    try await store.write { transaction in
      let size = try AuditLog.size(in: transaction)
      let entry = try LogEntry(time: Fixture.at(30), member: "alice", event: "pair.read")
      try transaction.set(entry.bytes, in: .log, for: size.bigEndianBytes)
    }
    await #expect(throws: (any Error).self) { try await owner.step(1) }
  }

  @Test func concurrentChangesByTwoMembersLeaveASoundVault() async throws {
    let folder = try TemporaryFolder()
    try SQLiteStore.create(at: folder.path + "/vault.db", tables: vaultTables)
    let store = try SQLiteStore(opening: folder.path + "/vault.db", tables: vaultTables)
    let fixture = try await Fixture(in: store)
    for number in 0..<8 { try await fixture.add("crm/\(number)") }
    let bob = try await fixture.opened(in: store, by: fixture.addOperator("crm/0"))
    let before = try await Snapshot(of: store, vaultTables)
    let done = try await withThrowingTaskGroup { group in
      for number in 0..<8 {
        let name = "crm/\(number)"
        group.addTask {
          var done = 0
          for step in UInt32(0)..<20 {
            let isRefused = step % 5 == 3
            do {
              try await (number == 0 ? bob : fixture.vault).step(step - (step + 1) / 5, of: name) {
                if isRefused { throw StorageError(.leaseLost, "on purpose") }
              }
              done += 1
            } catch let error as StorageError where error.code == .leaseLost {}
            if !isRefused { _ = try await fixture.vault.read { try $0.credential(name) } }
          }
          return done
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(done == 8 * 16)
    try await Self.requireSound(Snapshot(of: store, vaultTables), entries: 8 * 16, after: before, runs: nil)
  }

  /// What can be read of the vault without its keys.
  private static func reading(_ view: VaultView) throws -> TamperingTests.Reading {
    let credentials = try view.credentials()
    return TamperingTests.Reading(
      header: view.header, members: view.members, credentials: credentials,
      journals: try credentials.map { try $0.rotation == 0 ? [] : view.journal(of: $0, rotation: $0.rotation) },
      pairs: [])
  }

  /// A vault of alice's and bob's whose writes wait for one another, and that vault opened by each of them.
  private static func grouping() async throws -> (GroupingStore, UnlockedVault, UnlockedVault) {
    let vault = try await Small.tiny.value
    let store = GroupingStore(vault.snapshot)
    return (
      store, try await vault.fixture.opened(in: store), try await vault.fixture.opened(in: store, by: vault.bob)
    )
  }

  /// Checks everything that can be checked in `snapshot`, and that it has so many more entries and runs than `before`.
  private static func requireSound(
    _ snapshot: Snapshot, entries: UInt64, after before: Snapshot, runs: UInt64?
  ) async throws {
    let old = try await before.read { try LogVerification.verify(storedIn: $0) }
    try await snapshot.read { transaction in
      let report = try VaultView.verify(transaction)
      #expect(report.entries == old.entries + entries)
      #expect(try transaction.rows(in: .checkpoints).count == Int(report.runs))
      if let runs { #expect(report.runs == old.runs + runs) }
    }
  }
}

extension UnlockedVault {
  /// Journals `step` of a rotation of its own; step 0 begins it.
  fileprivate func step(
    _ step: UInt32, of name: String = Fixture.name, _ event: String = "rotation.step",
    _ body: @escaping @Sendable () throws -> Void = {}
  ) async throws {
    try await change(now: Fixture.at(30)) { change in
      var credential = try change.view.credential(name)
      if step == 0 { credential.rotation += 1 }
      try change.saveStep(credential, step: step, EventName(event))
      try body()
    }
  }
}
