import Foundation
import Testing

/// What is said of somebody who was sent a pair, and of a pair that somebody could open.
@Suite("A pair that somebody else has")
struct SentTests {
  @Test("is found by the line of the SSH key that it was sent to, with its comment")
  func comment() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let key = place.folder.path + "/key"
    let words = ["-q", "-t", "ed25519", "-N", "", "-C", "me@host", "-f", key]
    let made = try await place.run("/usr/bin/ssh-keygen", words)
    try #require(made.code == 0, "\(made.errorText)")
    let file = place.folder.path + "/crm.age"
    #expect(try await place.relatch("handoff", "send", "crm", "--to", key + ".pub", "-o", file).code == 0)
    let line = try String(contentsOfFile: key + ".pub", encoding: .utf8).trimmingCharacters(in: .newlines)
    #expect(line.hasSuffix(" me@host"))
    let told = try await place.relatch("log", "exposure", "--member", line)
    #expect(told.code == 0 && told.outputText.contains("crm: version 1 was sent"), "\(told.errorText)")
  }

  @Test("is owed to its recipient only in the version that was sent")
  func staged() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: ["propagation=0s"])
    try await place.org.fault("unavailable", "PATCH", "*")
    #expect(try await place.relatch("rotate", "crm").code == 69)
    try await place.org.clearFaults()
    let card = place.folder.path + "/bo.card"
    try await place.card(of: "bo").write(toFile: card, atomically: true, encoding: .utf8)
    let file = place.folder.path + "/crm.age"
    let sent = try await place.relatch("handoff", "send", "crm", "--stage", "staged", "--to", card, "-o", file)
    #expect(sent.code == 0, "\(sent.errorText)")
    #expect(try await place.relatch("resume", "crm").code == 0)
    let text = try String(contentsOfFile: card, encoding: .utf8)
    let key = try #require(text.split(separator: "\"").first { $0.hasPrefix("age1") })
    let told = try await place.relatch("log", "exposure", "--member", String(key), "--json")
    let exposure = try #require(try told.objects().first)
    #expect(exposure["newest_version"] as? Int == 2 && (exposure["owed"] as? [Int])?.isEmpty == true, "\(exposure)")
  }

  @Test("is replaced within a grace only with --replace-previous, and status says so")
  func inGrace() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    try await place.addMember("bob", "operator", grants: ["crm"])
    #expect(try await place.relatch("rotate", "crm").code == 0)
    #expect(try await place.relatch("ungrant", "crm", "bob").code == 0)
    let status = try await place.relatch("status", "crm")
    #expect(status.outputText.contains("`relatch rotate --replace-previous crm` replaces it"), "\(status.outputText)")
    #expect(try await place.relatch("rotate", "--replace-previous", "crm").code == 0)
  }

  @Test("is kept in a folder that others cannot enter, even if that was there before")
  func folder() async throws {
    let place = try await Workplace(addsAdmin: false)
    for (mode, expected) in [(0o755, 0o750), (0o777, 0o770), (0o700, 0o700)] {
      let folder = place.folder.path + "/made-\(mode)"
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: mode])
      #expect(chmod(folder, mode_t(mode)) == 0)
      #expect(try await place.relatch("init", "--vault", folder).code == 0)
      let now = try FileManager.default.attributesOfItem(atPath: folder)[.posixPermissions] as? Int
      #expect(now == expected)
    }
    // A folder that holds other things is not only the vault's.
    #expect(chmod(place.folder.path, 0o755) == 0)
    #expect(try await place.relatch("init", "--vault", place.folder.path).code == 0)
    #expect(
      try FileManager.default.attributesOfItem(atPath: place.folder.path)[.posixPermissions] as? Int == 0o755)
  }
}
