import Age
import Audit
import Contracts
import JSON
import Sodium
import Storage
import Synchronization
import Testing

@testable import Vault

/// One damaged row: nobody keeps access through it, nobody is locked out by it, and nothing else is lost.
@Suite struct DamageTests {
  /// Alice's vault with two credentials that bob, an operator, can open, and `hr`, which he cannot.
  private static func made() async throws -> (fixture: Fixture, bob: Identity) {
    let fixture = try await Fixture()
    try await fixture.add()
    try await fixture.add("erp", Fixture.second)
    try await fixture.add("hr", Fixture.second)
    let bob = try await fixture.addOperator()
    try await fixture.vault.grant("erp", to: "bob", now: Fixture.at(6))
    return (fixture, bob)
  }

  private static let keeping: UnlockedVault.KeyKeeper = { _, _ in }

  private static func row(_ name: String, in store: any Store) async throws -> [UInt8] {
    try #require(try await store.read { try $0.value(in: .credentials, for: Array(name.utf8)) })
  }

  /// Replaces the record with `row`; nil removes it.
  private static func put(_ row: [UInt8]?, _ name: String, in store: any Store) async throws {
    try await store.write { transaction in
      guard let row else { return try transaction.remove(Array(name.utf8), from: .credentials) }
      try transaction.set(row, in: .credentials, for: Array(name.utf8))
    }
  }

  private static func empty(_ tables: [Table], in store: any Store) async throws {
    try await store.write { transaction in
      for table in tables {
        for row in try transaction.rows(in: table) { try transaction.remove(row.key, from: table) }
      }
    }
  }

  private static func requireWhole(_ store: any Store) async throws {
    try await store.read { _ = try VaultView.verify($0) }
  }

  /// The record of `name` is refused both to a reader and by the verification of everything.
  private static func requireWithheld(_ name: String, in store: any Store) async {
    await #expect(throws: VaultError(.corrupt, "")) { try await store.read { try VaultView($0).credential(name) } }
    await #expect(throws: VaultError(.corrupt, "")) { try await store.read { _ = try VaultView.verify($0) } }
  }

  // MARK: - What is not damaged

