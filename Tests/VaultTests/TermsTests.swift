import Age
import Audit
import Contracts
import JSON
import Sodium
import Storage
import Testing

@testable import Vault

/// What only owners may say about a credential, against members who write what they like, and against earlier rows.
@Suite struct TermsTests {
  /// Alice's vault with one credential, and bob, an operator.
  private static func made() async throws -> (fixture: Fixture, bob: Identity) {
    let fixture = try await Fixture()
    try await fixture.add()
    try await fixture.add("erp/prod", Fixture.second)
    return (fixture, try await fixture.addOperator())
  }

  /// Changes the record of `name` and stores it with an entry by bob, as a program that checks nothing can.
  private static func write(
    _ change: @escaping @Sendable (inout Credential) throws -> Void, to name: String = Fixture.name, by bob: Identity,
    _ event: String = "rotation.promoted", in store: any Store
  ) async throws {
    try await store.write { transaction in
      let view = try VaultView(transaction)
      var credential = try view.credential(name)
      try change(&credential)
      credential.entry = view.logSize
      let entry = try LogEntry(
        time: Fixture.at(20), member: "bob", event: event,
        details: ["credential": .string(name), "record": .string(SHA256.hash(credential.bytes).bytes.base64)])
      try transaction.set(credential.bytes, in: .credentials, for: Array(name.utf8))
      _ = try AuditLog.append(
        [entry], by: LogSigner(member: "bob", origin: view.header.origin, key: bob.signingKey), in: transaction,
        knowing: view.verifyingKey)
    }
  }

  private static func requireRefused(_ store: any Store, _ name: String = Fixture.name) async {
    await #expect(throws: VaultError(.corrupt, "")) { try await store.read { try VaultView($0).credential(name) } }
  }

  @Test func `a member who rotates may write the rest of a record`() async throws {
    let (fixture, bob) = try await Self.made()
    try await Self.write({ $0.rotation = 0 }, by: bob, in: fixture.store)
    _ = try await fixture.store.read { try VaultView($0).credential(Fixture.name) }
  }

  @Test func `another address, key, administrator or identifier is refused`() async throws {
    let (fixture, bob) = try await Self.made()
    let other = try await fixture.store.read { try VaultView($0).credential("erp/prod") }
    let changes: [@Sendable (inout Credential) throws -> Void] = [
      { $0.settings["url"] = "https://evil.example" },
      { $0.keyID = String(repeating: "0", count: 32) },
      { $0.keyed = nil },
      { $0.keyed = 0 },
      { $0.keyed = other.keyed },
      { credential in
        credential = Credential(
          id: other.id, name: credential.name, provider: credential.provider, settings: credential.settings,
          policy: credential.policy, admin: credential.admin, keyID: other.keyID, created: credential.created)
        credential.keyed = other.keyed
      },
      { credential in
        let keyed = credential.keyed
        credential = Credential(
          id: credential.id, name: credential.name, provider: credential.provider, settings: credential.settings,
          policy: credential.policy, admin: "erp/prod", keyID: credential.keyID, created: credential.created)
        credential.keyed = keyed
      },
    ]
    for change in changes {
      let copy = try await MemoryStore(copying: fixture.store)
      try await Self.write(change, by: bob, in: copy)
      await Self.requireRefused(copy)
    }
  }

  @Test func `an owner's entry by somebody else is no log that opens`() async throws {
    let (fixture, bob) = try await Self.made()
    for event in ["credential.added", "credential.rekeyed", "credential.removed"] {
      let copy = try await MemoryStore(copying: fixture.store)
      try await Self.write({ $0.settings["url"] = "https://evil.example" }, by: bob, event, in: copy)
      await #expect(throws: AuditError(.notPermitted, "")) { try await copy.read { try VaultView($0).members } }
    }
  }

