/// Where a vault is kept: tables of opaque bytes, changed by transactions. A store never sees a key or a secret in the
/// clear.
///
/// Calls begin on the caller's own executor (`nonisolated(nonsending)`), so the one read of a short command needs no
/// other thread.
///
/// Every engine passes the same contract suite (`Tests/Contracts/StoreContract.swift`), including the in-memory one.
package protocol Store: Sendable {
  /// Runs `body` on one consistent snapshot. `body` may run more than once, and must not keep the transaction.
  ///
  /// A reader never waits for a writer, and sees everything committed before the call.
  nonisolated(nonsending) func read<Result: Sendable>(
    _ body: @Sendable (any ReadTransaction) throws -> Result
  ) async throws -> Result

  /// Runs `body` alone, then commits durably: when this returns, the change outlives a power cut. If `body` throws,
  /// nobody ever sees any of its changes. If the process dies before this returns, either all of the change is there or
  /// none of it, and recovery must look. Writers queue; none starves.
  ///
  /// Throws what `body` throws; `StorageError.cannotWrite` if the commit failed, with nothing changed. If the engine
  /// refused a change, `write` throws the refusal even if `body` swallows it. An engine may commit the changes of
  /// several bodies at once; it then does the `finishingStep` that they left only once, and if that throws, each of
  /// these writes throws, with nothing changed.
  nonisolated(nonsending) func write<Result: Sendable>(
    _ body: @Sendable (any WriteTransaction) throws -> Result
  ) async throws -> Result
}

/// A consistent view of the tables. Valid only inside the closure it is handed to.
package protocol ReadTransaction {
  /// The value of `key`, or nil.
  func value(in table: Table, for key: [UInt8]) throws -> [UInt8]?

  /// Visits rows with `lower <= key < upper` (no upper bound if nil) in ascending byte order, descending if `reversed`,
  /// until `visit` returns false. Whether it meets rows that `visit` itself sets or removes is not defined.
  func scan(
    _ table: Table, from lower: [UInt8], to upper: [UInt8]?, reversed: Bool,
    _ visit: (_ key: [UInt8], _ value: [UInt8]) throws -> Bool
  ) throws

  /// Visits rows with `lower <= key` in ascending byte order as `scan` does, but hands `visit` the engine's own bytes:
  /// for callers that go through millions of rows and keep none.
  func scan(
    _ table: Table, from lower: [UInt8],
    inPlace visit: (_ key: borrowing Span<UInt8>, _ value: borrowing Span<UInt8>) throws -> Bool
  ) throws
}

/// A view that can also change rows. It reads its own changes.
package protocol WriteTransaction: ReadTransaction {
  /// Inserts or replaces one row.
  func set(_ value: [UInt8], in table: Table, for key: [UInt8]) throws

  /// Removes one row; does nothing if there is none. The engine overwrites what it frees.
  func remove(_ key: [UInt8], from table: Table) throws

  /// What the engine does right before the commit; nil for nothing. It starts with what earlier bodies that share the
  /// commit have left. If a body throws, what it set here is undone like the rows it set.
  var finishingStep: (any FinishingStep)? { get nonmutating set }
}

/// Work that is worth doing once for all the changes that become durable together, such as a signature over them.
package protocol FinishingStep: Sendable {
  /// Does the work at the end of the whole shared transaction. If it throws, that whole transaction is undone.
  func finish(in transaction: any WriteTransaction) throws
}

extension WriteTransaction {
  /// Does the finishing step at once, for a body that must see the tables as they will be committed.
  package func finishNow() throws {
    guard let step = finishingStep else { return }
    try step.finish(in: self)
    // Only now: a body that swallows the error must not commit without the step.
    finishingStep = nil
  }
}

extension ReadTransaction {
  /// Copies the rows; an engine that has the bytes at hand does better.
  package func scan(
    _ table: Table, from lower: [UInt8],
    inPlace visit: (_ key: borrowing Span<UInt8>, _ value: borrowing Span<UInt8>) throws -> Bool
  ) throws {
    try scan(table, from: lower, to: nil, reversed: false) { try visit($0.span, $1.span) }
  }

  /// All rows whose key begins with `prefix`, in ascending order.
  package func rows(in table: Table, withPrefix prefix: [UInt8] = []) throws -> [Row] {
    var rows: [Row] = []
    try scan(table, from: prefix, to: prefix.successorOfPrefix, reversed: false) { key, value in
      rows.append(Row(key: key, value: value))
      return true
    }
    return rows
  }

  /// The row with the greatest key that begins with `prefix`, or nil.
  package func lastRow(in table: Table, withPrefix prefix: [UInt8] = []) throws -> Row? {
    var last: Row?
    try scan(table, from: prefix, to: prefix.successorOfPrefix, reversed: true) { key, value in
      last = Row(key: key, value: value)
      return false
    }
    return last
  }
}

extension [UInt8] {
  /// The least key that is greater than every key beginning with this prefix; nil if there is none.
  var successorOfPrefix: [UInt8]? {
    guard let index = lastIndex(where: { $0 < 0xFF }) else { return nil }
    return Array(self[..<index]) + [self[index] + 1]
  }
}

extension FixedWidthInteger {
  /// The big-endian bytes, so that the order of keys is the order of numbers.
  @inlinable package var bigEndianBytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }

  /// The number in big-endian `bytes`; nil unless the size is exact.
  @inlinable package init?(bigEndianBytes bytes: some Collection<UInt8>) {
    guard bytes.count == Self.bitWidth / 8 else { return nil }
    self = bytes.reduce(0) { $0 << 8 | Self(truncatingIfNeeded: $1) }
  }
}
