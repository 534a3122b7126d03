import Age
import Audit
import Contracts
import Foundation
import JSON
import Sodium
import Storage
import StorageSQLite
import Testing

@testable import Vault

/// `vault/specimens`: a vault with everything that can be in one, and changes to specimens that every version must
/// refuse.
@Suite(.serialized) struct DamagedSpecimenTests {
  private static let specimens = VectorFile.contract.appending(path: "specimens")
  private static let complete = "v2-interrupted"

  /// One line of `damaged.txt`.
  struct Damage: Sendable, CustomTestStringConvertible {
    let specimen: String
    let edit: [String]
    /// Whether it must be refused; otherwise it changes nothing that is read.
    let isRefused: Bool
    let testDescription: String

    static func all() throws -> [Damage] {
      let text = try String(contentsOf: specimens.appending(path: "damaged.txt"), encoding: .utf8)
      return try text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
        let words = line.split(separator: " ").map(String.init)
        let outcome = try #require(words.last)
        try #require(words.count > 3 && ["refused", "same"].contains(outcome), "\(line)")
        return Damage(
          specimen: words[0], edit: Array(words[1...].dropLast()), isRefused: outcome == "refused",
          testDescription: String(line))
      }
    }
  }

  @Test func damageIsRefusedAndNothingElseIs() async throws {
    let all = try Damage.all()
    #expect(all.count > 20)
    for damage in all {
      let copy = try Copy(of: damage.specimen)
      try await copy.apply(damage.edit)
      let expected = try await Copy(of: damage.specimen).read()
      if damage.isRefused {
        do {
          _ = try await copy.read()
          Issue.record("\(damage.testDescription): it was read")
        } catch {
          let code = (error as? VaultError)?.code
          #expect(
            code == .corrupt || code == .unsupportedFormat || error is AuditError, "\(damage.testDescription): \(error)"
          )
        }
      } else {
        #expect(try await copy.read() == expected, "\(damage.testDescription)")
      }
    }
  }

  @Test(.enabled(if: SpecimenTests.canRead, "needs age, and python3 with PyNaCl (apt-get install age python3-nacl)"))
  func anIndependentReaderRefusesTheSame() async throws {
    // If an identity opens no key file, this reader does not check whether it is an owner's, who should have one.
    for damage in try Damage.all() where damage.edit[1] != "key-file" {
      let copy = try Copy(of: damage.specimen)
      try await copy.apply(damage.edit)
      let expected: Int32 = damage.isRefused ? 65 : 0
      let found = try copy.readElsewhere()
      #expect(found.status == expected, "\(damage.testDescription): \(found.errors)")
    }
  }

  // MARK: - The specimen with everything

  private static func make(at folder: String) async throws -> Complete {
    try PrivateFile.createFolder(folder + "/keys")
    try SQLiteStore.create(at: folder + "/vault.db", tables: vaultTables)
    let store = try SQLiteStore(opening: folder + "/vault.db", tables: vaultTables)
    let vault = try await Complete(in: store, seed: complete)
    let header = try await store.read { try VaultView($0).header }
    try write(vault.keyFile, to: folder + "/keys/\(header.keyID).age")
    let identity = try AgeIdentityFile(vault.carol.age).encoded(created: "2026-01-01T00:00:00Z")
    try write(identity.withUnsafeBytes { Array($0) }, to: folder + "/identity")
    try await store.emptyLog()
    return vault
  }

  private static func record() async throws {
    let temporary = try TemporaryFolder()
    let made = temporary.path + "/v"
    defer { try? FileManager.default.removeItem(atPath: made) }
    _ = try await make(at: made)
    let folder = specimens.appending(path: complete)
    try? FileManager.default.removeItem(at: folder)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for name in ["vault.db", "identity", "keys"] {
      try FileManager.default.copyItem(at: URL(filePath: "\(made)/\(name)"), to: folder.appending(path: name))
    }
    try FileManager.default.copyItem(
      at: specimens.appending(path: "v1-small/README.md"), to: folder.appending(path: "README.md"))
    // What this implementation finds; the other one must find the same.
    let found = try await Copy(of: complete).read()
    try Data(try found.json.canonicalBytes + [0x0A]).write(to: folder.appending(path: "expected.json"))
    Issue.record("\(complete) was recorded: run again without RELATCH_RECORD_VECTORS")
  }

  @Test func theSpecimenWithEverythingHoldsWhatItMust() async throws {
    if VectorFile.isRecording { try await Self.record() }
    let expected = try JSONValue(reading: contents(of: Self.specimens.path + "/\(Self.complete)/expected.json"))
    let copy = try Copy(of: Self.complete)
    let found = try await copy.read()
    #expect(try found.json == expected)
    let vault = try await Complete.shared.value
    // Other seeds give other keys, but contents of the same kind.
    let text = try found.json.canonicalText
    for pair in ["3MVG9.2", "3MVG9.3", "3MVG9.staged", "B7C1"] { #expect(text.contains(pair), "\(pair)") }
    #expect(found.entries == UInt64(vault.rows.rows(of: .log).count))
    #expect(found.credentials.map { $0.version(in: .staged)?.number } == [4, nil])
    #expect(found.credentials.map(\.deliveries.count) == [2, 0])
  }

  @Test(.enabled(if: SpecimenTests.canRead, "needs age, and python3 with PyNaCl (apt-get install age python3-nacl)"))
  func anIndependentReaderFindsTheSame() throws {
    let expected = try JSONValue(reading: contents(of: Self.specimens.path + "/\(Self.complete)/expected.json"))
    let found = try Copy(of: Self.complete).readElsewhere()
    #expect(found.status == 0, "\(found.errors)")
    #expect(try JSONValue(reading: found.output) == expected)
  }
}

