import Foundation
import Testing

/// Nobody can open a removed pair again, so the person who removes one must know what it is.
@Suite("Removing a credential")
struct RemoveTests {
  @Test("is refused while another run rotates it, and until the rotation of an interrupted run is finished")
  func underWay() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    try await place.org.fault("slow", "POST", "*/staged", ["seconds": 60])
    let running = try place.start(arguments: ["rotate", "crm"])
    try await running.wait("the rotation to have asked") { _, errors in errors.contains("asking for a new pair") }
    for options in [[], ["--forget-debts"]] {
      let removed = try await place.run(Programs.relatch, ["remove", "crm"] + options)
      expectFailure(removed, 75, "another run holds it (pid \(running.pid) ")
    }
    running.send(SIGINT)
    let ended = try await running.outcome()
    let told = ended.errorText.hasSuffix("interrupted; nothing that was begun is lost: the same command continues it\n")
    #expect(ended.code == -SIGINT && told, "\(ended.errorText)")
    let removed = try await place.relatch("remove", "crm")
    expectFailure(removed, 64, "rotation 1 is not finished")
    #expect(removed.errorText.contains("`relatch resume crm`") && removed.errorText.contains("`relatch abort crm`"))
    try await place.org.clearFaults()
    #expect(try await place.relatch("abort", "crm").code == 0)
    #expect(try await place.relatch("remove", "crm").code == 0)
    #expect(try await place.logIsIntact())
  }

  @Test("in the middle of a rotation needs --forget-debts, because its provider may be gone")
  func forgetting() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    try await place.org.fault("unavailable", "PATCH", "*")
    #expect(try await place.relatch("rotate", "crm").code == 69)
    expectFailure(try await place.relatch("remove", "crm"), 64, "is not finished")
    #expect(try await place.relatch("remove", "crm", "--forget-debts").code == 0)
    #expect(try await place.logIsIntact())
  }

  @Test("that has leaked needs --forget-debts until the leaked pair was seen to be refused") func leaked() async throws
  {
    let place = try await Workplace()
    try await place.add("crm")
    try await place.org.fault("dropBefore", nil, "*")
    #expect(try await place.relatch("revoke", "crm", "--reason", "x").code == 69)
    _ = try await place.relatch("abort", "crm")
    try await place.org.clearFaults()
    _ = try await place.relatch("abort", "crm")
    let kept = try await place.relatch("remove", "crm")
    expectFailure(kept, 64, "cannot remove crm: version 1 leaked, but was not seen to be refused")
    #expect(kept.errorText.contains("`relatch resume crm` ends it"), "\(kept.errorText)")
    let removed = try await place.relatch("remove", "crm", "--forget-debts", "--json")
    #expect(removed.code == 0 && removed.outputText.contains(#""forgotten":[1]"#), "\(removed.outputText)")
  }

  @Test("is refused while it administers another or owes a pair, with a hint for each")
  func owing() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    func refuses(_ name: String, _ words: String, _ hint: String) async throws {
      let removed = try await place.relatch("remove", name)
      expectFailure(removed, 64, words)
      #expect(removed.errorText.contains(hint), "\(removed.errorText)")
    }
    try await refuses("admin", "cannot remove admin: it administers crm", "remove crm first")
    #expect(try await place.relatch("rotate", "crm").code == 0)
    try await refuses("crm", "the provider may accept version 1", "`relatch retire crm`")
    #expect(try await place.relatch("retire", "crm").code == 0)
    #expect(try await place.relatch("remove", "crm").code == 0)
    #expect(try await place.relatch("remove", "admin").code == 0)
  }

  @Test("also removes what a killed run left beside a sink's file, which no command would name any more")
  func leftBeside() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let folder = place.folder.appendingPathComponent("outside")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let file = folder.appendingPathComponent("pair.json")
    #expect(try await place.relatch("sink", "add", "crm", file.path).code == 0)
    #expect(try await place.relatch("deliver", "crm").code == 0)
    try FileManager.default.copyItem(
      at: file, to: folder.appendingPathComponent(".pair.json.relatch-0011223344556677"))
    #expect(try await place.relatch("remove", "crm").code == 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["pair.json"])
  }

  @Test("needs a confirmation on a terminal, unless --yes is given")
  func asked() async throws {
    let app = try await ConnectedApp()
    let refused = try app.start("remove", "crm")
    try refused.answer("Remove crm? [y/N]", "")
    let outcome = try await refused.end()
    expectFailure(outcome, 77, "crm is not removed")
    #expect(try await app.place.relatch("read", "crm").code == 0)
    let removed = try app.start("remove", "crm", flags: ["--yes"])
    #expect(try await removed.end().code == 0)
    expectFailure(try await app.place.relatch("read", "crm"), 66)
  }
}
