import Audit
import Storage
import Synchronization

/// What this process has verified of one vault, so that its next transaction need not verify the same bytes again.
///
/// It holds conclusions about bytes and none about the store: "this header and these members agree with the log that
/// this checkpoint is of, and a member signed it"; "in that log this is the entry at that index, and it vouches for
/// this record". Each was reached by the full check, or is about a checkpoint that this process signed itself over a
/// log that it had checked in that way and added to. Such a conclusion stays true whatever becomes of the store or of
/// the transaction in which it was learned.
///
/// It is applied only to what a transaction has read itself and found to be the same byte for byte: the header, the
/// members, the newest checkpoint and the last entry before anything else, then each record and the entry that it
/// names. Anyone who can write the store gains nothing by it: what differs is checked in full, and what does not differ
/// is what was verified. Rows that only prove what is already known, those of the tree and of older entries, are not
/// read.
final class VaultMemory: Sendable {
  /// A record, and the entry it names, which vouches for it.
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

  /// What one full check found. Every view and change is given it, and it never changes. It is a class, so that passing
  /// it on counts one reference and not one for each thing it holds.
  final class Known: Sendable {
    let rows: VaultRows
    let header: VaultHeader
    let membership: Membership
    let members: [Member]
    let end: LogEnd
    /// Which line of checkpoints `end` belongs to: in a line, each extends the one before it.
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

  /// Readers may have snapshots that are a few commits old.
  private static let maximumEnds = 8
  /// Some megabytes at most; beyond that, all of them are forgotten.
  fileprivate static let maximumRecords = 4_096

  private let state = Mutex(State())

  /// `seen` is what the vault was seen to be before this process.
  init(after seen: SeenLog? = nil) { state.withLock { $0.seen = seen } }

  /// The newest log that was found in the store, by this process or before it; nil if none was.
  var seen: SeenLog? { state.withLock { $0.seen } }

  /// What is known of the vault that `transaction` shows, whose rows are `rows`; nil if there is any difference. `seen`
  /// was taken before the transaction began.
  func recall(_ rows: VaultRows, in transaction: any ReadTransaction, after seen: SeenLog?) throws -> Known? {
    guard let checkpoint = try transaction.lastRow(in: .checkpoints) else { return nil }
    let known = state.withLock { state in
      state.known.last { $0.end.isCheckpoint(checkpoint) }
    }
    // Committed entries are never taken back: a log shorter than what was seen is outdated.
    guard let known, known.end.size >= seen?.checkpoint.checkpoint.size ?? 0, known.rows == rows,
      try known.end.isLastStored(in: transaction)
    else { return nil }
    return known
  }

  /// Keeps what the full check of a transaction found. `isNewest` says that nobody can have committed anything since:
  /// then it replaces what was known before; otherwise it does so only if its log is longer.
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

  /// Keeps the checkpoint `end`, which was signed over `base` and the entries added to it. `records`, oldest first, are
  /// among these.
  func learn(_ end: LogEnd, after base: Known, _ records: [Record]) {
    state.withLock { state in
      guard state.history == base.history, let newest = state.known.last else { return }
      if newest.end.size != base.end.size {
        // What was signed after `base` earlier was not committed: its indices have other entries now.
        state.history += 1
        state.known.removeAll { $0.end.size > base.end.size }
        state.records = state.records.filter { $0.value.credential.entry < base.end.size }
        state.known = state.known.map { $0.ending(at: $0.end, history: state.history) }
      }
      state.known.append(base.ending(at: end, history: state.history))
      if state.known.count > Self.maximumEnds { state.known.removeFirst() }
      for record in records { state.keep(record) }
    }
  }

  /// Forgets all that is known, if it is of the history of `base`: what was signed after `base` has changed what is
  /// true of records.
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
    } else if records.count >= VaultMemory.maximumRecords {
      records = [:]
    }
    records[name] = record
  }
}

/// The header and the members as they are stored.
struct VaultRows: Hashable, Sendable {
  let header: [UInt8]
  let members: [Row]

  /// Throws `notFound` if the store holds no vault, `corrupt` if it holds a log but no header.
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
