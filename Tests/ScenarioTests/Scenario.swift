import Age
import Audit
import OrgSimulator
import Providers
import Rotation
import Sodium
import Storage
import Synchronization
import Testing
import Transport
import Vault

/// A vault in memory, an org over HTTP on loopback, and time that passes only when someone sleeps.
final class Scenario: Sendable {
  let server: SimulatorServer
  let store: any Store
  let vault: UnlockedVault
  let url: String
  let clock = ScenarioClock()
  let events = Mutex<[String]>([])

  /// The credential under test is `crm`; `admin` administers it, unless it administers itself.
  init(
    readings: [String] = [], store: any Store = MemoryStore(tables: vaultTables), isSelfAdministered: Bool = false,
    consumersPerApp: Int = 1, policy: [String: String] = [:], settings extra: [String: String] = [:]
  ) async throws {
    server = SimulatorServer(
      layout: OrgLayout(apps: 1, consumersPerApp: consumersPerApp, everyAppIsAdmin: isSelfAdministered),
      readings: try OrgReadings(readings))
    url = try await server.start()
    self.store = store
    let identity = try Identity(AgeIdentity(generating: .system))
    let now = clock.now()
    let (header, keyFile) = try VaultCreation.prepare(for: identity.age.recipient, now: now, randomness: .system)
    try await VaultCreation.create(header, in: store, owner: identity, named: "alice", now: now)
    vault = try await UnlockedVault(store, identity: identity, keyFile: { _ in keyFile }, randomness: .system)
    let apps = try #require(server.integrationApps.first)
    let adminPair = try #require(server.adminApp.consumers.first?.primary)
    _ = try await vault.add(
      name: "admin", provider: "salesforce", settings: ["url": url], policy: Policy(), admin: "admin",
      pair: pair(adminPair), now: now)
    var chosen = Policy()
    try chosen.set("propagation", to: "0s")
    for (key, value) in policy { try chosen.set(key, to: value) }
    let consumer = try #require(apps.consumers.last)
    _ = try await vault.add(
      name: "crm", provider: "salesforce",
      settings: ["url": url, "app": apps.identifier].merging(extra) { $1 }, policy: chosen,
      admin: isSelfAdministered ? "crm" : "admin", pair: pair(try #require(consumer.primary)), now: now)
  }

  func stop() async { await server.stop() }

  /// One run, as a fresh process would make it.
  func run(
    _ goal: RotationRunner.Goal = .rotate, isGone: @escaping @Sendable (String) -> Bool = { _ in false },
    store other: (any Store)? = nil
  ) async throws -> RotationOutcome {
    let transport = CurlTransport()
    defer { Task { await transport.shutdown() } }
    let vault = vault
    let clock = clock
    let credential = try await self.credential()
    let admin = try await store.read { try VaultView($0).credential(credential.admin) }
    let provider = try SalesforceProvider(
      settings: credential.settings,
      admin: AdminAccess(name: admin.name, settings: admin.settings) {
        try await vault.active(of: admin.name, now: clock.now())
      },
      transport: transport)
    let runner = RotationRunner(
      vault: vault, timing: clock.timing, holder: "scenario", isGone: isGone,
      progress: { progress in self.events.withLock { $0.append(progress.event) } })
    return try await runner.run("crm", goal: goal, provider: provider)
  }

  func credential() async throws -> Credential { try await store.read { try VaultView($0).credential("crm") } }

  /// The org's consumer that the credential belongs to.
  func consumer() throws -> SimulatedConsumer {
    try #require(server.integrationApps.first?.consumers.last)
  }

  /// Whether the org accepts the vault's version in `stage` now.
  func isAccepted(_ stage: Stage) async throws -> Bool {
    let pairs = try await vault.pairs(
      of: "crm", choosing: { $0.versions.filter { $0.stage == stage } }, event: .pairUsed, now: clock.now())
    guard let pair = pairs.last?.pair else { return false }
    return server.accepts(key: text(pair.clientID), secret: text(pair.clientSecret))
  }

  func logIsWhole() async throws -> LogReport { try await store.read { try LogVerification.verify(storedIn: $0) } }
}

extension UnlockedVault {
  func active(of name: String, now: Timestamp) async throws -> Pair {
    let pairs = try await pairs(
      of: name, choosing: { $0.versions.filter { $0.stage == .active } }, event: .pairUsed, now: now)
    return try #require(pairs.first?.pair)
  }
}

func text(_ secret: borrowing SecretBytes) -> String {
  secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
}

func pair(_ issued: IssuedPair) throws -> Pair {
  let id = Array(issued.key.utf8)
  let secret = Array(issued.secret.utf8)
  return Pair(
    clientID: try SecretBytes(copying: id.span.bytes), clientSecret: try SecretBytes(copying: secret.span.bytes))
}

/// A clock that sleeping moves.
final class ScenarioClock: Sendable {
  private let milliseconds = Mutex<Int64>(1_795_000_000_000)

  func now() -> Timestamp { Timestamp(milliseconds: milliseconds.withLock { $0 }) }

  func advance(by duration: Duration) {
    milliseconds.withLock {
      $0 += duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
    }
  }

  var timing: RotationTiming {
    RotationTiming(now: { self.now() }, sleep: { self.advance(by: $0) }, randomness: .system)
  }
}
