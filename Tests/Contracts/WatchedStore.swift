package import Storage

/// Another store, with something done before and after each of its changes.
package struct WatchedStore: Store {
  private let base: any Store
  private let before: @Sendable () async throws -> Void
  private let after: @Sendable () async throws -> Void

  /// Does `before` before a change has begun, and `after` once it is committed. If `before` throws, there is no change.
  package init(
    _ base: any Store, before: @escaping @Sendable () async throws -> Void = {},
    after: @escaping @Sendable () async throws -> Void = {}
  ) { (self.base, self.before, self.after) = (base, before, after) }

  package nonisolated(nonsending) func read<Result: Sendable>(
    _ body: @Sendable (any ReadTransaction) throws -> Result
  ) async throws -> Result { try await base.read(body) }

  package nonisolated(nonsending) func write<Result: Sendable>(
    _ body: @Sendable (any WriteTransaction) throws -> Result
  ) async throws -> Result {
    try await before()
    let result = try await base.write(body)
    try await after()
    return result
  }
}
