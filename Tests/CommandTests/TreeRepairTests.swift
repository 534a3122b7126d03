import Foundation
import Testing

@Suite("A damaged tree beside a whole log")
struct TreeRepairTests {
  /// What is done to the stored rows, as SQLite statements.
  private static let damages = [
    "UPDATE tree SET value = zeroblob(32) WHERE key = (SELECT key FROM tree ORDER BY key DESC LIMIT 1)",
    "UPDATE tree SET value = zeroblob(32) WHERE key = x'010000000000000000'",
    "UPDATE tree SET value = x'00' WHERE key = x'000000000000000003'",
    "DELETE FROM tree",
    "INSERT INTO tree VALUES (x'3e0000000000000000', zeroblob(32)), (x'00ffffffffffffffff', zeroblob(32)), (x'', x'')",
  ]

  private func run(_ statement: String, in place: Workplace) async throws {
    let python = try #require(Programs.python)
    let script = """
      import sqlite3, sys
      database = sqlite3.connect(sys.argv[1])
      database.execute(sys.argv[2])
      database.commit()
      """
    let run = try await place.run(python, ["-c", script, place.vault.path + "/vault.db", statement])
    #expect(run.code == 0, "\(run.errorText)")
  }

  @Test("is reported with 65, rebuilt from the entries by a member, and logged; then everything is as before")
  func repaired() async throws {
    guard Programs.python != nil else { return print("skipped: python3 is not installed") }
    let place = try await Workplace()
    try await place.add("crm")
    let pair = try #require(try await place.pair("crm"))
    for damage in Self.damages {
      try await run(damage, in: place)
      let told = try await place.relatch("log", "verify")
      expectFailure(told, 65, "relatch log verify --repair")
      // Only a member can change anything.
      let stranger = ["RELATCH_IDENTITY": place.folder.appendingPathComponent("stranger").path]
      _ = try await place.relatch("identity", "new", "--no-passphrase", environment: stranger)
      expectFailure(try await place.relatch("log", "verify", "--repair", environment: stranger), 77, "not a member")
      expectFailure(try await place.relatch("log", "verify"), 65)
      let repaired = try await place.relatch("log", "verify", "--repair")
      #expect(repaired.code == 0 && repaired.outputText.contains("of the log's tree computed again\nthe log is whole"))
      #expect(try await place.logIsIntact(), "\(damage)")
      #expect(try await place.pair("crm") == pair)
    }
    let entries = try await place.relatch("log", "list", "--json").objects()
      .filter { $0["event"] as? String == "log.repaired" }
    #expect(entries.count == Self.damages.count && entries.allSatisfy { ($0["rows"] as? Int ?? 0) > 0 })
    #expect(entries.first?["rows"] as? Int == 1)
    // In an intact tree nothing is rewritten, and nothing is logged.
    let again = try await place.relatch("log", "verify", "--repair", "--json")
    #expect(try again.objects().first?["repaired"] as? Int == 0)
  }

  @Test("is not rebuilt from entries that were altered, cut off, or are not those seen before")
  func refused() async throws {
    guard Programs.python != nil else { return print("skipped: python3 is not installed") }
    let place = try await Workplace()
    try await place.add("crm")
    let (older, whole) = (place.folder.appendingPathComponent("older"), place.folder.appendingPathComponent("whole"))
    func copy(_ from: URL, to: URL) throws {
      if to == place.vault { try FileManager.default.removeItem(at: to) }
      try FileManager.default.copyItem(at: from, to: to)
    }
    try copy(place.vault, to: older)
    #expect(try await place.relatch("remove", "crm").code == 0)
    try copy(place.vault, to: whole)
    for damage in [
      "UPDATE log SET value = CAST(replace(CAST(value AS TEXT), 'crm', 'csm') AS BLOB)",
      "DELETE FROM log WHERE key = (SELECT key FROM log ORDER BY key DESC LIMIT 1)", "DELETE FROM checkpoints",
    ] {
      try await run(damage, in: place)
      try await run(Self.damages[1], in: place)
      expectFailure(try await place.relatch("log", "verify", "--repair"), 65)
      try copy(whole, to: place.vault)
    }
    try copy(older, to: place.vault)
    try await run(Self.damages[1], in: place)
    expectFailure(try await place.relatch("log", "verify", "--repair"), 65)
  }
}
