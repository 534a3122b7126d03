import Foundation
import Testing

@Suite("token prints an access token that works")
struct TokenTests {
  /// How many grants were requested from the org.
  private func grants(_ place: Workplace) async throws -> Int {
    try await place.org.requests().count { $0.path.hasSuffix("/oauth2/token") }
  }

  @Test("A token is granted once and printed until near its end, each release with an entry; --fresh gets a new one")
  func kept() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let first = try await place.relatch("token", "crm")
    #expect(first.code == 0 && first.line.contains("!") && first.errors.isEmpty, "\(first.errorText)")
    #expect(try await place.relatch("token", "crm").line == first.line)
    #expect(try await grants(place) == 1)
    let fresh = try await place.relatch("token", "crm", "--fresh")
    #expect(fresh.code == 0 && fresh.line != first.line)
    #expect(try await place.relatch("token", "crm").line == fresh.line)
    #expect(try await grants(place) == 2)
    // Each release has its entry, whether it caused a grant or not.
    let log = try await place.relatch("log", "list", "--json")
    let entries = try log.objects().filter { $0["purpose"] as? String == "token" }
    #expect(entries.count == 4 && entries.allSatisfy { $0["credential"] as? String == "crm" })
    #expect(try await place.logIsIntact())
    // A token that need not be kept is not, and one that ends within a minute is not printed.
    for keep in ["0s", "60s"] {
      #expect(try await place.relatch("token", "admin", "--keep", keep).code == 0)
      #expect(try await place.relatch("token", "admin", "--keep", keep).code == 0)
    }
    #expect(try await grants(place) == 6)
    // Nothing of the token is readable in the vault's folder.
    let search = SecretSearch(["token": Data(fresh.line.utf8), "old token": Data(first.line.utf8)])
    #expect(try search.findings(below: place.vault) == [])
    let files = try FileManager.default.contentsOfDirectory(atPath: place.vault.path + "/tokens")
    #expect(files.count == 1)
    let mode = try FileManager.default.attributesOfItem(atPath: place.vault.path + "/tokens/" + files[0])
    #expect(mode[.posixPermissions] as? Int == 0o600)
  }

  @Test("A token that was kept by a clock that is wrong, or is looked at by one, is asked for anew")
  func wrongClock() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let first = try await place.relatch("token", "crm", "--keep", "30d")
    let folder = place.vault.path + "/tokens/"
    let file = try folder + #require(FileManager.default.contentsOfDirectory(atPath: folder).first)
    func setAge(_ seconds: TimeInterval) throws {
      let date = Date(timeIntervalSinceNow: -seconds)
      try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: file)
    }
    for usual in [86_400.0, -30] {
      try setAge(usual)
      #expect(try await place.relatch("token", "crm").line == first.line, "\(usual)")
    }
    try setAge(-3600)
    let second = try await place.relatch("token", "crm", "--keep", "30d")
    #expect(second.code == 0 && second.line != first.line, "\(second.errorText)")
    #expect(try await place.relatch("token", "crm").line == second.line, "it is kept by the right clock now")
    #expect(try await grants(place) == 2)
  }

  @Test("A small stack is enough for a command that sends requests")
  func smallStack() async throws {
    let place = try await Workplace()
    let run = try await place.run("/bin/sh", ["-c", "ulimit -s 192 && exec '\(Programs.relatch)' token admin"])
    #expect(run.code == 0, "\(run.errorText)")
  }

  @Test("A kept token belongs to its version, credential and key, and a damaged one is not used")
  func bound() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    func token(_ name: String) async throws -> String {
      let outcome = try await place.relatch("token", name)
      #expect(outcome.code == 0, "\(outcome.errorText)")
      return outcome.line
    }
    var tokens: Set<String> = [try await token("crm"), try await token("admin")]
    #expect(tokens.count == 2)
    let folder = place.vault.path + "/tokens/"
    let files = try FileManager.default.contentsOfDirectory(atPath: folder)
    try #require(files.count == 2)
    // Each one in place of the other.
    for (from, to) in [(files[0], "x"), (files[1], files[0]), ("x", files[1])] {
      try FileManager.default.moveItem(atPath: folder + from, toPath: folder + to)
    }
    for name in ["crm", "admin"] { #expect(try await tokens.insert(token(name)).inserted) }
    for file in files { try Data([1, 2, 3]).write(to: URL(fileURLWithPath: folder + file)) }
    #expect(try await tokens.insert(token("crm")).inserted)
    #expect(try await place.relatch("rekey").code == 0)
    #expect(try await tokens.insert(token("crm")).inserted)
    #expect(try await place.relatch("rotate", "crm").code == 0)
    #expect(try await tokens.insert(token("crm")).inserted)
    #expect(try await !tokens.insert(token("crm")).inserted)
  }

  @Test("The token kept of a leaked pair is ended once the pair is replaced, or else that is reported and logged")
  func leaked() async throws {
    let place = try await Workplace(["--apps", "2"])
    for (index, name) in ["crm", "shop"].enumerated() { try await place.add(name, app: index + 1) }
    func events() async throws -> [[String: Any]] {
      try await place.relatch("log", "list", "--json").objects()
        .filter { ($0["event"] as? String)?.hasPrefix("token.") == true }
    }
    #expect(try await place.relatch("token", "crm").code == 0)
    let rotated = try await place.relatch("rotate", "crm")
    #expect(rotated.code == 0 || rotated.code == 12, "\(rotated.errorText)")
    #expect(try await events().isEmpty, "a rotation ends no token")

    let kept = try await place.relatch("token", "shop").line
    let revoked = try await place.relatch("revoke", "shop", "--reason", "a test")
    #expect(revoked.code == 0, "\(revoked.errorText)")
    #expect(revoked.errorText.contains("the token kept for version 1 is ended at the provider"))
    #expect(try await events().map { $0["event"] as? String } == ["token.revoked"])
    #expect(try await place.org.requests().filter { $0.path.hasSuffix("/oauth2/revoke") }.map(\.acted) == [true])
    #expect(
      try await place.relatch("incident", "shop").outputText.contains("the token kept for version 1 is ended"))
    #expect(try await place.relatch("token", "shop").line != kept)

    try await place.org.fault("dropBefore", "POST", "*/revoke", count: 1)
    let again = try await place.relatch("revoke", "shop", "--reason", "a test")
    #expect(again.code == 0, "\(again.errorText)")
    #expect(again.errorText.contains("the token kept for version 2 is not ended"))
    #expect(try await events().map { $0["event"] as? String } == ["token.revoked", "token.not-revoked"])
    #expect(try await place.logIsIntact())
    // The next one tries again. After that nothing is kept, so nobody is asked and nothing is opened.
    let third = try await place.relatch("revoke", "shop", "--reason", "a test")
    #expect(third.code == 0 && third.errorText.contains("version 2 is ended"), "\(third.errorText)")
    let fourth = try await place.relatch("revoke", "shop", "--reason", "a test")
    #expect(fourth.code == 0 && !fourth.errorText.contains("kept"), "\(fourth.errorText)")
    // Anyone who knew the earlier key may have the token that nobody here can open any more.
    #expect(try await place.relatch("token", "shop").code == 0)
    #expect(try await place.relatch("rekey").code == 0)
    let renewed = try await place.relatch("revoke", "shop", "--reason", "a test")
    #expect(renewed.code == 0 && renewed.errorText.contains("kept before its key was renewed"), "\(renewed.errorText)")
    #expect(try await events().last?["reason"] as? String == "key-renewed")
  }

  @Test("The token kept of a leaked pair is ended even if one of the new pair is requested meanwhile")
  func askedForMeanwhile() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let kept = try await place.relatch("token", "crm").line
    let script = place.folder.appendingPathComponent("asks").path
    let variables = place.environment().map { "\($0.key)='\($0.value)'" }.joined(separator: " ")
    try "#!/bin/sh\n\(variables) exec '\(Programs.relatch)' token crm > '\(script).said'\n"
      .write(toFile: script, atomically: true, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: script)
    #expect(try await place.relatch("hook", "add", "crm", "--on", "promoted", "--", script).code == 0)
    let revoked = try await place.relatch("revoke", "crm", "--reason", "a test")
    #expect(revoked.code == 0, "\(revoked.errorText)")
    let asked = try String(contentsOfFile: script + ".said", encoding: .utf8)
    #expect(asked.contains("!") && asked != kept + "\n")
    #expect(revoked.errorText.contains("the token kept for version 1 is ended at the provider"))
    #expect(try await place.org.requests().filter { $0.path.hasSuffix("/oauth2/revoke") }.map(\.acted) == [true])
    // A revocation of the old pair does not open the token kept of the new one.
    #expect(try await place.relatch("token", "crm").code == 0)
    #expect(try await place.relatch("revoke", "crm", "--up-to", "1", "--reason", "again").code == 0)
    let uses = try await place.relatch("log", "list", "--json").objects()
      .filter { $0["purpose"] as? String == "token-revocation" }
    #expect(uses.count == 1)
  }

  @Test("No token is left when its credential is removed")
  func removed() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    for name in ["crm", "admin"] { #expect(try await place.relatch("token", name).code == 0) }
    let folder = place.vault.path + "/tokens"
    let before = try FileManager.default.contentsOfDirectory(atPath: folder)
    #expect(before.count == 2)
    #expect(try await place.relatch("remove", "crm").code == 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 1)
    // Without any kept token there is nothing to fail at.
    try FileManager.default.removeItem(atPath: folder)
    #expect(try await place.relatch("remove", "admin").code == 0)
  }

  @Test("A failure has its exit code and prints no token")
  func wrong() async throws {
    let place = try await Workplace()
    expectFailure(try await place.relatch("token", "nobody"), 66, "no credential")
    expectFailure(try await place.relatch("token", "admin", "--keep", "soon"), 64, "--keep")
    try await place.org.fault("garbage", "POST", "*/token", count: 1)
    expectFailure(try await place.relatch("token", "admin"), 69)
    let added = try await place.relatch(
      "add", "bad", "--provider", "salesforce", "--set", "url=\(place.org.url)",
      stdin: #"{"client_id":"no","client_secret":"such"}"#)
    #expect(added.code == 0, "\(added.errorText)")
    expectFailure(try await place.relatch("token", "bad"), 77)
  }
}