/// Everything that can be read from a specimen.
private struct Contents: Hashable {
  let header: VaultHeader
  let owner: LogMember
  let members: [Member]
  let credentials: [Credential]
  let pairs: [String: [UInt64: String]]
  let entries: UInt64
  let root: SHA256Digest

  /// The contents as the independent reader prints them.
  var json: JSONValue {
    get throws {
      .object([
        "credentials": .array(
          try credentials.map { credential in
            var members: [String: JSONValue] = [:]
            for (number, text) in pairs[credential.name] ?? [:] {
              members[String(number)] = try JSONValue(readingCanonical: Array(text.utf8))
            }
            let active = try #require(credential.version(in: .active)).number
            return .object([
              "active": .integer(Int(active)), "name": .string(credential.name), "pairs": .object(members),
            ])
          }),
        "entries": .integer(Int(entries)), "owner": owner.json, "root": .string(root.bytes.base64),
        "vault": .string(header.id.description),
      ])
    }
  }
}

/// A copy of a specimen, to be damaged.
private final class Copy {
  private let temporary: TemporaryFolder
  private let folder: String

  init(of specimen: String) throws {
    temporary = try TemporaryFolder()
    folder = temporary.path + "/v"
    try FileManager.default.copyItem(
      atPath: VectorFile.contract.appending(path: "specimens/\(specimen)").path, toPath: folder)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  /// Makes the change on one line of `damaged.txt`, as that file's head explains.
  func apply(_ edit: [String]) async throws {
    if edit[1] == "key-file" {
      let name = try #require(FileManager.default.contentsOfDirectory(atPath: folder + "/keys").first)
      var file = try contents(of: "\(folder)/keys/\(name)")
      file[try #require(Int(edit[2]))] ^= try #require(UInt8(edit[3], radix: 16))
      return try write(file, to: "\(folder)/keys/\(name)")
    }
    let table = try #require(vaultTables.first { $0.name == edit[1] })
    let key = try #require([UInt8](hex: edit[2]))
    let store = try SQLiteStore(opening: folder + "/vault.db", tables: vaultTables)
    try await store.write { transaction in
      var value = try #require(try transaction.value(in: table, for: key), "\(edit)")
      switch edit[0] {
      case "flip":
        value[try #require(Int(edit[3]))] ^= try #require(UInt8(edit[4], radix: 16))
        try transaction.set(value, in: table, for: key)
      case "remove": try transaction.remove(key, from: table)
      case "cut": try transaction.set(Array(value.dropLast()), in: table, for: key)
      case "move":
        try transaction.remove(key, from: table)
        try transaction.set(value, in: table, for: try #require([UInt8](hex: edit[3])))
      case "swap":
        let other = try #require([UInt8](hex: edit[3]))
        try transaction.set(try #require(try transaction.value(in: table, for: other)), in: table, for: key)
        try transaction.set(value, in: table, for: other)
      default: Issue.record("\(edit)")
      }
    }
    try await store.emptyLog()
  }

  func read() async throws -> Contents {
    let store = try SQLiteStore(opening: folder + "/vault.db", tables: vaultTables)
    let folder = folder
    let (header, members, credentials, report) = try await store.read { transaction in
      let view = try VaultView(transaction)
      return (view.header, view.members, try view.credentials(), try VaultView.verify(transaction))
    }
    for credential in credentials where credential.rotation > 0 {
      _ = try await store.read { try VaultView($0).journal(of: credential, rotation: credential.rotation) }
    }
    let vault = try await UnlockedVault(
      store, identity: SpecimenTests.identity(at: folder + "/identity"),
      keyFile: { try contents(of: folder + "/keys/\($0.keyID).age") }, randomness: .seeded("reading"))
    var pairs: [String: [UInt64: String]] = [:]
    for credential in credentials { pairs[credential.name] = try await vault.texts(of: credential.name) }
    return Contents(
      header: header, owner: report.owner, members: members, credentials: credentials, pairs: pairs,
      entries: report.entries, root: report.root)
  }

  func readElsewhere() throws -> (status: Int32, output: [UInt8], errors: String) {
    let reader = VectorFile.contract.appending(path: "../Tests/Reader/relatch_reader.py").standardized.path
    let program = try #require(SpecimenTests.python)
    return try SpecimenTests.run([program, reader, folder, "--identity", folder + "/identity"])
  }
}
