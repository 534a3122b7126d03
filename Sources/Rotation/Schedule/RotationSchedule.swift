package import Audit
import JSON
import Storage
package import Vault

/// Whether a credential is to be rotated now, and why. This is decided by its record, its journal, the credentials it
/// must not rotate together with, and the time. It holds back automatic rotations only, never what a person asks for.
package struct RotationSchedule: Sendable {
  private let zones: @Sendable (String) -> TimeZoneRules?

  package init(zones: @escaping @Sendable (String) -> TimeZoneRules?) { self.zones = zones }

  /// After the n-th failed attempt in a row the next one waits 1, 2, 4 … minutes, at most 6 hours, so that a cron job
  /// run every minute does not flood the provider.
  package static func pause(afterAttempts attempts: Int) -> Duration { DeliveryRecord.pause(afterAttempts: attempts) }

  /// After the n-th rotation in a row whose new pair was refused the next one waits 1, 2, 4 … hours, at most a day.
  package static func pause(afterRejections rotations: Int) -> Duration {
    rotations == 0 ? .zero : .seconds(min(24, 1 << min(rotations - 1, 5)) * 3600)
  }

  /// Where `credential`, a record of `view`, stands at `now`.
  package func standing(of credential: Credential, in view: VaultView, now: Timestamp) throws -> Standing {
    try standing(of: credential, journal: RotationJournal(view, of: credential), in: view, now: now)
  }

  /// The same, with a journal that was already read.
  package func standing(
    of credential: Credential, journal: RotationJournal?, in view: VaultView, now: Timestamp
  ) throws -> Standing {
    let credential = try view.withReachEnded(credential, now: now)
    let standing = try standing(
      of: credential, journal: journal,
      partners: {
        // No rotation of a credential with a damaged journal goes on.
        try view.partners(of: credential).map { partner in
          let holder = try view.leaseHolder(of: RotationRunner.leaseName(of: partner))
          let journal = try? RotationJournal(view, of: partner)
          return Partner(
            credential: partner, journal: journal, isAtWork: holder?.lasts(at: now.milliseconds) ?? false,
            partners: journal?.hasOnlyFailed == true ? try view.partners(of: partner) : [])
        }
      }, now: now)
    guard let transfer = credential.transfer, standing.isDue,
      let until = try transfer.leftAloneUntil(credential, in: view, now: now), until > now
    else { return standing }
    return .held(until: until, .attempts(Int(clamping: transfer.attempts)))
  }

  /// Where `credential` stands at `now`. `partners` are the credentials it must not rotate together with; they are read
  /// only if nothing else decides.
  package func standing(
    of credential: Credential, journal: RotationJournal?, partners: () throws -> [Partner], now: Timestamp
  ) rethrows -> Standing {
    if let transfer = credential.transfer {
      guard credential.version(in: .active) != nil else { return .unscheduled }
      let isMisdated = transfer.tried.map { $0 > now + Self.maximumClockSkew } ?? false
      return transfer.due <= now || isMisdated ? .due(.debt) : .waiting(until: transfer.due, .debt)
    }
    let standing = try standingOfRotation(of: credential, journal: journal, partners: partners, now: now)
    guard let moment = deliveryMoment(of: credential, journal: journal, now: now) else { return standing }
    switch standing {
    // The rotation delivers its own pair.
    case .due(.age), .due(.ending), .due(.exposed), .due(.leaked), .due(.unfinished): return standing
    case _ where moment <= now: return .due(.delivery)
    case .due: return .held(until: moment, .undelivered)
    case .waiting(let until, _) where until <= moment: return standing
    case .waiting, .unscheduled: return .waiting(until: moment, .delivery)
    case .held: return standing
    }
  }

  /// When to try the sinks and hooks that lack the active pair: at once if one was never tried, or in the future,
  /// otherwise after a pause. Nil if none lacks it, or if a rotation is under way that will deliver when it is verified.
  private func deliveryMoment(of credential: Credential, journal: RotationJournal?, now: Timestamp) -> Timestamp? {
    if let journal {
      let state = journal.machine.state
      guard state.isFinal || [.owed, .deleted, .proving].contains(state), !journal.withholdsDelivery(credential) else {
        return nil
      }
    }
    return credential.deliveredNext.map { delivery in
      guard let next = delivery.nextAttempt, let tried = delivery.tried, tried <= now + Self.maximumClockSkew else {
        return min(credential.created, now)
      }
      // The leaked pair is kept until every sink and hook has its replacement, so they are tried as often as its end.
      return credential.leak == nil ? next : min(next, tried + Self.maximumPauseOfLeak)
    }.min()
  }

  /// Where it stands as far as rotations and debts are concerned.
  private func standingOfRotation(
    of credential: Credential, journal: RotationJournal?, partners: () throws -> [Partner], now: Timestamp
  ) rethrows -> Standing {
    guard let (moment, reason) = dueMoment(of: credential, journal: journal, now: now) else { return .unscheduled }
    if let journal, let (resumes, obstacle) = pause(of: journal, isLeaked: credential.leak != nil, now: now),
      resumes > max(now, moment)
    {
      return .held(until: resumes, obstacle)
    }
    if moment > now {
      if reason == .debt, let (wanted, _) = newPairMoment(of: credential), wanted <= now {
        return .held(until: moment, .grace)
      }
      return .waiting(until: moment, reason)
    }
    // What was begun is finished outside the window too: the longer a rotation is open, the more can go wrong.
    if reason == .unfinished, let journal, journal.hasOnlyFailed, credential.leak == nil {
      let held = try together(partners(), since: now + (.zero - Self.day), journal, of: credential, now: now) {
        $0 + Self.day
      }
      return unlessItEnds(credential, held, .due(reason), now: now)
    }
    guard reason.isHeldBack else { return .due(reason) }
    let held = try obstacle(to: credential, partners: partners, now: now)
    return unlessItEnds(credential, held, .due(reason), now: now)
  }

  /// A time that only says since when is never later than `now`, so that one written by a clock that was ahead delays
  /// nothing.
  private func dueMoment(
    of credential: Credential, journal: RotationJournal?, now: Timestamp
  ) -> (Timestamp, Reason)? {
    if let journal, !journal.machine.state.isFinal {
      if let graceEnds = journal.machine.graceBefore {
        if let leak = credential.leak { return (min(leak.since, graceEnds, now), .debt) }
        return (graceEnds, .debt)
      }
      return (min(journal.latest, now), .unfinished)
    }
    // A failed rotation leaves its leak to the next one.
    if let leak = credential.leak { return (min(leak.since, now), .leaked) }
    guard let (moment, reason) = newPairMoment(of: credential) else { return nil }
    switch reason {
    case .age, .ending: return (isMisdated(credential, now: now) ? min(moment, now) : moment, reason)
    case .debt, .delivery, .exposed, .leaked, .unfinished: return (min(moment, now), reason)
    }
  }

  /// Whether the active pair was made in the future. An age that cannot be known counts as reached.
  func isMisdated(_ credential: Credential, now: Timestamp) -> Bool {
    credential.version(in: .active).map { $0.created > now + Self.maximumClockSkew } ?? false
  }

  /// A date further ahead than this was written by a wrong clock: nobody knows the real one.
  package static let maximumClockSkew: Duration = .seconds(3600)

  private static let day = Duration.seconds(86_400)

  /// Whether `credential` rather than `other` is to be rotated first, of two that must not rotate together: one that
  /// leaked, then the one that has been due for longer, then the first by name.
  package func precedes(_ credential: Credential, _ other: Credential, now: Timestamp) -> Bool {
    func rank(_ credential: Credential) -> (Int, Timestamp, String) {
      guard let (moment, reason) = newPairMoment(of: credential) else { return (2, now, credential.name) }
      let isOfAge = reason == .age || reason == .ending
      let since = isOfAge && !isMisdated(credential, now: now) ? moment : min(moment, now)
      return (reason == .leaked ? 0 : 1, since, credential.name)
    }
    return rank(credential) < rank(other)
  }

  /// From when a new pair is wanted, whatever is under way; nil without a leak, an exposure, a greatest age or an end.
  ///
  /// A pair that someone else could have opened is to be replaced from the moment their access ended, whatever age it
  /// may reach, and even if the policy sets none.
  func newPairMoment(of credential: Credential) -> (Timestamp, Reason)? {
    guard !credential.isTransferred else { return nil }
    if let leak = credential.leak, credential.isActiveLeaked { return (leak.since, .leaked) }
    if let exposure = credential.exposure { return (exposure.since, .exposed) }
    return limit(of: credential)
  }

  /// Ending a leak is tried again after this at the latest, unless the provider asked to be left alone for longer.
  package static let maximumPauseOfLeak: Duration = .seconds(300)

  /// Until when the next attempt waits because of those before it; nil if they went well, or if nobody knows when they
  /// were made. `isLeaked` says that the attempt is to end a leak.
  package func pause(
    of journal: RotationJournal, isLeaked: Bool = false, now: Timestamp
  ) -> (until: Timestamp, Obstacle)? {
    guard journal.latest <= now + Self.maximumClockSkew, let (until, obstacle) = pauseAfterFailures(journal) else {
      return nil
    }
    guard isLeaked else { return (until, obstacle) }
    let longest = journal.latest + Self.maximumPauseOfLeak
    return (min(until, max(longest, journal.leftAloneUntil ?? longest)), obstacle)
  }

  /// The earliest time at which a schedule continues with the leak of `credential`; nil for at once.
  package func nextAttempt(
    on credential: Credential, journal: RotationJournal?, in view: VaultView, now: Timestamp
  ) throws -> Timestamp? {
    switch try standing(of: credential, journal: journal, in: view, now: now) {
    case .held(let until, _): until
    case .waiting(let until, _): until
    case .due, .unscheduled: nil
    }
  }

  private func pauseAfterFailures(_ journal: RotationJournal) -> (until: Timestamp, Obstacle)? {
    if journal.machine.state == .failed {
      let rotations = max(1, journal.failedRotations)
      return (journal.latest + Self.pause(afterRejections: rotations), .rejected(rotations))
    }
    guard journal.failedAttempts > 0 || journal.leftAloneUntil != nil else { return nil }
    // A first lost answer is not counted as an attempt, but may carry the provider's wish to be left alone.
    let attempts = max(1, journal.failedAttempts)
    let pauseEnds = journal.latest + Self.pause(afterAttempts: attempts)
    return (max(pauseEnds, journal.leftAloneUntil ?? pauseEnds), .attempts(attempts))
  }

  /// When the active pair is to be replaced; nil without a greatest age or an end.
  package func ageLimit(of credential: Credential) -> Timestamp? { limit(of: credential)?.0 }

  /// The same, and which of both comes first. No age is reached within `Policy.minimumAge` of its making: a record
  /// written before that minimum applied may hold one by which a new pair would be due at once. Nor is a new pair due at
  /// once because a wrong clock, here or there, says that each new one has ended already.
  private func limit(of credential: Credential) -> (Timestamp, Reason)? {
    guard let made = credential.version(in: .active)?.created else { return nil }
    let age = credential.maximumAge.map { max($0, made + Policy.minimumAge) }
    let least = credential.endsAfterMaking ? Self.minimumLife : Policy.minimumAge
    let end = credential.endLimit.map { max($0, made + least) }
    guard let end, age.map({ end <= $0 }) ?? true else { return age.map { ($0, .age) } }
    return (end, .ending)
  }

  /// No schedule replaces a pair sooner: one that its provider ends within this cannot be kept alive.
  static let minimumLife: Duration = .seconds(300)

  /// From when on nothing but failed attempts holds back the replacement of the active pair, which its provider will
  /// end: halfway from when it is due to that. Nil if no end is known, or if it cannot be true.
  func lastChance(of credential: Credential) -> Timestamp? {
    guard let limit = credential.endLimit, let end = credential.version(in: .active)?.expires,
      credential.endsAfterMaking
    else { return nil }
    return limit + .milliseconds((end.milliseconds - limit.milliseconds) / 2)
  }

  /// `held`, or `due` if the provider would end the active pair before what is waited for is over: outside its window,
  /// or beside another credential, it is better replaced than lost.
  private func unlessItEnds(
    _ credential: Credential, _ held: Standing?, _ due: Standing, now: Timestamp
  ) -> Standing {
    guard let held else { return due }
    guard let last = lastChance(of: credential), case .held(let until, let obstacle) = held else { return held }
    if let until { return until <= last ? held : due }
    return now < last ? .held(until: last, obstacle) : due
  }

  /// The window's zone; UTC if the system does not know it.
  func zone(of window: RotationWindow) -> TimeZoneRules { zones(window.zone) ?? .utc }

  /// The zone of the credential's window if this machine does not know it; a schedule rotates the credential then only
  /// if its provider will end its pair.
  package func unknownZone(of credential: Credential) -> String? {
    guard let zone = credential.policy.window?.zone, zones(zone) == nil else { return nil }
    return zone
  }

  private func obstacle(
    to credential: Credential, partners: () throws -> [Partner], now: Timestamp
  ) rethrows -> Standing? {
    guard let window = credential.policy.window else {
      let partners = try partners()
      return together(partners, since: now + (.zero - Self.day), now: now) { $0 + Self.day }
        ?? turn(of: partners, before: credential, now: now)
    }
    guard let zone = zones(window.zone) else { return .held(until: nil, .unknownZone(window.zone)) }
    guard let opened = window.opening(at: now, in: zone) else {
      return .held(until: window.nextOpening(after: now, in: zone), .window)
    }
    let partners = try partners()
    return together(partners, since: opened, now: now) { _ in window.nextOpening(after: now, in: zone) }
      ?? turn(of: partners, before: credential, now: now)
  }

  /// The first of `partners` that was rotated at `opened` or later, or is being rotated, as a reason to wait. `journal`
  /// is that of `credential` if its own rotation has begun, and made no pair.
  private func together(
    _ partners: [Partner], since opened: Timestamp, _ journal: RotationJournal? = nil,
    of credential: Credential? = nil, now: Timestamp, until: (Timestamp) -> Timestamp?
  ) -> Standing? {
    for partner in partners {
      // Of two that have begun and made no pair, the one that began first goes on.
      let isFirst =
        if let journal, let credential, let other = partner.journal, other.hasOnlyFailed {
          (journal.began, credential.name) < (other.began, partner.credential.name)
        } else { false }
      if !isFirst || partner.isAtWork, mayPromote(partner, now: now) {
        return .held(until: nil, .together(with: partner.credential.name))
      }
      guard !leavesNoDay(partner.credential), let rotated = lastRotation(of: partner.credential, now: now),
        rotated >= opened
      else { continue }
      return .held(until: until(rotated), .together(with: partner.credential.name))
    }
    return nil
  }

  /// When the active pair of `credential` became active; nil if it was added, not rotated, or if a wrong clock says so.
  private func lastRotation(of credential: Credential, now: Timestamp) -> Timestamp? {
    guard let active = credential.version(in: .active), active.number > 1, active.since <= now + Self.maximumClockSkew
    else { return nil }
    return active.since
  }

  /// Whether the provider ends the pairs of `partner` so early that it is rotated more often than daily. Whoever waited
  /// for a day, or a window, without its rotations would wait for ever.
  func leavesNoDay(_ partner: Credential) -> Bool {
    guard let limit = partner.endLimit, let made = partner.version(in: .active)?.created, partner.endsAfterMaking
    else { return false }
    return limit < made + Self.day
  }

  /// Whether a rotation of `partner` is under way that may still replace its active pair. One that has no new
  /// pair, and waits without a run at work, after a failed attempt or for a day after one of its own partners, cannot.
  private func mayPromote(_ partner: Partner, now: Timestamp) -> Bool {
    switch partner.journal?.machine.state {
    case .ready:
      guard !partner.isAtWork, let journal = partner.journal, journal.hasOnlyFailed else { return true }
      let isLeaked = partner.credential.leak != nil
      guard pause(of: journal, isLeaked: isLeaked, now: now).map({ $0.until <= now }) ?? true else { return false }
      // `together` holds it like this when it is about to go on.
      let isHeld = partner.partners.contains { other in
        lastRotation(of: other, now: now).map { $0 >= now + (.zero - Self.day) } ?? false
      }
      return isLeaked || !isHeld || lastChance(of: partner.credential).map { $0 <= now + Self.day } ?? false
    case .staging, .staged, .validating, .validated, .promoting: return true
    case .promoted, .verifying, .owed, .retiring, .deleted, .proving, .settled, .rejected, .discarding, .failed, nil:
      return false
    }
  }

  /// A wait for the first of `partners` that has been due for longer than `credential`, and can begin before it.
  /// Otherwise one that is rotated often would never leave the other a day, or a window, to begin in.
  private func turn(of partners: [Partner], before credential: Credential, now: Timestamp) -> Standing? {
    for partner in partners where precedes(partner.credential, credential, now: now) {
      guard let ends = endOfTurn(of: partner, beside: credential, now: now), ends > now else { continue }
      return .held(until: ends, .turn(of: partner.credential.name))
    }
    return nil
  }

  /// Until when `partner`, which is due, may begin before `credential`: for an hour, or half its window, from when
  /// nothing that is known here holds it back. Nil if something does. It ends because another machine, a person or
  /// nobody may be the one to begin.
  private func endOfTurn(of partner: Partner, beside credential: Credential, now: Timestamp) -> Timestamp? {
    guard let (moment, reason) = newPairMoment(of: partner.credential), reason.isHeldBack,
      moment <= now || isMisdated(partner.credential, now: now),
      partner.journal.map({ $0.machine.state.isFinal }) ?? (partner.credential.rotation == 0),
      partner.journal.flatMap({ pause(of: $0, now: now) }).map({ $0.until <= now }) ?? true
    else { return nil }
    let rotated = lastRotation(of: credential, now: now)
    let since = min(moment, now)
    guard let window = partner.credential.policy.window else {
      return max(since, rotated.map { $0 + Self.day } ?? since) + Self.tolerance
    }
    guard let zone = zones(window.zone), let opened = window.opening(at: now, in: zone),
      rotated.map({ $0 < opened }) ?? true
    else { return nil }
    return max(since, opened) + min(Self.tolerance, window.length / 2)
  }
}

extension RotationJournal {
  /// Whether all its attempts failed before there was a new pair.
  fileprivate var hasOnlyFailed: Bool { machine.state == .ready && failedAttempts > 0 }
}

extension Transfer {
  /// Until when its provider asked to be left alone at the last try, at most a day; nil if it did not.
  fileprivate func leftAloneUntil(_ credential: Credential, in view: VaultView, now: Timestamp) throws -> Timestamp? {
    guard let tried, tried <= now + RotationSchedule.maximumClockSkew else { return nil }
    let entry = try view.authenticatedEntry(at: credential.entry)
    guard entry.event == EventName.handoffTried.text, case .integer(let seconds)? = entry.details["retry_after"] else {
      return nil
    }
    return tried + .seconds(min(seconds, 86_400))
  }
}
