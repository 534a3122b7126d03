import Age
import Audit
import Contracts
import Sodium
import Storage
import Testing

@testable import Vault

/// Anyone who can write the store but holds no identity can make reading fail, but can never make it answer
/// differently.
@Suite struct TamperingTests {
  static let tables: [Table] = [
    .header, .members, .credentials, .keys, .versions, .grants, .journal, .log, .tree, .checkpoints,
  ]

  /// Everything that can be read of a vault, as plain values.
  struct Reading: Hashable, Sendable {
    var header: VaultHeader
    var members: [Member]
    var credentials: [Credential]
    var journals: [[LogEntry]]
    var pairs: [[UInt64: String]]
  }

  @Test(arguments: tables)
  func aMissingRowIsNeverMistakenForAnotherAnswer(_ table: Table) async throws {
    let vault = try await Small.shared.value
    for row in vault.snapshot.rows(of: table) {
      var tampered = vault.snapshot
      tampered.tables[table]?[row.key] = nil
      let reading = try? await vault.read(tampered, by: vault.fixture.owner)
      // Missing credentials and members are the only thing that a single reading cannot tell from ones never added.
      guard var reading, reading != vault.expected else { continue }
      reading.credentials = vault.expected.credentials
      reading.journals = vault.expected.journals
      reading.pairs = vault.expected.pairs
      reading.members = vault.expected.members
      #expect(reading == vault.expected, "\(table.name)")
      #expect([.members, .credentials].contains(table), "\(table.name)")
    }
  }

