import Age
import Audit
import Contracts
import JSON
import Rotation
import Sodium
import Storage
import Synchronization
import Testing
import Vault

/// A vault in memory with one credential, `crm`, a provider in memory, and a clock that sleeping advances.
final class Bench: Sendable {
  let store: any Store = MemoryStore(tables: vaultTables)
  let vault: UnlockedVault
  let provider = FakeProvider(primary: "id-1")
  let now = Mutex(RotationMachineTests.start)
  let slept = Mutex<[Duration]>([])

  let delivery: any PairDelivery
  private let identity: Identity
  private let keyFile: [UInt8]

  /// `admin` names another credential that administers `crm`, with the pair `id-admin`; nil if `crm` administers
  /// itself.
  init(
    policy: [String: String] = [:], delivery: any PairDelivery = NoDelivery(), admin: String? = nil
  ) async throws {
    self.delivery = delivery
    let identity = try Identity(AgeIdentity(generating: .system))
    let start = RotationMachineTests.start
    let (header, keyFile) = try VaultCreation.prepare(for: identity.age.recipient, now: start, randomness: .system)
    try await VaultCreation.create(header, in: store, owner: identity, named: "alice", now: start)
    vault = try await UnlockedVault(store, identity: identity, keyFile: { _ in keyFile }, randomness: .system)
    (self.identity, self.keyFile) = (identity, keyFile)
    var chosen = Policy()
    try chosen.set("propagation", to: "0s")
    for (key, value) in policy { try chosen.set(key, to: value) }
    if let admin {
      _ = try await vault.add(
        name: admin, provider: "fake", settings: [:], policy: chosen, admin: admin,
        pair: FakeProvider.pair("id-admin"), now: start)
    }
    _ = try await vault.add(
      name: "crm", provider: "fake", settings: [:], policy: chosen, admin: admin ?? "crm",
      pair: FakeProvider.pair("id-1"),
      now: start)
  }

  /// The same vault in `store`, which must lead to the same rows.
  func vault(in store: any Store) async throws -> UnlockedVault {
    let keyFile = keyFile
    return try await UnlockedVault(store, identity: identity, keyFile: { _ in keyFile }, randomness: .system)
  }

  /// The vault as an operator opens it who has a grant on `name` only.
  func vault(ofOperatorOf name: String) async throws -> UnlockedVault {
    let bob = try Identity(AgeIdentity(generating: .system))
    let now = now.withLock { $0 }
    try await vault.addMember(bob.card(named: "bob", role: .operator), now: now) { _, _ in }
    try await vault.grant(name, to: "bob", now: now)
    let keyFile = keyFile
    return try await UnlockedVault(store, identity: bob, keyFile: { _ in keyFile }, randomness: .system)
  }

  /// `vault` is for opening it otherwise than its owner does.
  func run(
    _ goal: RotationRunner.Goal = .rotate, of name: String = "crm", at other: (any CredentialProvider)? = nil,
    by vault: UnlockedVault? = nil, madeUnder keyID: String? = nil, comparing neighbours: Neighbours? = nil
  ) async throws -> RotationOutcome {
    let timing = RotationTiming(
      now: { self.now.withLock { $0 } },
      sleep: { duration in
        self.slept.withLock { $0.append(duration) }
        self.now.withLock { $0 = $0 + duration }
      }, randomness: .system)
    return try await RotationRunner(
      vault: vault ?? self.vault, timing: timing, holder: "bench", isGone: { _ in false }, delivery: delivery,
      neighbours: neighbours, progress: { _ in }
    ).run(name, goal: goal, provider: other ?? provider, madeUnder: keyID)
  }

  func code(
    _ goal: RotationRunner.Goal = .rotate, at other: (any CredentialProvider)? = nil
  ) async -> RotationError.Code? {
    do {
      _ = try await run(goal, at: other)
      return nil
    } catch { return (error as? RotationError)?.code }
  }

  func credential() async throws -> Credential { try await store.read { try VaultView($0).credential("crm") } }

  func state() async throws -> RotationState? {
    try await store.read { transaction in
      let view = try VaultView(transaction)
      return try RotationJournal(view, of: view.credential("crm"))?.machine.state
    }
  }

  /// The whole log.
  func events() async throws -> [LogEntry] {
    try await store.read { transaction in
      try (0..<AuditLog.size(in: transaction)).map { try AuditLog.entry(at: $0, in: transaction) }
    }
  }

  /// The events of rotation `number`, in order.
  func journal(_ number: UInt64) async throws -> [LogEntry] {
    try await store.read { transaction in
      let view = try VaultView(transaction)
      return try view.journal(of: view.credential("crm"), rotation: number)
    }
  }

  func leaseHolder() async throws -> LeaseHolder? {
    let id = try await credential().id
    return try await store.read { try $0.leaseHolder(of: "rotation/\(id)") }
  }

  /// Writes a journal that no run would write: one rotation with these events.
  func forge(_ events: [(event: String, details: [String: JSONValue], after: Duration)]) async throws {
    let start = RotationMachineTests.start
    var time = start
    for (step, forged) in events.enumerated() {
      time = start + forged.after
      _ = try await vault.change(now: time) { change in
        var credential = try change.view.credential("crm")
        if step == 0 {
          credential.rotation += 1
          credential.noteRotation(hasEnded: false, graceEnds: nil)
        }
        return try change.saveStep(credential, step: UInt32(step), EventName(forged.event), forged.details)
      }
    }
  }
}

/// Counts how often something has happened.
final class Counter: Sendable {
  private let count = Mutex(0)

  /// One more than the last time; 1 at the first.
  func next() -> Int {
    count.withLock { count in
      count += 1
      return count
    }
  }
}
