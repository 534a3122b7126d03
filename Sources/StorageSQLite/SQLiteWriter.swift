import Glibc
import Storage
import Synchronization

/// The only writer of a store in this process: runs bodies one after another, and commits those that arrive together at
/// once.
///
/// Each body has a savepoint of its own. If other calls are already on their way to the actor after it, the commit is
/// left to the last of them: they wait for the disk once, and share one finishing step. A lone writer finds nobody
/// behind it and commits at once.
actor SQLiteWriter {
  /// Commits after at most this many bodies, so that an endless stream of calls delays nobody for long.
  private static let groupLimit = 256
  /// While fewer than this wait, and a recent commit was shared, the writer yields the processor before it commits:
  /// others that can run are likely to add to the commit. If none can, yielding takes no time.
  private static let yieldLimit = 64
  /// The log is moved into the database at this many pages if recent commits were not shared: a process that finds
  /// nobody else in the store first reads the whole log, at a microsecond or two a page.
  private static let loneLogLimit = 128
  /// The same if a recent commit was shared: its writers will be back, and fewer, longer moves cost them less.
  private static let groupLogLimit = 4_096
  /// After this many unshared commits, the last shared commit is no longer recent.
  private static let loneCommits = 128

  private let file: StoreFile
  private let tables: [Table]
  private let spares: SpareConnections
  private let queue: QueueExecutor
  /// Calls that are on their way to the actor and have not begun.
  private let arrivals = Atomic<Int>(0)

  private var connection: Connection?
  /// The callers whose bodies are done and that wait for the commit.
  private var unsettled: [CheckedContinuation<Void, any Error>] = []
  /// What the bodies since the last commit have left to do before the next.
  private var finishingStep: (any FinishingStep)?
  /// How many commits there were since the last shared one.
  private var commitsSinceShared = loneCommits
  /// How many arrivals are refused with one that waited for the lock in vain, instead of each waiting as long in turn.
  private var refusals = 0

  nonisolated var unownedExecutor: UnownedSerialExecutor { queue.asUnownedSerialExecutor() }

  init(_ file: StoreFile, _ tables: [Table], _ spares: SpareConnections, perform: SQLiteStore.Performer?) {
    self.file = file
    self.tables = tables
    self.spares = spares
    queue = QueueExecutor(perform)
  }

  /// Runs `body` in a transaction of its own or shared, and returns when that is durable.
  nonisolated(nonsending) func write<Result: Sendable>(
    _ body: @Sendable (any WriteTransaction) throws -> Result
  ) async throws -> Result {
    arrivals.add(1, ordering: .relaxed)
    queue.expectCurrentTask()
    return try await perform(body)
  }

  /// Commits what is waiting, then moves the log into the database and empties it.
  func emptyLog() throws {
    settle(committing())
    try opened().emptyLog()
  }

  /// The value of `PRAGMA name` on the writer's own connection; other connections have other settings.
  func setting(_ name: String) throws -> String? {
    try opened().answers(to: "PRAGMA \(name)", "asking SQLite").first?.first
  }

  private func perform<Result: Sendable>(
    _ body: @Sendable (any WriteTransaction) throws -> Result
  ) async throws -> Result {
    var result: Result?
    // All of it in one piece: at the `await`, if the task prefers an executor, the actor may begin another call.
    try await withCheckedThrowingContinuation { (caller: CheckedContinuation<Void, any Error>) in
      arrivals.subtract(1, ordering: .relaxed)
      var failure: (any Error)?
      do { result = try run(body) } catch { failure = error }
      if !hasArrivals, commitsSinceShared < Self.loneCommits, unsettled.count + 1 < Self.yieldLimit { sched_yield() }
      // The last one commits for all, even if its own body has thrown.
      let isLast = !hasArrivals || unsettled.count + 1 >= Self.groupLimit
      if let failure { caller.resume(throwing: failure) } else { unsettled.append(caller) }
      if isLast { end() }
    }
    guard let result else { throw StorageError(.cannotWrite, "a write ended without its result") }
    return result
  }

  /// Whether others are on their way here.
  private var hasArrivals: Bool { arrivals.load(ordering: .relaxed) > 0 }

  /// Commits for all callers that wait.
  private func end() {
    commitsSinceShared = unsettled.count > 1 ? 0 : min(commitsSinceShared + 1, Self.loneCommits)
    let logLimit = commitsSinceShared < Self.loneCommits ? Self.groupLogLimit : Self.loneLogLimit
    settle(committing())
    // After the callers that waited for the commit have resumed.
    if let connection, connection.logPages >= logLimit { connection.shortenLog() }
  }

  private func run<Result>(_ body: (any WriteTransaction) throws -> Result) throws -> Result {
    let connection = try begin()
    try connection.perform(.savepoint)
    do {
      let transaction = SQLiteTransaction(on: connection, finishingStep: finishingStep)
      let result = try body(transaction)
      try transaction.requireWhole()
      try connection.perform(.release)
      finishingStep = transaction.finishingStep
      return result
    } catch {
      do {
        // SQLite may have rolled back everything on its own; then this throws as well.
        try connection.perform(.rollbackToSavepoint)
        try connection.perform(.release)
      } catch {
        abandon()
        let words = "the write was undone with another that failed and could not be undone alone"
        settle(StorageError(.cannotWrite, words))
      }
      throw error
    }
  }

  /// The connection, with a transaction open.
  private func begin() throws -> Connection {
    if refusals > 0 {
      refusals -= 1
      throw StorageError(.busy, "beginning to write: another process holds the store")
    }
    let connection = try opened()
    guard !connection.isInTransaction else { return connection }
    do {
      try connection.perform(.beginWriting)
    } catch {
      if (error as? StorageError)?.code == .busy { refusals = arrivals.load(ordering: .relaxed) }
      abandon()
      throw error
    }
    return connection
  }

  private func commit() throws {
    guard let connection, connection.isInTransaction else { return }
    do {
      let transaction = SQLiteTransaction(on: connection, finishingStep: finishingStep)
      try transaction.finishNow()
      try transaction.requireWhole()
      finishingStep = nil
    } catch {
      abandon()
      throw error
    }
    do {
      try connection.perform(.commit)
    } catch {
      abandon()
      throw StorageError(.cannotWrite, "\(error)")
    }
  }

  /// Commits, and returns the error thrown, or nil.
  private func committing() -> (any Error)? {
    do {
      try commit()
      return nil
    } catch {
      return error
    }
  }

  /// Resumes the callers that wait for the commit; with `failure` if that prevented it.
  private func settle(_ failure: (any Error)?) {
    for continuation in unsettled {
      if let failure { continuation.resume(throwing: failure) } else { continuation.resume() }
    }
    unsettled = []
  }

  /// Drops the connection after a failure: closing it rolls back, and the next call starts from the file as it then is.
  private func abandon() {
    connection = nil
    finishingStep = nil
  }

  private func opened() throws -> Connection {
    if let connection { return connection }
    let opened = try Connection.writing(file, tables, from: spares.takeWritable())
    connection = opened
    return opened
  }
}