  /// Someone who makes a backup when verification succeeds must not keep one that cannot be read.
  @Test(arguments: [Table.keys, .versions, .tree])
  func whatReadingWillNeedIsMissedByVerification(_ table: Table) async throws {
    let vault = try await Small.shared.value
    _ = try await vault.snapshot.read { try VaultView.verify($0) }
    for row in vault.snapshot.rows(of: table) {
      var missing = vault.snapshot
      missing.tables[table]?[row.key] = nil
      var short = vault.snapshot
      short[table, row.key] = Array(row.value.dropLast(row.value.count - 31))
      var surplus = vault.snapshot
      surplus[table, row.key.map { $0 ^ 1 }] = row.value
      for tampered in [missing, short, surplus] {
        await #expect(throws: (any Error).self, "\(table.name)") {
          _ = try await tampered.read { try VaultView.verify($0) }
        }
      }
    }
  }

  /// A step's row only says which log entry it is.
  @Test func theStepOfAnotherCredentialOrRotationIsNoStepOfThisOne() async throws {
    let fixture = try await Fixture()
    try await fixture.add("erp", Fixture.second)
    try await fixture.add()
    for (name, rotations) in [("erp", 1), (Fixture.name, 2)] {
      for _ in 1...rotations {
        _ = try await fixture.vault.change(now: Fixture.at(2)) { change in
          var credential = try change.view.credential(name)
          credential.rotation += 1
          return try change.saveStep(credential, step: 0, EventName("rotation.begun"))
        }
      }
    }
    let rows = try await Snapshot(of: fixture.store, vaultTables)
    let credential = try await rows.read { try VaultView($0).credential(Fixture.name) }
    let other = try await rows.read { try VaultView($0).credential("erp") }
    func key(_ credential: Credential, _ rotation: UInt64) -> [UInt8] {
      credential.id.bytes + rotation.bigEndianBytes + UInt32(0).bigEndianBytes
    }
    for (rotation, theirs) in [(1, key(other, 1)), (2, key(credential, 1))] as [(UInt64, [UInt8])] {
      #expect(try await rows.read { try VaultView($0).journal(of: credential, rotation: rotation).count } == 1)
      var tampered = rows
      tampered[.journal, key(credential, rotation)] = rows[.journal, theirs]
      let snapshot = tampered
      await #expect(throws: VaultError(.corrupt, ""), "rotation \(rotation)") {
        try await snapshot.read { try VaultView($0).journal(of: credential, rotation: rotation) }
      }
    }
  }

  /// A row that nothing calls for could be mistaken for something some day.
  @Test(arguments: [Table.keys, .versions, .grants, .journal])
  func aRowThatNothingCallsForIsRefusedByVerification(_ table: Table) async throws {
    let vault = try await Small.shared.value
    let row = try #require(vault.snapshot.rows(of: table).first)
    var flipped = [row.key, row.key]
    flipped[0][0] ^= 1
    flipped[1][row.key.count - 1] ^= 0x40
    let restore = vault.fixture.vault.header.id.bytes + UInt64(0).bigEndianBytes + UInt32(0).bigEndianBytes
    let others = table == .journal ? [restore] : []
    for key in flipped + others + [row.key + [0x78], row.key.dropLast(), [0x78]] {
      for value in [row.value, []] {
        var tampered = vault.snapshot
        tampered[table, key] = value
        let snapshot = tampered
        await #expect(throws: VaultError(.corrupt, ""), "\(table.name) \(key)") {
          _ = try await snapshot.read { try VaultView.verify($0) }
        }
      }
    }
  }

  /// If a grant's row is gone, an operator cannot open what the log says is open to them.
  @Test func aGrantThatIsGoneIsMissedByVerification() async throws {
    let vault = try await Small.shared.value
    for row in vault.snapshot.rows(of: .grants) {
      var tampered = vault.snapshot
      tampered.tables[.grants]?[row.key] = nil
      let snapshot = tampered
      await #expect(throws: VaultError(.corrupt, "")) { _ = try await snapshot.read { try VaultView.verify($0) } }
    }
  }

  @Test(arguments: [Table.credentials, .keys, .versions, .grants, .journal, .log, .checkpoints, .members])
  func twoRowsSwappedAreRefused(_ table: Table) async throws {
    let vault = try await Small.shared.value
    let rows = vault.snapshot.rows(of: table)
    for first in rows.indices {
      for second in rows.indices.dropFirst(first + 1) {
        var tampered = vault.snapshot
        tampered[table, rows[first].key] = rows[second].value
        tampered[table, rows[second].key] = rows[first].value
        await #expect(throws: (any Error).self, "\(table.name) \(first) \(second)") {
          let snapshot = tampered
          _ = try await vault.read(snapshot, by: vault.fixture.owner)
          _ = try await vault.read(snapshot, by: vault.bob)
          _ = try await snapshot.read { try LogVerification.verify(storedIn: $0) }
        }
      }
    }
  }

  /// Each record was true once, and an entry of the log vouches for it.
  @Test func aRecordPutBackIsFoundByGoingThroughTheLog() async throws {
    let vault = try await Small.shared.value
    try await vault.snapshot.read { _ = try VaultView.verify($0) }
    let fixture = try await Fixture()
    try await fixture.add()
    let old = try await Snapshot(of: fixture.store, vaultTables)
    try await fixture.rotate()
    var tampered = try await Snapshot(of: fixture.store, vaultTables)
    tampered.tables[.credentials] = old.tables[.credentials]
    let replayed = tampered
    await #expect(throws: VaultError(.corrupt, "")) { try await replayed.read { _ = try VaultView.verify($0) } }
    for table in [Table.credentials, .members] {
      for row in vault.snapshot.rows(of: table) {
        var tampered = vault.snapshot
        tampered.tables[table]?[row.key] = nil
        let removed = tampered
        await #expect(throws: (any Error).self) { try await removed.read { _ = try VaultView.verify($0) } }
      }
    }
  }

  /// Everyone knows whom grants are sealed to, so anyone can seal one.
  @Test func aForgedGrantWithAForgedPairIsRefused() async throws {
    let vault = try await Small.shared.value
    var tampered = vault.snapshot
    let key = try Randomness.seeded("forger").secret(32)
    let credential = try #require(vault.expected.credentials.first)
    let document = try Fixture.pair(("forged", "forged")).document()
    // All of them, or the first that is not forged would be what does not open.
    for version in credential.versions {
      let purpose = SealedRecord.Purpose.pair(credential.id, version: version.number)
      tampered[.versions, credential.id.bytes + version.number.bigEndianBytes] = try SealedRecord.seal(
        document.bytes, key: key.bytes, purpose: purpose, vault: vault.fixture.vault.header.id,
        randomness: .seeded("forger"))
    }
    tampered[.grants, credential.id.bytes + Array("bob".utf8)] = try AgeFile.seal(
      key.bytes, to: [vault.bob.age.recipient], randomness: .seeded("forger"), armored: false)
    let snapshot = tampered
    await #expect(throws: VaultError(.corrupt, "")) { try await vault.read(snapshot, by: vault.bob) }
  }

  /// What is sealed under a key is open to whoever chose it.
  @Test func nobodyMakesAnOperatorSealUnderAKeyOfTheirs() async throws {
    let vault = try await Small.shared.value
    var tampered = vault.snapshot
    let key = try Randomness.seeded("forger").secret(32)
    let credential = try #require(vault.expected.credentials.first)
    tampered[.grants, credential.id.bytes + Array("bob".utf8)] = try AgeFile.seal(
      key.bytes, to: [vault.bob.age.recipient], randomness: .seeded("forger"), armored: false)
    let bob = try await vault.fixture.opened(in: tampered, by: vault.bob)
    await #expect(throws: VaultError(.corrupt, "")) {
      _ = try await bob.seal(Fixture.pair(Fixture.first), of: Fixture.name, version: 3)
    }
  }

  @Test func anOperatorCannotChangeWhoIsAMember() async throws {
    let vault = try await Small.shared.value
    let bob = try await vault.fixture.opened(in: vault.snapshot, by: vault.bob)
    let card = try Identity(AgeIdentity(generating: .seeded("carol"))).card(named: "carol", role: .owner)
    await #expect(throws: VaultError(.notPermitted, "")) {
      try await bob.change(now: Fixture.at(11)) { try $0.log(.memberAdded, ["added": card.json]) }
    }
  }

  @Test(arguments: [Table.header, .members, .credentials, .keys, .versions, .log, .tree, .checkpoints])
  func aTableOfAnotherVaultIsRefused(_ table: Table) async throws {
    let vault = try await Small.shared.value
    // The same names, identities and times, so that only the vault itself differs.
    let other = try await Small(seed: "another vault")
    var tampered = vault.snapshot
    for (row, foreign) in zip(vault.snapshot.rows(of: table), other.snapshot.rows(of: table)) {
      tampered[table, row.key] = foreign.value
    }
    let snapshot = tampered
    await #expect(throws: (any Error).self) { try await vault.read(snapshot, by: vault.fixture.owner) }
  }
}

