import Age
import Audit
import Contracts
import JSON
import Sodium
import Storage
import Synchronization
import Testing

@testable import Vault

/// Who may open what, and what it means that someone may no longer.
@Suite struct MembersTests {
  /// A vault with a folder of keys, as a command keeps them.
  private struct Team: Sendable {
    let fixture: Fixture
    let keys = KeyFolder()

    init() async throws {
      fixture = try await Fixture()
      keys.files.withLock { $0[fixture.vault.header.keyID] = fixture.keyFile }
      try await fixture.add()
      try await fixture.add("erp/prod", Fixture.second)
    }

    var alice: UnlockedVault { get async throws { try await opened(by: fixture.owner) } }

    func opened(by identity: Identity) async throws -> UnlockedVault {
      let keys = keys
      return try await UnlockedVault(
        fixture.store, identity: identity, keyFile: { try keys.read($0.keyID) }, randomness: .seeded("opened"))
    }

    /// Makes someone a member.
    func add(_ name: String, _ role: LogMember.Role, at seconds: Int = 6) async throws -> Identity {
      let identity = try MembersTests.identity(name)
      let keys = keys
      try await alice.addMember(
        identity.card(named: name, role: role), now: Fixture.at(seconds), keeping: { keys.keep($0, $1) })
      return identity
    }

    func remove(_ name: String, at seconds: Int = 8) async throws -> [String] {
      let keys = keys
      return try await alice.removeMember(name, now: Fixture.at(seconds), keeping: { keys.keep($0, $1) }).exposed
    }

    /// The record of a credential.
    func credential(_ name: String) async throws -> Credential {
      try await fixture.store.read { try VaultView($0).credential(name) }
    }

    /// Whether the log and the records agree in full.
    func verify() async throws {
      _ = try await fixture.store.read { transaction in
        _ = try VaultView.verify(transaction)
        _ = try AccessHistory(VaultView(transaction))
      }
    }
  }

  private final class KeyFolder: Sendable {
    let files = Mutex<[String: [UInt8]]>([:])

    func keep(_ header: VaultHeader, _ file: [UInt8]) { files.withLock { $0[header.keyID] = file } }

    func read(_ id: String) throws -> [UInt8] {
      guard let file = files.withLock({ $0[id] }) else { throw VaultError(.corrupt, "the key is missing") }
      return file
    }
  }

  private static func identity(_ name: String) throws -> Identity {
    try Identity(AgeIdentity(generating: .seeded("identity of \(name)")))
  }

  private static let denied = VaultError(.notPermitted, "")

  @Test func `an operator opens what was granted, and nothing else`() async throws {
    let team = try await Team()
    let cron = try await team.add("cron", .operator)
    let opened = try await team.opened(by: cron)
    await #expect(throws: Self.denied) { _ = try await opened.texts() }
    try await team.alice.grant(Fixture.name, to: "cron", now: Fixture.at(7))
    #expect(try await opened.texts().count == 1)
    await #expect(throws: Self.denied) { _ = try await opened.texts(of: "erp/prod") }
    try await team.verify()
  }

