import Foundation
import Testing

@Suite("A flipped byte anywhere")
struct FlippedByteTests {
  /// One copy of the vault, with one bit of one row flipped.
  private struct Flip: Decodable, Sendable {
    let vault: String
    let table: String
    let key: String
    let offset: Int
  }

  /// Copies the vault once for each of several bytes of every row, and flips one bit of that byte.
  private static let script = """
    import json, os, shutil, sqlite3, sys
    source, target = sys.argv[1], sys.argv[2]
    with sqlite3.connect(source + "/vault.db") as base:
        tables = [name for name, in base.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = [(t, k, v) for t in tables for k, v in base.execute(f"SELECT key, value FROM {t}")]
    base.close()
    number = 0
    for index, (table, key, value) in enumerate(rows):
        # The rows of an index are keys alone.
        column, old = ("value", value) if value else ("key", key)
        offsets = {index * 7919 % len(old), len(old) - 1}
        if table not in ("log", "tree", "journal"):
            offsets |= {0, len(old) // 2, len(old) * 3 // 4}
        for offset in sorted(offsets):
            flipped = bytearray(old)
            flipped[offset] ^= 1 << (number % 7)
            vault = f"{target}/{number}"
            number += 1
            shutil.copytree(source, vault)
            database = sqlite3.connect(vault + "/vault.db")
            database.execute(f"UPDATE {table} SET {column} = ? WHERE key = ?", (bytes(flipped), key))
            database.commit()
            database.close()
            print(json.dumps({"vault": vault, "table": table, "key": key.hex(), "offset": offset}))
    """

  @Test(
    "in a record or in the log is found, with 65, and no wrong secret is printed",
    .enabled(if: Programs.python != nil, "python3 is not installed"))
  func flips() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    #expect(try await place.relatch("rotate", "crm").code == 0)
    let right = try await place.org.primary().document
    let copies = place.folder.appendingPathComponent("copies")
    try FileManager.default.createDirectory(at: copies, withIntermediateDirectories: true)
    let python = try #require(Programs.python)
    let made = try await place.run(python, ["-c", Self.script, place.vault.path, copies.path])
    #expect(made.code == 0, "\(made.errorText)")
    let flips = try made.outputText.split(separator: "\n").map {
      try JSONDecoder().decode(Flip.self, from: Data($0.utf8))
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, flip) in flips.enumerated() {
        if index >= 4 { try await group.next() }
        group.addTask { try await Self.check(flip, in: place, right: right) }
      }
      try await group.waitForAll()
    }
    let tables = Dictionary(grouping: flips, by: \.table).mapValues(\.count).sorted { $0.key < $1.key }
    print("flipped bytes found:", tables.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
    #expect(tables.count >= 8)
  }

  private static func check(_ flip: Flip, in place: Workplace, right: String) async throws {
    // As seen by a user who never saw the vault before: the flip must be found without anything remembered.
    let vault = ["RELATCH_VAULT": flip.vault, "XDG_STATE_HOME": flip.vault + "-state"]
    let read = try await place.relatch("read", "crm", environment: vault)
    #expect(read.code == 0 ? read.line == right : read.output.isEmpty, "\(flip)")
    if read.code != 0 { expectFailure(read, 65) }
    var codes = [read.code]
    for arguments in [
      ["read", "crm", "--stage", "previous"], ["read", "admin"], ["status"], ["list"], ["log", "verify"],
    ]
    where !codes.contains(65) {
      codes.append(try await place.run(Programs.relatch, arguments, environment: vault).code)
    }
    switch flip.table {
    case "log", "checkpoints":
      #expect(try await place.relatch("log", "verify", environment: vault).code == 65, "\(flip)")
    // A lease records nothing, and ends automatically. The tree is derived from the entries, and a wrong node of it is
    // found when a proof needs it.
    case "leases", "tree": #expect(codes.allSatisfy { $0 == 0 || $0 == 65 }, "\(flip) \(codes)")
    default: #expect(codes.contains(65), "\(flip) \(codes)")
    }
  }
}
