import Age
import Audit
import Contracts
import JSON
import Sodium
import Storage
import Synchronization

@testable import Vault

/// A small vault with everything that a real one has. Alice and carol own it; bob is an operator with a grant. One
/// credential has a policy, a file, a hook, a lease, and a version in each stage, the newest from an interrupted
/// rotation; the other has none of these. Three members have taken turns in writing the log.
struct Complete: Sendable {
  static let shared = Task { try await Complete() }
  static let credential = Fixture.name
  static let plain = "erp"

  let fixture: Fixture
  let bob: Identity
  let carol: Identity
  /// Sealed to both owners.
  let keyFile: [UInt8]
  let rows: SortedRows

  init(in store: any Store = MemoryStore(tables: vaultTables), seed: String = "complete") async throws {
    let fixture = try await Fixture(in: store, seed: seed)
    try await fixture.add()
    _ = try await fixture.vault.setPolicy(of: Self.credential, now: Fixture.at(2)) { policy in
      for (key, text) in [("max-age", "90d"), ("window", "sat,sun 22:00-02:00 Europe/Kyiv"), ("jitter", "6h")] {
        try policy.set(key, to: text)
      }
    }
    let bob = try await fixture.addOperator()
    let file = FileSettings(path: "/etc/crm/pair.json", format: .json)
    let hook = HookSettings(occasion: .promoted, arguments: ["/bin/systemctl", "reload", "crm"])
    for (name, kind) in [("file", DeliverySettings.Kind.file(file)), ("reload", .hook(hook))] {
      _ = try await fixture.vault.addDelivery(
        DeliverySettings(name: name, kind: kind), to: Self.credential, now: Fixture.at(6))
    }
    let operating = try await fixture.opened(in: store, by: bob)
    try await Self.rotate(operating, retiring: 1, at: 10)
    let carol = try Identity(AgeIdentity(generating: .seeded("carol")))
    let kept = Mutex<[UInt8]>([])
    try await fixture.vault.addMember(carol.card(named: "carol", role: .owner), now: Fixture.at(20)) { _, file in
      kept.withLock { $0 = file }
    }
    let sealed = kept.withLock { $0 }
    try await Self.rotate(
      UnlockedVault(store, identity: fixture.owner, keyFile: { _ in sealed }, randomness: .seeded("alice's")),
      retiring: nil, at: 21)
    let owning = try await UnlockedVault(
      store, identity: carol, keyFile: { _ in sealed }, randomness: .seeded("carol's"))
    _ = try await owning.add(
      name: Self.plain, provider: "external-client-app", settings: [:], policy: Policy(), admin: Self.credential,
      pair: Fixture.pair(Fixture.second), now: Fixture.at(30))
    try await Self.interruptRotation(owning, at: 31)
    try await store.write { transaction in
      _ = try transaction.acquireLease("credential/crm", holder: "host 7", now: 0, milliseconds: 1000) { _ in false }
    }
    rows = try await SortedRows(of: store, vaultTables)
    (self.fixture, self.bob, self.carol, keyFile) = (fixture, bob, carol, sealed)
  }

  /// Opens the vault in `store` again.
  func opened(_ locked: LockedVault, by identity: Identity) async throws -> UnlockedVault {
    let keyFile = keyFile
    return try await UnlockedVault(
      locked, identity: identity, keyFile: { _ in keyFile }, randomness: .seeded("opened"))
  }

  /// A whole rotation in two steps; then the replaced version is retired, or kept as the previous one.
  private static func rotate(_ vault: UnlockedVault, retiring: UInt64?, at second: Int) async throws {
    let credential = try await vault.read { try $0.credential(Self.credential) }
    let next = (credential.versions.last?.number ?? 0) + 1
    let sealed = try await vault.seal(
      Fixture.pair(("3MVG9.\(next)", "secret \(next)")), of: Self.credential, version: next)
    _ = try await vault.change(now: Fixture.at(second)) { change in
      var credential = try change.view.credential(Self.credential)
      credential.rotation += 1
      try change.saveStep(credential, step: 0, EventName("rotation.begun"))
    }
    _ = try await vault.change(now: Fixture.at(second + 1)) { change in
      var credential = try change.view.credential(Self.credential)
      _ = try credential.addStaged(handle: "889000000000001", expires: Fixture.at(9000), now: change.now)
      try credential.promoteStaged(now: change.now)
      if let retiring { try credential.retire(retiring, now: change.now) }
      if let file = credential.deliveries.first { _ = credential.noteDelivered(next, to: file) }
      if let hook = credential.deliveries.last { _ = credential.noteAttempt(at: hook, now: change.now) }
      try change.storePair(sealed, of: credential)
      try change.saveStep(credential, step: 1, EventName("rotation.promoted"))
    }
  }

  /// A rotation that stops once the new pair is saved.
  private static func interruptRotation(_ vault: UnlockedVault, at second: Int) async throws {
    let credential = try await vault.read { try $0.credential(Self.credential) }
    let next = (credential.versions.last?.number ?? 0) + 1
    let sealed = try await vault.seal(Fixture.pair(("3MVG9.staged", "staged")), of: Self.credential, version: next)
    for (step, event) in ["begun", "stage.intended", "staged"].enumerated() {
      _ = try await vault.change(now: Fixture.at(second + step)) { change in
        var credential = try change.view.credential(Self.credential)
        if event == "begun" { credential.rotation += 1 }
        if event == "staged" {
          _ = try credential.addStaged(handle: "889000000000002", expires: nil, now: change.now)
          try change.storePair(sealed, of: credential)
        }
        try change.saveStep(credential, step: UInt32(step), EventName("rotation.\(event)"))
      }
    }
  }
}
