import Audit
import Storage
import Synchronization

/// What the changes of one opened vault that will be committed together have appended to its log. It is signed once, as the
/// finishing step of that commit.
struct UnsignedChanges: FinishingStep {
  /// One change's part, and those before it.
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

  /// The log as it was signed with these; nil until then.
  final class Signed: Sendable {
    private let log = Mutex<SeenLog?>(nil)
    var value: SeenLog? {
      get { log.withLock { $0 } }
      set { log.withLock { $0 = newValue } }
    }
  }

  let memory: VaultMemory
  let signed = Signed()
  /// What was verified in this transaction before anything was appended.
  let base: VaultMemory.Known
  private(set) var run: LogRun
  private var newest: Part?
  /// Who is a member, and what counts of each credential, with these.
  private var membership: Membership

  init(_ memory: VaultMemory, after base: VaultMemory.Known, run: LogRun) {
    self.memory = memory
    self.base = base
    self.run = run
    membership = base.membership
  }

  /// How many entries the log has with these.
  var size: UInt64 { run.size }

  /// Appends one change's entries, which vouch for `records`.
  mutating func append(
    _ entries: [LogEntry], _ records: [VaultMemory.Record], in transaction: any WriteTransaction
  ) throws {
    let first = size
    try run.append(entries, in: transaction)
    for (index, entry) in zip(first..., entries) where try Membership.Change(entry) != nil {
      try membership.apply(entry, at: index)
    }
    newest = Part(first, entries, records, after: newest)
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
    // Rows that were true are true no more: the next transaction verifies what it finds.
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