  @Test func `a grant is for an operator, once`() async throws {
    let team = try await Team()
    _ = try await team.add("cron", .operator)
    _ = try await team.add("eve", .auditor)
    let alice = try await team.alice
    for other in ["alice", "eve"] {
      await #expect(throws: VaultError(.invalidInput, "")) {
        try await alice.grant(Fixture.name, to: other, now: Fixture.at(7))
      }
    }
    await #expect(throws: VaultError(.notFound, "")) { try await alice.grant("none", to: "cron", now: Fixture.at(7)) }
    await #expect(throws: VaultError(.notFound, "")) {
      try await alice.grant(Fixture.name, to: "nobody", now: Fixture.at(7))
    }
    try await alice.grant(Fixture.name, to: "cron", now: Fixture.at(7))
    await #expect(throws: VaultError(.alreadyExists, "")) {
      try await alice.grant(Fixture.name, to: "cron", now: Fixture.at(7))
    }
  }

  @Test func `owners alone change who may what`() async throws {
    let team = try await Team()
    let cron = try await team.add("cron", .operator)
    try await team.alice.grant(Fixture.name, to: "cron", now: Fixture.at(7))
    let opened = try await team.opened(by: cron)
    let keys = team.keys
    let card = try Self.identity("mallory").card(named: "mallory", role: .operator)
    await #expect(throws: Self.denied) {
      try await opened.addMember(card, now: Fixture.at(8), keeping: { keys.keep($0, $1) })
    }
    await #expect(throws: Self.denied) {
      _ = try await opened.removeMember("alice", now: Fixture.at(8), keeping: { keys.keep($0, $1) })
    }
    await #expect(throws: Self.denied) { try await opened.grant("erp/prod", to: "cron", now: Fixture.at(8)) }
    await #expect(throws: Self.denied) { _ = try await opened.ungrant(Fixture.name, from: "cron", now: Fixture.at(8)) }
    await #expect(throws: Self.denied) {
      _ = try await opened.rekey(now: Fixture.at(8), keeping: { keys.keep($0, $1) })
    }
    await #expect(throws: Self.denied) {
      _ = try await opened.remove(Fixture.name, forgettingDebts: true, now: Fixture.at(8))
    }
    #expect(keys.files.withLock { $0.count } == 1)
    try await team.verify()
  }

  @Test func `a second owner opens everything, also what came before`() async throws {
    let team = try await Team()
    let old = try await team.alice
    let carol = try await team.add("carol", .owner)
    #expect(try await team.opened(by: carol).texts(of: "erp/prod").count == 1)
    // A vault that was open the whole time continues under the new key.
    #expect(try await old.texts().count == 1)
    _ = try await old.add(
      name: "late", provider: "external-client-app", settings: [:], policy: Policy(), admin: "late",
      pair: Fixture.pair(Fixture.first), now: Fixture.at(9))
    #expect(try await team.opened(by: carol).texts(of: "late").count == 1)
    try await team.verify()
  }

  @Test func `nobody is a member twice`() async throws {
    let team = try await Team()
    _ = try await team.add("cron", .operator)
    let keys = team.keys
    for (identity, name) in [("cron", "other"), ("other", "cron"), ("cron", "cron")] {
      let card = try Self.identity(identity).card(named: name, role: .operator)
      let alice = try await team.alice
      await #expect(throws: VaultError(.alreadyExists, "")) {
        try await alice.addMember(card, now: Fixture.at(8), keeping: { keys.keep($0, $1) })
      }
    }
    // A card that has only one of a member's keys.
    let cards = try ["cron", "other"].map { try Self.identity($0).card(named: "other", role: .operator) }
    for (age, signing) in [(cards[0], cards[1]), (cards[1], cards[0])] {
      let card = LogMember(name: "other", age: age.age, signing: signing.signing, role: .operator)
      let alice = try await team.alice
      await #expect(throws: VaultError(.alreadyExists, "")) {
        try await alice.addMember(card, now: Fixture.at(8), keeping: { keys.keep($0, $1) })
      }
    }
  }

  @Test func `where a removed owner sent pairs they go no more, even if another owner has the name by now`()
    async throws
  {
    let team = try await Team()
    let carol = try await team.add("carol", .owner)
    let credential = try await team.opened(by: carol).addDelivery(
      DeliveryRecordTests.hook, to: Fixture.name, now: Fixture.at(7))
    try await team.alice.read { try $0.requireDeliveriesAddedByOwners(of: credential) }
    _ = try await team.remove("carol")
    await #expect(throws: Self.denied) {
      try await team.alice.read { try $0.requireDeliveriesAddedByOwners(of: credential) }
    }
    let keys = team.keys
    let another = try Self.identity("another carol").card(named: "carol", role: .owner)
    try await team.alice.addMember(another, now: Fixture.at(9), keeping: { keys.keep($0, $1) })
    await #expect(throws: Self.denied) {
      try await team.alice.read { try $0.requireDeliveriesAddedByOwners(of: credential) }
    }
  }

  @Test func `what a removed operator knew opens nothing, and is to be rotated`() async throws {
    let team = try await Team()
    let cron = try await team.add("cron", .operator)
    let ops = try await team.add("ops", .operator)
    try await team.alice.grant(Fixture.name, to: "cron", now: Fixture.at(7))
    try await team.alice.grant(Fixture.name, to: "ops", now: Fixture.at(7))
    let open = try await team.opened(by: cron)
    let (known, _) = try await open.credentialKey(of: Fixture.name)
    #expect(try await team.remove("cron") == [Fixture.name])
    await #expect(throws: Self.denied) { _ = try await team.opened(by: cron) }
    await #expect(throws: Self.denied) { _ = try await open.texts() }
    let credential = try await team.credential(Fixture.name)
    #expect(credential.exposure == Exposure(to: ["cron"], since: Fixture.at(8), version: 1))
    #expect(try await team.credential("erp/prod").exposure == nil)
    let rows = try await Snapshot(of: team.fixture.store, vaultTables)
    for row in rows.rows(of: .versions) where row.key.starts(with: credential.id.bytes) {
      let purpose = SealedRecord.Purpose.pair(credential.id, version: 1)
      #expect(throws: VaultError(.corrupt, "")) {
        _ = try known.secret.withBytes {
          try SealedRecord.open(row.value, key: $0, purpose: purpose, vault: open.header.id).count
        }
      }
    }
    #expect(rows.rows(of: .grants).count == 1)
    #expect(try await team.opened(by: ops).texts().count == 1)
    #expect(try await team.alice.texts().count == 1)
    try await team.verify()
  }

  @Test func `a removed owner opens nothing any more, and all is to be rotated`() async throws {
    let team = try await Team()
    let carol = try await team.add("carol", .owner)
    let cron = try await team.add("cron", .operator, at: 7)
    try await team.alice.grant("erp/prod", to: "cron", now: Fixture.at(7))
    let before = team.keys.files.withLock { Set($0.keys) }
    #expect(try await team.remove("carol") == [Fixture.name, "erp/prod"])
    await #expect(throws: Self.denied) { _ = try await team.opened(by: carol) }
    for (id, file) in team.keys.files.withLock({ $0 }) where !before.contains(id) {
      #expect(throws: AgeError.self) { _ = try AgeFile.open(file.span.bytes, with: [carol.age]).count }
    }
    for name in [Fixture.name, "erp/prod"] {
      #expect(try await team.credential(name).exposure?.to == ["carol"])
      #expect(try await team.alice.texts(of: name).count == 1)
    }
    #expect(try await team.opened(by: cron).texts(of: "erp/prod").count == 1)
    try await team.verify()
  }

  @Test func `the founder can go, and members she added stay`() async throws {
    let team = try await Team()
    let carol = try await team.add("carol", .owner)
    let cron = try await team.add("cron", .operator, at: 7)
    try await team.alice.grant("erp/prod", to: "cron", now: Fixture.at(7))
    let keys = team.keys
    let alice = try await team.alice
    await #expect(throws: Self.denied) {
      _ = try await alice.removeMember("alice", now: Fixture.at(8), keeping: { keys.keep($0, $1) })
    }
    _ = try await team.opened(by: carol).removeMember("alice", now: Fixture.at(8), keeping: { keys.keep($0, $1) })
    await #expect(throws: Self.denied) { _ = try await alice.texts() }
    #expect(try await team.opened(by: carol).texts().count == 1)
    #expect(try await team.opened(by: cron).texts(of: "erp/prod").count == 1)
    try await team.verify()
  }

  @Test func `a rotation to a pair that was not known ends the exposure`() async throws {
    let team = try await Team()
    _ = try await team.add("cron", .operator)
    try await team.alice.grant(Fixture.name, to: "cron", now: Fixture.at(7))
    let withdrawal = try await team.alice.ungrant(Fixture.name, from: "cron", now: Fixture.at(8))
    #expect(withdrawal.exposed == [Fixture.name])
    #expect(try await team.credential(Fixture.name).exposure != nil)
    var credential = try await team.credential(Fixture.name)
    _ = try credential.addStaged(handle: nil, expires: nil, now: Fixture.at(9))
    var staged = credential
    try credential.promoteStaged(now: Fixture.at(10))
    #expect(credential.exposure == nil)
    // A pair that was already staged was open to them too.
    staged.expose(to: "ops", now: Fixture.at(9))
    #expect(staged.exposure == Exposure(to: ["cron", "ops"], since: Fixture.at(8), version: 2))
    try staged.promoteStaged(now: Fixture.at(10))
    #expect(staged.exposure != nil)
    #expect(try Credential(decoding: staged.bytes, name: staged.name) == staged)
  }

  @Test func `everything is sealed anew by rekey, and nothing is lost`() async throws {
    let team = try await Team()
    try await team.fixture.rotate()
    let cron = try await team.add("cron", .operator)
    try await team.alice.grant(Fixture.name, to: "cron", now: Fixture.at(7))
    let before = try await Snapshot(of: team.fixture.store, vaultTables)
    let texts = try await team.alice.texts()
    let keys = team.keys
    #expect(try await team.alice.rekey(now: Fixture.at(8), keeping: { keys.keep($0, $1) }).count == 2)
    let after = try await Snapshot(of: team.fixture.store, vaultTables)
    for table in [Table.keys, .grants, .versions] {
      #expect(before.rows(of: table).map(\.key) == after.rows(of: table).map(\.key))
      #expect(zip(before.rows(of: table), after.rows(of: table)).allSatisfy { $0.value != $1.value })
    }
    #expect(try await team.alice.texts() == texts)
    #expect(try await team.opened(by: cron).texts() == texts)
    #expect(try await team.credential(Fixture.name).exposure == nil)
    try await team.verify()
  }

  @Test func `a pair sealed under a key that was renewed is not stored`() async throws {
    let team = try await Team()
    let alice = try await team.alice
    let sealed = try await alice.seal(Fixture.pair(Fixture.second), of: Fixture.name, version: 2)
    let keys = team.keys
    _ = try await alice.rekey(now: Fixture.at(8), keeping: { keys.keep($0, $1) })
    await #expect(throws: VaultError(.keyChanged, "")) {
      try await alice.change(now: Fixture.at(9)) { change in
        try change.storePair(sealed, of: change.view.credential(Fixture.name))
      }
    }
  }

  @Test func `a planted grant is not renewed`() async throws {
    let team = try await Team()
    let cron = try await team.add("cron", .operator)
    try await team.alice.grant("erp/prod", to: "cron", now: Fixture.at(7))
    let credential = try await team.credential(Fixture.name)
    try await team.fixture.store.write {
      try $0.set(Array("x".utf8), in: .grants, for: credential.id.bytes + Array("cron".utf8))
    }
    let keys = team.keys
    _ = try await team.alice.rekey(now: Fixture.at(8), keeping: { keys.keep($0, $1) })
    await #expect(throws: Self.denied) { _ = try await team.opened(by: cron).texts() }
    #expect(try await team.opened(by: cron).texts(of: "erp/prod").count == 1)
  }

  @Test func `rows that say other than the log are refused`() async throws {
    let team = try await Team()
    _ = try await team.add("cron", .operator)
    let before = try await Snapshot(of: team.fixture.store, vaultTables)
    _ = try await team.remove("cron")
    let after = try await Snapshot(of: team.fixture.store, vaultTables)
    for table in [Table.members, .header] {
      var mixed = after
      mixed.tables[table] = before.tables[table]
      if mixed.tables[table] == after.tables[table] { continue }
      let snapshot = mixed
      await #expect(throws: VaultError(.corrupt, "")) { _ = try await snapshot.read { try VaultView($0).members } }
    }
    // A renewed vault key, with the earlier header.
    let keys = team.keys
    _ = try await team.alice.rekey(now: Fixture.at(9), keeping: { keys.keep($0, $1) })
    var mixed = try await Snapshot(of: team.fixture.store, vaultTables)
    mixed.tables[.header] = after.tables[.header]
    let snapshot = mixed
    await #expect(throws: VaultError(.corrupt, "")) { _ = try await snapshot.read { try VaultView($0).header } }
  }

  @Test func `a credential that is removed takes its pairs with it`() async throws {
    let team = try await Team()
    try await team.fixture.rotate()
    let alice = try await team.alice
    await #expect(throws: VaultError(.invalidInput, "")) {
      _ = try await alice.remove(Fixture.name, forgettingDebts: false, now: Fixture.at(8))
    }
    let removed = try await alice.remove(Fixture.name, forgettingDebts: true, now: Fixture.at(8))
    let rows = try await Snapshot(of: team.fixture.store, vaultTables)
    for table in [Table.keys, .grants, .versions, .journal] {
      #expect(!rows.rows(of: table).contains { $0.key.starts(with: removed.id.bytes) })
    }
    await #expect(throws: VaultError(.notFound, "")) { _ = try await alice.texts() }
    try await team.fixture.add()
    #expect(try await alice.texts().keys.sorted() == [1])
    try await team.verify()
  }

  @Test func `who could open what is told by the log`() async throws {
    let team = try await Team()
    let cron = try await team.add("cron", .operator, at: 6)
    try await team.alice.grant(Fixture.name, to: "cron", now: Fixture.at(7))
    _ = try await team.opened(by: cron).texts()
    _ = try await team.remove("cron", at: 20)
    try await team.fixture.rotate("erp/prod")
    let accesses = try await team.fixture.store.read { try AccessHistory(VaultView($0)).accesses }
    let found = accesses.filter { $0.member == "cron" }
    #expect(found.map(\.credential) == [Fixture.name])
    #expect(found.first?.since == Fixture.at(7))
    #expect(found.first?.until == Fixture.at(20))
    #expect(found.first?.reads == 1)
    #expect(found.first?.newestVersion == 1)
    #expect(accesses.first { $0.member == "alice" && $0.credential == "erp/prod" }?.newestVersion == 1)
  }

  @Test func `what a member merely says was staged or sent was open to nobody`() async throws {
    let team = try await Team()
    let cron = try await team.add("cron", .operator, at: 6)
    let carl = try await team.opened(by: team.add("carl", .auditor, at: 6))
    try await team.alice.grant(Fixture.name, to: "cron", now: Fixture.at(7))
    let far = JSONValue.integer(1 << 53 - 2)
    try await carl.change(now: Fixture.at(8)) { change in
      try change.log(EventName("rotation.staged"), about: Fixture.name, ["version": far])
      try change.log(EventName("rotation.stage.intended"), about: Fixture.name)
      for name in [Fixture.name, "erp/prod"] {
        try change.log(
          .handoffSent, about: name,
          ["handoff": "00", "recipient": .string(cron.age.recipient.description), "versions": .array([far])])
      }
    }
    // A member who can open it can log that they sent it, and no more of it than there is.
    _ = try await team.opened(by: cron).change(now: Fixture.at(9)) {
      try $0.log(.handoffSent, about: Fixture.name, ["handoff": "01", "recipient": "age1x", "versions": .array([far])])
    }
    try await team.verify()
    _ = try await team.remove("cron", at: 20)
    let history = try await team.fixture.store.read { try AccessHistory(VaultView($0)) }
    #expect(history.accesses.map(\.newestVersion).max() == 1)
    #expect(history.accesses(of: "cron").filter { $0.kind == .key }.map(\.credential) == [Fixture.name])
    #expect(history.accesses.filter(\.isHandoff).map(\.member) == ["age1x"])
  }
}
