import Contracts
import Foundation
import Testing

@testable import StorageSQLite
@testable import Vault

@Suite struct SchemaTests {
  @Test func theSchemaInTheContractIsWhatAFreshStoreHas() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/vault.db"
    try SQLiteStore.create(at: path, tables: vaultTables)
    let (connection, _) = try Connection.reading(StoreFile(at: path), vaultTables)
    func ask(_ sql: String) throws -> [String] { try connection.answers(to: sql, "comparing").map { $0[0] } }
    let found =
      try ask("SELECT sql FROM sqlite_master")
      + ["application_id", "user_version"].map { "PRAGMA \($0) = \(try ask("PRAGMA \($0)")[0])" }
    let lines = try ["001-initial.sql", "002-due.sql"].flatMap { name in
      try String(contentsOf: VectorFile.contract.appending(path: "schema/\(name)"), encoding: .utf8)
        .split(separator: "\n").filter { !$0.hasPrefix("--") }
    }.filter { $0 != "PRAGMA user_version = 1;" }
    #expect(Set(lines) == Set(found.map { "\($0);"[...] }))
    #expect(lines.count == found.count)
  }
}
