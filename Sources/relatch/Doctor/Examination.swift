import Audit
import JSON
import Providers
import Rotation
import Transport
import Vault

/// What `doctor` examines credentials with: the vault, opened if possible, and one pool of connections.
struct Examination: Sendable {
  let transport: CurlTransport
  private let composition: RotationComposition?
  /// The identity's line, the same for every credential; nil if the identity opens the vault.
  private let identity: ChecklistLine?
  private let isOffline: Bool

  /// A missing identity, or one that opens nothing here, is a line and not a failure.
  init(_ places: Places, isOffline: Bool) async throws {
    self.isOffline = isOffline
    guard !isOffline else {
      transport = CurlTransport()
      composition = nil
      identity = ChecklistLine(.identity, .cannotTell, "because of --offline", because: "--offline")
      return
    }
    let failure: Failure
    do {
      let composition = RotationComposition(vault: try await places.openVault(), in: places)
      self.composition = composition
      transport = composition.transport
      self.identity = nil
      return
    } catch {
      failure = Failure(error)
      guard [.notPermitted, .notFound].contains(failure.code) else { throw failure }
    }
    transport = CurlTransport()
    composition = nil
    identity = ChecklistLine(.identity, .missing, failure.message, fix: failure.hint, concern: .vault)
  }

  /// All lines of one credential: this machine's, the provider's by its kind, and where the pair goes.
  func lines(of subject: PlanSubject) async throws -> [ChecklistLine] {
    let here = LocalChecklist(subject)
    let (vault, mayRelease) = here.vault()
    let (identity, pairs) = try await open(subject, mayRelease: mayRelease)
    let kind: any ProviderKind.Type
    do { kind = try providerKind(subject.credential.provider) } catch {
      // A kind of provider that only another version of the program has.
      return [identity, vault, ChecklistLine(.settings, .missing, error.description, fix: error.hint)]
    }
    let withheld: ChecklistStep? =
      vault.verdict == .missing && pairs == nil ? .vault : identity.verdict == .ok ? nil : .identity
    let checklist = await kind.examine(
      ChecklistSubject(
        credential: subject.credential,
        preflight: RotationPreflight(credential: subject.credential, journal: subject.journal, pairs: pairs ?? [:]),
        admin: try await administrator(of: subject.credential), withheld: withheld, isOffline: isOffline,
        transport: transport, now: { WallClock.now() }))
    let lines = [identity, vault] + checklist.lines.map { $0.naming(subject.credential) }
    return lines
      + here.after(
        active: subject.credential.version(in: .active).flatMap { pairs?[$0.number] },
        isRotated: subject.credential.canRotate)
  }

  /// The pairs that the provider may still accept; nil if they cannot be opened. Logged like every access.
  private func open(
    _ subject: PlanSubject, mayRelease: Bool
  ) async throws -> (identity: ChecklistLine, pairs: [UInt64: Pair]?) {
    guard let composition else {
      return (identity ?? ChecklistLine(.identity, .cannotTell, "it was not checked"), nil)
    }
    let vault = composition.vault
    let opens = ChecklistLine(.identity, .ok, "\(vault.member.name) opens it")
    // Nothing is released that cannot be logged.
    guard mayRelease else { return (opens, nil) }
    do {
      return (
        opens, try await vault.livingPairs(of: subject.credential.name, purpose: "doctor", now: WallClock.now())
      )
    } catch let error as VaultError where error.code == .notPermitted {
      let failure = Failure(error)
      return (
        ChecklistLine(
          .identity, .missing, failure.message,
          fix: vault.member.card.role == .auditor
            ? "an auditor opens nothing: an owner or an operator who may open it must run this"
            : "an owner can let \(vault.member.name) open it: `relatch grant \(subject.credential.name) \(vault.member.name)`",
          concern: .vault), nil
      )
    }
  }

  private func administrator(of credential: Credential) async throws -> AdminAccess? {
    guard let composition else { return nil }
    let admin: Credential
    do {
      admin = try await composition.vault.read {
        try credential.isSelfAdministered ? credential : $0.credential(credential.admin)
      }
    } catch let error as VaultError where error.code == .notFound { return nil }
    return composition.access(to: admin, for: credential, nil)
  }
}

extension ChecklistLine {
  /// The line with the credential's name in the commands that fix it, where a provider can only write NAME.
  fileprivate func naming(_ credential: Credential) -> ChecklistLine {
    var fix = fix
    // With a refused pair the credential cannot read the one that is in use.
    if step == .pair, credential.isSelfAdministered {
      fix = fix?.replacing("adopt NAME`", with: "adopt NAME --stdin`")
    }
    return ChecklistLine(
      step, verdict, text, fix: fix?.replacing(" NAME", with: " \(credential.name)"), because: because,
      concern: concern)
  }
}
