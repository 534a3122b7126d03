import Audit
import Rotation
import Vault

/// A leak that is noted and has not ended, and when it is worked on again: for every report of it the same.
struct OwedLeak: Sendable {
  let credential: Credential
  let leak: Leak
  /// When a schedule tries it again; nil for its next run, or if no schedule does.
  let next: Timestamp?
  /// Whether no schedule tries it, because it takes a person at a terminal.
  let waitsForPerson: Bool

  /// Nil if no leak of `credential` is noted.
  init?(of credential: Credential, in view: VaultView, now: Timestamp) throws {
    guard let leak = credential.leak else { return nil }
    self.credential = credential
    self.leak = leak
    waitsForPerson = try credential.waitsForPerson(.leaked, in: view)
    let next =
      try waitsForPerson
      ? nil
      : RotationSchedule.system.nextAttempt(
        on: credential, journal: RotationJournal(view, of: credential), in: view, now: now)
    self.next = next.flatMap { $0 > now ? $0 : nil }
  }

  /// When the schedule tries it again, as a clause.
  static func text(next: Timestamp, at now: Timestamp) -> String {
    "; tried again in \((next - now).words), at \(next)"
  }

  /// When the provider itself ends what leaked, as a clause.
  static func text(expires: Timestamp, at now: Timestamp) -> String {
    "; the provider ends it automatically in \((expires - now).words), at \(expires)"
  }
}
