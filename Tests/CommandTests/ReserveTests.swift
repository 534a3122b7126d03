import Foundation
import Testing

@Suite(
  "Disk space that is reserved for a revocation", .enabled(if: geteuid() == 0, "needs root to mount a small disk"))
struct ReserveTests {
  /// A vault on a small disk, with `crm` in it.
  private static func place() async throws -> (place: Workplace, disk: Disk, environment: [String: String]) {
    let place = try await Workplace(addsAdmin: false)
    let disk = try Disk(in: place.folder, size: "24m")
    let environment = ["RELATCH_VAULT": disk.path + "/vault", "XDG_STATE_HOME": disk.path + "/state"]
    #expect(try await place.relatch("init", environment: environment).code == 0)
    try await place.add("admin", app: nil, environment: environment)
    try await place.add("crm", environment: environment)
    return (place, disk, environment)
  }

  @Test("can be missing: the revocation uses what is left, and the next run that can reserves it again")
  func withoutIt() async throws {
    let (place, disk, environment) = try await Self.place()
    defer { disk.unmount() }
    let leaked = try await place.org.primary()
    let reserve = disk.path + "/vault/reserve"
    try FileManager.default.removeItem(atPath: reserve)
    try disk.fill(leaving: 200)
    let revoked = try await place.relatch("revoke", "crm", "--reason", "x", environment: environment)
    #expect(revoked.code == 0, "\(revoked.errorText)")
    #expect(try await !place.org.grants(leaked))
    #expect(!FileManager.default.fileExists(atPath: reserve), "there is no room for it")
    disk.free()
    // Even a run that has nothing to do makes it again.
    #expect(try await place.relatch("rotate", "--due", "--quiet", environment: environment).code == 0)
    #expect(FileManager.default.fileExists(atPath: reserve))
  }

  @Test("is not needed to read what became of a leak on a full disk, or to back the vault up to another")
  func pagesOfALeak() async throws {
    let (place, disk, environment) = try await Self.place()
    defer { disk.unmount() }
    #expect(try await place.relatch("revoke", "crm", "--reason", "x", environment: environment).code == 0)
    let listed = try await place.relatch("member", "list", "--json", environment: environment)
    let owner = try #require(try listed.objects().first?["member"] as? String)
    try disk.fill(leaving: 0)
    let looks = [
      ["incident"], ["incident", "crm"], ["log", "list"], ["log", "exposure", "--member", owner],
      ["log", "bundle", "-o", place.folder.path + "/bundle", "crm"], ["log", "export"],
      ["backup", "-o", place.folder.path + "/full.age"],
    ]
    for look in looks {
      let run = try await place.run(Programs.relatch, look, environment: environment)
      #expect(run.code == 0 && run.errorText.contains("cannot be written"), "\(look): \(run.errorText)")
    }
    disk.free()
    let restored = try await place.relatch(
      "restore", place.folder.path + "/full.age", environment: BackupTests.elsewhere(place, "from-full"))
    #expect(restored.code == 0, "\(restored.errorText)")
  }

  @Test("lets the same command finish a revocation that a suddenly full disk stopped")
  func filledMeanwhile() async throws {
    let (place, disk, environment) = try await Self.place()
    defer { disk.unmount() }
    let leaked = try await place.org.primary()
    // Delivered after the promotion, and before the leaked pair is deleted.
    let program = place.folder.appendingPathComponent("fill")
    let ballast = disk.path + "/ballast"
    let script = """
      #!/bin/sh
      cat > /dev/null
      [ -e \(ballast) ] || cat /dev/zero > \(ballast) 2> /dev/null
      exit 0
      """
    try Data((script + "\n").utf8).write(to: program)
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program.path)
    let added = try await place.relatch(
      "hook", "add", "crm", "--on", "promoted", "--", program.path, environment: environment)
    #expect(added.code == 0, "\(added.errorText)")
    let stopped = try await place.relatch("revoke", "crm", "--reason", "x", "--quiet", environment: environment)
    #expect(stopped.code == 74, "\(stopped.errorText)")
    let revoked = try await place.relatch("revoke", "crm", "--reason", "x", environment: environment)
    #expect(revoked.code == 0 && revoked.errorText.contains("the disk is full"), "\(revoked.errorText)")
    #expect(try await !place.org.grants(leaked))
    disk.free()
    #expect(try await place.pair("crm", environment: environment) == place.org.primary())
    #expect(try await place.relatch("log", "verify", environment: environment).code == 0)
  }
}

@Suite("A log that is replaced while a command runs")
struct LostLogTests {
  @Test("is noticed by the next command if it was deleted, moved away or exchanged for an older copy", arguments: 0...2)
  func lost(_ way: Int) async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let (started, go) = (place.folder.path + "/started", place.folder.path + "/go")
    let program = place.folder.appendingPathComponent("wait")
    let script = "#!/bin/sh\n: > \(started)\nwhile [ ! -e \(go) ]; do sleep 0.05; done\n"
    try Data(script.utf8).write(to: program)
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program.path)
    #expect(try await place.relatch("hook", "add", "crm", "--on", "before", "--", program.path).code == 0)
    // The vault as it was right before: only what the run itself writes makes a difference.
    let older = place.folder.appendingPathComponent("older")
    try FileManager.default.copyItem(at: place.vault, to: older)
    let run = try place.start(arguments: ["rotate", "crm"])
    for _ in 1...3000 where !FileManager.default.fileExists(atPath: started) {
      try await Task.sleep(for: .milliseconds(10))
    }
    let away = place.folder.appendingPathComponent("away")
    switch way {
    case 0: try FileManager.default.removeItem(at: place.vault)
    case 1: try FileManager.default.moveItem(at: place.vault, to: away)
    default:
      try FileManager.default.moveItem(at: place.vault, to: away)
      try FileManager.default.moveItem(at: older, to: place.vault)
    }
    try Data().write(to: URL(fileURLWithPath: go))
    let code = try await run.outcome().code
    for verb in [["status"], ["list"], ["read", "crm"], ["rotate", "--due"]] {
      let next = try await place.run(Programs.relatch, verb)
      switch way {
      case 0, 1: expectFailure(next, 66, "there is no vault at ")
      default: expectFailure(next, 65, "older copy")
      }
    }
    if way == 1 {
      // What the run wrote there is intact, and can continue.
      let moved = ["RELATCH_VAULT": away.path]
      #expect(try await place.relatch("log", "verify", environment: moved).code == 0, "the run ended with \(code)")
      #expect([0, 75].contains(try await place.relatch("rotate", "crm", environment: moved).code))
    }
  }
}
