import Foundation
import Testing

@Suite("What is remembered of a vault")
struct MemoryTroubleTests {
  @Test("by a newer relatch is not damaged, and nothing is accepted over it")
  func newer() async throws {
    let place = try await Workplace()
    let state = place.folder.appendingPathComponent(".local/state/relatch")
    let id = try #require(try await place.relatch("log", "verify", "--json").objects().first?["vault_id"] as? String)
    let file = state.appendingPathComponent(id)
    let text = try String(contentsOf: file, encoding: .utf8).replacingOccurrences(of: #""v":1}"#, with: #""v":2}"#)
    try Data(text.utf8).write(to: file)
    for words in [["list"], ["list", "--accept-rollback"]] {
      expectFailure(try await place.run(Programs.relatch, words), 78, "use a newer relatch")
    }
    #expect(try String(contentsOf: file, encoding: .utf8) == text)
  }

  @Test("is not taken for an older vault's while the process may not open another file")
  func openFiles() async throws {
    let place = try await Workplace()
    var found: Set<Int32> = []
    for limit in 3...14 {
      let run = try await place.run(
        "/bin/bash", ["-c", "ulimit -n \(limit); exec \"$0\" read admin > /dev/null", Programs.relatch])
      found.insert(run.code)
      #expect(![65, 66].contains(run.code), "\(limit): \(run.errorText)")
    }
    #expect(found.isSuperset(of: [0, 74]), "\(found)")
  }
}

/// What a user has seen of a vault is remembered outside it.
@Suite("An older copy of a vault, or another vault in its place")
struct RollbackTests {
  /// A copy of the vault's folder beside it.
  private func copy(_ place: Workplace, to name: String) throws -> URL {
    let copy = place.folder.appendingPathComponent(name)
    try FileManager.default.copyItem(at: place.vault, to: copy)
    return copy
  }

  private func putBack(_ copy: URL, _ place: Workplace) throws {
    try FileManager.default.removeItem(at: place.vault)
    try FileManager.default.copyItem(at: copy, to: place.vault)
  }

  private func remembered(_ place: Workplace) throws -> [String] {
    let folder = place.folder.appendingPathComponent(".local/state/relatch").path
    return try FileManager.default.contentsOfDirectory(atPath: folder).filter { !["at", "trusted"].contains($0) }
      .map { try String(contentsOfFile: folder + "/" + $0, encoding: .utf8) }
  }

  private static let verbs = [
    ["status"], ["list"], ["show", "crm"], ["read", "crm"], ["log", "list"], ["log", "verify"], ["metrics"],
    ["plan", "--offline"], ["rotate", "crm"], ["policy", "crm"],
  ]

  @Test("An older copy is refused by every verb, with the difference, until a person accepts it, which is logged")
  func olderCopy() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let older = try copy(place, to: "older")
    #expect(try await place.relatch("rotate", "crm").code == 0)
    try putBack(older, place)
    for verb in Self.verbs {
      let outcome = try await place.run(Programs.relatch, verb)
      expectFailure(outcome, 65, "the vault is an older copy: found a log of ")
      #expect(outcome.errorText.contains("--accept-rollback"))
    }
    let accepted = try await place.relatch("status", "--accept-rollback", "--quiet")
    #expect(accepted.code == 0 && accepted.errorText.contains("warning: accepted, and logged: "))
    let log = try await place.relatch("log", "list", environment: Workplace.outsider).outputText
    #expect(log.contains("vault.rollback-accepted") && log.contains("an older copy"))
    for verb in Self.verbs.dropLast(2) {
      #expect(try await place.run(Programs.relatch, verb).code == 0, "\(verb)")
    }
  }

