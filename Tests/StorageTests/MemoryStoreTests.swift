import Contracts
import Storage
import Testing

@Suite("MemoryStore")
struct MemoryStoreTests {
  @Test("keeps the contract of all stores", arguments: StoreContract.clauses)
  func contract(clause: StoreContract) async throws {
    try await clause.check(MemoryStore(tables: StoreContract.tables))
  }
}