  @Test func `other settings and another administrator are an owner's entry, which says what they were and are`()
    async throws
  {
    let (fixture, bob) = try await Self.made()
    let operating = try await fixture.opened(in: fixture.store, by: bob)
    let texts = try await operating.texts()
    let (before, after, _, _) = try await fixture.vault.setTerms(of: Fixture.name, now: Fixture.at(8)) { terms in
      terms.settings["url"] = "https://new.example"
      terms.settings["app"] = "1"
      terms.admin = "erp/prod"
    }
    #expect(before.settings == ["url": "https://crm.example"] && before.admin == Fixture.name)
    let stored = try await fixture.store.read { try VaultView($0).credential(Fixture.name) }
    #expect(stored == after && stored.settings == ["app": "1", "url": "https://new.example"])
    #expect(stored.admin == "erp/prod" && stored.keyID != before.keyID && stored.keyed == stored.entry)
    #expect(stored.exposure == nil)
    let entry = try await fixture.store.read { try VaultView($0).authenticatedEntry(at: stored.entry) }
    #expect(entry.event == "credential.rekeyed" && entry.member == "alice")
    #expect(entry.details["admin"] == "erp/prod")
    #expect(entry.details["settings"] == .object(["app": "1", "url": "https://new.example"]))
    #expect(
      entry.details["before"]
        == .object([
          "admin": .string(Fixture.name), "settings": .object(["app": .null, "url": "https://crm.example"]),
        ]))
    #expect(entry.details["terms"] == .string(stored.termsDigest))
    // A member who holds a grant can still open it, and may rotate it as it is now.
    #expect(try await operating.texts() == texts)
    try await Self.write({ $0.rotation = 0 }, by: bob, in: fixture.store)
    try await fixture.store.read { _ = try VaultView.verify($0) }
  }

  @Test func `settings of before are put back by nobody but an owner`() async throws {
    let (fixture, bob) = try await Self.made()
    let old = try await Snapshot(of: fixture.store, vaultTables)
    let before = try await fixture.store.read { try VaultView($0).credential(Fixture.name) }
    let after = try await fixture.vault.setTerms(of: Fixture.name, now: Fixture.at(8)) {
      $0.settings["url"] = "https://new.example"
    }.after
    let changes: [@Sendable (inout Credential) throws -> Void] = [
      { $0.settings = before.settings },
      { $0 = before },
      {
        $0 = before
        $0.keyed = after.keyed
      },
      { $0.admin = "erp/prod" },
    ]
    for change in changes {
      let copy = try await MemoryStore(copying: fixture.store)
      try await Self.write(change, by: bob, in: copy)
      await Self.requireRefused(copy)
    }
    let copy = try await MemoryStore(copying: fixture.store)
    try await copy.write { transaction in
      for row in old.rows(of: .credentials) { try transaction.set(row.value, in: .credentials, for: row.key) }
    }
    await Self.requireRefused(copy)
    await #expect(throws: VaultError(.corrupt, "")) { try await copy.read { _ = try VaultView.verify($0) } }
  }

  @Test func `terms are no operator's to change, and what is refused or the same leaves nothing behind`() async throws {
    let (fixture, bob) = try await Self.made()
    let operating = try await fixture.opened(in: fixture.store, by: bob)
    let before = try await Snapshot(of: fixture.store, vaultTables)
    func refused(_ code: VaultError.Code, _ vault: UnlockedVault, _ edit: @Sendable (inout Terms) -> Void) async throws
    {
      await #expect(throws: VaultError(code, "")) {
        try await vault.setTerms(of: Fixture.name, now: Fixture.at(8), edit)
      }
      #expect(try await Snapshot(of: fixture.store, vaultTables).tables == before.tables)
    }
    try await refused(.notPermitted, operating) { $0.settings["url"] = "https://evil.example" }
    try await refused(.notPermitted, operating) { $0.admin = "erp/prod" }
    try await refused(.notPermitted, operating) { _ in }
    try await refused(.notFound, fixture.vault) { $0.admin = "nobody" }
    try await refused(.invalidInput, fixture.vault) { $0.settings["url"] = "https://evil.example\u{1B}" }
    try await refused(.invalidInput, fixture.vault) { $0.settings["no key"] = "" }
    let same = try await fixture.vault.setTerms(of: Fixture.name, now: Fixture.at(8)) { $0.admin = Fixture.name }
    #expect(same.before == same.after)
    await #expect(throws: VaultError(.cannotRead, "")) {
      try await fixture.vault.setTerms(
        of: Fixture.name, now: Fixture.at(8), unless: { _, _, _ in throw VaultError(.cannotRead, "no") }
      ) { $0.settings = [:] }
    }
    #expect(try await Snapshot(of: fixture.store, vaultTables).tables == before.tables)
  }

  @Test func `who could open the former administrator alone is known to have known the pairs`() async throws {
    let (fixture, bob) = try await Self.made()
    _ = try await fixture.vault.setTerms(of: "erp/prod", now: Fixture.at(7)) { $0.admin = Fixture.name }
    let after = try await fixture.vault.setTerms(of: "erp/prod", now: Fixture.at(8)) { $0.admin = "erp/prod" }.after
    #expect(after.exposure == Exposure(to: ["bob"], since: Fixture.at(8), version: 1))
    try await Self.write({ $0.exposure = nil }, to: "erp/prod", by: bob, in: fixture.store)
    await Self.requireRefused(fixture.store, "erp/prod")

    // A member who can still open it, or open its next administrator, has not lost it.
    let (other, _) = try await Self.made()
    _ = try await other.vault.setTerms(of: "erp/prod", now: Fixture.at(7)) { $0.admin = Fixture.name }
    try await other.vault.grant("erp/prod", to: "bob", now: Fixture.at(8))
    let kept = try await other.vault.setTerms(of: "erp/prod", now: Fixture.at(9)) { $0.admin = "erp/prod" }.after
    #expect(kept.exposure == nil)
  }

  @Test func `who knows the next administrator's pair will know those of what it administers`() async throws {
    let (fixture, bob) = try await Self.made()
    _ = try await fixture.vault.ungrant(Fixture.name, from: "bob", now: Fixture.at(7))
    let after = try await fixture.vault.setTerms(of: "erp/prod", now: Fixture.at(8)) { $0.admin = Fixture.name }.after
    #expect(after.exposure == Exposure(to: ["bob"], since: Fixture.at(8), version: 1))
    try await Self.write({ $0.exposure = nil }, to: "erp/prod", by: bob, in: fixture.store)
    await Self.requireRefused(fixture.store, "erp/prod")
  }

  /// `top` administers the credential, which administers `erp/prod`, which administers `hr`. Bob can open `top`.
  private static func chain() async throws -> Fixture {
    let fixture = try await Fixture()
    for name in ["top", "other", Fixture.name, "erp/prod", "hr"] { try await fixture.add(name) }
    for (name, admin) in [(Fixture.name, "top"), ("erp/prod", Fixture.name), ("hr", "erp/prod")] {
      _ = try await fixture.vault.setTerms(of: name, now: Fixture.at(2)) { $0.admin = admin }
    }
    _ = try await fixture.addOperator("top")
    return fixture
  }

  private static func exposures(_ fixture: Fixture) async throws -> [String: Exposure] {
    try await fixture.store.read { transaction in
      _ = try VaultView.verify(transaction)
      let credentials = try VaultView(transaction).credentials()
      return Dictionary(uniqueKeysWithValues: credentials.compactMap { one in one.exposure.map { (one.name, $0) } })
    }
  }

  @Test func `who could open what administered the former administrator has lost it, too`() async throws {
    let fixture = try await Self.chain()
    let exposure = Exposure(to: ["bob"], since: Fixture.at(8), version: 1)
    let change = try await fixture.vault.setTerms(of: "erp/prod", now: Fixture.at(8)) { $0.admin = "other" }
    #expect(change.exposed == ["hr"] && change.damaged.isEmpty)
    #expect(try await Self.exposures(fixture) == ["erp/prod": exposure, "hr": exposure])
  }

  @Test func `with a credential, all that it administers changes hands`() async throws {
    let fixture = try await Self.chain()
    let exposure = Exposure(to: ["bob"], since: Fixture.at(8), version: 1)
    // Who can open one of these has not lost it, nor what that administers.
    try await fixture.vault.grant("hr", to: "bob", now: Fixture.at(7))
    let keys = try await fixture.store.read { try VaultView($0).credential("erp/prod").keyID }
    let change = try await fixture.vault.setTerms(of: Fixture.name, now: Fixture.at(8)) { $0.admin = Fixture.name }
    #expect(change.exposed == ["erp/prod"])
    #expect(try await Self.exposures(fixture) == [Fixture.name: exposure, "erp/prod": exposure])
    #expect(try await fixture.store.read { try VaultView($0).credential("erp/prod").keyID } != keys)
    #expect(try await fixture.vault.texts(of: "erp/prod").count == 1)
  }

  @Test func `who still reaches it through the next administrators has lost nothing`() async throws {
    let fixture = try await Self.chain()
    let change = try await fixture.vault.setTerms(of: "erp/prod", now: Fixture.at(8)) { $0.admin = "top" }
    #expect(change.exposed.isEmpty)
    #expect(try await Self.exposures(fixture).isEmpty)
  }

  @Test func `who knows what administers the next administrator, or a new credential's, knows that`() async throws {
    let fixture = try await Self.chain()
    _ = try await fixture.vault.ungrant("top", from: "bob", now: Fixture.at(7))
    try await fixture.add("new")
    _ = try await fixture.vault.setTerms(of: "new", now: Fixture.at(8)) { $0.admin = "hr" }
    _ = try await fixture.vault.add(
      name: "newer", provider: "external-client-app", settings: [:], policy: Policy(), admin: "new",
      pair: Fixture.pair(Fixture.first), now: Fixture.at(9))
    let exposures = try await Self.exposures(fixture)
    #expect(exposures["new"] == Exposure(to: ["bob"], since: Fixture.at(8), version: 1))
    #expect(exposures["newer"] == Exposure(to: ["bob"], since: Fixture.at(9), version: 1))
    #expect(exposures["other"] == nil)
  }

  @Test func `what is damaged is left as it is, and told, and the administrator changes all the same`() async throws {
    let fixture = try await Self.chain()
    try await fixture.store.write { try $0.set(Array("{}".utf8), in: .credentials, for: Array("hr".utf8)) }
    let change = try await fixture.vault.setTerms(of: Fixture.name, now: Fixture.at(8)) { $0.admin = Fixture.name }
    #expect(change.exposed == ["erp/prod"] && change.damaged == ["hr"])
    #expect(change.after.exposure?.to == ["bob"])
    let entries = try await fixture.store.read { transaction in
      let view = try VaultView(transaction)
      return try (0..<view.logSize).map { try view.authenticatedEntry(at: $0) }
    }
    #expect(!entries.contains { $0.details["terms"] == .string("") }, "nothing is withheld")
  }

  @Test func `nobody administers who administers them, by others or not`() async throws {
    let (fixture, _) = try await Self.made()
    try await fixture.add("hr", Fixture.second)
    _ = try await fixture.vault.setTerms(of: "erp/prod", now: Fixture.at(7)) { $0.admin = Fixture.name }
    _ = try await fixture.vault.setTerms(of: "hr", now: Fixture.at(7)) { $0.admin = "erp/prod" }
    let before = try await Snapshot(of: fixture.store, vaultTables)
    for (name, admin) in [(Fixture.name, "erp/prod"), (Fixture.name, "hr"), ("erp/prod", "hr")] {
      await #expect(throws: VaultError(.invalidInput, "")) {
        try await fixture.vault.setTerms(of: name, now: Fixture.at(8)) { $0.admin = admin }
      }
    }
    #expect(try await Snapshot(of: fixture.store, vaultTables).tables == before.tables)
    let own = try await fixture.vault.setTerms(of: "erp/prod", now: Fixture.at(9)) { $0.admin = "erp/prod" }.after
    #expect(own.isSelfAdministered)
  }

  @Test func `terms are not changed over a pair that does not open, whose key would be gone with it`() async throws {
    let (fixture, _) = try await Self.made()
    try await fixture.rotate()
    let credential = try await fixture.store.read { try VaultView($0).credential(Fixture.name) }
    let texts = try await fixture.vault.texts()
    #expect(texts.count == 2)
    for version in texts.keys {
      let row = credential.id.bytes + version.bigEndianBytes
      let kept = try #require(try await fixture.store.read { try $0.value(in: .versions, for: row) })
      var other = kept
      other[other.count - 1] ^= 1
      for planted in [other, nil] {
        try await fixture.store.write { transaction in
          guard let planted else { return try transaction.remove(row, from: .versions) }
          try transaction.set(planted, in: .versions, for: row)
        }
        await #expect(throws: VaultError(.corrupt, "")) {
          try await fixture.vault.setTerms(of: Fixture.name, now: Fixture.at(8)) { $0.settings["app"] = "1" }
        }
      }
      try await fixture.store.write { try $0.set(kept, in: .versions, for: row) }
    }
    #expect(try await fixture.vault.texts() == texts)
  }

  @Test func `the mark of an exposure is not taken off`() async throws {
    let (fixture, bob) = try await Self.made()
    _ = try await fixture.vault.ungrant(Fixture.name, from: "bob", now: Fixture.at(8))
    try await Self.write({ $0.exposure = nil }, by: bob, in: fixture.store)
    await Self.requireRefused(fixture.store)
  }

  /// Added by a program that knew no terms: the owner's entry has none, and any member's word counts.
  @Test func `a credential without terms has no exposure, which would be a member's word`() async throws {
    let (fixture, bob) = try await Self.made()
    let old = Credential(
      id: Identifier(drawnFrom: .seeded("old")), name: "old", provider: "salesforce", settings: [:], policy: Policy(),
      admin: "old", keyID: String(repeating: "0", count: 32), created: Fixture.start)
    try await fixture.store.write { transaction in
      let view = try VaultView(transaction)
      var credential = old
      credential.entry = view.logSize
      let entry = try LogEntry(
        time: Fixture.at(8), member: "alice", event: "credential.added",
        details: ["credential": "old", "record": .string(SHA256.hash(credential.bytes).bytes.base64)])
      try transaction.set(credential.bytes, in: .credentials, for: Array("old".utf8))
      _ = try AuditLog.append(
        [entry], by: LogSigner(member: "alice", origin: view.header.origin, key: fixture.owner.signingKey),
        in: transaction, knowing: view.verifyingKey)
    }
    try await Self.write({ $0.rotation = 0 }, to: "old", by: bob, in: fixture.store)
    #expect(try await fixture.store.read { try VaultView($0).credentialsWithoutTerms } == ["old"])
    try await Self.write({ $0.expose(to: "bob", now: Fixture.at(9)) }, to: "old", by: bob, in: fixture.store)
    await Self.requireRefused(fixture.store, "old")
  }

  @Test func `nor that of what a transfer brought, as far as a verification of the whole log sees`() async throws {
    let (fixture, bob) = try await Self.made()
    _ = try await fixture.vault.add(
      name: "brought", provider: "salesforce", settings: [:], policy: Policy(), admin: "brought",
      pair: Fixture.pair(Fixture.second), exposedTo: "vault/other", now: Fixture.at(8))
    try await fixture.store.read { _ = try VaultView.verify($0) }
    try await Self.write({ $0.exposure = nil }, to: "brought", by: bob, in: fixture.store)
    await Self.requireRefused(fixture.store, "brought")
    await #expect(throws: VaultError(.corrupt, "")) { try await fixture.store.read { _ = try VaultView.verify($0) } }
  }

  @Test func `nobody but an owner takes a transfer back, as a verification of the log sees`() async throws {
    let (fixture, bob) = try await Self.made()
    await #expect(throws: (any Error).self) {
      try await Self.write({ $0.transfer = nil }, by: bob, "handoff.withdrawn", in: fixture.store)
      try await fixture.store.read { _ = try VaultView.verify($0) }
    }
  }

  @Test func `rows from before a withdrawal are refused, one by one and together`() async throws {
    let (fixture, _) = try await Self.made()
    let before = try await Snapshot(of: fixture.store, vaultTables)
    _ = try await fixture.vault.removeMember("bob", now: Fixture.at(8), keeping: { _, _ in })
    let after = try await Snapshot(of: fixture.store, vaultTables)
    for tables in [[Table.credentials], [.credentials, .keys, .versions, .grants]] {
      var mixed = after
      for table in tables { mixed.tables[table] = before.tables[table] }
      await Self.requireRefused(mixed)
    }
    _ = try await after.read { try VaultView($0).credential(Fixture.name) }
  }

  @Test func `rows from before everything was renewed are refused`() async throws {
    let (fixture, _) = try await Self.made()
    let before = try await Snapshot(of: fixture.store, vaultTables)
    _ = try await fixture.vault.rekey(now: Fixture.at(8), keeping: { _, _ in })
    var mixed = try await Snapshot(of: fixture.store, vaultTables)
    mixed.tables[.credentials] = before.tables[.credentials]
    await Self.requireRefused(mixed)
    await Self.requireRefused(mixed, "erp/prod")
  }

  @Test func `a credential that was removed does not come back, nor what it was delivered to`() async throws {
    let (fixture, _) = try await Self.made()
    let hook = DeliverySettings(
      name: "pair.json", kind: .file(FileSettings(path: "/etc/pair.json", format: .json, mode: 0o600)))
    let delivered = try await fixture.vault.addDelivery(hook, to: Fixture.name, now: Fixture.at(6))
    let before = try await Snapshot(of: fixture.store, vaultTables)
    _ = try await fixture.vault.remove(Fixture.name, forgettingDebts: false, now: Fixture.at(8))
    var mixed = try await Snapshot(of: fixture.store, vaultTables)
    for table in [Table.credentials, .keys, .versions] { mixed.tables[table] = before.tables[table] }
    await Self.requireRefused(mixed)
    try await fixture.add()
    let record = try await fixture.store.read { try VaultView($0).credential(Fixture.name) }
    var planted = record
    planted.deliveries = delivered.deliveries
    let again = planted
    await #expect(throws: VaultError(.corrupt, "")) {
      try await fixture.store.read { try VaultView($0).requireDeliveriesAddedByOwners(of: again) }
    }
  }

  @Test func `what is remembered tells what was taken back`() async throws {
    let (fixture, _) = try await Self.made()
    _ = try await fixture.vault.ungrant(Fixture.name, from: "bob", now: Fixture.at(8))
    _ = try await fixture.vault.remove("erp/prod", forgettingDebts: false, now: Fixture.at(9))
    let seen = try await fixture.vault.read { $0.seenLog }
    #expect(try SeenLog(decoding: seen.bytes) == seen)
    #expect(seen.membership.bounds.rekeyed.count == 1 && seen.membership.bounds.removed.count == 1)
    _ = try await fixture.vault.rekey(now: Fixture.at(10), keeping: { _, _ in })
    let later = try await LockedVault(fixture.store, after: seen).read { $0.seenLog }
    #expect(try SeenLog(decoding: later.bytes) == later)
    #expect(later.membership.bounds.renewal != nil && later.membership.bounds.rekeyed.isEmpty)
  }

  @Test func `who has an administrator's pair could have had those of what it administers`() async throws {
    let (fixture, _) = try await Self.made()
    _ = try await fixture.vault.add(
      name: "crm/dev", provider: "external-client-app", settings: [:], policy: Policy(), admin: Fixture.name,
      pair: Fixture.pair(Fixture.first), now: Fixture.at(6))
    let withdrawal = try await fixture.vault.ungrant(Fixture.name, from: "bob", now: Fixture.at(8))
    #expect(withdrawal.exposed == ["crm/dev", Fixture.name])
  }

  @Test func `nobody but an owner says that a credential was handed over, or that it was not`() async throws {
    let (fixture, bob) = try await Self.made()
    let handoff = try await Self.transfer(in: fixture)
    #expect(try await fixture.store.read { try VaultView($0).credential(Fixture.name) }.isTransferred)
    let seen = try await fixture.vault.read { $0.seenLog }
    #expect(try SeenLog(decoding: seen.bytes) == seen)
    #expect(seen.membership.bounds.transferred == [Fixture.name: handoff.id.description])
    try await fixture.store.read { _ = try VaultView.verify($0) }
    // As remembered by a program that did not keep it: it is looked up.
    let older = Membership(
      vault: seen.membership.vault, keyID: seen.membership.keyID, standings: seen.membership.standings)
    let locked = LockedVault(
      fixture.store, after: SeenLog(checkpoint: seen.checkpoint, actor: seen.actor, membership: older))
    #expect(try await locked.read { try $0.credential(Fixture.name) }.isTransferred)

    // Taken back by a member who may not, with an entry that says something else.
    try await Self.write({ $0.transfer = nil }, by: bob, in: fixture.store)
    await Self.requireRefused(fixture.store)
    await #expect(throws: VaultError(.corrupt, "")) { try await fixture.store.read { _ = try VaultView.verify($0) } }

    // Taken back by an owner, and put back by a member who may not.
    let (other, eve) = try await Self.made()
    let sent = try await Self.transfer(in: other)
    _ = try await other.vault.withdrawHandoff(of: Fixture.name, now: Fixture.at(9))
    #expect(try await !other.vault.read { try $0.credential(Fixture.name) }.isTransferred)
    try await other.store.read { _ = try VaultView.verify($0) }
    try await Self.write({ $0.transfer = Transfer(sent) }, by: eve, in: other.store)
    await Self.requireRefused(other.store)
    await #expect(throws: VaultError(.corrupt, "")) { try await other.store.read { _ = try VaultView.verify($0) } }
  }

  private static func transfer(in fixture: Fixture) async throws -> Handoff {
    let card = try Identity(AgeIdentity(generating: .seeded("cy"))).card(named: "cy", role: .operator)
    return try await fixture.vault.sendHandoff(
      of: Fixture.name, stage: .active, to: HandoffRecipient(card), expires: Fixture.at(100), note: nil,
      isTransfer: true, now: Fixture.at(8)
    ).handoff
  }

  @Test func `damage keeps nobody in`() async throws {
    let (fixture, bob) = try await Self.made()
    try await fixture.vault.grant("erp/prod", to: "bob", now: Fixture.at(6))
    // A version that never existed, and a record that is not one.
    try await Self.write(
      { _ = try $0.addStaged(handle: nil, expires: nil, now: Fixture.at(7)) }, by: bob, in: fixture.store)
    try await fixture.store.write { try $0.set([0x7B], in: .credentials, for: Array("erp/prod".utf8)) }
    let withdrawal = try await fixture.vault.removeMember("bob", now: Fixture.at(8), keeping: { _, _ in })
    #expect(withdrawal.exposed == [Fixture.name] && withdrawal.damaged == ["erp/prod"])
    let opened = try await fixture.vault.pairs(
      of: Fixture.name, choosing: { $0.versions.filter { $0.stage == .active } }, event: .pairRead, now: Fixture.at(9))
    #expect(opened.count == 1)
  }

  @Test func `a removal that was taken back while others wrote is noticed`() async throws {
    let (fixture, _) = try await Self.made()
    let before = try await Snapshot(of: fixture.store, vaultTables)
    _ = try await fixture.vault.removeMember("bob", now: Fixture.at(8), keeping: { _, _ in })
    try await fixture.store.write { transaction in
      for table in vaultTables where table != .leases {
        for row in try transaction.rows(in: table) { try transaction.remove(row.key, from: table) }
        for row in before.rows(of: table) { try transaction.set(row.value, in: table, for: row.key) }
      }
    }
    await #expect(throws: VaultError(.rolledBack, "")) { try await fixture.vault.read { $0.members } }
  }

  /// Right after a removal, the process that made it must not go on believing the earlier rows.
  @Test func `rows put back after this process's own change are refused`() async throws {
    let (fixture, _) = try await Self.made()
    let before = try await Snapshot(of: fixture.store, vaultTables)
    _ = try await fixture.vault.removeMember("bob", now: Fixture.at(8), keeping: { _, _ in })
    try await fixture.store.write { transaction in
      for row in before.rows(of: .members) { try transaction.set(row.value, in: .members, for: row.key) }
    }
    await #expect(throws: VaultError(.corrupt, "")) { try await fixture.vault.read { $0.members } }
  }

  @Test func `a whole vault put back while it is open is noticed`() async throws {
    let (fixture, _) = try await Self.made()
    let before = try await Snapshot(of: fixture.store, vaultTables)
    _ = try await fixture.vault.change(now: Fixture.at(7)) { try $0.log(.pairRead, about: Fixture.name) }
    try await fixture.store.write { transaction in
      for table in vaultTables where table != .leases {
        for row in try transaction.rows(in: table) { try transaction.remove(row.key, from: table) }
        for row in before.rows(of: table) { try transaction.set(row.value, in: table, for: row.key) }
      }
    }
    await #expect(throws: VaultError(.rolledBack, "")) { try await fixture.vault.read { $0.members } }
  }
}

extension MemoryStore {
  /// Another store with the rows of `store`.
  convenience init(copying store: any Store) async throws {
    self.init(tables: vaultTables)
    let rows = try await Snapshot(of: store, vaultTables)
    try await write { transaction in
      for table in vaultTables {
        for row in rows.rows(of: table) { try transaction.set(row.value, in: table, for: row.key) }
      }
    }
  }
}
