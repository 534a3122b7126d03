package import Sodium

/// What the verifier of a log knows beforehand. Without any of it, a log can only be found to agree with itself.
package struct LogExpectations: Sendable {
  /// The key of the owner who created the vault, under the log's origin as its name.
  package let owner: NoteKey?
  /// Checkpoints that this log was seen to have: it must be an extension of each.
  package let remembered: [Checkpoint]

  package init(owner: NoteKey? = nil, remembered: [Checkpoint] = []) {
    self.owner = owner
    self.remembered = remembered
  }

  func check(origin: String, owner found: LogMember) throws(AuditError) {
    if let owner, owner.name != origin || owner.key != found.signing {
      throw AuditError(.inconsistent, "found another vault or owner's key than the expected \(owner)")
    }
    if let other = remembered.first(where: { $0.origin != origin }) {
      throw AuditError(.inconsistent, "found the log of \(origin), expected the remembered \(other.origin)")
    }
    // Every log extends the empty one, which has only one possible root.
    if remembered.contains(where: { $0.size == 0 && $0.root != MerkleTree.emptyRoot }) {
      throw AuditError(.inconsistent, "a remembered checkpoint of no entries has another root than no entries have")
    }
  }
}

/// What verifying a log found.
package struct LogReport: Hashable, Sendable {
  /// What it takes to continue from here without reading the log again.
  package let seen: SeenLog
  package let entries: UInt64
  /// How many maximal runs of one member's entries there are, each with its checkpoint.
  package let runs: UInt64
  package let root: SHA256Digest
  /// The newest checkpoint: remember it, and no earlier log will pass for this one.
  package let checkpoint: SignedCheckpoint
  /// The vault's identifier in hexadecimal.
  package let vault: String
  /// The owner who created the vault, as the first entry introduces them.
  package let owner: LogMember
  /// The members at the end, by name.
  package let members: [LogMember]
  package let firstTime: Timestamp
  package let lastTime: Timestamp
  /// The latest time of all entries.
  package let latestTime: Timestamp
  /// How many entries are dated before the one they follow. Clocks differ: worth a look, and no proof of anything.
  package let clockStepsBack: UInt64
  /// The first entry that is dated more than `usualStepBack` before one that precedes it; nil if none is.
  package let largeClockStepBack: ClockStepBack?
  /// The first entry about the record of a credential that did not exist then; nil if there is none, or the records
  /// were not examined. It changes nothing: any member can write one.
  package var strayRecord: UInt64?

  /// The clocks of hosts that keep time, and steps that are written together, differ by no more than this.
  package static let usualStepBack = Duration.seconds(60)

  /// Two entries that show that a clock was wrong: the later one has the earlier time.
  package struct ClockStepBack: Hashable, Sendable {
    package let entry: UInt64
    package let time: Timestamp
    package let precedingEntry: UInt64
    package let precedingTime: Timestamp
  }
}
