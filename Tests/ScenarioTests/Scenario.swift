import Age
import Audit
import Contracts
import OrgSimulator
import Providers
import Rotation
import Sodium
import Storage
import Synchronization
import Testing
import Transport
import Vault

/// A vault in memory, an org over HTTP on loopback, and a time that passes for both only when someone sleeps.
final class Scenario: Sendable {
  let server: SimulatorServer
  let store: any Store
  let vault: UnlockedVault
  let clock: ScenarioClock
  let timeline: Timeline
  /// What the provider is like, as deviations from the default readings.
  let readings: [String]
  /// Every secret that the org ever showed, so that the log can be searched for it.
  let secrets: Mutex<Set<String>>
  /// The log at the last check of the laws.
  let remembered = Mutex<[[UInt8]]>([])
  private let identity: Identity
  private let keyFile: [UInt8]
  private let transport: CurlTransport

  /// The credential under test is `crm`; `admin` administers it, unless it administers itself.
  init(
    readings: [String] = [], store: any Store = MemoryStore(tables: vaultTables), isSelfAdministered: Bool = false,
    consumersPerApp: Int = 1, policy: [String: String] = [:], settings extra: [String: String] = [:]
  ) async throws {
    server = SimulatorServer(
      layout: OrgLayout(apps: 1, consumersPerApp: consumersPerApp, everyAppIsAdmin: isSelfAdministered),
      readings: try OrgReadings(readings), clock: ScenarioClock.orgStart)
    clock = ScenarioClock(server)
    timeline = Timeline()
    self.readings = readings
    secrets = Mutex([])
    transport = CurlTransport()
    let url = try await server.start()
    self.store = store
    identity = try Identity(AgeIdentity(generating: .system))
    let now = clock.now()
    let (header, keyFile) = try VaultCreation.prepare(for: identity.age.recipient, now: now, randomness: .system)
    self.keyFile = keyFile
    try await VaultCreation.create(header, in: store, owner: identity, named: "alice", now: now)
    vault = try await UnlockedVault(store, identity: identity, keyFile: { _ in keyFile }, randomness: .system)
    let app = try #require(server.integrationApps.first)
    let adminPair = try #require(server.adminApp.consumers.first?.primary)
    _ = try await vault.add(
      name: "admin", provider: "salesforce", settings: ["url": url], policy: Policy(), admin: "admin",
      pair: pair(adminPair), now: now)
    var chosen = Policy()
    try chosen.set("propagation", to: "0s")
    for (key, value) in policy { try chosen.set(key, to: value) }
    let consumer = try #require(app.consumers.last)
    _ = try await vault.add(
      name: "crm", provider: "salesforce",
      settings: ["url": url, "app": app.identifier].merging(extra) { $1 }, policy: chosen,
      admin: isSelfAdministered ? "crm" : "admin", pair: pair(try #require(consumer.primary)), now: now)
    noteSecrets()
  }

  /// The same vault and org as they were at `moment`, for a new run to continue from. Only one at a time: they share
  /// the org.
  init(_ other: Scenario, at moment: Moment) async throws {
    (server, transport, identity, keyFile) = (other.server, other.transport, other.identity, other.keyFile)
    readings = other.readings
    server.restore(moment.org)
    clock = ScenarioClock(server, at: moment.time)
    timeline = Timeline(moment.steps)
    secrets = Mutex(other.secrets.withLock { $0 })
    store = try await MemoryStore(holding: moment.rows)
    let keyFile = keyFile
    vault = try await UnlockedVault(store, identity: identity, keyFile: { _ in keyFile }, randomness: .system)
    try await catchUp()
    noteSecrets()
  }

  /// Runs `body` with a scenario, and stops the scenario whatever `body` does.
  static func with(
    _ readings: [String] = [], isSelfAdministered: Bool = false, consumersPerApp: Int = 1,
    policy: [String: String] = [:], _ body: (Scenario) async throws -> Void
  ) async throws {
    let scenario = try await Scenario(
      readings: readings, isSelfAdministered: isSelfAdministered, consumersPerApp: consumersPerApp, policy: policy)
    let result: Result<Void, any Error>
    do { result = .success(try await body(scenario)) } catch { result = .failure(error) }
    await scenario.stop()
    try result.get()
  }

  func stop() async {
    await transport.shutdown()
    await server.stop()
  }

  /// One run, as a fresh process would make it; over another store if the vault's own is to misbehave.
  func run(
    _ goal: RotationRunner.Goal = .rotate, over other: (any Store)? = nil, timing: RotationTiming? = nil,
    watching watch: ((any HTTPTransport) -> any HTTPTransport)? = nil,
    isGone: @escaping @Sendable (String) -> Bool = { _ in true }
  ) async throws -> RotationOutcome {
    let vault = try await opened(over: other ?? store)
    let clock = clock
    let (credential, admin) = try await vault.store.read { transaction in
      let view = try VaultView(transaction)
      let credential = try view.credential("crm")
      return (credential, try view.credential(credential.admin))
    }
    let provider = try SalesforceProvider(
      settings: credential.settings,
      admin: AdminAccess(name: admin.name, settings: admin.settings) {
        try await vault.active(of: admin.name, now: clock.now())
      },
      transport: SteadyTransport(watch?(transport) ?? transport))
    let runner = RotationRunner(
      vault: vault, timing: timing ?? clock.timing, holder: "scenario", isGone: isGone,
      progress: { [self] progress in
        // Only events of a rotation's journal count as its steps.
        guard !progress.event.hasPrefix("credential.") else { return }
        timeline.add(progress.event, after: server.requests.count)
        noteSecrets()
      })
    return try await runner.run("crm", goal: goal, provider: provider)
  }

  /// The same, with its failure as a value.
  func attempt(
    _ goal: RotationRunner.Goal = .rotate, over other: (any Store)? = nil, timing: RotationTiming? = nil,
    watching watch: ((any HTTPTransport) -> any HTTPTransport)? = nil,
    isGone: @escaping @Sendable (String) -> Bool = { _ in true }
  ) async -> Result<RotationOutcome, any Error> {
    do { return .success(try await run(goal, over: other, timing: timing, watching: watch, isGone: isGone)) } catch {
      return .failure(error)
    }
  }

  private func opened(over other: any Store) async throws -> UnlockedVault {
    let keyFile = keyFile
    return try await UnlockedVault(other, identity: identity, keyFile: { _ in keyFile }, randomness: .system)
  }

  /// Adds what a run that died had journalled and could no longer report.
  func catchUp() async throws {
    let events = try await store.read { transaction in
      let view = try VaultView(transaction)
      let credential = try view.credential("crm")
      guard credential.rotation > 0 else { return [String]() }
      return try (1...credential.rotation).flatMap { rotation in
        try view.journal(of: credential, rotation: rotation).map { String($0.event.dropFirst("rotation.".count)) }
      }
    }
    for event in events.dropFirst(timeline.journalled) { timeline.add(event, after: server.requests.count) }
  }

  func credential() async throws -> Credential { try await store.read { try VaultView($0).credential("crm") } }

  func state() async throws -> RotationState? {
    try await store.read { transaction in
      let view = try VaultView(transaction)
      return try RotationJournal(view, of: view.credential("crm"))?.machine.state
    }
  }

  /// The org's consumer that the credential belongs to.
  func consumer() throws -> SimulatedConsumer {
    try #require(server.integrationApps.first?.consumers.last)
  }

  /// The vault's pair in `stage`, if there is one.
  func saved(_ stage: Stage) async throws -> Pair? {
    try await vault.pairs(
      of: "crm", choosing: { $0.versions.filter { $0.stage == stage } }, event: .pairUsed, now: clock.now()
    ).last?.pair
  }

  /// Whether the org accepts the vault's version in `stage` now.
  func isAccepted(_ stage: Stage) async throws -> Bool {
    guard let pair = try await saved(stage) else { return false }
    return server.accepts(key: text(pair.clientID), secret: text(pair.clientSecret))
  }

  func logIsIntact() async throws -> LogReport { try await store.read { try LogVerification.verify(storedIn: $0) } }

  func noteSecrets() {
    let pairs = server.state.apps.flatMap(\.consumers).flatMap { [$0.primary, $0.slot?.pair] }.compactMap { $0 }
    secrets.withLock { secrets in
      for pair in pairs {
        secrets.insert(pair.key)
        secrets.insert(pair.secret)
      }
    }
  }
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
