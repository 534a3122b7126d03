import Age
import Audit
import Contracts
import Foundation
import JSON
import Sodium
import Storage
import Testing

@testable import StorageSQLite
@testable import Vault

/// Entries about the record of a credential that does not exist: any member can write one, and it has no effect. What
/// the log says about credentials is still found.
@Suite struct StrayRecordTests {
  /// Forms that verification reads at a glance, and one that it reads in full.
  private static let details: [[String: JSONValue]] = [
    ["record": "AAAA", "incident": "i", "version": 1], ["record": 7], ["record": "AAAA", "rotation": 1, "step": 0],
  ]

  /// Appends an entry by bob about `name`, as a program that checks nothing can. Returns its index.
  @discardableResult
  private static func write(
    _ details: [String: JSONValue], about name: String, _ event: String = "credential.leaked", by bob: Identity,
    in store: any Store
  ) async throws -> UInt64 {
    try await store.write { transaction in
      let view = try VaultView(transaction)
      let entry = try LogEntry(
        time: Fixture.at(20), member: "bob", event: event,
        details: details.merging(["credential": .string(name)]) { $1 })
      _ = try AuditLog.append(
        [entry], by: LogSigner(member: "bob", origin: view.header.origin, key: bob.signingKey), in: transaction,
        knowing: view.verifyingKey)
      return view.logSize
    }
  }

  private static func requireWhole(_ store: any Store) async throws -> LogReport {
    try await store.read { try VaultView.verify($0) }
  }

  private static func requireRefused(_ store: any Store, _ what: Comment) async {
    await #expect(throws: VaultError(.corrupt, ""), what) { try await store.read { _ = try VaultView.verify($0) } }
  }

  private static func made() async throws -> (fixture: Fixture, bob: Identity) {
    let fixture = try await Fixture()
    try await fixture.add()
    try await fixture.add("erp", Fixture.second)
    return (fixture, try await fixture.addOperator())
  }

  @Test func `of what was never added they make no vault one that does not verify, and the first is told`() async throws
  {
    let (fixture, bob) = try await Self.made()
    #expect(try await Self.requireWhole(fixture.store).strayRecord == nil)
    var first: UInt64?
    for details in Self.details {
      let index = try await Self.write(details, about: "x", by: bob, in: fixture.store)
      first = first ?? index
      #expect(try await Self.requireWhole(fixture.store).strayRecord == first)
    }
    // A credential that is added afterwards is like any other.
    try await fixture.add("x")
    #expect(try await Self.requireWhole(fixture.store).strayRecord == first)
    try await fixture.store.write { try $0.remove(Array("x".utf8), from: .credentials) }
    await Self.requireRefused(fixture.store, "a record that is missing")
  }

  @Test func `nor of what was removed`() async throws {
    let (fixture, bob) = try await Self.made()
    _ = try await fixture.vault.remove("erp", forgettingDebts: true, now: Fixture.at(9))
    for details in Self.details {
      try await Self.write(details, about: "erp", by: bob, in: fixture.store)
      _ = try await Self.requireWhole(fixture.store)
    }
    try await fixture.add("erp")
    _ = try await Self.requireWhole(fixture.store)
  }

  @Test func `they vouch for no record`() async throws {
    for isRemoved in [false, true] {
      let (fixture, bob) = try await Self.made()
      let name = isRemoved ? "erp" : "x"
      var record = try await fixture.store.read { try VaultView($0).credential("erp") }
      if isRemoved { _ = try await fixture.vault.remove("erp", forgettingDebts: true, now: Fixture.at(9)) }
      if !isRemoved {
        record = Credential(
          id: Identifier(drawnFrom: .seeded("x")), name: name, provider: record.provider, settings: record.settings,
          policy: record.policy, admin: name, keyID: record.keyID, created: record.created)
      }
      record.entry = try await fixture.store.read { try VaultView($0).logSize }
      let bytes = record.bytes
      try await Self.write(
        ["record": .string(SHA256.hash(bytes).bytes.base64)], about: name, "credential.policy", by: bob,
        in: fixture.store)
      _ = try await Self.requireWhole(fixture.store)
      try await fixture.store.write { try $0.set(bytes, in: .credentials, for: Array(name.utf8)) }
      await Self.requireRefused(fixture.store, "\(name)")
    }
  }

  @Test func `of a credential that is there they are missed as ever`() async throws {
    let (fixture, bob) = try await Self.made()
    try await Self.write(["record": "AAAA"], about: "erp", by: bob, in: fixture.store)
    await Self.requireRefused(fixture.store, "a newer record")
    try await fixture.store.write { try $0.remove(Array("erp".utf8), from: .credentials) }
    await Self.requireRefused(fixture.store, "a record that is missing")
  }

  @Test(.enabled(if: SpecimenTests.canRead, "needs age, and python3 with PyNaCl"))
  func `the independent reader says the same`() async throws {
    let temporary = try TemporaryFolder()
    let folder = temporary.path + "/v"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let bob = try Identity(AgeIdentity(generating: .seeded("bob")))
    let fixture = try await SpecimenTests.make(at: folder, seed: "stray").fixture
    func read() throws -> (status: Int32, errors: String) {
      let reader = VectorFile.contract.appending(path: "../Tests/Reader/relatch_reader.py").standardized.path
      let run = try SpecimenTests.run(
        [try #require(SpecimenTests.python), reader, folder, "--identity", folder + "/identity", "--access"])
      return (run.status, run.errors)
    }
    let strays: [(event: String, details: [String: JSONValue])] = [
      ("credential.leaked", Self.details[0]), ("rotation.staged", Self.details[2]), ("pair.read", [:]),
    ]
    for (event, details) in strays {
      try await Self.write(details, about: "x", event, by: bob, in: fixture.store)
      let run = try read()
      #expect(run.status == 0, "\(event): \(run.errors)")
    }
    _ = try await fixture.vault.remove("erp", forgettingDebts: true, now: Fixture.at(30))
    for details in Self.details {
      try await Self.write(details, about: "erp", "rotation.promoted", by: bob, in: fixture.store)
      let run = try read()
      #expect(run.status == 0, "\(run.errors)")
    }
    _ = try await Self.requireWhole(fixture.store)
    try await Self.write(["record": "AAAA"], about: Fixture.name, by: bob, in: fixture.store)
    #expect(try read().status == 65)
  }
}
