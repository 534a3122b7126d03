import Contracts
import Storage
import StorageSQLite
import Testing

@Suite("SQLiteStore")
struct SQLiteStoreTests {
  @Test("keeps the contract", arguments: StoreContract.clauses)
  func contract(clause: StoreContract) async throws {
    let folder = try TemporaryFolder()
    try await clause.check(newStore(in: folder))
  }
}

/// A new store with the contract's tables.
func newStore(in folder: TemporaryFolder) throws -> SQLiteStore {
  try SQLiteStore.create(at: folder.store, tables: StoreContract.tables)
  return try SQLiteStore(opening: folder.store, tables: StoreContract.tables)
}
