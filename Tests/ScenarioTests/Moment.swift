import Audit
import Contracts
import OrgSimulator
import Storage
import Synchronization
import Testing
import Transport
import Vault

/// Everything that is left when a process dies: what the vault holds durably, and the org. The process's memory is
/// gone.
struct Moment: Sendable {
  enum Place: String, Sendable, CaseIterable {
    /// A transaction is about to commit.
    case beforeCommit = "before a commit"
    /// It has committed, and the run does not know yet.
    case afterCommit = "after a commit"
    /// A request is about to be sent.
    case beforeRequest = "before a request"
    /// The org has acted on it, but the run has not seen the answer.
    case beforeAnswer = "before an answer"
  }

  let place: Place
  /// Its number among those of its place, counted from 1, and for a request also what it was.
  let detail: String
  let rows: [Table: [Row]]
  let org: OrgMoment
  let time: Timestamp
  let steps: [Timeline.Step]

  /// Whether a new process would find the same.
  func isLike(_ other: Moment) -> Bool { time == other.time && rows == other.rows && org.isLike(other.org) }

  var words: String { "\(place.rawValue), \(detail)" }
}

/// Records every moment of a run at which its process could die.
final class MomentRecorder: MomentWatcher {
  private let scenario: Scenario
  private let noted = Mutex<[Moment]>([])

  init(_ scenario: Scenario) { self.scenario = scenario }

  var moments: [Moment] { noted.withLock { $0 } }

  func note(_ place: Moment.Place, _ what: String) async {
    do {
      let rows = try await scenario.store.allRows()
      let moment = Moment(
        place: place, detail: "number \(moments.count { $0.place == place } + 1) \(what)", rows: rows,
        org: scenario.server.moment, time: scenario.clock.now(), steps: scenario.timeline.steps)
      noted.withLock { $0.append(moment) }
    } catch { Issue.record("a moment could not be noted: \(error)") }
  }

  /// The vault's store, watched.
  var store: any Store { watching(scenario.store) }
}

/// Learns of every moment of a run at which it could be cut off or held up. The run continues when `note` returns.
protocol MomentWatcher: Sendable {
  func note(_ place: Moment.Place, _ what: String) async
}

extension MomentWatcher {
  /// `store`, watched.
  func watching(_ store: any Store) -> any Store {
    WatchedStore(store) {
      await note(.beforeCommit, "")
    } after: {
      await note(.afterCommit, "")
    }
  }

  /// A transport, watched.
  func watching(_ transport: any HTTPTransport) -> any HTTPTransport {
    WatchedTransport(base: transport, watcher: self)
  }
}

private struct WatchedTransport: HTTPTransport {
  let base: any HTTPTransport
  let watcher: any MomentWatcher

  func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
    await watcher.note(.beforeRequest, request.method.rawValue)
    let response: HTTPResponse
    do { response = try await base.send(request) } catch {
      await watcher.note(.beforeAnswer, request.method.rawValue)
      throw error
    }
    await watcher.note(.beforeAnswer, request.method.rawValue)
    return response
  }
}

extension Store {
  /// Everything in a vault's store.
  func allRows() async throws -> [Table: [Row]] {
    try await read { transaction in
      Dictionary(uniqueKeysWithValues: try vaultTables.map { ($0, try transaction.rows(in: $0)) })
    }
  }
}

extension MemoryStore {
  /// A vault's store that already holds `rows`.
  convenience init(holding rows: [Table: [Row]]) async throws {
    self.init(tables: vaultTables)
    try await write { transaction in
      for (table, rows) in rows {
        for row in rows { try transaction.set(row.value, in: table, for: row.key) }
      }
    }
  }
}
