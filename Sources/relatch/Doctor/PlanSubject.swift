import Rotation
import Vault
import Audit

/// One credential of a plan or a checklist.
struct PlanSubject: Sendable {
  let places: Places
  let credential: Credential
  let journal: RotationJournal?
  let standing: RotationSchedule.Standing
  /// The restore from a backup since which the credential has not been compared with its provider; nil if there is
  /// none.
  let restoration: VaultRestoration?
  /// The live run that is working on it; nil if none is.
  let holder: String?
  /// The errors of sinks and hooks that no present owner has added as they are.
  let unapproved: [VaultError]
  let logSize: UInt64

  init(_ credential: Credential, in view: VaultView, _ places: Places, logSize: UInt64, now: Timestamp) throws {
    self.places = places
    self.credential = credential
    self.logSize = logSize
    journal = try RotationJournal(view, of: credential)
    standing = try RotationSchedule.system.standing(of: credential, journal: journal, in: view, now: now)
    restoration = try view.restoration(unreconciled: credential)
    holder = try view.runAtWork(on: credential, now: now, isGone: RunHolder.isGone)
    var unapproved: [VaultError] = []
    for delivery in credential.deliveries {
      do { try view.requireOwners(delivery, of: credential) } catch let error as VaultError { unapproved.append(error) }
    }
    self.unapproved = unapproved
  }
}
