import Foundation
import Testing

@Suite("One damaged record", .enabled(if: Programs.python != nil, "needs python3"))
struct WithheldRecordTests {
  /// Replaces a credential's record with `value`, in hexadecimal, and returns what was there.
  @discardableResult
  private static func put(_ value: String, _ name: String, in place: Workplace) async throws -> String {
    let script = """
      import sqlite3, sys
      database = sqlite3.connect(sys.argv[1])
      key = sys.argv[2].encode()
      print(database.execute("SELECT hex(value) FROM credentials WHERE key = ?", (key,)).fetchone()[0], end="")
      database.execute("UPDATE credentials SET value = ? WHERE key = ?", (bytes.fromhex(sys.argv[3]), key))
      database.commit()
      """
    let run = try await place.run(
      try #require(Programs.python), ["-c", script, place.vault.path + "/vault.db", name, value])
    #expect(run.code == 0, "\(run.errorText)")
    return run.outputText
  }

  /// How the reader that was written only from the specifications ends; nil where it cannot run.
  private static func reader(_ place: Workplace) async throws -> Int32? {
    guard Intruder.isAvailable else { return nil }
    let program = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "../Reader/relatch_reader.py"
    ).standardizedFileURL.path
    return try await place.run(
      try #require(Programs.python), [program, place.vault.path, "--identity", place.identity.path]
    ).code
  }

  @Test("lets no former member in: their key is useless, which is reported, and the credential can be added again")
  func withheld() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    try await place.addMember("bob", "operator", grants: ["crm"])
    let kept = try await Self.put("7b", "crm", in: place)
    let removed = try await place.relatch("member", "remove", "bob")
    #expect(
      removed.code == 65
        && removed.errorText.contains("bob is no longer a member, but these are damaged and not re-keyed"))
    #expect(removed.errorText.contains("`relatch remove crm --forget-debts`, `relatch add` it"))
    try await Self.put(kept, "crm", in: place)
    for arguments in [["log", "verify"], ["read", "crm"], ["rotate", "crm"], ["show", "crm"]] {
      let refused = try await place.run(Programs.relatch, arguments)
      expectFailure(refused, 65, "the record of crm was damaged when the keys were changed")
      #expect(refused.errorText.contains("`relatch remove crm --forget-debts`"), "\(refused.errorText)")
    }
    #expect(try await [nil, 65].contains(Self.reader(place)))
    #expect(try await place.relatch("remove", "crm", "--forget-debts").code == 0)
    #expect(try await place.logIsIntact())
    try await place.add("crm")
    #expect(try await place.relatch("rotate", "crm").code == 0)
    #expect(try await place.logIsIntact())
    #expect(try await [nil, 0].contains(Self.reader(place)))
  }

  @Test("locks no owner out: another can join, everything else is re-keyed, and it can be removed")
  func lockedOut() async throws {
    let place = try await Workplace(["--apps", "2"])
    try await place.add("crm")
    try await place.add("erp", app: 2)
    try await Self.put("7b", "crm", in: place)
    let card = try await place.card(of: "dora")
    let added = try await place.relatch("member", "add", "-", "--role", "owner", stdin: card)
    #expect(added.code == 65, "\(added.errorText)")
    #expect(added.errorText.contains("dora is a member, but these are damaged and perhaps not open to them: crm"))
    let dora = try await place.environment(of: "dora")
    #expect(try await place.pair("erp", environment: dora) != nil)
    let rekeyed = try await place.relatch("rekey", "--json", environment: dora)
    #expect(rekeyed.code == 65, "\(rekeyed.errorText)")
    let object = try #require(try rekeyed.objects().first)
    #expect(object["credentials"] as? Int == 2 && object["damaged"] as? [String] == ["crm"])
    expectFailure(try await place.relatch("remove", "crm"), 65)
    #expect(try await place.relatch("remove", "erp", "--forget-debts").code == 0)
    let gone = try await place.relatch("remove", "crm", "--forget-debts", "--json")
    #expect(gone.code == 0, "\(gone.errorText)")
    let told = try #require(try gone.objects().first)
    #expect(told["damaged"] as? Bool == true && (told["forgotten"] as? [Int])?.isEmpty == true)
    expectFailure(try await place.relatch("remove", "crm", "--forget-debts"), 66, "no credential")
    #expect(try await place.relatch("list").outputText.contains("admin"))
    #expect(try await place.logIsIntact())
  }
}
