import Age
import Audit
import Contracts
import Foundation
import Sodium
import Storage
import Testing

@testable import StorageSQLite
@testable import Vault

/// What `vault/storage.md` says about the tables `due` and `apart`.
@Suite struct IndexTests {
  private static func row(_ moment: Timestamp?, _ name: String) -> [UInt8] {
    (moment.map { UInt64($0.milliseconds) } ?? .max).bigEndianBytes + Array(name.utf8)
  }

  private static func keys(_ store: any Store, _ table: Table) async throws -> [[UInt8]] {
    try await store.read { try $0.rows(in: table).map(\.key) }
  }

  private static func due(_ store: any Store, at seconds: Int) async throws -> [String] {
    try await store.read { transaction in
      let due = try VaultView(transaction).credentials(dueAt: Fixture.at(seconds))
      #expect(due.failures.isEmpty)
      return due.credentials.map(\.name)
    }
  }

  private static let day = 24 * 3600

  @Test func theIndexFollowsEveryChange() async throws {
    let fixture = try await Fixture()
    let store = fixture.store
    try await fixture.add()
    #expect(try await Self.keys(store, .due) == [Self.row(nil, "crm/prod")])
    try await fixture.rotate()
    #expect(try await Self.keys(store, .due) == [Self.row(Timestamp(milliseconds: 0), "crm/prod")])
    try await fixture.addSchedule()
    let limit = try await store.read { try VaultView($0).credential("erp").ageLimit }
    let (ends, erp) = (Fixture.at(7 + Self.day), try #require(limit))
    #expect(erp > Fixture.at(28 * Self.day) && erp <= Fixture.at(30 * Self.day + 8))
    #expect(try await Self.keys(store, .due) == [Self.row(ends, "crm/prod"), Self.row(erp, "erp")])
    #expect(try await Self.keys(store, .apart) == [Array("crm/prod\u{0}erp".utf8)])
    #expect(try await Self.due(store, at: 7 + Self.day - 1) == [])
    #expect(try await Self.due(store, at: 7 + Self.day) == ["crm/prod"])
    #expect(try await Self.due(store, at: 31 * Self.day) == ["crm/prod", "erp"])

    // The rotation ends and the policy drops the age; then a sink is added, which lacks the pair.
    _ = try await fixture.vault.change(now: Fixture.at(9)) { change in
      var credential = try change.view.credential("crm/prod")
      credential.noteRotation(hasEnded: true, graceEnds: nil)
      return try change.saveStep(credential, step: 4, EventName("rotation.refused"))
    }
    _ = try await fixture.vault.setPolicy(of: "crm/prod", now: Fixture.at(10)) { try $0.set("max-age", to: "none") }
    _ = try await fixture.vault.setPolicy(of: "erp", now: Fixture.at(10)) {
      try $0.set("not-together-with", to: "none")
    }
    #expect(try await Self.keys(store, .due) == [Self.row(erp, "erp"), Self.row(nil, "crm/prod")])
    #expect(try await Self.keys(store, .apart) == [])
    let sink = DeliverySettings(name: "pair", kind: .file(FileSettings(path: "/etc/pair.json", format: .json)))
    _ = try await fixture.vault.addDelivery(sink, to: "crm/prod", now: Fixture.at(11))
    #expect(try await Self.keys(store, .due).first == Self.row(Fixture.at(1), "crm/prod"))
    for attempt in 1...12 {
      let now = Fixture.at(12 * attempt)
      _ = try await fixture.vault.change(now: now) { change in
        var credential = try change.view.credential("crm/prod")
        let delivery = try #require(credential.deliveries.first)
        _ = credential.noteAttempt(at: delivery, now: change.now)
        return try change.save(credential, .deliveryIntended)
      }
      let pause = min(6 * 3600, 60 << (attempt - 1))
      #expect(try await Self.keys(store, .due).first == Self.row(now + .seconds(pause), "crm/prod"))
    }
    try await store.read { _ = try VaultView.verify($0) }
  }

  @Test func whatIsRemovedLeavesNoRowAndWhatIsExposedIsDueAtOnce() async throws {
    let fixture = try await Self.scheduled()
    var record = try await fixture.store.read { try VaultView($0).credential("erp") }
    record.exposure = Exposure(to: ["bob"], since: Fixture.at(8), version: 1)
    let exposed = record
    _ = try await fixture.vault.change(now: Fixture.at(9)) { try $0.save(exposed, .credentialPolicy) }
    #expect(try await Self.keys(fixture.store, .due).first == Self.row(Timestamp(milliseconds: 0), "erp"))
    _ = try await fixture.vault.remove("erp", forgettingDebts: true, now: Fixture.at(10))
    #expect(try await Self.keys(fixture.store, .due) == [Self.row(Fixture.at(7 + Self.day), "crm/prod")])
    #expect(try await Self.keys(fixture.store, .apart) == [])
    try await fixture.store.read { _ = try VaultView.verify($0) }
  }

  @Test func aRowThatIsMissingOrTooManyIsNoticedByGoingThroughAll() async throws {
    let fixture = try await Self.scheduled()
    let whole = try await Snapshot(of: fixture.store, vaultTables)
    try await whole.read { _ = try VaultView.verify($0) }
    for table in [Table.due, .apart] {
      for row in whole.rows(of: table) {
        var tampered = whole
        tampered.tables[table]?[row.key] = nil
        tampered[table, row.key + [0x78]] = []
        var added = whole
        added[table, row.key + [0x78]] = []
        for other in [tampered, added] {
          await #expect(throws: VaultError(.corrupt, "")) {
            try await other.read { _ = try VaultView.verify($0) }
          }
        }
        let lacking = tampered
        await #expect(throws: VaultError(.corrupt, "")) {
          try await lacking.read { transaction in
            let view = try VaultView(transaction)
            var check = try IndexCheck(view)
            for credential in try view.credentials() { try check.require(credential) }
          }
        }
      }
    }
  }

  @Test func aRowThatItsRecordDoesNotCallForIsRefusedWhereItIsMetAndHidesNoOther() async throws {
    let whole = try await Snapshot(of: Self.scheduled().store, vaultTables)
    for (stray, name) in [
      (Self.row(Fixture.at(0), "erp"), "erp"), (Self.row(Fixture.at(0), "nobody"), "nobody"), ([0], ""),
    ] {
      var tampered = whole
      tampered[.due, stray] = []
      let due = try await tampered.read { try VaultView($0).credentials(dueAt: Fixture.at(31 * Self.day)) }
      #expect(due.credentials.map(\.name) == ["crm/prod", "erp"])
      #expect(due.failures.map(\.credential) == [name])
      #expect(due.failures.first?.error as? VaultError == VaultError(.corrupt, ""))
    }
    for stray in ["erp\u{0}crm/prod", "erp\u{0}nobody"] {
      var tampered = whole
      tampered[.apart, Array(stray.utf8)] = []
      let other = tampered
      await #expect(throws: VaultError(.corrupt, "")) {
        try await other.read { transaction in
          let view = try VaultView(transaction)
          _ = try view.partners(of: view.credential("erp"))
        }
      }
    }
  }

  @Test func aDamagedRecordHidesNoOtherAndKeepsNoneApart() async throws {
    let whole = try await Snapshot(of: Self.scheduled().store, vaultTables)
    for isIndexed in [true, false] {
      var damaged = whole
      damaged[.credentials, Array("erp".utf8)] = [0x7B]
      if !isIndexed { for table in [Table.due, .apart] { damaged.tables[table] = [:] } }
      let other = damaged
      try await other.read { transaction in
        let view = try VaultView(transaction)
        let due = try view.credentials(dueAt: Fixture.at(31 * Self.day))
        #expect(due.credentials.map(\.name) == ["crm/prod"])
        #expect(due.failures.map(\.credential) == ["erp"])
        #expect(try view.partners(of: view.credential("crm/prod")).isEmpty)
        #expect(try view.names { _ in false } == ["erp"])
        #expect(try view.names { _ in true } == ["crm/prod", "erp"])
      }
      damaged[.credentials, [0x1B, 0xFF]] = [0x7B]
      let planted = damaged
      try await planted.read { transaction in
        let names = try VaultView(transaction).names { _ in false }
        #expect(names == [Name.printable("\u{1B}\u{FFFD}"), "erp"])
      }
    }
  }

  @Test func aVaultWithoutAnIndexIsGoneThroughAndGetsOneWithTheNextRecord() async throws {
    let fixture = try await Self.scheduled()
    let whole = try await fixture.store.read { try [$0.rows(in: .due), $0.rows(in: .apart)] }
    try await fixture.store.write { transaction in
      for (table, rows) in zip([Table.due, .apart], whole) {
        for row in rows { try transaction.remove(row.key, from: table) }
      }
    }
    #expect(try await Self.due(fixture.store, at: 31 * Self.day) == ["crm/prod", "erp"])
    #expect(try await Self.due(fixture.store, at: 8) == [])
    try await fixture.store.read { transaction in
      _ = try VaultView.verify(transaction)
      let view = try VaultView(transaction)
      #expect(try view.partners(of: view.credential("crm/prod")).map(\.name) == ["erp"])
    }
    _ = try await fixture.vault.setPolicy(of: "erp", now: Fixture.at(9)) { try $0.set("grace", to: "2d") }
    #expect(try await fixture.store.read { try [$0.rows(in: .due), $0.rows(in: .apart)] } == whole)
  }

  @Test func anIndexOfWhichOnlyOneTableIsEmptiedHidesNothingAndIsRefusedByGoingThroughAll() async throws {
    let fixture = try await Self.scheduled()
    let store = fixture.store
    let whole = try await store.read { try [$0.rows(in: .due), $0.rows(in: .apart)] }
    let stray = Array("erp\u{0}nobody".utf8)
    try await store.write { transaction in
      for row in try transaction.rows(in: .due) { try transaction.remove(row.key, from: .due) }
      try transaction.set([], in: .apart, for: stray)
    }
    for isStray in [true, false] {
      if !isStray { try await store.write { try $0.remove(stray, from: .apart) } }
      #expect(try await Self.due(store, at: 31 * Self.day) == ["crm/prod", "erp"])
      try await store.read { transaction in
        let view = try VaultView(transaction)
        #expect(throws: VaultError(.corrupt, "")) { try IndexCheck(view).finish() }
        #expect(try view.partners(of: view.credential("crm/prod")).map(\.name) == ["erp"])
        #expect(try view.partners(of: view.credential("erp")).map(\.name) == ["crm/prod"])
      }
      await #expect(throws: VaultError(.corrupt, "")) { try await store.read { _ = try VaultView.verify($0) } }
    }
    try await store.write { try $0.set([], in: .apart, for: stray) }
    _ = try await fixture.vault.setPolicy(of: "erp", now: Fixture.at(9)) { try $0.set("grace", to: "2d") }
    #expect(try await store.read { try [$0.rows(in: .due), $0.rows(in: .apart)] } == whole)
    try await store.read { _ = try VaultView.verify($0) }
  }

  /// A store that an earlier version of this program made: read as it is, and upgraded by the first change.
  @Test func aVaultOfTheFirstFormatIsReadAsItIsAndUpgradedByAChange() async throws {
    let temporary = try TemporaryFolder()
    let path = temporary.path + "/specimen.db"
    let folder = VectorFile.contract.appending(path: "specimens/v1-small")
    try FileManager.default.copyItem(at: folder.appending(path: "vault.db"), to: URL(filePath: path))
    func format() throws -> String? {
      try Connection.reading(StoreFile(at: path), vaultTables).connection
        .answers(to: "PRAGMA user_version", "comparing").first?.first
    }
    let store = try SQLiteStore(opening: path, tables: vaultTables)
    #expect(try await Self.due(store, at: 10) == ["crm/prod"])
    try await store.read { _ = try VaultView.verify($0) }
    #expect(try format() == "1")

    let text = try PrivateFile.read(folder.path + "/identity")
    let identity = try Identity(try #require(AgeIdentityFile(decoding: text.bytes).identities.first))
    let vault = try await UnlockedVault(
      store, identity: identity, keyFile: { try contents(of: folder.path + "/keys/\($0.keyID).age") },
      randomness: .seeded("upgrading"))
    // An entry without a record brings the tables, and the first record brings their rows.
    _ = try await vault.texts()
    #expect(try format() == "2")
    #expect(try await Self.due(store, at: 10) == ["crm/prod"])
    _ = try await vault.setPolicy(of: "crm/prod", now: Fixture.at(11)) { try $0.set("max-age", to: "90d") }
    let reopened = try SQLiteStore(opening: path, tables: vaultTables)
    #expect(try await Self.keys(reopened, .due) == [Self.row(Timestamp(milliseconds: 0), "crm/prod")])
    try await reopened.read { _ = try VaultView.verify($0) }
    #expect(try await Self.due(store, at: 10) == ["crm/prod"])
  }

  /// This must hold even if the environment fixes the standard library's own hash key (`SWIFT_DETERMINISTIC_HASHING`).
  @Test func noTwoVerificationsHashAlike() {
    let hashes = (0..<4).map { _ in RecordVerification().hash("record") }
    #expect(Set(hashes).count == hashes.count)
    let steps = (0..<4).map { _ in RecordVerification().hash(1, 2, 3) }
    #expect(Set(steps).count == steps.count)
  }

  private static func scheduled() async throws -> Fixture {
    let fixture = try await Fixture()
    try await fixture.add()
    try await fixture.rotate()
    try await fixture.addSchedule()
    return fixture
  }
}
