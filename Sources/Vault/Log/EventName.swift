/// The kinds of log entries a vault writes; the pages in vault/ document the members of each.
package struct EventName: Hashable, Sendable {
  /// Dotted lower-case words, as the log has them.
  package let text: String

  package init(_ text: String) { self.text = text }

  package static let vaultCreated = EventName("vault.created")
  /// A person went on with a vault that is older than the one seen before, or is another one.
  package static let rollbackAccepted = EventName("vault.rollback-accepted")
  /// A copy of the whole vault was made, sealed to its owners.
  package static let vaultBackedUp = EventName("vault.backed-up")
  /// The vault was put back from such a copy.
  package static let vaultRestored = EventName("vault.restored")
  /// The vault key was renewed.
  package static let vaultRekeyed = EventName("vault.rekeyed")
  package static let memberAdded = EventName("member.added")
  package static let memberRemoved = EventName("member.removed")
  /// A member may open a credential.
  package static let grantAdded = EventName("grant.added")
  /// A member may open it no longer.
  package static let grantRemoved = EventName("grant.removed")
  package static let credentialAdded = EventName("credential.added")
  /// After a restore its active pair was seen to be the provider's primary one.
  package static let credentialReconciled = EventName("credential.reconciled")
  /// A credential's key was renewed, and its pairs were sealed again.
  package static let credentialRekeyed = EventName("credential.rekeyed")
  /// A credential was removed with its pairs.
  package static let credentialRemoved = EventName("credential.removed")
  /// A person reported that pairs of it are known to others.
  package static let credentialLeaked = EventName("credential.leaked")
  /// A pair that was found somewhere is about to be tried at the provider.
  package static let leakIntended = EventName("leak.intended")
  /// Whether the provider accepted it.
  package static let leakTried = EventName("leak.tried")
  /// A kept token of a pair that leaked was ended at its provider.
  package static let tokenRevoked = EventName("token.revoked")
  /// It was not ended, or nobody knows.
  package static let tokenNotRevoked = EventName("token.not-revoked")
  package static let credentialPolicy = EventName("credential.policy")
  /// A pair was handed to someone.
  package static let pairRead = EventName("pair.read")
  /// A pair was opened to talk to its provider.
  package static let pairUsed = EventName("pair.used")
  /// A pair that the vault does not have was deleted at the provider.
  package static let pairCutOff = EventName("pair.cut-off")
  /// It was to be deleted there, and the provider lists it although it did not find it.
  package static let pairNotCutOff = EventName("pair.not-cut-off")
  /// An owner added a sink or hook.
  package static let deliveryAdded = EventName("delivery.added")
  /// An owner removed a sink or hook.
  package static let deliveryRemoved = EventName("delivery.removed")
  /// A pair is about to be handed to a sink or hook.
  package static let deliveryIntended = EventName("delivery.intended")
  /// It arrived.
  package static let deliveryDone = EventName("delivery.done")
  /// It did not arrive, or nobody knows.
  package static let deliveryFailed = EventName("delivery.failed")

  /// A pair was sealed to someone else (vault/handoff.md).
  package static let handoffSent = EventName("handoff.sent")
  /// A pair that someone else sealed was imported.
  package static let handoffOpened = EventName("handoff.opened")
  /// The recipient's receipt was seen.
  package static let handoffConfirmed = EventName("handoff.confirmed")
  /// The pair of a credential that was transferred is still accepted.
  package static let handoffTried = EventName("handoff.tried")
  /// The pair of a credential that was transferred was seen to be refused.
  package static let handoffSettled = EventName("handoff.settled")
  /// A transfer was taken back.
  package static let handoffWithdrawn = EventName("handoff.withdrawn")

  /// An owner added a witness, to which checkpoints go (vault/witness.md).
  package static let witnessAdded = EventName("witness.added")
  /// An owner removed a witness.
  package static let witnessRemoved = EventName("witness.removed")
  /// A member looked at entries of the log.
  package static let logRead = EventName("log.read")
  /// The rows of the log's tree were made again from its entries.
  package static let logRepaired = EventName("log.repaired")
}