  @Test(
    "What is seen of a vault for the first time is durable when the command ends, so that a power cut leaves it",
    .enabled(if: Programs.strace != nil, "strace is not installed"))
  func durable() async throws {
    let place = try await Workplace()
    let probe = try await place.run(Programs.strace ?? "", ["-f", "-o", "/dev/null", "/bin/true"])
    guard probe.code == 0 else { return print("skipped: processes cannot be traced here: \(probe.errorText)") }
    let (trace, state) = (place.folder.path + "/trace", place.folder.path + "/first")
    let outcome = try await place.run(
      Programs.strace ?? "", ["-f", "-y", "-o", trace, "-e", "trace=fsync,rename", Programs.relatch, "status"],
      environment: ["XDG_STATE_HOME": state])
    #expect(outcome.code == 0, "\(outcome.errorText)")
    let names = try FileManager.default.contentsOfDirectory(atPath: state + "/relatch")
    let name = try #require(names.first { !["at", "trusted"].contains($0) })
    let calls = try String(contentsOfFile: trace, encoding: .utf8).split(separator: "\n")
    let placed = try #require(calls.firstIndex { $0.contains("rename(") && $0.contains("/first/relatch/\(name)\"") })
    #expect(calls[..<placed].contains { $0.contains("fsync(") && $0.contains("/first/relatch/\(name).") })
    #expect(calls[placed...].contains { $0.contains("fsync(") && $0.contains("/first/relatch>") })
  }

  @Test("One that an owner accepts is treated like a restored one: who is back is named, and every pair is compared")
  func acceptedCopy() async throws {
    let teams = try await TwoTeams(["--every-app-is-admin", "--apps", "2"])
    let place = teams.place
    for (number, name) in ["crm", "erp"].enumerated() { try await place.add(name, app: number + 1, admin: "self") }
    let bob = try await place.addMember("bob", "operator", grants: ["crm"])
    let older = try copy(place, to: "older")
    try await place.addMember("zoe", "operator", grants: ["crm"])
    _ = try await teams.send("erp", ["--transfer"])
    #expect(try await place.relatch("status", environment: bob).code == 0)
    #expect(try await place.relatch("rotate", "crm").code == 0)
    #expect(try await place.relatch("read", "crm", environment: bob).code == 0)
    #expect(try await place.relatch("member", "remove", "bob").code == 0)
    try putBack(older, place)
    // An operator takes nothing back: those who can undo it must know of it.
    let before = try Data(contentsOf: place.vault.appendingPathComponent("vault.db"))
    expectFailure(try await place.relatch("read", "crm", "--accept-rollback", environment: bob), 77, "not an owner")
    #expect(try Data(contentsOf: place.vault.appendingPathComponent("vault.db")) == before)

    let accepted = try await place.relatch("rotate", "erp", "--accept-rollback")
    let text = accepted.errorText
    // What is rotated before bob is removed again would be his to read.
    expectFailure(accepted, 65, "nothing else was done, because these are members again: bob")
    #expect(text.contains("warning: bob is a member again, an operator"), "\(text)")
    #expect(text.contains("`relatch member remove bob`") && text.contains("warning: zoe was a member"), "\(text)")
    #expect(text.contains("warning: erp was handed over"), "\(text)")
    let events = try await place.relatch("log", "list", "--json", environment: Workplace.outsider).objects().compactMap
    {
      $0["event"] as? String
    }
    let accepting = try #require(events.firstIndex(of: "vault.rollback-accepted"))
    #expect(Array(events[accepting...]) == ["vault.rollback-accepted", "vault.restored"], "\(events)")
    // What an owner has restored is for everybody to go on with.
    let theirs = try await place.relatch("read", "crm", "--accept-rollback", environment: bob)
    #expect(theirs.code == 0 && theirs.errorText.contains("warning: accepted, and logged"), "\(theirs.errorText)")
    #expect(try await place.relatch("member", "remove", "bob").code == 0)
    #expect(try await place.relatch("read", "crm").errorText.contains("the vault was restored from a backup"))
    let resumed = try await place.relatch("resume", "crm")
    #expect(resumed.code != 0 && resumed.errorText.contains("relatch adopt crm"), "\(resumed.errorText)")
    #expect(try await place.logIsIntact())
  }

