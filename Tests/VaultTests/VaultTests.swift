import Age
import Audit
import Contracts
import JSON
import Sodium
import Storage
import StorageSQLite
import Testing

@testable import Vault

@Suite struct VaultTests {
  /// Each engine, new and empty.
  enum Engine: String, CaseIterable {
    case memory
    case sqlite

    func store(in folder: TemporaryFolder) throws -> any Store {
      switch self {
      case .memory: return MemoryStore(tables: vaultTables)
      case .sqlite:
        try SQLiteStore.create(at: folder.path + "/vault.db", tables: vaultTables)
        return try SQLiteStore(opening: folder.path + "/vault.db", tables: vaultTables)
      }
    }
  }

  @Test(arguments: Engine.allCases)
  func aPairIsReadBackAsItWasAdded(_ engine: Engine) async throws {
    let folder = try TemporaryFolder()
    let fixture = try await Fixture(in: engine.store(in: folder))
    let added = try await fixture.add()
    let again = try await fixture.opened(in: fixture.store)
    #expect(try await again.texts() == [1: #"{"client_id":"3MVG9.first","client_secret":"quote \" backslash \\ é 漢"}"#])
    let seen = try await fixture.store.read { try VaultView($0).credentials() }
    #expect(seen == [added])
    #expect(seen.first?.settings == ["url": "https://crm.example"])
    #expect(again.member.name == "alice")
  }

  @Test(arguments: Engine.allCases)
  func aChangedPolicyIsReadBack(_ engine: Engine) async throws {
    let folder = try TemporaryFolder()
    let fixture = try await Fixture(in: engine.store(in: folder))
    try await fixture.add()
    _ = try await fixture.vault.setPolicy(of: Fixture.name, now: Fixture.at(2)) { try $0.set("grace", to: "36h") }
    let seen = try await fixture.store.read { try VaultView($0).credential(Fixture.name) }
    #expect(seen.policy.grace == .seconds(36 * 3600))
    #expect(seen.policy.propagation == .seconds(600))
  }

