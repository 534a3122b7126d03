import Audit
import Storage
import Synchronization

/// What this process has verified of one vault, so that its next transaction need not verify the same bytes again.
///
/// It holds conclusions about bytes and none about the store: "this header and these members agree with the log that this
/// checkpoint is of, and a member signed it"; "in that log this is the entry at that index, and it vouches for this record".
/// Each was reached by the full check, or is about a checkpoint that this process signed itself over a log it had so checked
/// and added to. Such a sentence stays true whatever becomes of the store or of the transaction that it was learned in.
///
/// It is applied only to what a transaction has read itself and found the same byte for byte: the header, the members, the
/// newest checkpoint and the last entry before anything else, then each record and the entry that it names. Whoever can
/// write the store gains nothing by it: what differs goes the long way, and what does not differ is what was verified. Rows
/// that only prove what is known already, the tree's and those of older entries, are not read.
final class VaultMemory: Sendable {
  /// A record that the entry it names vouches for.
  final class Record: Sendable {
    let bytes: [UInt8]
    let credential: Credential
    let entry: LogEntry

    init(bytes: [UInt8], credential: Credential, entry: LogEntry) {
      self.bytes = bytes
      self.credential = credential
      self.entry = entry
    }
  }

  /// What one full check found. It is handed to every view and change, and never changes: a class, so that one count is kept
  /// for all that it holds.
  final class Known: Sendable {
    let rows: VaultRows
    let header: VaultHeader
    let membership: Membership
    let members: [Member]
    let end: LogEnd
    /// Which line of checkpoints `end` is of, each of which extends the one before it; another number, another line.
    let history: UInt64

    init(
      rows: VaultRows, header: VaultHeader, membership: Membership, members: [Member], end: LogEnd, history: UInt64 = 0
    ) {
      self.rows = rows
      self.header = header
      self.membership = membership
      self.members = members
      self.end = end
      self.history = history
    }

    /// The same, with the log ending at `end`.
    func ending(at end: LogEnd, history: UInt64) -> Known {
      Known(rows: rows, header: header, membership: membership, members: members, end: end, history: history)
    }

    /// What to remember of it.
    var seen: SeenLog { SeenLog(checkpoint: end.checkpoint, actor: end.last.member, membership: membership) }
  }

  fileprivate struct State {
    var history: UInt64 = 1
    /// Of one history, oldest first, with the same header and members.
    var known: [Known] = []
    /// By name; each vouched for by an entry of the history's newest checkpoint.
    var records: [String: Record] = [:]
    /// The newest log that was found in the store: whatever is read later extends it.
    var seen: SeenLog?
  }

  /// Readers have snapshots that are a few commits old.
  private static let mostEnds = 8
  /// Some megabytes at the most; beyond that, all are forgotten.
  fileprivate static let mostRecords = 4_096

  private let state = Mutex(State())

  /// `seen` is what the vault was seen to be before this process.
  init(after seen: SeenLog? = nil) { state.withLock { $0.seen = seen } }

  /// The newest log that was found in the store, by this process or before it; nil if none was.
  var seen: SeenLog? { state.withLock { $0.seen } }

  /// What is known of the vault that `transaction` shows, whose rows are `rows`; nil if there is any difference. `seen` was
  /// taken before the transaction began.
  func recall(_ rows: VaultRows, in transaction: any ReadTransaction, after seen: SeenLog?) throws -> Known? {
    guard let checkpoint = try transaction.lastRow(in: .checkpoints) else { return nil }
    let known = state.withLock { state in
      state.known.last { $0.end.isCheckpoint(checkpoint) }
    }
    // What was committed is not taken back: an end of before is no end any more.
    guard let known, known.end.size >= seen?.checkpoint.checkpoint.size ?? 0, known.rows == rows,
      try known.end.isLastStored(in: transaction)
    else { return nil }
    return known
  }

  /// Keeps what the full check of a transaction found. `isNewest` says that nobody can have committed anything since: then
  /// it takes the place of what was known before, otherwise only if its log is the longer one.
  func learn(_ known: Known, isNewest: Bool) -> Known {
    state.withLock { state in
      guard isNewest || known.end.size > state.known.last?.end.size ?? 0 else { return known }
      state.history += 1
      state.records = [:]
      let known = known.ending(at: known.end, history: state.history)
      state.known = [known]
      return known
    }
  }

  /// Keeps the checkpoint `end` that was signed over `base` and what was added to it, `records` among that, oldest first.
  func learn(_ end: LogEnd, after base: Known, _ records: [Record]) {
    state.withLock { state in
      guard state.history == base.history, let newest = state.known.last else { return }
      if newest.end.size != base.end.size {
        // What was signed after `base` before was not committed: the same indices have other entries now.
        state.history += 1
        state.known.removeAll { $0.end.size > base.end.size }
        state.records = state.records.filter { $0.value.credential.entry < base.end.size }
        state.known = state.known.map { $0.ending(at: $0.end, history: state.history) }
      }
      state.known.append(base.ending(at: end, history: state.history))
      if state.known.count > Self.mostEnds { state.known.removeFirst() }
      for record in records { state.keep(record) }
    }
  }

  /// Forgets what is not of `base` or before: what was signed after it has changed what is true of records.
  func forget(after base: Known) {
    state.withLock { state in
      guard state.history == base.history else { return }
      state.history += 1
      state.known = []
      state.records = [:]
    }
  }

  /// Takes note of a log that is committed: what is read later extends it.
  func found(_ seen: SeenLog) {
    state.withLock { state in
      guard seen.checkpoint.checkpoint.size > state.seen?.checkpoint.checkpoint.size ?? 0 else { return }
      state.seen = seen
    }
  }

  /// Keeps a record that was verified against a checkpoint of `history`.
  func learn(_ record: Record, of history: UInt64) {
    state.withLock { state in
      if state.history == history { state.keep(record) }
    }
  }

  /// What is known of the record of `name` under the checkpoint of `known`.
  func record(of name: String, under known: Known) -> Record? {
    let record = state.withLock { $0.history == known.history ? $0.records[name] : nil }
    return record.flatMap { $0.credential.entry < known.end.size ? $0 : nil }
  }
}

extension VaultMemory.State {
  fileprivate mutating func keep(_ record: VaultMemory.Record) {
    let name = record.credential.name
    if let present = records[name] {
      guard present.credential.entry <= record.credential.entry else { return }
    } else if records.count >= VaultMemory.mostRecords {
      records = [:]
    }
    records[name] = record
  }
}

/// The header and the members as they are stored.
struct VaultRows: Hashable, Sendable {
  let header: [UInt8]
  let members: [Row]

  /// Throws `notFound` if the store holds no vault, `corrupt` if it has all but the header.
  init(_ transaction: any ReadTransaction) throws {
    guard let header = try transaction.value(in: .header, for: VaultHeader.row) else {
      guard try transaction.lastRow(in: .log) == nil else {
        throw VaultError(.corrupt, "the vault has a log and no header")
      }
      throw VaultError(.notFound, "the store holds no vault")
    }
    self.header = header
    members = try transaction.rows(in: .members)
  }
}
