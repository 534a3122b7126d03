/// A log as it was verified before: what it takes to go on from there without going through it again.
package struct SeenLog: Hashable, Sendable {
  /// The newest checkpoint; its signature was verified.
  package let checkpoint: SignedCheckpoint
  /// Who made the last entry that it covers, and signed it.
  package let actor: String
  /// Who was a member there.
  package let membership: Membership

  package init(checkpoint: SignedCheckpoint, actor: String, membership: Membership) {
    self.checkpoint = checkpoint
    self.actor = actor
    self.membership = membership
  }
}
