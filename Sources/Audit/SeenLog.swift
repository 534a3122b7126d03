/// What an earlier verification of a log found: enough to continue from there without reading it again.
package struct SeenLog: Hashable, Sendable {
  /// The newest checkpoint; its signature was verified.
  package let checkpoint: SignedCheckpoint
  /// The member who made the last entry that it covers, and who signed it.
  package let actor: String
  /// Who was a member there.
  package let membership: Membership

  package init(checkpoint: SignedCheckpoint, actor: String, membership: Membership) {
    self.checkpoint = checkpoint
    self.actor = actor
    self.membership = membership
  }
}
