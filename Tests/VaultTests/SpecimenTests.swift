import Age
import Audit
import Contracts
import Foundation
import JSON
import Sodium
import Storage
import Testing

@testable import StorageSQLite
@testable import Vault

/// `vault/specimens`: vaults that every later version must open, and that a second implementation must read the same
/// way.
@Suite(.serialized) struct SpecimenTests {
  /// One of each format of the database.
  static let formats = [1, 2]
  private static func folder(_ format: Int) -> URL {
    VectorFile.contract.appending(path: "specimens/v\(format)-small")
  }

  /// A vault folder as `relatch` makes it, with the identity that opens it beside it.
  static func make(
    at folder: String, seed: String, format: Int = 2
  ) async throws -> (fixture: Fixture, expected: [UInt8]) {
    try PrivateFile.createFolder(folder + "/keys")
    try SQLiteStore.create(at: folder + "/vault.db", tables: vaultTables)
    let store = try SQLiteStore(opening: folder + "/vault.db", tables: vaultTables)
    let fixture = try await Fixture(in: store, seed: seed)
    try await fixture.add()
    try await fixture.rotate()
    _ = try await fixture.addOperator()
    if format > 1 { try await fixture.addSchedule() }
    try write(fixture.keyFile, to: folder + "/keys/\(fixture.vault.header.keyID).age")
    let identity = try AgeIdentityFile(fixture.owner.age).encoded(created: "2026-01-01T00:00:00Z")
    try write(identity.withUnsafeBytes { Array($0) }, to: folder + "/identity")
    // What a reader must find. Reading it later, after the rows were copied, would add an entry.
    let expected = try await expectation(of: fixture)
    try await store.emptyLog()
    return (fixture, expected)
  }

  private static func expectation(of fixture: Fixture) async throws -> [UInt8] {
    let snapshot = try await Snapshot(of: fixture.store, vaultTables)
    let report = try await snapshot.read { try LogVerification.verify(storedIn: $0) }
    var credentials: [JSONValue] = []
    for credential in try await snapshot.read({ try VaultView($0).credentials() }) {
      var pairs: [String: JSONValue] = [:]
      for (number, text) in try await fixture.opened(in: snapshot).texts(of: credential.name) {
        pairs[String(number)] = try JSONValue(readingCanonical: Array(text.utf8))
      }
      let active = try #require(credential.version(in: .active)).number
      credentials.append(
        .object(["active": .integer(Int(active)), "name": .string(credential.name), "pairs": .object(pairs)]))
    }
    return JSONValue.object([
      "credentials": .array(credentials), "entries": .integer(Int(report.entries)), "owner": report.owner.json,
      "root": .string(report.root.bytes.base64), "vault": .string(fixture.vault.header.id.description),
    ]).canonicalBytes + [0x0A]
  }

  /// Earlier formats can no longer be written.
  private static func record() async throws {
    let folder = folder(StoreFormat.version)
    let temporary = try TemporaryFolder()
    let made = try await make(at: temporary.path + "/v", seed: "specimen", format: StoreFormat.version)
    try? FileManager.default.removeItem(at: folder)
    try FileManager.default.createDirectory(at: folder.appending(path: "keys"), withIntermediateDirectories: true)
    for name in ["vault.db", "identity", "keys/\(made.fixture.vault.header.keyID).age"] {
      try FileManager.default.copyItem(
        at: URL(filePath: temporary.path + "/v/" + name), to: folder.appending(path: name))
    }
    try Data(made.expected).write(to: folder.appending(path: "expected.json"))
    try Data(
      "The `identity` here is thrown away: it is public, opens this specimen alone, and must never be used.\n".utf8
    ).write(to: folder.appending(path: "README.md"))
    try FileManager.default.removeItem(atPath: temporary.path + "/v")
    Issue.record("the specimen was recorded: run again without RELATCH_RECORD_VECTORS")
  }

