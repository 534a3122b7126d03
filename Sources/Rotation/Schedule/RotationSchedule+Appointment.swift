package import Audit
package import Vault

extension RotationSchedule {
  /// When a scheduled rotation should begin, and from when its absence is a fault.
  package struct Appointment: Hashable, Sendable {
    package let begins: Timestamp
    package let overdue: Timestamp
  }

  /// How long a credential may be due with nothing in its way before that is a fault: runs come every few minutes.
  package static let tolerance: Duration = .seconds(3600)

  /// When the active pair of `credential` is to be replaced; nil if it has neither a greatest age nor an end, and did
  /// not leak and is not exposed. The result does not depend on the present time, so that a caller can wait for it.
  ///
  /// It is overdue when the first window ends that left enough time after it became due; without a window, or if the
  /// pair leaked, after `tolerance`. A window that one of `partners` took does not count, nor does a grace during which
  /// the staging slot is held. A pair that its provider will end is overdue in time before that, whatever holds it.
  package func appointment(
    for credential: Credential, journal: RotationJournal?, partners: [Credential]
  ) -> Appointment? {
    guard let (wanted, reason) = newPairMoment(of: credential) else { return nil }
    // Nothing delays the end of a leak.
    guard reason != .leaked else { return Appointment(begins: wanted, overdue: wanted + Self.tolerance) }
    let found = appointment(for: credential, wanted: wanted, journal: journal, partners: partners)
    guard let last = lastChance(of: credential), reason == .age || reason == .ending else { return found }
    return Appointment(
      begins: found.begins <= last ? found.begins : wanted, overdue: min(found.overdue, max(last, wanted)))
  }

  private func appointment(
    for credential: Credential, wanted: Timestamp, journal: RotationJournal?, partners: [Credential]
  ) -> Appointment {
    var moment = wanted
    if let graceEnds = journal?.graceEnds(of: credential) { moment = max(moment, graceEnds) }
    let counting = partners.filter { $0.versions.count > 1 && !leavesNoDay($0) }
    let taken = counting.compactMap { $0.version(in: .active)?.since }
    // Each partner takes one window at most.
    for _ in partners {
      guard let next = end(ofTurnTakenBy: taken, from: moment, of: credential) else { break }
      moment = next
    }
    return appointment(from: moment, of: credential)
  }

  /// The appointment of `credential` if only its window holds it back from `moment` on.
  private func appointment(from moment: Timestamp, of credential: Credential) -> Appointment {
    guard let window = credential.policy.window else {
      return Appointment(begins: moment, overdue: moment + Self.tolerance)
    }
    let zone = zone(of: window)
    let opens = window.first(from: moment, reserve: .zero, in: zone)?.opens ?? moment
    let closes = window.first(from: moment, reserve: Self.tolerance, in: zone)?.closes ?? moment + Self.tolerance
    return Appointment(begins: max(moment, opens), overdue: closes)
  }

  /// The same as it appears at `now`, where `credential` has `standing`.
  ///
  /// What its partners hold back now is not overdue before the hold is over. It is overdue now if the active pair was
  /// made in the future, or leaked or was exposed then: nobody knows since when that is so, and no schedule finds a pair
  /// before the date of its age.
  package func appointment(
    for credential: Credential, journal: RotationJournal?, partners: [Credential], standing: Standing? = nil,
    now: Timestamp
  ) -> Appointment? {
    guard let found = appointment(for: credential, journal: journal, partners: partners) else { return nil }
    let isAhead = newPairMoment(of: credential).map { moment, reason in
      (reason == .leaked || reason == .exposed) && moment > now + Self.maximumClockSkew
    }
    guard !isMisdated(credential, now: now), isAhead != true else {
      return Appointment(begins: min(found.begins, now), overdue: min(found.overdue, now))
    }
    guard let ends = standing?.endOfPartnersHold(now: now) else { return found }
    let held = appointment(from: ends, of: credential)
    let last = lastChance(of: credential) ?? held.overdue
    return Appointment(
      begins: max(found.begins, min(held.begins, last)), overdue: max(found.overdue, min(held.overdue, last)))
  }

  /// When the window in which `credential` would rotate after `moment` is over, if one of the moments `taken` lies in
  /// it; nil if none does. Without a window its turn is the day after a partner's rotation.
  private func end(ofTurnTakenBy taken: [Timestamp], from moment: Timestamp, of credential: Credential) -> Timestamp? {
    guard let window = credential.policy.window else {
      let day = Duration.seconds(86_400)
      return taken.filter { $0 < moment + Self.tolerance && moment < $0 + day }.max().map { $0 + day }
    }
    let zone = zone(of: window)
    return [Duration.zero, Self.tolerance].compactMap { window.first(from: moment, reserve: $0, in: zone) }
      .first { span in taken.contains { span.opens <= $0 && $0 < span.closes } }?.closes
  }
}

extension RotationSchedule.Standing {
  /// Until when the credentials it must not rotate together with hold it back; `now` if they do and nobody knows how
  /// long. Nil if they do not.
  fileprivate func endOfPartnersHold(now: Timestamp) -> Timestamp? {
    switch self {
    case .held(let until, .together), .held(let until, .turn): until ?? now
    case .held, .due, .waiting, .unscheduled: nil
    }
  }
}
