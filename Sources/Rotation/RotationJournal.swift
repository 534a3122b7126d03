package import Audit
import JSON
package import Vault

/// One rotation, as its journal records it.
package struct RotationJournal: Sendable {
  package private(set) var machine = RotationMachine()
  package let number: UInt64
  /// The number of entries, including the one that began it; also the number of the next entry.
  package private(set) var steps: UInt32
  /// How many attempts in a row have failed since the last progress.
  package private(set) var failedAttempts = 0
  /// When the first entry was written.
  package let began: Timestamp
  /// How many rotations in a row, up to and including this one, ended with the old pair active; six at most are
  /// counted.
  package private(set) var failedRotations = 0
  /// When the latest entry was written.
  package private(set) var latest: Timestamp
  /// Until when the provider, since the last progress, asked to be left alone, at most a day each time; nil if it did
  /// not.
  package private(set) var leftAloneUntil: Timestamp?
  /// The latest event; nil if the rotation has only begun.
  private(set) var latestEvent: RotationEvent?
  /// When a new pair was last requested: the provider made it then, or a moment later.
  private(set) var stagingIntended: Timestamp?
  /// Whether its pair was given up because it was gone from the provider, and not because it was refused.
  private(set) var isPairGone = false
  /// Whether its pair was not made for it, but is one that a person said is in use.
  private(set) var isAdopted = false

  static let prefix = "rotation."
  static let begun = EventName("rotation.begun")

  /// Folds the journal of `credential`'s newest rotation; nil before the first.
  ///
  /// Throws `RotationError.corruptJournal` if the entries are not a history that the engine can write.
  package init?(_ view: VaultView, of credential: Credential) throws {
    guard credential.rotation > 0 else { return nil }
    let entries = try view.journal(of: credential, rotation: credential.rotation)
    func corrupt(_ reason: String) -> RotationError {
      RotationError(
        .corruptJournal, "the journal of rotation \(credential.rotation) of \(credential.name) is damaged: \(reason)")
    }
    guard let first = entries.first, first.event == Self.begun.text else { throw corrupt("its beginning is missing") }
    number = credential.rotation
    steps = 1
    began = first.time
    latest = first.time
    for entry in entries.dropFirst() {
      guard entry.event.hasPrefix(Self.prefix),
        let event = RotationEvent(name: String(entry.event.dropFirst(Self.prefix.count)))
      else { throw corrupt("it has an unexpected entry \(entry.event)") }
      var graceEnds: Timestamp?
      if case .string(let text)? = entry.details["grace_ends"] { graceEnds = Timestamp(text) }
      guard (event == .verified) == (graceEnds != nil) else {
        throw corrupt("the end of its grace is missing or misplaced")
      }
      guard entry.time >= latest else { throw corrupt("its times go backwards") }
      do { try machine.apply(event, at: entry.time, graceEnds: graceEnds) } catch { throw corrupt("\(error)") }
      count(event, at: entry.time, entry.details)
      if case .integer(let seconds)? = entry.details["retry_after"] {
        let until = latest + .seconds(min(seconds, 86_400))
        leftAloneUntil = max(until, leftAloneUntil ?? until)
      }
    }
    // Removing rows from the end would set a rotation back. The record names the newest entry about it, so that is
    // noticed.
    let newest = try view.authenticatedEntry(at: credential.entry)
    guard !newest.event.hasPrefix(Self.prefix) || newest == entries.last else { throw corrupt("its end is missing") }
    // The record decides when a schedule looks here again, so it must agree with the journal.
    guard credential.ended < number || machine.state.isFinal,
      credential.graceEnds == nil || credential.graceEnds == machine.graceBefore
    else { throw corrupt("it contradicts the credential's record") }
    guard machine.state == .failed else { return }
    failedRotations = 1
    while failedRotations < 6, failedRotations < number,
      try view.journal(of: credential, rotation: number - UInt64(failedRotations)).last?.isFailure == true
    { failedRotations += 1 }
  }

  init(beginning number: UInt64, at time: Timestamp) {
    self.number = number
    steps = 1
    began = time
    latest = time
  }

  mutating func append(
    _ event: RotationEvent, at time: Timestamp, graceEnds: Timestamp?, _ details: [String: JSONValue] = [:]
  ) throws {
    try machine.apply(event, at: time, graceEnds: graceEnds)
    count(event, at: time, details)
  }

  /// Whether the latest event says that an attempt failed.
  private(set) var endsInFailure = false

  /// The `reason` of `stage.intended` and `discarded` when a person says that the pair is in use.
  static let adopted = JSONValue.string("adopted")
  /// The `reason` of `discarded` when the pair leaked and is still to be seen refused.
  static let owed = JSONValue.string("owed")

  private mutating func count(_ event: RotationEvent, at time: Timestamp, _ details: [String: JSONValue]) {
    endsInFailure = false
    switch event {
    case .rejected:
      endsInFailure = true
      isPairGone = details["reason"] == .string(ProviderError.Code.notFound.rawValue)
    case .postponed, .abandoned: endsInFailure = true
    // The first `lost` records a lost answer. Another right after it means that clearing it up failed.
    case .lost: endsInFailure = event == latestEvent
    case .staged, .validated, .promoted, .verified, .deleted, .refused:
      failedAttempts = 0
      leftAloneUntil = nil
    case .intended(.stage):
      stagingIntended = time
      isAdopted = details["reason"] == Self.adopted
    case .intended, .discarded: break
    }
    if endsInFailure { failedAttempts += 1 }
    steps += 1
    latest = time
    latestEvent = event
  }
}

extension RotationJournal {
  /// When the debts of `credential` may be retired, or were; nil while the rotation that made them is not verified. If this
  /// rotation has promoted nothing, the debts are from a rotation before it, and their grace counts from when they were
  /// replaced.
  package func graceEnds(of credential: Credential) -> Timestamp? {
    switch machine.state {
    case .ready, .staging, .staged, .validating, .validated, .promoting, .rejected, .discarding, .failed:
      credential.debts.map { $0.since + credential.policy.grace }.max()
    case .promoted, .verifying, .owed, .retiring, .deleted, .proving, .settled:
      // A person may have ended the grace.
      machine.graceEnds.map { min($0, machine.retirementBegan ?? $0) }
    }
  }

  /// Whether the active pair of `credential` is not to be delivered now: containment left it unproved, or it is the one
  /// to be replaced because of a leak.
  func withholdsDelivery(_ credential: Credential) -> Bool {
    machine.isUnproved || !machine.state.isOwing && !credential.leakedDebts.isEmpty
  }
}

extension LogEntry {
  /// Whether a rotation that ends with this entry failed: the new pair was given up, or the attempt was before there
  /// was one.
  fileprivate var isFailure: Bool {
    [RotationEvent.discarded, .abandoned].contains { event == RotationJournal.prefix + $0.name }
  }
}
