import Storage
import Synchronization

/// A store whose process dies at one write: before it commits, or after it has committed and before anyone learns of
/// it. From then on nothing works, as in a process that no longer exists.
final class DyingStore: Store {
  struct Died: Error {}

  enum Moment: String, Sendable, CaseIterable {
    case beforeCommit, afterCommit
  }

  private let base: any Store
  private let moment: Moment
  private let last: Int
  private let state = Mutex((writes: 0, isDead: false))

  /// Dies at write number `last`, counted from 1.
  init(_ base: any Store, at last: Int, _ moment: Moment) {
    self.base = base
    self.last = last
    self.moment = moment
  }

  var isDead: Bool { state.withLock { $0.isDead } }
  var writes: Int { state.withLock { $0.writes } }

  nonisolated(nonsending) func read<Result: Sendable>(
    _ body: @Sendable (any ReadTransaction) throws -> Result
  ) async throws -> Result {
    guard !isDead else { throw Died() }
    return try await base.read(body)
  }

  nonisolated(nonsending) func write<Result: Sendable>(
    _ body: @Sendable (any WriteTransaction) throws -> Result
  ) async throws -> Result {
    let isLast = try state.withLock { state in
      guard !state.isDead else { throw Died() }
      state.writes += 1
      state.isDead = state.writes == last
      return state.isDead
    }
    guard isLast else { return try await base.write(body) }
    if moment == .afterCommit { _ = try await base.write(body) }
    throw Died()
  }
}

/// A store that can be read, but refuses every write from some write on: a full disk.
final class FullStore: Store {
  private let base: any Store
  private let left: Mutex<Int>
  private let failing: Int
  private let writesAll: Bool

  /// `failing` is how many writes fail before there is room again; nil for all. With `writesAll` these are written, but
  /// report a failure.
  init(_ base: any Store, after writes: Int, failing: Int? = nil, writesAll: Bool = false) {
    self.base = base
    self.writesAll = writesAll
    self.failing = failing ?? .max
    left = Mutex(writes)
  }

  nonisolated(nonsending) func read<Result: Sendable>(
    _ body: @Sendable (any ReadTransaction) throws -> Result
  ) async throws -> Result {
    try await base.read(body)
  }

  nonisolated(nonsending) func write<Result: Sendable>(
    _ body: @Sendable (any WriteTransaction) throws -> Result
  ) async throws -> Result {
    let mayWrite = left.withLock { left in
      left -= 1
      return left >= 0 || -left > failing
    }
    if !mayWrite, writesAll { _ = try await base.write(body) }
    guard mayWrite else { throw StorageError(.cannotWrite, "the disk is full") }
    return try await base.write(body)
  }
}
