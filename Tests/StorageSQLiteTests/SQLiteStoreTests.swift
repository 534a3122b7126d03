import Contracts
import Glibc
import Storage
import Testing

@testable import StorageSQLite

@Suite("SQLiteStore")
struct SQLiteStoreTests {
  @Test("keeps the contract", arguments: StoreContract.clauses)
  func contract(clause: StoreContract) async throws {
    let folder = try TemporaryFolder()
    try await clause.check(newStore(in: folder))
  }
}

/// The one table of the tests that need rows but no contract.
let items = Table("items")

/// A new store with the contract's tables.
func newStore(in folder: TemporaryFolder) throws -> SQLiteStore {
  try SQLiteStore.create(at: folder.store, tables: StoreContract.tables)
  return try SQLiteStore(opening: folder.store, tables: StoreContract.tables)
}
