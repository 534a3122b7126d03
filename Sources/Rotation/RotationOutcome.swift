package import Audit

/// How a run ended, if it did not stop early.
package enum RotationOutcome: Hashable, Sendable {
  /// The new version is active; the old one is owed, and left alone until `graceEnds`.
  case promoted(active: UInt64, previous: [UInt64], graceEnds: Timestamp)
  /// The old pair was seen to be refused: nothing is owed. `elsewhere` are versions that were made at a former place and
  /// are not known at the present one: nobody saw that place refuse them.
  case settled(active: UInt64, elsewhere: [UInt64] = [])
  /// The new pair was refused and removed again, or was gone when it was to be promoted; the old one is still active,
  /// even if it leaked.
  case rejected(active: UInt64, isGone: Bool = false, isLeaked: Bool = false)
  /// An operator gave the attempt up; the old pair is still active, and nothing is staged.
  case abandoned(active: UInt64)
  /// The old pair is deleted at the provider, which still accepts it.
  case stillAccepted(active: UInt64, previous: [UInt64])
  /// The version is active but has not arrived everywhere; what it replaced is left alone.
  case undelivered(active: UInt64, previous: [UInt64], [DeliveryShortfall])
  /// The active version has arrived everywhere; these sinks and hooks lacked it.
  case delivered(active: UInt64, to: [String])
  /// The version was handed over to another vault, and its pair was tried.
  case handedOver(version: UInt64, HandedOverPair)
}

/// What is known about a pair that was handed over, after it was tried.
package enum HandedOverPair: Hashable, Sendable {
  /// It is accepted: a debt.
  case accepted
  /// It is refused, but no receipt shows that another vault has it: it is kept, and stays a debt.
  case unconfirmed
  /// It is refused, but nothing shows that the provider does not refuse everybody: it can be settled at `settledFrom`
  /// at the earliest.
  case refused(settledFrom: Timestamp)
  /// It was seen to be refused, and is settled.
  case settled
}

/// One journalled step, for people and programs who watch.
package struct RotationProgress: Sendable {
  package let credential: String
  package let rotation: UInt64
  package let time: Timestamp
  /// The event's name in the log without `rotation.`; `begun` at the start.
  package let event: String
  /// The version it is about, if any.
  package let version: UInt64?
  /// The sink or hook that `version` was handed to; nil for a step of the rotation.
  package let delivery: String?
  /// Whether the provider had already made the pair primary, so that no new one is requested.
  package let isAdopted: Bool

  package init(
    credential: String, rotation: UInt64, time: Timestamp, event: String, version: UInt64?, delivery: String? = nil,
    isAdopted: Bool = false
  ) {
    self.isAdopted = isAdopted
    self.credential = credential
    self.rotation = rotation
    self.time = time
    self.event = event
    self.version = version
    self.delivery = delivery
  }
}
