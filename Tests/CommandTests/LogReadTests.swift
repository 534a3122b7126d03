import Foundation
import Testing

@Suite("A look at the log")
struct LogReadTests {
  private static func looks(_ place: Workplace) async throws -> [[String: Any]] {
    // As an outsider, who has no identity and leaves no entry.
    try await place.relatch("log", "list", "--json", environment: ["RELATCH_IDENTITY": "/nonexistent"]).objects()
      .filter { $0["event"] as? String == "log.read" }
  }

  @Test("is recorded before anything is shown, with the reader and the request")
  func entries() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let listed = try await place.relatch("log", "list", "--json").objects()
    #expect(listed.last?["event"] as? String == "log.read" && listed.last?["what"] as? String == "list")
    #expect(
      try await place.relatch(
        "log", "export", "--format", "cef", "--credential", "crm", "--since", "2026-01-01T00:00:00Z"
      )
      .code == 0)
    #expect(try await place.relatch("log", "bundle", "crm").code == 0)
    #expect(try await place.relatch("log", "exposure", "--member", "owner").code == 0)
    #expect(try await place.relatch("incident").code == 0)
    let bob = try await place.addMember("bob", "auditor")
    #expect(try await place.relatch("log", "list", environment: bob).code == 0)
    let looks = try await Self.looks(place)
    #expect(looks.map { $0["what"] as? String } == ["list", "export", "bundle", "exposure", "incident", "list"])
    try #require(looks.count == 6)
    #expect(looks.last?["member"] as? String == "bob")
    #expect(looks[1]["format"] as? String == "cef" && looks[1]["credentials"] as? [String] == ["crm"])
    #expect(looks[1]["since"] as? String == "2026-01-01T00:00:00.000Z")
    #expect(looks[3]["about"] as? String == "owner")
    // These show no more than what an outsider has anyway.
    for verb in [["verify"], ["checkpoint"], ["prove", "1"]] {
      #expect(try await place.run(Programs.relatch, ["log"] + verb).code == 0)
    }
    #expect(try await Self.looks(place).count == looks.count)
    #expect(try await place.logIsIntact())
  }

  @Test("selects entries by credential, time and number; a name that the log never held ends with 66")
  func chosen() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    func list(_ arguments: String...) async throws -> [[String: Any]] {
      let listed = try await place.run(
        Programs.relatch, ["log", "list", "--json"] + arguments, environment: Workplace.outsider)
      #expect(listed.code == 0, "\(listed.errorText)")
      return try listed.objects()
    }
    let all = try await list()
    let ofCRM = try await list("crm")
    #expect(!ofCRM.isEmpty && ofCRM.allSatisfy { $0["credential"] as? String == "crm" } && ofCRM.count < all.count)
    let last = try await list("--last", "2")
    #expect(last.map { $0["time"] as? String } == all.suffix(2).map { $0["time"] as? String } && last.count == 2)
    #expect(try await list("crm", "--last", "1").count == 1)
    #expect(try await list("--since", "2020-01-01T00:00:00Z").count == all.count)
    #expect(try await list("--until", "2020-01-01T00:00:00Z").isEmpty)
    expectFailure(try await place.relatch("log", "list", "nope"), 66, "has no entry about")
    expectFailure(try await place.relatch("log", "export", "--credential", "nope"), 66, "has no entry about")
    expectFailure(try await place.relatch("log", "list", "--last", "0"), 64, "--last")
  }

  @Test("records no word that names nothing, because it may be a secret pasted in the wrong place")
  func strange() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let before = try await place.relatch("log", "list", "--json", environment: Workplace.outsider).output
    for word in ["7D0781A5C1F3", String(repeating: "x", count: 100_000)] {
      for arguments in [["incident"], ["log", "exposure", "--member"], ["log", "export", "--credential"]] {
        expectFailure(try await place.run(Programs.relatch, arguments + [word]), 66)
      }
    }
    #expect(try await place.relatch("log", "list", "--json", environment: Workplace.outsider).output == before)
    // A name that exists has its entry before anything about it is shown.
    #expect(try await place.relatch("revoke", "crm", "--reason", "x").code == 0)
    let report = try #require(try await place.relatch("incident", "crm", "--json").objects().first)
    #expect(try await place.relatch("incident", #require(report["incident"] as? String)).code == 0)
    #expect(try await Self.looks(place).map { $0["about"] as? String } == ["crm", report["incident"] as? String])
    #expect(try await place.logIsIntact())
  }

  @Test("is recorded once however often it is repeated with nothing in between")
  func again() async throws {
    let place = try await Workplace()
    for _ in 1...3 {
      #expect(try await place.relatch("log", "list").code == 0)
      #expect(try await place.relatch("log", "export").code == 0)
    }
    #expect(try await Self.looks(place).count == 2)
    // A collector that continues where it stopped.
    var next = try await place.relatch("log", "export").outputText.split(separator: "\n").count
    for _ in 1...3 {
      next += try await place.relatch("log", "export", "--from", "\(next)").outputText.split(separator: "\n").count
    }
    #expect(try await Self.looks(place).count == 2)
    #expect(try await place.relatch("read", "admin").code == 0)
    for _ in 1...3 {
      next += try await place.relatch("log", "export", "--from", "\(next)").outputText.split(separator: "\n").count
    }
    #expect(try await Self.looks(place).count == 3)
    // A reader who saw the end has not seen the rest: that is another look, and after it everything within it is the
    // same look.
    let last = "\(next - 1)"
    #expect(try await place.relatch("log", "export", "--from", last).code == 0)
    #expect(try await Self.looks(place).count == 3)
    for (from, looks) in [("1", 4), (last, 4), ("1", 4), ("0", 5), ("1", 5), (last, 5)] {
      #expect(try await place.relatch("log", "export", "--from", from).code == 0)
      #expect(try await Self.looks(place).count == looks, "\(from)")
    }
  }

  @Test("is not recorded for a reader without an identity or right to write, nor on a full disk")
  func without() async throws {
    let place = try await Workplace()
    for identity in ["/nonexistent", "/dev/null", place.folder.path] {
      #expect(try await place.relatch("log", "list", environment: ["RELATCH_IDENTITY": identity]).code == 0)
    }
    let stranger = place.folder.path + "/stranger"
    #expect(try await place.relatch("identity", "new", "--no-passphrase", "--identity", stranger).code == 0)
    #expect(try await place.relatch("log", "list", "--identity", stranger).code == 0)
    #expect(try await Self.looks(place).isEmpty)

    let disk = try Disk(in: place.folder, size: "8m")
    defer { disk.unmount() }
    let environment = ["RELATCH_VAULT": disk.path + "/vault"]
    try FileManager.default.copyItem(atPath: place.vault.path, toPath: disk.path + "/vault")
    #expect(try await place.relatch("log", "list", environment: environment).code == 0)
    // A look that is not the same.
    try disk.fill(leaving: 0)
    let full = try await place.relatch("log", "export", environment: environment)
    #expect(full.code == 0 && full.errorText.contains("its log has no entry about this look"), "\(full.errorText)")
    disk.free()
    try disk.remount(readOnly: true)
    #expect(try await place.relatch("log", "export", environment: environment).code == 0)
  }
}