  @Test func `a record of a newer format stays what it is, unless the log does not vouch for it`() async throws {
    let texts = [#""v":2,"versions""#, #""usage":1,"v":1,"versions""#]
    for (isVouchedFor, newer) in texts.flatMap({ [(true, $0), (false, $0)] }) {
      let (fixture, _) = try await Self.made()
      let row = try await Self.row("erp", in: fixture.store)
      let size = try await fixture.store.read { try VaultView($0).logSize }
      let record = String(decoding: row, as: UTF8.self)
        .replacing(#""v":1,"versions""#, with: newer)
        .replacing(#/"entry":[0-9]+/#, with: "\"entry\":\(size)")
      let bytes = Array(record.utf8)
      #expect(bytes != row)
      if isVouchedFor {
        try await fixture.vault.change(now: Fixture.at(7)) { change in
          _ = try change.log(.credentialPolicy, about: "erp", ["record": .string(SHA256.hash(bytes).bytes.base64)])
        }
      }
      try await Self.put(bytes, "erp", in: fixture.store)
      let code = isVouchedFor ? VaultError.Code.unsupportedFormat : .corrupt
      await #expect(throws: VaultError(code, "")) { try await fixture.store.read { _ = try VaultView.verify($0) } }
      if isVouchedFor {
        await #expect(throws: VaultError(.unsupportedFormat, "")) {
          _ = try await fixture.vault.removeMember("bob", now: Fixture.at(8), keeping: Self.keeping)
        }
        #expect(try await fixture.store.read { try VaultView($0).logSize } == size + 1)
        await #expect(throws: VaultError(.unsupportedFormat, "")) {
          try await fixture.store.read { try VaultView($0).requireNotAdministrator("admin") }
        }
        // Whoever signed that may be the one who is to leave: an owner can give the credential up.
        _ = try await fixture.vault.remove(unreadable: "erp", now: Fixture.at(9))
        #expect(try await fixture.vault.removeMember("bob", now: Fixture.at(9), keeping: Self.keeping).damaged.isEmpty)
        try await fixture.store.read { _ = try VaultView.verify($0) }
      } else {
        let withdrawal = try await fixture.vault.removeMember("bob", now: Fixture.at(8), keeping: Self.keeping)
        #expect(withdrawal.damaged == ["erp"])
      }
    }
  }

  @Test func `a record that lies about a delivery keeps nobody from being removed`() async throws {
    let (fixture, _) = try await Self.made()
    _ = try await fixture.vault.change(now: Fixture.at(7)) { change in
      var credential = try change.view.credential("erp")
      let hook = DeliverySettings(name: "x", kind: .hook(HookSettings(occasion: .promoted, arguments: ["/bin/x"])))
      credential.deliveries = [DeliveryRecord(hook, entry: 9_007_199_254_740_991)]
      return try change.save(credential, .credentialPolicy)
    }
    let withdrawal = try await fixture.vault.removeMember("bob", now: Fixture.at(8), keeping: Self.keeping)
    #expect(withdrawal.damaged.isEmpty)
  }

  // MARK: - Nothing is half written

  @Test func `a journal that lost a row costs no pair, and does not hide what was asked for`() async throws {
    let (fixture, _) = try await Self.made()
    for (step, event) in [(UInt32(0), "rotation.begun"), (1, "rotation.stage.intended")] {
      _ = try await fixture.vault.change(now: Fixture.at(7)) { change in
        var credential = try change.view.credential(Fixture.name)
        if step == 0 { credential.rotation += 1 }
        return try change.saveStep(credential, step: step, EventName(event))
      }
    }
    let texts = try await fixture.vault.texts()
    let id = try await fixture.store.read { try VaultView($0).credential(Fixture.name) }.id
    try await fixture.store.write { transaction in
      let rows = try transaction.rows(in: .journal, withPrefix: id.bytes)
      try transaction.remove(try #require(rows.last).key, from: .journal)
    }
    let withdrawal = try await fixture.vault.ungrant(Fixture.name, from: "bob", now: Fixture.at(8))
    #expect(withdrawal.exposed == [Fixture.name] && withdrawal.damaged.isEmpty)
    #expect(try await fixture.vault.texts() == texts && texts.count == 1)
    let exposure = try await fixture.store.read { try VaultView($0).credential(Fixture.name).exposure }
    #expect(exposure?.version == 2)
  }

  @Test func `an index that must be made anew loses nothing to one damaged record`() async throws {
    let (fixture, _) = try await Self.made()
    let kept = try await Self.row("hr", in: fixture.store)
    try await Self.empty([.due, .apart], in: fixture.store)
    try await Self.put([0x7B], "hr", in: fixture.store)
    let texts = try await fixture.vault.texts(of: "erp")
    _ = try await fixture.vault.setPolicy(of: Fixture.name, now: Fixture.at(7)) { try $0.set("max-age", to: "30d") }
    #expect(try await fixture.store.read { try $0.rows(in: .due) }.count == 2)
    #expect(try await fixture.vault.texts(of: "erp") == texts)
    // If the intact row comes back, no schedule finds the credential, and verifying everything reports that.
    try await Self.put(kept, "hr", in: fixture.store)
    await #expect(throws: VaultError(.corrupt, "")) { try await Self.requireWhole(fixture.store) }
    try await Self.empty([.due, .apart], in: fixture.store)
    _ = try await fixture.vault.setPolicy(of: Fixture.name, now: Fixture.at(8)) { try $0.set("max-age", to: "31d") }
    try await Self.requireWhole(fixture.store)
  }

  @Test func `a removal with no index and one damaged record keeps every pair of the others`() async throws {
    let (fixture, _) = try await Self.made()
    try await Self.empty([.due, .apart], in: fixture.store)
    try await Self.put([0x7B], "hr", in: fixture.store)
    let withdrawal = try await fixture.vault.removeMember("bob", now: Fixture.at(8), keeping: Self.keeping)
    #expect(withdrawal.exposed == [Fixture.name, "erp"])
    for name in withdrawal.exposed { #expect(try await fixture.vault.texts(of: name).count == 1) }
  }

  @Test func `a record that says what no entry can is left as it was, and withheld`() async throws {
    let (fixture, bob) = try await Self.made()
    try await fixture.store.write { transaction in
      let view = try VaultView(transaction)
      let index = view.logSize
      let stored = try #require(try transaction.value(in: .credentials, for: Array("erp".utf8)))
      guard case .object(var record) = try JSONValue(readingCanonical: stored),
        case .array(let versions)? = record["versions"], case .object(var last)? = versions.last
      else { throw VaultError(.corrupt, "no record") }
      (last["number"], last["stage"]) = (.integer(9_007_199_254_740_991), "retired")
      record["versions"] = .array(versions + [.object(last)])
      (record["rotation"], record["steps"], record["entry"]) = (1, 1, .integer(Int(index)))
      let bytes = JSONValue.object(record).canonicalBytes
      let entry = try LogEntry(
        time: Fixture.at(7), member: "bob", event: "rotation.stage.intended",
        details: [
          "credential": "erp", "record": .string(SHA256.hash(bytes).bytes.base64), "rotation": 1, "step": 0,
        ])
      let id = try view.credential("erp").id
      try transaction.set(bytes, in: .credentials, for: Array("erp".utf8))
      try transaction.set(
        index.bigEndianBytes, in: .journal,
        for: id.bytes + UInt64(1).bigEndianBytes + UInt32(0).bigEndianBytes)
      _ = try AuditLog.append(
        [entry], by: LogSigner(member: "bob", origin: view.header.origin, key: bob.signingKey), in: transaction,
        knowing: view.verifyingKey)
    }
    let before = try await Snapshot(of: fixture.store, vaultTables)
    let withdrawal = try await fixture.vault.removeMember("bob", now: Fixture.at(8), keeping: Self.keeping)
    #expect(withdrawal.exposed == [Fixture.name] && withdrawal.damaged == ["erp"])
    let id = try await fixture.store.read { try VaultView($0).credential(Fixture.name) }.id
    let after = try await Snapshot(of: fixture.store, vaultTables)
    for table in [Table.keys, .versions] {
      func others(_ rows: Snapshot) -> [[UInt8]: [UInt8]] {
        (rows.tables[table] ?? [:]).filter { !$0.key.starts(with: id.bytes) }
      }
      #expect(others(before) == others(after))
    }
    await Self.requireWithheld("erp", in: fixture.store)
  }

  @Test func `a damaged tree is nobody's record: it ends a removal, and withholdsDelivery nothing`() async throws {
    let (fixture, _) = try await Self.made()
    let whole = try await Snapshot(of: fixture.store, vaultTables)
    let inner = try #require(whole.rows(of: .tree).first { $0.key.first == 1 })
    try await fixture.store.write { try $0.set([UInt8](repeating: 0, count: 32), in: .tree, for: inner.key) }
    // In another process, which remembers no proof.
    let vault = try await fixture.opened(in: fixture.store)
    await #expect(throws: AuditError(.corrupt, "")) {
      try await vault.removeMember("bob", now: Fixture.at(8), keeping: Self.keeping)
    }
    try await fixture.store.write { try $0.set(inner.value, in: .tree, for: inner.key) }
    #expect(try await Snapshot(of: fixture.store, vaultTables).tables == whole.tables)
  }

  // MARK: - Nobody keeps access through it

  @Test func `what was damaged when a grant or a membership ended is refused when it comes back`() async throws {
    for isDeleted in [false, true] {
      for ends in ["membership", "grant"] {
        let (fixture, _) = try await Self.made()
        let kept = try await Self.row("erp", in: fixture.store)
        try await Self.put(isDeleted ? nil : [0x7B], "erp", in: fixture.store)
        let withdrawal =
          ends == "grant"
          ? try await fixture.vault.ungrant("erp", from: "bob", now: Fixture.at(8))
          : try await fixture.vault.removeMember("bob", now: Fixture.at(8), keeping: Self.keeping)
        #expect(withdrawal.damaged == ["erp"])
        try await Self.put(kept, "erp", in: fixture.store)
        await Self.requireWithheld("erp", in: fixture.store)
        let refusals = [
          await Self.refusal(in: fixture.store) { try VaultView($0).credential("erp") },
          await Self.refusal(in: fixture.store) { try VaultView.verify($0) },
        ]
        for refused in refusals { #expect(refused?.hint?.contains("remove erp --forget-debts") == true) }
        // Another process, and one that continues from what was seen before it.
        let seen = try await fixture.vault.read { $0.seenLog }
        let later = LockedVault(fixture.store, after: try SeenLog(decoding: seen.bytes))
        await #expect(throws: VaultError(.corrupt, "")) { try await later.read { try $0.credential("erp") } }
      }
    }
  }

  private static func refusal<Result>(
    in store: any Store, _ body: @Sendable (any ReadTransaction) throws -> Result
  ) async -> VaultError? {
    do {
      try await store.read { _ = try body($0) }
      return nil
    } catch { return error as? VaultError }
  }

  @Test func `nor can it be used where an owner went`() async throws {
    let (fixture, _) = try await Self.made()
    let carol = try Identity(AgeIdentity(generating: .seeded("carol")))
    let keys = KeyFiles(fixture)
    try await keys.opened(by: fixture.owner).addMember(
      carol.card(named: "carol", role: .owner), now: Fixture.at(7), keeping: keys.keep)
    let kept = try await Self.row("erp", in: fixture.store)
    try await Self.put([0x7B], "erp", in: fixture.store)
    let withdrawal = try await keys.opened(by: fixture.owner).removeMember(
      "carol", now: Fixture.at(8), keeping: keys.keep)
    #expect(withdrawal.damaged == ["erp"] && withdrawal.exposed == [Fixture.name, "hr"])
    try await Self.put(kept, "erp", in: fixture.store)
    await Self.requireWithheld("erp", in: fixture.store)
  }

  @Test func `what an administrator reaches is withheld if nobody can tell whose it is`() async throws {
    for isDeleted in [false, true] {
      let (fixture, _) = try await Self.made()
      _ = try await fixture.vault.add(
        name: "crm/dev", provider: "external-client-app", settings: [:], policy: Policy(), admin: Fixture.name,
        pair: Fixture.pair(Fixture.first), now: Fixture.at(6))
      let kept = try await Self.row("crm/dev", in: fixture.store)
      try await Self.put(isDeleted ? nil : [0x7B], "crm/dev", in: fixture.store)
      let withdrawal = try await fixture.vault.removeMember("bob", now: Fixture.at(8), keeping: Self.keeping)
      #expect(withdrawal.exposed == [Fixture.name, "erp"] && withdrawal.damaged == ["crm/dev"])
      try await Self.put(kept, "crm/dev", in: fixture.store)
      await Self.requireWithheld("crm/dev", in: fixture.store)
    }
    // A member who could open nothing reaches nothing.
    let (fixture, _) = try await Self.made()
    try await fixture.vault.addMember(
      Identity(AgeIdentity(generating: .seeded("cy"))).card(named: "cy", role: .operator), now: Fixture.at(7),
      keeping: Self.keeping)
    let kept = try await Self.row("hr", in: fixture.store)
    try await Self.put([0x7B], "hr", in: fixture.store)
    let withdrawal = try await fixture.vault.removeMember("cy", now: Fixture.at(8), keeping: Self.keeping)
    #expect(withdrawal.damaged.isEmpty)
    try await Self.put(kept, "hr", in: fixture.store)
    try await Self.requireWhole(fixture.store)
  }

  @Test func `rows that the log speaks of nowhere stand in nobody's way`() async throws {
    let (fixture, _) = try await Self.made()
    for name in [[0xFF], Array("no name".utf8), Array("planted".utf8)] {
      try await fixture.store.write { try $0.set([0x7B], in: .credentials, for: name) }
    }
    let withdrawal = try await fixture.vault.removeMember("bob", now: Fixture.at(8), keeping: Self.keeping)
    #expect(withdrawal.exposed == [Fixture.name, "erp"] && withdrawal.damaged.isEmpty)
  }

  // MARK: - Nobody is locked out by it

  @Test func `a new owner opens what was damaged when they came`() async throws {
    let (fixture, _) = try await Self.made()
    let keys = KeyFiles(fixture)
    let texts = try await keys.opened(by: fixture.owner).texts(of: "erp")
    let kept = try await Self.row("erp", in: fixture.store)
    try await Self.put([0x7B], "erp", in: fixture.store)
    let carol = try Identity(AgeIdentity(generating: .seeded("carol")))
    let damaged = try await keys.opened(by: fixture.owner).addMember(
      carol.card(named: "carol", role: .owner), now: Fixture.at(7), keeping: keys.keep)
    #expect(damaged == ["erp"])
    #expect(try await keys.opened(by: carol).texts(of: "hr").count == 1)
    try await Self.put(kept, "erp", in: fixture.store)
    #expect(try await keys.opened(by: carol).texts(of: "erp") == texts)
    try await Self.requireWhole(fixture.store)
  }

  @Test func `a key that is damaged keeps no owner out of the rest`() async throws {
    let (fixture, _) = try await Self.made()
    let keys = KeyFiles(fixture)
    let id = try await fixture.store.read { try VaultView($0).credential("erp") }.id
    try await fixture.store.write { try $0.set([1, 2, 3], in: .keys, for: id.bytes) }
    let carol = try Identity(AgeIdentity(generating: .seeded("carol")))
    let damaged = try await keys.opened(by: fixture.owner).addMember(
      carol.card(named: "carol", role: .owner), now: Fixture.at(7), keeping: keys.keep)
    #expect(damaged == ["erp"])
    #expect(try await keys.opened(by: carol).texts(of: "hr").count == 1)
  }

  @Test func `everything else is re-keyed, and keys of nobody go`() async throws {
    let (fixture, _) = try await Self.made()
    let keys = KeyFiles(fixture)
    try await fixture.store.write { try $0.set([1], in: .keys, for: [UInt8](repeating: 7, count: 16)) }
    let kept = try await Self.row("erp", in: fixture.store)
    try await Self.put([0x7B], "erp", in: fixture.store)
    let first = try await keys.opened(by: fixture.owner).rekey(now: Fixture.at(7), keeping: keys.keep)
    #expect(first.count == 2 && first.damaged == ["erp"])
    #expect(try await keys.opened(by: fixture.owner).texts().count == 1)
    try await Self.put(kept, "erp", in: fixture.store)
    await Self.requireWithheld("erp", in: fixture.store)

    _ = try await keys.opened(by: fixture.owner).remove(unreadable: "erp", now: Fixture.at(8))
    try await fixture.store.write { try $0.set([1], in: .keys, for: [UInt8](repeating: 7, count: 16)) }
    let second = try await keys.opened(by: fixture.owner).rekey(now: Fixture.at(9), keeping: keys.keep)
    #expect(second.count == 2 && second.damaged.isEmpty)
    #expect(try await fixture.store.read { try $0.rows(in: .keys) }.count == 2)
    for name in [Fixture.name, "hr"] {
      #expect(try await keys.opened(by: fixture.owner).texts(of: name).count == 1)
    }
    try await Self.requireWhole(fixture.store)
  }

  @Test func `one that is damaged stands in the way of no other's removal or transfer`() async throws {
    let (fixture, _) = try await Self.made()
    try await Self.put([0x7B], "erp", in: fixture.store)
    _ = try await fixture.vault.remove("hr", forgettingDebts: true, now: Fixture.at(7))
    let card = try Identity(AgeIdentity(generating: .seeded("cy"))).card(named: "cy", role: .operator)
    _ = try await fixture.vault.sendHandoff(
      of: Fixture.name, stage: .active, to: HandoffRecipient(card), expires: Fixture.at(100), note: nil,
      isTransfer: true, now: Fixture.at(8))
  }

  @Test func `what is damaged is removed by the log's word, and leaves nothing behind`() async throws {
    for isDeleted in [false, true] {
      let (fixture, bob) = try await Self.made()
      var policy = Policy()
      try policy.set("not-together-with", to: "erp")
      for name in ["one", "two"] {
        _ = try await fixture.vault.add(
          name: name, provider: "external-client-app", settings: [:], policy: policy, admin: name,
          pair: Fixture.pair(Fixture.first), now: Fixture.at(6))
      }
      try await fixture.rotate("one")
      let kept = try await Self.row("one", in: fixture.store)
      for name in ["one", "two"] { try await Self.put(isDeleted ? nil : [0x7B], name, in: fixture.store) }
      let operating = try await fixture.opened(in: fixture.store, by: bob)
      await #expect(throws: VaultError(.notPermitted, "")) {
        try await operating.remove(unreadable: "one", now: Fixture.at(7))
      }
      for name in ["hr", "nobody"] {
        await #expect(throws: (any Error).self) {
          try await fixture.vault.remove(unreadable: name, now: Fixture.at(7))
        }
      }
      #expect(try await fixture.vault.remove(unreadable: "one", now: Fixture.at(7)).isEmpty)
      #expect(try await fixture.vault.remove(unreadable: "two", now: Fixture.at(8)).count == 2)
      try await Self.requireWhole(fixture.store)
      let rows = try await Snapshot(of: fixture.store, vaultTables)
      #expect(rows.rows(of: .keys).count == 3 && rows.rows(of: .versions).count == 3)
      #expect(rows.rows(of: .apart).isEmpty && rows.rows(of: .due).count == 3)
      for name in [Fixture.name, "erp", "hr"] { #expect(try await fixture.vault.texts(of: name).count == 1) }
      try await Self.put(kept, "one", in: fixture.store)
      await Self.requireWithheld("one", in: fixture.store)
      try await Self.put(nil, "one", in: fixture.store)
      try await fixture.add("one")
      try await Self.requireWhole(fixture.store)
    }
  }

  @Test func `what administers another is not removed, damaged or not`() async throws {
    let (fixture, _) = try await Self.made()
    _ = try await fixture.vault.setTerms(of: "hr", now: Fixture.at(7)) { $0.admin = "erp" }
    try await Self.put([0x7B], "erp", in: fixture.store)
    await #expect(throws: VaultError(.invalidInput, "")) {
      try await fixture.vault.remove(unreadable: "erp", now: Fixture.at(8))
    }
    _ = try await fixture.vault.setTerms(of: "hr", now: Fixture.at(9)) { $0.admin = "hr" }
    _ = try await fixture.vault.remove(unreadable: "erp", now: Fixture.at(10))
    try await Self.requireWhole(fixture.store)
  }

  // MARK: - Grants

  @Test func `a planted row is no grant, and is written over by one`() async throws {
    let (fixture, bob) = try await Self.made()
    let id = try await fixture.store.read { try VaultView($0).credential("hr") }.id
    let row = id.bytes + Array("bob".utf8)
    try await fixture.store.write { try $0.set([0x78], in: .grants, for: row) }
    try await fixture.vault.grant("hr", to: "bob", now: Fixture.at(7))
    #expect(try await fixture.opened(in: fixture.store, by: bob).texts(of: "hr").count == 1)
    await #expect(throws: VaultError(.alreadyExists, "")) {
      try await fixture.vault.grant("hr", to: "bob", now: Fixture.at(8))
    }
    // A grant's row that was deleted is written again.
    try await fixture.store.write { try $0.remove(row, from: .grants) }
    try await fixture.vault.grant("hr", to: "bob", now: Fixture.at(9))
    #expect(try await fixture.opened(in: fixture.store, by: bob).texts(of: "hr").count == 1)
    try await Self.requireWhole(fixture.store)
  }
}

/// The files of a vault's keys, as a command keeps them.
private final class KeyFiles: Sendable {
  private let files: Mutex<[String: [UInt8]]>
  private let store: any Store

  init(_ fixture: Fixture) {
    store = fixture.store
    files = Mutex([fixture.vault.header.keyID: fixture.keyFile])
  }

  @Sendable func keep(_ header: VaultHeader, _ file: [UInt8]) { files.withLock { $0[header.keyID] = file } }

  func opened(by identity: Identity) async throws -> UnlockedVault {
    try await UnlockedVault(
      store, identity: identity,
      keyFile: { [self] header in
        guard let file = files.withLock({ $0[header.keyID] }) else { throw VaultError(.corrupt, "no such key") }
        return file
      }, randomness: .seeded("opened"))
  }
}