  @Test func thoseKeptApartAreFoundFromBothSides() async throws {
    let fixture = try await Fixture(in: MemoryStore(tables: vaultTables))
    for name in ["a", "b", "c"] { try await fixture.add(name) }
    for wrong in ["nope", "a"] {
      await #expect(throws: VaultError(wrong == "a" ? .invalidInput : .notFound, "")) {
        _ = try await fixture.vault.setPolicy(of: "a", now: Fixture.at(2)) {
          try $0.set("not-together-with", to: wrong)
        }
      }
    }
    _ = try await fixture.vault.setPolicy(of: "b", now: Fixture.at(2)) { try $0.set("not-together-with", to: "a") }
    let partners = try await fixture.store.read { transaction in
      let view = try VaultView(transaction)
      return try ["a", "b", "c"].map { try view.partners(of: view.credential($0)).map(\.name) }
    }
    #expect(partners == [["b"], ["a"], []])
  }

  @Test func aValueIsAsOldAsItsProviderMadeIt() async throws {
    let fixture = try await Fixture(in: MemoryStore(tables: vaultTables))
    let added = try await fixture.vault.add(
      name: "old", provider: "external-client-app", settings: [:], policy: Policy(), admin: "old",
      pair: Fixture.pair(Fixture.first), made: Fixture.at(-100), now: Fixture.at(1))
    #expect(added.versions.first?.created == Fixture.at(-100) && added.created == Fixture.at(1))
    #expect(added.versions.first?.since == Fixture.at(1))
  }

  @Test(arguments: Engine.allCases)
  func aRotatedCredentialOpensInEveryStage(_ engine: Engine) async throws {
    let folder = try TemporaryFolder()
    let fixture = try await Fixture(in: engine.store(in: folder))
    try await fixture.add()
    let rotated = try await fixture.rotate()
    #expect(rotated.version(in: .active)?.number == 2)
    #expect(rotated.debts.map(\.number) == [1])
    #expect(try await fixture.vault.texts().keys.sorted() == [1, 2])
    let steps = try await fixture.store.read { transaction in
      try VaultView(transaction).journal(of: rotated, rotation: 1).map(\.event)
    }
    #expect(steps == ["rotation.begun", "rotation.staged", "rotation.promoted"])
  }

  @Test func everyAccessIsInALogThatAnyoneCanVerify() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    _ = try await fixture.vault.texts()
    let report = try await fixture.store.read { try LogVerification.verify(storedIn: $0) }
    #expect(report.entries == 3)
    #expect(report.owner.signing == fixture.owner.signingKey.verifyingKey)
    let last = try await fixture.store.read { try AuditLog.entry(at: 2, in: $0) }
    #expect(last.event == "pair.read")
    #expect(last.details == ["credential": "crm/prod", "versions": .array([1])])
  }

  @Test func aStrangersIdentityIsNotPermitted() async throws {
    let fixture = try await Fixture()
    let stranger = try Identity(AgeIdentity(generating: .seeded("stranger")))
    await #expect(throws: VaultError(.notPermitted, "")) {
      try await fixture.opened(in: fixture.store, by: stranger)
    }
  }

  @Test func anEmptyStoreIsNotAVault() async throws {
    let fixture = try await Fixture()
    await #expect(throws: VaultError(.notFound, "")) {
      try await fixture.opened(in: MemoryStore(tables: vaultTables))
    }
  }

  @Test func aSecondVaultInAStoreIsRefused() async throws {
    let fixture = try await Fixture()
    await #expect(throws: VaultError(.alreadyExists, "")) { try await Fixture(in: fixture.store, seed: "second") }
  }

  @Test func aSecondCredentialOfANameIsRefused() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    await #expect(throws: VaultError(.alreadyExists, "")) { try await fixture.add() }
    #expect(try await fixture.vault.texts().count == 1)
  }

  @Test func anotherVaultsKeyFileIsCorrupt() async throws {
    let fixture = try await Fixture()
    // The same identity, so that the file opens: only the key's name shows the difference.
    let other = try VaultCreation.prepare(
      for: fixture.owner.age.recipient, now: Fixture.start, randomness: .seeded("other")
    ).keyFile
    await #expect(throws: VaultError(.corrupt, "")) {
      try await UnlockedVault(
        fixture.store, identity: fixture.owner, keyFile: { _ in other }, randomness: .seeded("opened"))
    }
  }

  @Test func aChangeThatThrowsLeavesNothing() async throws {
    struct GivenUp: Error {}
    let fixture = try await Fixture()
    try await fixture.add()
    let before = try await Snapshot(of: fixture.store, vaultTables).tables
    await #expect(throws: GivenUp.self) {
      try await fixture.vault.change(now: Fixture.at(2)) { change in
        var credential = try change.view.credential(Fixture.name)
        credential.rotation += 1
        try change.saveStep(credential, step: 0, EventName("rotation.begun"))
        throw GivenUp()
      }
    }
    #expect(try await Snapshot(of: fixture.store, vaultTables).tables == before)
  }

  @Test func logBeforeReleaseAStoreThatCannotWriteReleasesNothing() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    let vault = try await fixture.opened(in: ReadOnlyStore(base: fixture.store))
    await #expect(throws: StorageError(.cannotWrite, "")) { try await vault.texts() }
  }

  @Test func aVersionIsImmutable() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    let sealed = try await fixture.vault.seal(Fixture.pair(Fixture.second), of: Fixture.name, version: 1)
    await #expect(throws: VaultError(.versionExists, "")) {
      try await fixture.vault.change(now: Fixture.at(2)) {
        try $0.storePair(sealed, of: $0.view.credential(Fixture.name))
      }
    }
  }

  /// The log records it: otherwise nothing would be compared with its provider.
  @Test func theNewestRestoreIsKnownWhereTheJournalsRowIsGone() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    let end = try await fixture.store.read { try VaultView($0).endpoint }
    for number in [1, 2] as [UInt64] {
      try await fixture.vault.logRestore(end, behind: nil, now: Fixture.at(2))
      #expect(try await fixture.vault.read { try $0.restoration()?.number } == number)
    }
    let seen = try await fixture.vault.read { $0.seenLog }
    #expect(try SeenLog(decoding: seen.bytes) == seen)
    let whole = try await Snapshot(of: fixture.store, vaultTables)
    let rows = whole.rows(of: .journal)
    #expect(rows.count == 2)
    for gone in [rows, Array(rows.suffix(1))] {
      var tampered = whole
      for row in gone { tampered.tables[.journal]?[row.key] = nil }
      let snapshot = tampered
      for locked in [LockedVault(snapshot), LockedVault(snapshot, after: try SeenLog(decoding: seen.bytes))] {
        let expected = try await fixture.vault.read { try $0.restoration() }
        #expect(try await locked.read { try $0.restoration() } == expected)
      }
    }
    // Verification notices that each of them is missing.
    for gone in rows {
      var tampered = whole
      tampered.tables[.journal]?[gone.key] = nil
      let snapshot = tampered
      await #expect(throws: VaultError(.corrupt, "")) { _ = try await snapshot.read { try VaultView.verify($0) } }
    }
    // As remembered by a program that did not keep it.
    let older = Membership(
      vault: seen.membership.vault, keyID: seen.membership.keyID, standings: seen.membership.standings)
    let locked = LockedVault(
      whole, after: SeenLog(checkpoint: seen.checkpoint, actor: seen.actor, membership: older))
    #expect(try await locked.read { try $0.restoration()?.number } == 2)
  }

  /// Anyone who can write to the folder can put a row where the next pair or step is to be.
  @Test func aRowThatNoRecordSpeaksOfMakesWayForTheVersionAndTheStep() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    let id = try await fixture.store.read { try VaultView($0).credential(Fixture.name).id.bytes }
    try await fixture.store.write { transaction in
      let pair = [1] + [UInt8](repeating: 7, count: 60)
      try transaction.set(pair, in: .versions, for: id + UInt64(2).bigEndianBytes)
      for step in [0, 1, 9] as [UInt32] {
        let key = id + UInt64(1).bigEndianBytes + step.bigEndianBytes
        try transaction.set(UInt64(0).bigEndianBytes, in: .journal, for: key)
      }
    }
    try await fixture.rotate()
    #expect(try await fixture.vault.texts().keys.sorted() == [1, 2])
    let steps = try await fixture.store.read { transaction in
      _ = try VaultView.verify(transaction)
      let view = try VaultView(transaction)
      return try view.journal(of: view.credential(Fixture.name), rotation: 1).map(\.event)
    }
    #expect(steps == ["rotation.begun", "rotation.staged", "rotation.promoted"])
  }

  /// A run that was told that its step failed, and tries it again, must learn that the step is there.
  @Test func aStepThatTheRecordHasIsNotTakenTwice() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    try await fixture.rotate()
    var before = try await fixture.store.read { try VaultView($0).credential(Fixture.name) }
    for (rotation, step) in [(1, 0), (1, 2)] as [(UInt64, UInt32)] {
      before.rotation = rotation
      let credential = before
      await #expect(throws: VaultError(.alreadyExists, "")) {
        _ = try await fixture.vault.change(now: Fixture.at(9)) {
          try $0.saveStep(credential, step: step, EventName("rotation.begun"))
        }
      }
    }
    _ = try await fixture.store.read { try VaultView.verify($0) }
  }

  @Test func aReKeyingLeavesNoPairThatTheRecordHasNoVersionFor() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    let id = try await fixture.store.read { try VaultView($0).credential(Fixture.name).id.bytes }
    try await fixture.store.write {
      try $0.set([1] + [UInt8](repeating: 7, count: 60), in: .versions, for: id + UInt64(99).bigEndianBytes)
    }
    _ = try await fixture.vault.rekey(now: Fixture.at(2), keeping: { _, _ in })
    _ = try await fixture.store.read { try VaultView.verify($0) }
    #expect(try await fixture.store.read { try $0.rows(in: .versions).map(\.key) } == [id + UInt64(1).bigEndianBytes])
  }

  @Test func anOperatorOpensWhatItWasGrantedAndNothingElse() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    try await fixture.add("crm/other", Fixture.second)
    let bob = try await fixture.opened(in: fixture.store, by: fixture.addOperator())
    #expect(try await bob.texts().count == 1)
    let size = try await fixture.store.read { try AuditLog.size(in: $0) }
    await #expect(throws: VaultError(.notPermitted, "")) { try await bob.texts(of: "crm/other") }
    // The log must not say that something was read that could not be read.
    #expect(try await fixture.store.read { try AuditLog.size(in: $0) } == size)
  }
}

/// A store whose medium refuses every commit, after the body has run.
struct ReadOnlyStore: Store {
  let base: any Store

  func read<Result: Sendable>(_ body: @Sendable (any ReadTransaction) throws -> Result) async throws -> Result {
    try await base.read(body)
  }

  func write<Result: Sendable>(_ body: @Sendable (any WriteTransaction) throws -> Result) async throws -> Result {
    try await base.write { transaction in
      _ = try body(transaction)
      throw StorageError(.cannotWrite, "the medium is full")
    }
  }
}