  @Test(arguments: formats) func theSpecimenOpensAndHoldsWhatItMust(format: Int) async throws {
    if VectorFile.isRecording, format == StoreFormat.version { try await Self.record() }
    let temporary = try TemporaryFolder()
    let copy = temporary.path + "/v"
    try FileManager.default.copyItem(atPath: Self.folder(format).path, toPath: copy)
    defer { try? FileManager.default.removeItem(atPath: copy) }
    let store = try SQLiteStore(opening: copy + "/vault.db", tables: vaultTables)
    let identity = try Self.identity(at: copy + "/identity")
    let vault = try await UnlockedVault(
      store, identity: identity, keyFile: { try contents(of: copy + "/keys/\($0.keyID).age") },
      randomness: .seeded("reading"))
    let expected = try JSONValue(reading: contents(of: copy + "/expected.json"))
    let pairs = try await vault.texts()
    #expect(pairs[2] == #"{"client_id":"3MVG9.second","client_secret":"B7C1"}"#)
    guard case .object(let members) = expected, case .integer(let entries)? = members["entries"] else {
      Issue.record("expected.json is not what it must be")
      return
    }
    try await store.read { _ = try VaultView.verify($0) }
    let report = try await store.read { try LogVerification.verify(storedIn: $0) }
    // One more than the specimen has: the entry that the pairs were read.
    #expect(report.entries == UInt64(entries) + 1)
    #expect(members["vault"] == .string(vault.header.id.description))
  }

