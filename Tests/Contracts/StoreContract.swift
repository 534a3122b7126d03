package import Storage

/// What every engine promises, as clauses to be run one by one, each against a new and empty store of its own.
///
/// It uses no test library, so that an engine's own tests, a benchmark or a doctor can run it. A broken clause throws.
package struct StoreContract: Sendable, CustomStringConvertible {
  /// The tables that the store must be made with.
  package static let tables: [Table] = [.leases, .first, .second]

  /// Every clause.
  package static let clauses = rows + transactions + finishing + leases

  /// The promise, as a sentence.
  package let description: String
  /// Throws `BrokenPromise`, or whatever the store throws.
  package let check: @Sendable (any Store) async throws -> Void

  init(_ description: String, _ check: @escaping @Sendable (any Store) async throws -> Void) {
    self.description = description
    self.check = check
  }
}

/// Thrown when an engine did not keep a clause.
package struct BrokenPromise: Error, CustomStringConvertible {
  package let description: String
}

extension Table {
  static let first = Table("contract_first")
  static let second = Table("contract_second")
  static let absent = Table("contract_absent")
}

/// Throws unless `found` equals `expected`.
func demand<Value: Equatable>(_ found: Value, is expected: Value, line: Int = #line) throws {
  guard found != expected else { return }
  throw BrokenPromise(description: "line \(line): found \(found), expected \(expected)")
}

/// Throws unless `body` throws a `StorageError` with `code`.
func demand(_ code: StorageError.Code, line: Int = #line, from body: () async throws -> Void) async throws {
  do {
    try await body()
  } catch let error as StorageError where error.code == code {
    return
  } catch {
    throw BrokenPromise(description: "line \(line): found \(error), expected \(code)")
  }
  throw BrokenPromise(description: "line \(line): nothing was thrown, expected \(code)")
}

/// The same, inside a transaction.
func demandNow(_ code: StorageError.Code, line: Int = #line, from body: () throws -> Void) throws {
  do {
    try body()
  } catch let error as StorageError where error.code == code {
    return
  }
  throw BrokenPromise(description: "line \(line): nothing was thrown, expected \(code)")
}

extension Store {
  func value(of key: [UInt8], in table: Table = .first) async throws -> [UInt8]? {
    try await read { try $0.value(in: table, for: key) }
  }

  func set(_ value: [UInt8], for key: [UInt8], in table: Table = .first) async throws {
    try await write { try $0.set(value, in: table, for: key) }
  }
}
