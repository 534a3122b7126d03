import Audit
import Providers
import Rotation
import Vault

/// What the schedule asks for now, found without unlocking anything.
struct DueCredentials: Sendable {
  /// By name. Leaves out what a live process is working on, and what must not be rotated together with one in this
  /// list that has been due for longer: a later run rotates that.
  let errands: [Errand]
  /// The failures of credentials that would be due if it were known when their window opens, of those that are due and
  /// that nobody can rotate, and of those whose record or journal is damaged.
  let failures: [(credential: String, failure: Failure)]
  /// To whom each of these credentials is exposed, by its name.
  let exposed: [String: [String]]

  /// What is due in `vault` at `now`. If `member` is given, only what that member can open: the rest is for others.
  init(in vault: LockedVault, by member: Member? = nil, now: Timestamp) async throws {
    (errands, failures, exposed) = try await vault.read { view in
      let due = try view.credentials(dueAt: now)
      var failures = due.failures.map { (credential: $0.credential, failure: Failure($0.error)) }
      var (found, wanting): ([Credential], [Credential]) = ([], [])
      for record in due.credentials {
        let credential = try view.withReachEnded(record, now: now)
        if let member, try !view.canOpen(credential, member) { continue }
        let standing: RotationSchedule.Standing
        do { standing = try RotationSchedule.system.standing(of: credential, in: view, now: now) } catch {
          // One that fails does not hold up the others.
          failures.append((credential.name, Failure(error)))
          continue
        }
        switch standing {
        case .due(let reason):
          let obstacle = credential.obstacle(to: reason)
          if obstacle == nil, try credential.waitsForPerson(reason, in: view) { continue }
          guard try view.runAtWork(on: credential, now: now, isGone: RunHolder.isGone) == nil else { continue }
          if let obstacle {
            failures.append((credential.name, obstacle))
            continue
          }
          found.append(credential)
          if reason.isForNewPair { wanting.append(credential) }
        case .held(_, .unknownZone(let zone)):
          failures.append((credential.name, Failure(unknownZone: zone, of: credential.name)))
        case .held, .waiting, .unscheduled: continue
        }
      }
      let left = Self.leftForLater(wanting, now: now)
      let chosen = found.filter { !left.contains($0.name) }
      let exposed = chosen.compactMap { credential in credential.exposure.map { (credential.name, $0.to) } }
      return (
        chosen.map { Errand(name: $0.name, goal: .scheduled) }, failures,
        Dictionary(exposed, uniquingKeysWith: { first, _ in first })
      )
    }
  }

  /// Those of `wanting`, which call for a new pair, that must not be rotated together with another that goes first.
  private static func leftForLater(_ wanting: [Credential], now: Timestamp) -> Set<String> {
    var (rotating, keptApart, left): (Set<String>, Set<String>, Set<String>) = ([], [], [])
    for credential in wanting.sorted(by: { RotationSchedule.system.precedes($0, $1, now: now) }) {
      let partners = credential.policy.notTogetherWith
      guard !keptApart.contains(credential.name), rotating.isDisjoint(with: partners) else {
        left.insert(credential.name)
        continue
      }
      rotating.insert(credential.name)
      keptApart.formUnion(partners)
    }
    return left
  }
}

extension Credential {
  /// Why nobody can do what is due for `reason` with this program: its kind of provider is not known, or it lacks what
  /// that needs to rotate it. Nil if it can be done.
  func obstacle(to reason: RotationSchedule.Reason) -> Failure? {
    if case .delivery = reason { return nil }
    if case .debt = reason { return nil }
    do { _ = try providerKind(provider) } catch { return Failure(error) }
    guard let missing = missingToRotate else { return nil }
    return Failure(
      .configuration, "\(name): \(ProviderDescriptor.Setting.missingText(missing))",
      hint: "set it: `relatch settings \(name) \(missing)=…`; docs/teams.md says how to do without")
  }

  /// Whether what is due needs a person at the provider. A schedule asks nobody.
  func waitsForPerson(_ reason: RotationSchedule.Reason, in view: VaultView) throws -> Bool {
    if case .delivery = reason { return false }
    if case .debt = reason { return false }
    // An owner must give it what it lacks, or add another credential instead (docs/leak.md).
    guard canRotate else { return true }
    guard byHand != nil else { return false }
    switch reason {
    case .delivery, .debt: return false
    case .age, .ending, .exposed: return true
    case .leaked where isActiveLeaked: return true
    case .unfinished, .leaked:
      let state = try RotationJournal(view, of: self)?.machine.state
      // Once the new pair is primary, nobody is asked any more.
      return state.map { !$0.isFinal && !$0.isOwing && $0 != .promoted && $0 != .verifying } ?? true
    }
  }
}

extension RotationSchedule {
  /// The schedule with the time zones of this machine.
  static let system = RotationSchedule { TimeZoneRules(named: $0) }
}

extension Policy {
  /// Throws a configuration failure unless this machine can tell when the window opens.
  func requireKnownZone(of name: String) throws {
    if let zone = window?.zone, TimeZoneRules(named: zone) == nil { throw Failure(unknownZone: zone, of: name) }
  }
}

extension Failure {
  init(unknownZone zone: String, of name: String) {
    self.init(
      .configuration, "\(name): its window names a zone this machine does not know: \(Name.printable(zone))",
      hint: "install the time zones (Debian: apt-get install tzdata), or name one of /usr/share/zoneinfo in the policy")
  }
}
