package import Audit
import Sodium
package import Vault

/// Whether a credential is to be rotated now, and why: decided by its record, its journal and the time alone.
package struct RotationSchedule: Sendable {
  package enum Standing: Hashable, Sendable {
    /// To be worked on now.
    case due(Reason)
    /// Not before then; the reason it will be due for.
    case waiting(until: Timestamp, Reason)
    /// It would be due, and something stands in the way until then.
    case held(until: Timestamp, Obstacle)
    /// Its policy sets no age.
    case unscheduled
  }

  package enum Reason: String, Sendable {
    /// The active pair reaches its greatest age.
    case age
    /// A rotation was begun and is not finished.
    case unfinished
    /// A debt is past its grace.
    case debt
  }

  package enum Obstacle: Hashable, Sendable {
    /// Its window is closed.
    case window
    /// One it must not rotate together with was rotated in this window.
    case together(with: String)
    /// The replaced pair is in its grace, and holds the staging slot.
    case grace
    /// The last attempts failed; the next waits.
    case attempts(Int)
  }

  private let zones: @Sendable (String) -> TimeZoneRules?

  package init(zones: @escaping @Sendable (String) -> TimeZoneRules?) { self.zones = zones }

  /// After the n-th failed attempt in a row the next waits 1, 2, 4 … minutes, at most 6 hours. A minute's cron job makes no
  /// storm of it.
  package static func pause(afterAttempts attempts: Int) -> Duration {
    attempts == 0 ? .zero : .seconds(min(6 * 3600, 60 << min(attempts - 1, 9)))
  }

  /// Where `credential` stands at `now`. `partners` are those it must not rotate together with.
  package func standing(
    of credential: Credential, journal: RotationJournal?, partners: [Credential], now: Timestamp
  ) -> Standing {
    let (moment, reason) = dueMoment(of: credential, journal: journal)
    guard let moment, let reason else { return .unscheduled }
    if let journal, journal.failedAttempts > 0 {
      let next = journal.latest + Self.pause(afterAttempts: journal.failedAttempts)
      if next > now { return .held(until: next, .attempts(journal.failedAttempts)) }
    }
    if moment > now {
      if reason == .debt, let age = ageLimit(of: credential), age <= now { return .held(until: moment, .grace) }
      return .waiting(until: moment, reason)
    }
    // What was begun is finished whatever the window: the longer a rotation is open, the more can go wrong.
    guard reason == .age else { return .due(reason) }
    return obstacle(to: credential, partners: partners, now: now) ?? .due(.age)
  }

  private func dueMoment(of credential: Credential, journal: RotationJournal?) -> (Timestamp?, Reason?) {
    if let journal, !journal.machine.state.isFinal {
      if let graceEnds = journal.machine.graceEnds, journal.machine.state == .owed { return (graceEnds, .debt) }
      return (journal.latest, .unfinished)
    }
    return (ageLimit(of: credential), .age)
  }

  /// When the active pair is to be replaced: its age is that of the value, counted from when the provider made it. Jitter
  /// brings the moment forward, by a share that depends on the version alone, so that asking again never moves it.
  package func ageLimit(of credential: Credential) -> Timestamp? {
    guard let greatest = credential.policy.maxAge, let active = credential.version(in: .active) else { return nil }
    let seed = SHA256.hash(credential.id.bytes + Array("jitter \(active.number)".utf8)).bytes
    let share = Double(seed[0]) / 256 + Double(seed[1]) / 65_536
    let seconds = Double(credential.policy.jitter.components.seconds) * share
    return active.created + greatest + .seconds(-Int64(seconds))
  }

  /// The window's zone; UTC where the system does not know it.
  func zone(of window: RotationWindow) -> TimeZoneRules { zones(window.zone) ?? .utc }

  private func obstacle(to credential: Credential, partners: [Credential], now: Timestamp) -> Standing? {
    var opened = now + .seconds(-86_400)
    if let window = credential.policy.window {
      let zone = zone(of: window)
      guard let opening = window.opening(at: now, in: zone) else {
        return .held(until: window.nextOpening(after: now, in: zone) ?? now + .seconds(86_400), .window)
      }
      opened = opening
    }
    for partner in partners {
      guard let since = partner.version(in: .active)?.since, partner.versions.count > 1, since >= opened else {
        continue
      }
      let next =
        credential.policy.window.flatMap { $0.nextOpening(after: now, in: zone(of: $0)) } ?? since + .seconds(86_400)
      return .held(until: next, .together(with: partner.name))
    }
    return nil
  }
}
