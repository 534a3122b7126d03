import Audit
import Delivery
import JSON
import Providers
import Rotation
import Sodium
import Synchronization
import Transport
import Vault

/// What rotations are made of: one connection pool and one session for each administrator, however many rotations run
/// at once.
final class RotationComposition: Sendable {
  let vault: UnlockedVault
  let transport = CurlTransport()
  /// Access by the administrator's name. Credentials that administer themselves are not here: their session changes
  /// during the rotation.
  private let accesses = Mutex<[String: AdminAccess]>([:])
  let delivery: LocalDelivery
  private let neighbours = Neighbours.ofKnownKinds()
  /// Opens when an administrator's pair has been opened: its token is about to be requested.
  let askedAdministrator = Gate()

  /// The tokens kept beside the vault. Any run that sees a leaked pair replaced ends them.
  let tokens: KeptTokens

  init(vault: UnlockedVault, in places: Places) {
    self.vault = vault
    tokens = KeptTokens(of: places)
    delivery = .ofThisProcess(in: places)
  }

  /// Runs one errand.
  func run(_ errand: Errand, reporting report: Report) async throws -> RotationOutcome {
    let leak = await leakBefore(of: errand.name, for: errand.goal)
    let result: Result<RotationOutcome, any Error>
    do { result = .success(try await rotate(errand, reporting: report)) } catch { result = .failure(error) }
    if let leak { await endKeptTokens(of: errand.name, leak, report) }
    return try result.get()
  }

  private func rotate(_ errand: Errand, reporting report: Report) async throws -> RotationOutcome {
    let (name, goal) = (errand.name, errand.goal)
    let runner = runner(reporting: report)
    return try await UnlockedVault.again {
      let (provider, keyID) = try await provider(of: name, for: goal)
      switch goal {
      case .rotate, .rotateReplacingPrevious, .scheduled, .revoke:
        if provider.replacement == .cutOver { report.note("\(name): \(Replacement.cutOverWarning)") }
      case .resume, .abort, .retire, .retireUndelivered, .deliver, .adopt: break
      }
      return try await runner.run(name, goal: goal, provider: provider, madeUnder: keyID) {
        await self.attempt(errand.found, report)
      }
    }
  }

  func runner(reporting report: Report) -> RotationRunner {
    RotationRunner(
      vault: vault,
      timing: RotationTiming(
        now: { WallClock.now() }, sleep: { try await WallClock.sleep($0) }, randomness: .system), schedule: .system,
      holder: RunHolder.words, isGone: RunHolder.isGone, delivery: delivery, neighbours: neighbours,
      progress: { report.step($0) })
  }

  /// Tries the found versions of one credential that were not tried yet.
  func attempt(_ found: [FoundVersion], _ report: Report) async {
    for version in found { await version.attempt(by: self, report) }
  }

  /// The provider of one credential, and the key of the record it was made from. If no provider can be made, some goals
  /// get one that is not asked: delivery of the active pair, for example, works even if there is nothing to rotate.
  private func provider(
    of name: String, for goal: RotationRunner.Goal
  ) async throws -> (provider: any CredentialProvider, keyID: String?) {
    let parties: Parties
    do { parties = try await self.parties(to: name) } catch {
      // A delivery asks the provider only in a vault that was restored.
      guard case .deliver = goal else { throw error }
      return (OfflineProvider(), nil)
    }
    do { return (try provider(for: parties, TerminalOperator.shared), parties.credential.keyID) } catch let error
      as ProviderError
    {
      switch goal {
      // A leak is noted whatever can be done about it, and an attempt that has asked for nothing can be given up.
      case .deliver, .resume, .scheduled, .revoke, .abort:
        let unasked = OfflineProvider(error, hasNothingToRotate: !parties.credential.canRotate)
        return (unasked, parties.credential.keyID)
      case .rotate, .rotateReplacingPrevious, .retire, .retireUndelivered, .adopt:
        if let local = error.local { throw local }
        throw RotationError(.provider(error.code), "\(name): \(error)", hint: error.hint, retryAfter: error.retryAfter)
      }
    }
  }

  /// The provider of one credential, for one run. Once a request has made a new connection, the run stays with the
  /// server behind it. Asks nobody. The administrator's pair is opened when it is first needed.
  func provider(of name: String) async throws -> any ProviderKind {
    try provider(for: await parties(to: name), nil)
  }

  /// A credential and its administrator, which may be the credential itself.
  private typealias Parties = (credential: Credential, admin: Result<Credential, ProviderError>)

  private func parties(to name: String) async throws -> Parties {
    try await vault.read { view in
      let credential = try view.credential(name)
      guard !credential.isSelfAdministered else { return (credential, .success(credential)) }
      do { return (credential, .success(try view.credential(credential.admin))) } catch {
        // What can be done without the administrator is still done.
        return (credential, .failure(ProviderError(.notPermitted, "\(error)", local: error)))
      }
    }
  }

  private func provider(for parties: Parties, _ person: (any Operator)?) throws -> any ProviderKind {
    try providerKind(parties.credential.provider).init(
      settings: parties.credential.settings,
      admin: access(to: parties.admin.get(), for: parties.credential, person),
      transport: SteadyTransport(transport))
  }

  /// Access to `admin`, the administrator of `credential`. Its pair is not opened before it is needed.
  func access(
    to admin: Credential, for credential: Credential, _ person: (any Operator)?
  ) -> AdminAccess {
    let vault = vault
    let purpose = credential.isSelfAdministered ? "administers itself" : "administers"
    let (askedAdministrator, neighbours) = (askedAdministrator, neighbours)
    let access = AdminAccess(
      name: admin.name, settings: admin.settings, isSelf: credential.isSelfAdministered, operator: person,
      programs: AllowedPrograms(vault: vault.header.id)
    ) {
      defer { askedAdministrator.open() }
      let member = vault.member
      guard try await vault.read({ try $0.canOpen($0.credential(admin.name), member) }) else {
        throw Failure(
          .notPermitted,
          "\(member.name) may not open \(admin.name), whose token drives the rotation of \(credential.name)",
          hint: "an owner can let them: `relatch grant \(admin.name) \(member.name)`")
      }
      let opened = try await vault.pairs(
        of: admin.name,
        choosing: { administrator in
          // The pair is for the server that the settings name now, but this session asks the one from before.
          guard administrator.settings == admin.settings else {
            throw VaultError(.keyChanged, "the settings of \(admin.name) were changed while runs used it")
          }
          guard let active = administrator.version(in: .active) else {
            throw ProviderError(
              .notPermitted, "\(administrator.name), which administers it, has no active version: it was handed over",
              hint: "`relatch status \(administrator.name)` says since when;"
                + " name another with `relatch settings \(credential.name) --admin …`")
          }
          return [active]
        }, event: .pairUsed, ["purpose": .string(purpose)], now: WallClock.now())
      guard let (version, pair) = opened.first else {
        throw VaultError(.notFound, "\(admin.name) has no active version")
      }
      try await neighbours.note(pair, as: version.number, of: admin.id)
      return pair
    }
    guard !credential.isSelfAdministered else { return access }
    return accesses.withLock { accesses in
      if let shared = accesses[admin.name], shared.settings == admin.settings { return shared }
      accesses[admin.name] = access
      return access
    }
  }
}
