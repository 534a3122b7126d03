import Sodium
import Storage

/// Verifies a whole log from nothing but its entries and checkpoints: in order, offline, in constant memory.
///
/// Each run of one member's entries must be closed by one checkpoint that this member signed, with the key that the log
/// itself gave them, and whose root is that of all entries so far. Read entries, hash them, and add checkpoints in
/// order (`addStored`), then `finish`. Do not use it after an error.
package struct LogVerification {
  /// Consecutive entries of one member that no checkpoint closes yet.
  struct Run {
    let member: LogMember
    let name: [UInt8]
    let start: UInt64

    init(member: LogMember, start: UInt64) {
      self.member = member
      name = Array(member.name.utf8)
      self.start = start
    }
  }

  /// What had to be read of an entry.
  package enum Reading: Sendable {
    /// It continues its run and changes no member: where in its bytes its parts are.
    case plain(EntryHead)
    case full(LogEntry)
  }

  private let expectations: LogExpectations
  private var remembered: ArraySlice<Checkpoint>
  /// The tree of the entries hashed so far: of all, except while some are hashed elsewhere.
  private(set) var tree = HashedTree()
  /// How many entries were added.
  package private(set) var size: UInt64 = 0
  /// Who the members are after the entries added so far; nil before the first.
  package private(set) var membership: Membership?
  private(set) var run: Run?
  private var lastActor: String?
  private var checkpoint: SignedCheckpoint?
  private var owner: LogMember?
  private var runs: UInt64 = 0
  private var firstTime: Timestamp?
  private var lastTime: Timestamp?
  private var clockStepsBack: UInt64 = 0
  /// The entry with the latest time so far, and the first that is dated long before one that precedes it.
  private var latest: (entry: UInt64, time: Timestamp)?
  private var largeClockStepBack: LogReport.ClockStepBack?

  init(expecting expectations: LogExpectations = LogExpectations(), comparingNodes: Bool = false) {
    self.expectations = expectations
    remembered = expectations.remembered.filter { $0.size > 0 }.sorted { $0.size < $1.size }[...]
    if comparingNodes { tree.nodes = TreeSum() }
  }

  /// Continues from a log that was verified before, whose tree the caller knows to have the frontier `frontier`.
  init(after seen: SeenLog, _ frontier: MerkleFrontier) throws(AuditError) {
    expectations = LogExpectations()
    remembered = []
    tree.frontier = frontier
    size = frontier.size
    membership = seen.membership
    checkpoint = seen.checkpoint
    // The run may have gone on since; then another checkpoint has replaced the one that was seen.
    let actor = try seen.membership.member(seen.actor)
    run = Run(member: actor, start: frontier.size)
    lastActor = seen.actor
  }

  /// The first entry that no verified checkpoint covers, which is where to look when a checkpoint does not verify.
  var firstUnsigned: UInt64 { run?.start ?? size }

  /// Reads the next entry. Throws an error that names it if it must not come here. It is not hashed: `catchUp` must be
  /// called before a root is compared.
  mutating func read(entry bytes: borrowing Span<UInt8>) throws(AuditError) -> Reading {
    let index = size
    let reading: Reading
    // Most entries continue a run and change no member: a look at their head is enough.
    if let run, let head = EntryHead(of: bytes, by: run.name, isOwner: run.member.role == .owner) {
      note(head.time)
      reading = .plain(head)
    } else {
      do throws(AuditError) {
        let entry = try LogEntry(decoding: bytes.copied)
        try follow(entry)
        note(entry.time)
        reading = .full(entry)
      } catch { throw error.at(index) }
    }
    size += 1
    return reading
  }

  /// Whether the root of the entries read so far is to be compared with a remembered one.
  var isRemembered: Bool { remembered.first?.size == size }

  /// Takes over the tree of all entries read so far. Throws `inconsistent` unless it has the root that is remembered of
  /// that many entries, if one is.
  mutating func catchUp(_ tree: HashedTree) throws(AuditError) {
    self.tree = tree
    try compareRemembered()
  }

  /// Adds the checkpoint that follows the entries added so far.
  mutating func add(checkpoint bytes: [UInt8]) throws(AuditError) {
    let firstUnsigned = firstUnsigned
    do throws(AuditError) {
      let signed = try SignedCheckpoint(decoding: bytes)
      let found = signed.checkpoint
      guard found.size <= size else {
        throw AuditError(.incomplete, "found \(size) entries, expected the \(found.size) of a checkpoint")
      }
      guard let run, found.size == size else {
        throw AuditError(.inconsistent, "a checkpoint of size \(found.size) where no run of one member's entries ends")
      }
      guard found.origin == membership?.origin else {
        throw AuditError(
          .inconsistent, "a checkpoint of \(found.origin), expected \(membership?.origin ?? "relatch/…")")
      }
      try signed.verify(by: run.member.signing)
      guard found.root == tree.frontier.root else {
        throw AuditError(
          .corrupt,
          "entries \(run.start) to \(size - 1) by \"\(run.member.name)\" have root \(tree.frontier.root.bytes.hex), "
            + "expected the signed \(found.root.bytes.hex)")
      }
      checkpoint = signed
      self.run = nil
      runs += 1
    } catch { throw error.at(firstUnsigned) }
  }

  /// Fails with `incomplete` if the log ends too early; otherwise returns what was verified.
  func finish() throws(AuditError) -> LogReport {
    guard let membership, let owner, let firstTime, let lastTime else {
      throw AuditError(.incomplete, entry: 0, "the log is empty, expected vault.created")
    }
    if let run { throw unsigned(run) }
    if let missing = remembered.first {
      throw AuditError(
        .incomplete, entry: size, "found \(size) entries, expected the \(missing.size) of a remembered checkpoint")
    }
    // A closed run left a checkpoint, and the log is not empty.
    guard let checkpoint else { throw AuditError(.incomplete, entry: 0, "the log has no checkpoint") }
    let seen = SeenLog(checkpoint: checkpoint, actor: lastActor ?? owner.name, membership: membership)
    return LogReport(
      seen: seen, entries: size, runs: runs, root: tree.frontier.root, checkpoint: checkpoint, vault: membership.vault,
      owner: owner,
      members: membership.members, firstTime: firstTime, lastTime: lastTime, latestTime: latest?.time ?? lastTime,
      clockStepsBack: clockStepsBack, largeClockStepBack: largeClockStepBack)
  }

  /// Fails with `incomplete` if the log ends too early; otherwise returns the members at its end.
  func finishMembership() throws(AuditError) -> Membership {
    if let run { throw unsigned(run) }
    guard let membership else { throw AuditError(.incomplete, entry: 0, "the log is empty, expected vault.created") }
    return membership
  }

  /// Checks that the entry's member may act, applies what the entry changes, and begins a run if none is open.
  private mutating func follow(_ entry: LogEntry) throws(AuditError) {
    if let run, run.member.name != entry.member { throw unsigned(run) }
    if run == nil, lastActor == entry.member {
      throw AuditError(.inconsistent, "\"\(entry.member)\" goes on after a checkpoint, which only ends a run")
    }
    let actor: LogMember
    if membership == nil {
      let genesis = try Membership(genesis: entry)
      actor = try genesis.member(entry.member)
      try expectations.check(origin: genesis.origin, owner: actor)
      membership = genesis
      owner = actor
    } else {
      guard let member = try membership?.member(entry.member) else { return }
      actor = member
      try membership?.apply(entry, at: size)
    }
    if run == nil { run = Run(member: actor, start: size) }
    lastActor = entry.member
  }

  /// Whether the stored tree has exactly the nodes that the entries have.
  func storedTreeMatches(in transaction: any ReadTransaction) throws -> Bool {
    try tree.nodes?.isOfRows(in: transaction) ?? true
  }

  private mutating func note(_ time: Timestamp) {
    if let lastTime, time < lastTime { clockStepsBack += 1 }
    if let latest, time <= latest.time {
      if largeClockStepBack == nil, latest.time - time > LogReport.usualStepBack {
        largeClockStepBack = LogReport.ClockStepBack(
          entry: size, time: time, precedingEntry: latest.entry, precedingTime: latest.time)
      }
    } else {
      latest = (size, time)
    }
    if firstTime == nil { firstTime = time }
    lastTime = time
  }

  private mutating func compareRemembered() throws(AuditError) {
    while let next = remembered.first, next.size == tree.frontier.size {
      guard next.root == tree.frontier.root else {
        throw AuditError(
          .inconsistent, entry: 0, "the first \(next.size) entries are not those of the remembered checkpoint")
      }
      remembered.removeFirst()
    }
  }

  private func unsigned(_ run: Run) -> AuditError {
    AuditError(
      .incomplete, entry: run.start,
      "entries \(run.start) to \(size - 1) by \"\(run.member.name)\" end without this member's checkpoint")
  }
}

extension Span<UInt8> {
  /// A copy of the bytes.
  var copied: [UInt8] { withUnsafeBufferPointer { Array($0) } }
}