extension Row {
  /// The row with one bit flipped, counted through the key, then the value.
  func flipping(_ bit: Int) -> Row {
    var bytes = key + value
    bytes[bit / 8] ^= 1 << UInt8(bit % 8)
    return Row(key: Array(bytes[..<key.count]), value: Array(bytes[key.count...]))
  }
}

/// A small vault of two members and one or two credentials, one of them rotated, as rows; and what is read from it.
struct Small: Sendable {
  static let shared = Task { try await Small() }
  /// A vault with one credential.
  static let tiny = Task { try await Small(hasSecond: false) }

  let fixture: Fixture
  let bob: Identity
  let snapshot: Snapshot
  let expected: TamperingTests.Reading

  init(seed: String = "vault", hasSecond: Bool = true) async throws {
    fixture = try await Fixture(seed: seed)
    try await fixture.add()
    try await fixture.rotate()
    if hasSecond { try await fixture.add("crm/test", Fixture.second) }
    bob = try await fixture.addOperator()
    snapshot = try await Snapshot(of: fixture.store, vaultTables)
    let owner = try await Self.read(snapshot, fixture, by: fixture.owner)
    expected = owner
  }

  func read(_ snapshot: Snapshot, by identity: Identity) async throws -> TamperingTests.Reading {
    try await Self.read(snapshot, fixture, by: identity)
  }

  private static func read(_ snapshot: Snapshot, _ fixture: Fixture, by identity: Identity) async throws
    -> TamperingTests.Reading
  {
    let role = try await fixture.opened(in: snapshot, by: identity).member.card.role
    var reading = try await snapshot.read { transaction in
      let view = try VaultView(transaction)
      let credentials = try view.credentials()
      let journals = try credentials.map { credential in
        credential.rotation == 0 ? [] : try view.journal(of: credential, rotation: credential.rotation)
      }
      return TamperingTests.Reading(
        header: view.header, members: view.members, credentials: credentials, journals: journals, pairs: [])
    }
    for credential in reading.credentials where role == .owner || credential.name == Fixture.name {
      // Opened again: a snapshot forgets what reading a pair commits, and a reader who saw that would notice.
      let vault = try await fixture.opened(in: snapshot, by: identity)
      reading.pairs.append(try await vault.texts(of: credential.name))
    }
    return reading
  }
}