  /// Every example in the specifications is a row of the specimen, or a vector.
  @Test func theSpecificationsOpenWithWhatIsThere() async throws {
    let temporary = try TemporaryFolder()
    try FileManager.default.copyItem(
      at: Self.folder(StoreFormat.version).appending(path: "vault.db"),
      to: URL(filePath: temporary.path + "/specimen.db"))
    let specimen = try SQLiteStore(opening: temporary.path + "/specimen.db", tables: vaultTables)
    let rows = try await Snapshot(of: specimen, vaultTables)
    func texts(_ table: Table, _ range: Range<Int>) -> [String] {
      rows.rows(of: table)[range].map { String(decoding: $0.value, as: UTF8.self) }
    }
    let pair = try VectorFile(reading: VectorFile.contract.appending(path: "vectors/sealed-record/pair.txt"))
    let alice = try VectorFile(reading: VectorFile.contract.appending(path: "vectors/identity/alice.txt"))
    let examples = [
      "storage.md": texts(.log, 0..<1),
      "credential.md": texts(.credentials, 0..<1) + texts(.header, 0..<1) + texts(.members, 0..<1) + texts(.log, 8..<9),
      "journal.md": texts(.log, 2..<3) + rows.rows(of: .journal).map { $0.value.hex },
      "sealed-record.md": pair.headers.dropFirst().prefix(3).map(\.value),
      "identity.md": alice.headers.dropFirst().map(\.value) + [String(decoding: alice.bytes, as: UTF8.self)],
      "remembered.md": [
        String(decoding: try await LockedVault(specimen).read { $0.seenLog.bytes }, as: UTF8.self)
      ],
    ]
    let indexed = VectorFile.contract.appending(path: "storage.md")
    try FileManager.default.copyItem(
      at: Self.folder(2).appending(path: "vault.db"), to: URL(filePath: temporary.path + "/second.db"))
    let second = try SQLiteStore(opening: temporary.path + "/second.db", tables: vaultTables)
    let digits = try String(contentsOf: indexed, encoding: .utf8).replacing(" ", with: "")
    let index = try await Snapshot(of: second, [.due, .apart])
    for table in [Table.due, .apart] {
      for row in index.rows(of: table) { #expect(digits.contains("\(table.name)\(row.key.hex)→")) }
    }
    for (page, parts) in examples {
      let text = try String(contentsOf: VectorFile.contract.appending(path: page), encoding: .utf8)
      for part in parts { #expect(text.contains(part), "\(page)") }
      if page == "sealed-record.md" {
        let digits = text.filter { $0 != " " && $0 != "\n" }
        #expect(digits.contains("record" + pair.bytes.hex))
      }
    }
  }

  /// A specimen of an older format has the same rows in all the tables that it has.
  @Test func theSpecimenIsWhatItsSeedGives() async throws {
    let format = StoreFormat.version
    let temporary = try TemporaryFolder()
    let (fixture, expected) = try await Self.make(at: temporary.path + "/v", seed: "specimen", format: format)
    defer { try? FileManager.default.removeItem(atPath: temporary.path + "/v") }
    #expect(try contents(of: Self.folder(format).path + "/expected.json") == expected)
    try FileManager.default.copyItem(
      at: Self.folder(format).appending(path: "vault.db"), to: URL(filePath: temporary.path + "/specimen.db"))
    let specimen = try SQLiteStore(opening: temporary.path + "/specimen.db", tables: vaultTables)
    let tables = vaultTables.filter { $0.since <= format }
    let rows = try await Snapshot(of: specimen, tables).tables
    #expect(try await Snapshot(of: fixture.store, tables).tables == rows)
    let index = try await Snapshot(of: specimen, [.due, .apart])
    #expect(index.rows(of: .due).isEmpty == (format == 1))
  }

  static func identity(at path: String) throws -> Identity {
    let text = try PrivateFile.read(path)
    let file = try AgeIdentityFile(decoding: text.bytes)
    return try Identity(try #require(file.identities.first))
  }

  // MARK: - A second implementation

  /// A Python with PyNaCl: the one in PATH, or Debian's with its package; nil if there is none.
  static let python: String? = ["python3", "/usr/bin/python3"].first { program in
    (try? run([program, "-c", "import nacl"]))?.status == 0
  }

  /// Whether the independent reader can run here.
  static let canRead = python != nil && (try? run(["age", "--version"]))?.status == 0

  @Test(
    .enabled(if: canRead, "needs age, and python3 with PyNaCl (apt-get install age python3-nacl)"),
    arguments: [1, 2, nil])
  func anIndependentReaderFindsTheSame(inSpecimen format: Int?) async throws {
    let temporary = try TemporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: temporary.path + "/v") }
    let expected: [UInt8]
    var folder = temporary.path + "/v"
    if let format {
      folder = Self.folder(format).path
      expected = try contents(of: folder + "/expected.json")
    } else {
      expected = try await Self.make(at: folder, seed: "fresh").expected
    }
    let program = try #require(Self.python)
    let reader = VectorFile.contract.appending(path: "../Tests/Reader/relatch_reader.py").standardized.path
    let (status, output, errors) = try Self.run([program, reader, folder, "--identity", folder + "/identity"])
    #expect(status == 0, "\(errors)")
    #expect(try JSONValue(reading: output) == JSONValue(reading: expected))
  }

  @Test(.enabled(if: canRead, "needs age, and python3 with PyNaCl (apt-get install age python3-nacl)"))
  func thePageOfPythonInTheContractRecoversEverySecret() async throws {
    let page = try String(contentsOf: VectorFile.contract.appending(path: "README.md"), encoding: .utf8)
    let start = try #require(page.range(of: "```python\n")).upperBound
    let end = try #require(page[start...].range(of: "```")).lowerBound
    let temporary = try TemporaryFolder()
    let copy = temporary.path + "/v"
    try FileManager.default.copyItem(atPath: Self.folder(1).path, toPath: copy)
    defer { try? FileManager.default.removeItem(atPath: copy) }
    let program = try #require(Self.python)
    let (status, output, errors) = try Self.run([program, "-c", String(page[start..<end]), copy, copy + "/identity"])
    #expect(status == 0, "\(errors)")
    #expect(
      String(decoding: output, as: UTF8.self) == """
        crm/prod 1 previous {"client_id":"3MVG9.first","client_secret":"quote \\" backslash \\\\ é 漢"}
        crm/prod 2 active {"client_id":"3MVG9.second","client_secret":"B7C1"}

        """)
  }

  static func run(_ arguments: [String]) throws -> (status: Int32, output: [UInt8], errors: String) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = arguments
    let (pipe, errorPipe) = (Pipe(), Pipe())
    process.standardOutput = pipe
    process.standardError = errorPipe
    try process.run()
    let output = Array(pipe.fileHandleForReading.readDataToEndOfFile())
    let errors = String(decoding: errorPipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, output, errors)
  }
}