  @Test("Two copies that both continued are told apart, whichever is seen first")
  func fork() async throws {
    let place = try await Workplace()
    let fork = try copy(place, to: "fork")
    try await place.add("crm")
    let elsewhere = ["XDG_STATE_HOME": place.folder.path + "/other-state", "RELATCH_VAULT": fork.path]
    for _ in 1...3 { #expect(try await place.relatch("read", "admin", environment: elsewhere).code == 0) }
    let shown = try await place.relatch("status", environment: ["RELATCH_VAULT": fork.path])
    expectFailure(shown, 65, "the vault has another history")
    #expect(try await place.relatch("status", environment: elsewhere).code == 0)
    let original = try await place.relatch(
      "read", "admin", environment: ["XDG_STATE_HOME": place.folder.path + "/other-state"])
    expectFailure(original, 65)
  }

  @Test("Another vault in the place of a known one is refused, unless `init` made it there")
  func another() async throws {
    let place = try await Workplace()
    let stranger = ["RELATCH_VAULT": place.folder.path + "/stranger", "XDG_STATE_HOME": place.folder.path + "/theirs"]
    #expect(try await place.relatch("init", environment: stranger).code == 0)
    try putBack(place.folder.appendingPathComponent("stranger"), place)
    expectFailure(try await place.relatch("list"), 65, "another vault is at ")
    try FileManager.default.removeItem(at: place.vault)
    #expect(try await place.relatch("init").code == 0)
    #expect(try await place.relatch("list").code == 0)
  }

  @Test("Another vault that is also an older copy is refused with both reasons")
  func both() async throws {
    let place = try await Workplace()
    let second = ["RELATCH_VAULT": place.folder.path + "/second"]
    #expect(try await place.relatch("init", environment: second).code == 0)
    let older = place.folder.appendingPathComponent("older")
    try FileManager.default.copyItem(at: place.folder.appendingPathComponent("second"), to: older)
    let pair = #"{"client_id":"a","client_secret":"b"}"#
    let added = try await place.relatch(
      "add", "x", "--provider", "salesforce", "--set", "url=\(place.org.url)", stdin: pair, environment: second)
    #expect(added.code == 0, "\(added.errorText)")
    try putBack(older, place)
    let outcome = try await place.relatch("list")
    expectFailure(outcome, 65, "another vault is at ")
    #expect(outcome.errorText.contains("an older copy"))
  }

  @Test("The newest signed checkpoint is remembered, privately, and through links, moves and refusals")
  func kept() async throws {
    let place = try await Workplace()
    let before = try remembered(place)
    #expect(try await place.relatch("read", "admin").code == 0)
    let after = try remembered(place)
    #expect(before.count == 1 && after.count == 1 && before != after)
    let size = try await place.relatch("log", "list", environment: Workplace.outsider).outputText.split(separator: "\n")
      .count
    #expect(after[0].split(separator: "\n")[2] == "\(size)")
    let folder = place.folder.appendingPathComponent(".local/state/relatch").path
    for name in try FileManager.default.subpathsOfDirectory(atPath: folder) + [""] {
      let mode = try FileManager.default.attributesOfItem(atPath: folder + "/" + name)[.posixPermissions] as? Int
      #expect(mode.map { $0 & 0o077 } == 0, "\(name)")
    }
    // A link to the vault, or another path, is the same vault.
    let link = place.folder.path + "/link"
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: place.vault.path)
    #expect(try await place.relatch("status", environment: ["RELATCH_VAULT": link]).code == 0)
    let moved = place.folder.appendingPathComponent("moved")
    try FileManager.default.moveItem(at: place.vault, to: moved)
    #expect(try await place.relatch("read", "admin", environment: ["RELATCH_VAULT": moved.path]).code == 0)
    #expect(try remembered(place) != after)
  }

  @Test("A damaged memory of the vault is reported, and so is a missing place to keep one")
  func damaged() async throws {
    let place = try await Workplace()
    let folder = place.folder.appendingPathComponent(".local/state/relatch").path
    // Beside it are folders, in any order.
    let file = try #require(
      FileManager.default.contentsOfDirectory(atPath: folder).first { !["at", "trusted"].contains($0) })
    try Data("nonsense\n".utf8).write(to: URL(fileURLWithPath: folder + "/" + file))
    expectFailure(try await place.relatch("list"), 65, "is damaged")
    #expect(try await place.relatch("list", "--accept-rollback").code == 0)
    #expect(try await place.relatch("list").errorText == "")
    // A power cut can leave a file empty: that counts as none.
    try Data().write(to: URL(fileURLWithPath: folder + "/" + file))
    #expect(try await place.relatch("list").errorText == "")
    expectFailure(try await place.relatch("list", environment: ["XDG_STATE_HOME": "/dev/null"]), 65, "XDG_STATE_HOME")
    let homeless = try await place.relatch("list", environment: ["HOME": ""])
    #expect(homeless.code == 0 && homeless.errorText.contains("would not be noticed"))
    let readOnly = try await place.relatch("read", "admin", environment: ["XDG_STATE_HOME": "/proc"])
    #expect(readOnly.code == 0 && readOnly.errorText.contains("could not be remembered"))
  }
}
