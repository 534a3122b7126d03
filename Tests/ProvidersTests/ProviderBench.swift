import Age
import Audit
import Contracts
import Foundation
import Providers
import Rotation
import Sodium
import Storage
import Synchronization
import Testing
import Transport
import Vault

/// What one credential of a provider is added with.
struct Tenancy: Sendable {
  /// The credential that administers it, if it does not do so itself.
  struct Administrator: Sendable {
    let settings: [String: String]
    let pair: Pair
  }

  let provider: String
  let settings: [String: String]
  let pair: Pair
  var admin: Administrator?
  /// What starts its program, if it has one.
  var programs: (any ProgramHost)?
  /// Who does by hand what its provider has no requests for.
  var person: (any Operator)?
}

/// A vault in memory with one credential, `crm`, its real provider, and a clock that sleeping advances.
final class ProviderBench: Sendable {
  let store = MemoryStore(tables: vaultTables)
  let vault: UnlockedVault
  let now: Mutex<Timestamp>
  private let tenancy: Tenancy
  private let curl = CurlTransport()
  private let transport: any HTTPTransport

  /// `between` is placed between the provider and the network, if given.
  init(
    _ tenancy: Tenancy, policy: [String: String] = [:],
    between: (any HTTPTransport) -> any HTTPTransport = { $0 }
  ) async throws {
    self.tenancy = tenancy
    transport = between(curl)
    // The present time: a server's own clock is not moved.
    let start = Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))
    now = Mutex(start)
    let identity = try Identity(AgeIdentity(generating: .system))
    let (header, keyFile) = try VaultCreation.prepare(for: identity.age.recipient, now: start, randomness: .system)
    try await VaultCreation.create(header, in: store, owner: identity, named: "alice", now: start)
    vault = try await UnlockedVault(store, identity: identity, keyFile: { _ in keyFile }, randomness: .system)
    var chosen = Policy()
    for (key, value) in ["propagation": "0s", "grace": "0s"].merging(policy, uniquingKeysWith: { $1 }) {
      try chosen.set(key, to: value)
    }
    if let admin = tenancy.admin {
      _ = try await vault.add(
        name: "admin", provider: tenancy.provider, settings: admin.settings, policy: Policy(), admin: "admin",
        pair: admin.pair, now: start)
    }
    _ = try await vault.add(
      name: "crm", provider: tenancy.provider, settings: tenancy.settings, policy: chosen,
      admin: tenancy.admin == nil ? "crm" : "admin", pair: tenancy.pair, now: start)
  }

  /// The provider as a fresh process would make it.
  func provider() async throws -> any ProviderKind {
    let credential = try await credential()
    let admin = tenancy.admin
    let name = admin == nil ? "crm" : "admin"
    let (vault, now) = (vault, now.withLock { $0 })
    return try providerKind(tenancy.provider).init(
      settings: credential.settings,
      admin: AdminAccess(
        name: name, settings: admin?.settings ?? credential.settings, isSelf: admin == nil,
        operator: tenancy.person, programs: tenancy.programs
      ) {
        let opened = try await vault.pairs(
          of: name, choosing: { $0.versions.filter { $0.stage == .active } }, event: .pairUsed, now: now)
        guard let pair = opened.first?.pair else { throw VaultError(.notFound, "no active pair") }
        return pair
      }, transport: SteadyTransport(transport))
  }

  func run(_ goal: RotationRunner.Goal = .rotate) async throws -> RotationOutcome {
    let timing = RotationTiming(
      now: { self.now.withLock { $0 } },
      sleep: { duration in
        // Keeping a lease while a person is waited for must not itself make time pass.
        guard duration < .seconds(60) else { return try await Task.sleep(for: duration) }
        self.now.withLock { $0 = $0 + duration }
      },
      randomness: .system)
    return try await RotationRunner(
      vault: vault, timing: timing, holder: "bench", isGone: { _ in true }, progress: { _ in }
    ).run("crm", goal: goal, provider: provider())
  }

  func credential() async throws -> Credential { try await store.read { try VaultView($0).credential("crm") } }

  func state() async throws -> RotationState? {
    try await store.read { transaction in
      let view = try VaultView(transaction)
      return try RotationJournal(view, of: view.credential("crm"))?.machine.state
    }
  }

  /// All of the vault's pairs that are not retired, the newest last.
  func saved() async throws -> [(version: Version, pair: Pair)] {
    try await vault.pairs(
      of: "crm", choosing: { $0.versions.filter { $0.stage != .retired } }, event: .pairUsed,
      now: now.withLock { $0 })
  }

  func active() async throws -> Pair {
    try #require(try await saved().last { $0.version.stage == .active }).pair
  }

  /// The same pairs as the engine would give them to `observe`.
  func known(isStaging: Bool = false) async throws -> KnownPairs {
    let pairs = try await saved().map { ($0.version.number, $0.pair) }
    return KnownPairs(of: try await credential(), Dictionary(uniqueKeysWithValues: pairs), isStaging: isStaging)
  }

  func stop() async { await curl.shutdown() }
}

/// The code and the whole text of the error that `body` throws.
func rotationFailure(_ body: () async throws -> Void) async -> (code: RotationError.Code?, text: String)? {
  do {
    try await body()
    return nil
  } catch { return ((error as? RotationError)?.code, "\(error)") }
}

func secretText(_ secret: borrowing SecretBytes) -> String {
  secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
}
