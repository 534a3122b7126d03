import Audit
import Storage
import Synchronization

/// What the changes of one opened vault that will be committed together have appended to its log. It is signed once, as
/// the finishing step of that commit.
final class UnsignedChanges: FinishingStep {
  /// One change's part, linked to those before it.
  private final class Part: Sendable {
    let first: UInt64
    let entries: [LogEntry]
    let records: [VaultMemory.Record]
    let previous: Part?

    init(_ first: UInt64, _ entries: [LogEntry], _ records: [VaultMemory.Record], after previous: Part?) {
      self.first = first
      self.entries = entries
      self.records = records
      self.previous = previous
    }
  }

  /// The log as it was signed with these changes; nil until then.
  final class Signed: Sendable {
    private let log = Mutex<SeenLog?>(nil)
    var value: SeenLog? {
      get { log.withLock { $0 } }
      set { log.withLock { $0 = newValue } }
    }
  }

  let memory: VaultMemory
  let signed: Signed
  /// What was verified in this transaction before anything was appended.
  let base: VaultMemory.Known
  let run: LogRun
  private let newest: Part?
  /// Who is a member, and which entries count for each credential, after these changes.
  private let membership: Membership

  init(_ memory: VaultMemory, after base: VaultMemory.Known, run: LogRun) {
    self.memory = memory
    self.base = base
    self.run = run
    signed = Signed()
    newest = nil
    membership = base.membership
  }

  private init(_ earlier: UnsignedChanges, run: LogRun, newest: Part, membership: Membership) {
    memory = earlier.memory
    signed = earlier.signed
    base = earlier.base
    self.run = run
    self.newest = newest
    self.membership = membership
  }

  /// How many entries the log has, including these.
  var size: UInt64 { run.size }

  /// These changes and one more, whose `entries` are appended and vouch for `records`. If that is undone, the earlier
  /// ones stay as they are.
  func appending(
    _ entries: [LogEntry], _ records: [VaultMemory.Record], in transaction: any WriteTransaction
  ) throws -> UnsignedChanges {
    var (run, membership) = (run, membership)
    try run.append(entries, in: transaction)
    for (index, entry) in zip(size..., entries) where try Membership.Change(entry) != nil {
      try membership.apply(entry, at: index)
    }
    let part = Part(size, entries, records, after: newest)
    return UnsignedChanges(self, run: run, newest: part, membership: membership)
  }

  /// The entry at `index` if it is one of these.
  func entry(at index: UInt64) -> LogEntry? {
    var part = newest
    while let present = part {
      if index >= present.first {
        let offset = index - present.first
        return offset < present.entries.count ? present.entries[Int(offset)] : nil
      }
      part = present.previous
    }
    return nil
  }

  func finish(in transaction: any WriteTransaction) throws {
    guard let end = try run.sign(in: transaction) else { return }
    signed.value = SeenLog(checkpoint: end.checkpoint, actor: end.last.member, membership: membership)
    // What was verified of the rows no longer holds: the next transaction verifies what it finds.
    guard membership == base.membership else { return memory.forget(after: base) }
    var parts: [[VaultMemory.Record]] = []
    var part = newest
    while let present = part {
      parts.append(present.records)
      part = present.previous
    }
    memory.learn(end, after: base, parts.reversed().flatMap(\.self))
  }
}
