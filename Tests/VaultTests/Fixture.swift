import Age
import Audit
import Contracts
import JSON
import Sodium
import Storage
import Testing

@testable import Vault

/// A small vault from fixed seeds: alice owns it, bob is an operator with a grant on its one credential, which has been
/// rotated once.
struct Fixture: Sendable {
  static let start = Timestamp(milliseconds: 1_767_225_600_000)
  static let name = "crm/prod"
  static let first = (clientID: "3MVG9.first", clientSecret: #"quote " backslash \ é 漢"#)
  static let second = (clientID: "3MVG9.second", clientSecret: "B7C1")

  let store: any Store
  let owner: Identity
  let vault: UnlockedVault
  let keyFile: [UInt8]

  /// A moment some seconds after the vault was made.
  static func at(_ seconds: Int) -> Timestamp { start + .seconds(seconds) }

  /// Creates a vault of alice's in `store`, which must be empty, and opens it.
  init(in store: any Store = MemoryStore(tables: vaultTables), seed: String = "vault") async throws {
    let randomness = Randomness.seeded(seed)
    let owner = try Identity(AgeIdentity(generating: randomness))
    let (header, keyFile) = try VaultCreation.prepare(
      for: owner.age.recipient, now: Self.start, randomness: randomness)
    try await VaultCreation.create(header, in: store, owner: owner, named: "alice", now: Self.start)
    self.store = store
    self.owner = owner
    self.keyFile = keyFile
    vault = try await UnlockedVault(store, identity: owner, keyFile: { _ in keyFile }, randomness: randomness)
  }

  /// The same vault in another store.
  func opened(in store: any Store, by identity: Identity? = nil) async throws -> UnlockedVault {
    let keyFile = keyFile
    return try await UnlockedVault(
      store, identity: identity ?? owner, keyFile: { _ in keyFile }, randomness: .seeded("opened"))
  }

  static func pair(_ texts: (clientID: String, clientSecret: String)) throws -> Pair {
    Pair(
      clientID: try SecretBytes(copying: Array(texts.clientID.utf8).span.bytes),
      clientSecret: try SecretBytes(copying: Array(texts.clientSecret.utf8).span.bytes))
  }

  /// Adds the credential with its first pair.
  @discardableResult
  func add(_ name: String = Self.name, _ texts: (clientID: String, clientSecret: String) = Self.first) async throws
    -> Credential
  {
    try await vault.add(
      name: name, provider: "external-client-app", settings: ["url": "https://crm.example"], policy: Policy(),
      admin: name, pair: Self.pair(texts), now: Self.at(1))
  }

  /// Saves the second pair as a journalled rotation does, and makes it active.
  @discardableResult
  func rotate(_ name: String = Self.name) async throws -> Credential {
    let credential = try await store.read { try VaultView($0).credential(name) }
    let next = (credential.versions.last?.number ?? 0) + 1
    let sealed = try await vault.seal(Self.pair(Self.second), of: name, version: next)
    _ = try await vault.change(now: Self.at(2)) { change in
      var credential = try change.view.credential(name)
      credential.rotation += 1
      try change.saveStep(credential, step: 0, EventName("rotation.begun"))
    }
    _ = try await vault.change(now: Self.at(3)) { change in
      var credential = try change.view.credential(name)
      _ = try credential.addStaged(handle: "staged", expires: nil, now: change.now)
      try change.storePair(sealed, of: credential)
      try change.saveStep(credential, step: 1, EventName("rotation.staged"))
    }
    return try await vault.change(now: Self.at(4)) { change in
      var credential = try change.view.credential(name)
      try credential.promoteStaged(now: change.now)
      return try change.saveStep(credential, step: 2, EventName("rotation.promoted"))
    }
  }

  /// A policy, the grace of the replaced pair, and a second credential kept apart from the first.
  func addSchedule() async throws {
    _ = try await vault.setPolicy(of: Self.name, now: Self.at(6)) { policy in
      try policy.set("max-age", to: "90d")
      try policy.set("jitter", to: "5d")
    }
    let ends = Self.at(7 + 24 * 3600)
    _ = try await vault.change(now: Self.at(7)) { change in
      var credential = try change.view.credential(Self.name)
      credential.noteRotation(hasEnded: false, graceEnds: ends)
      return try change.saveStep(
        credential, step: 3, EventName("rotation.verified"), ["grace_ends": .string(ends.description)])
    }
    var policy = Policy()
    try policy.set("max-age", to: "30d")
    try policy.set("jitter", to: "36h")
    try policy.set("not-together-with", to: Self.name)
    _ = try await vault.add(
      name: "erp", provider: "external-client-app", settings: ["url": "https://erp.example"], policy: policy,
      admin: Self.name, pair: Self.pair(("3MVG9.erp", "E1")), now: Self.at(8))
  }

  /// Makes bob a member with a grant on the credential.
  func addOperator(_ name: String = Self.name) async throws -> Identity {
    let bob = try Identity(AgeIdentity(generating: .seeded("bob")))
    try await vault.addMember(bob.card(named: "bob", role: .operator), now: Self.at(5), keeping: { _, _ in })
    try await vault.grant(name, to: "bob", now: Self.at(5))
    return bob
  }
}

extension UnlockedVault {
  /// The texts of the pairs of `name` that are not retired, by version.
  func texts(of name: String = Fixture.name) async throws -> [UInt64: String] {
    let pairs = try await pairs(
      of: name, choosing: { $0.versions.filter { $0.stage != .retired } }, event: .pairRead, now: Fixture.at(10))
    var texts: [UInt64: String] = [:]
    for (version, pair) in pairs { texts[version.number] = try pair.text }
    return texts
  }
}

extension Pair {
  /// The document in the clear: the tests' pairs are not secret.
  var text: String {
    get throws {
      let document = try document()
      return document.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
  }
}
