import Contracts
import Foundation
import Testing

@Suite("A handoff from one vault to another")
struct HandoffTests {
  @Test("is imported with everything that rotation needs, and its receipt is recorded at the sender")
  func handoff() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm", policy: ["propagation=0s", "max-age=90d"])
    let pair = try await place.org.primary()
    let file = try await teams.send("crm", ["--note", "for the night job"])
    let sealed = try String(contentsOfFile: file, encoding: .utf8)
    #expect(sealed.hasPrefix("-----BEGIN AGE ENCRYPTED FILE-----\n"))

    let shown = try await teams.theirs("handoff", "open", file, "--show")
    #expect(shown.code == 0 && shown.outputText.contains("note       for the night job"), "\(shown.errorText)")
    #expect(!shown.outputText.contains(pair.secret) && !shown.outputText.contains(pair.key))
    #expect(try await teams.events(teams.theirs).isEmpty)
    expectFailure(try await teams.theirs("handoff", "open", file), 64, "does not administer itself")
    expectFailure(try await teams.theirs("handoff", "receipt", file), 66, "was not opened in this vault")

    let receipt = teams.path("receipt")
    let opened = try await teams.theirs(
      "handoff", "open", file, "--admin", "admin", "--as", "sales/crm", "--from", place.folder.path + "/none",
      "-o", receipt)
    expectFailure(opened, 66)
    let card = teams.path("a.card")
    let own = try await place.relatch("identity", "show").output
    try own.write(to: URL(fileURLWithPath: card))
    let imported = try await teams.theirs(
      "handoff", "open", file, "--admin", "admin", "--as", "sales/crm", "--from", card, "-o", receipt, "--json")
    #expect(imported.code == 0, "\(imported.errorText)")
    let object = try #require(try imported.objects().first)
    #expect(object["type"] as? String == "handoff" && object["imported"] as? String == "sales/crm")
    #expect(!imported.outputText.contains(pair.secret) && !imported.outputText.contains(pair.key))
    #expect(try await place.pair("sales/crm", environment: teams.theirs) == pair)

    for isNew in [true, false] {
      let confirmed = try await place.relatch("handoff", "confirm", receipt, "--json")
      let object = try #require(try confirmed.objects().first, "\(confirmed.errorText)")
      #expect(object["new"] as? Bool == isNew && object["credential"] as? String == "crm")
    }
    #expect(try await teams.events() == ["handoff.sent", "handoff.confirmed"])
    #expect(try await teams.events(teams.theirs) == ["handoff.opened"])
    // Both rotate it independently, and the policy came with it.
    #expect(try await teams.theirs("show", "sales/crm", "--json").outputText.contains(#""max-age":"90d""#))
    #expect(try await teams.theirs("rotate", "sales/crm").code == 0)
    #expect(try await place.relatch("status", "crm", "--json").outputText.contains("transfer") == false)
    try await teams.expectIntact()
  }

  @Test("is refused a second time, after it expired, by a stranger, if damaged, and from an unexpected sender")
  func refused() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    let file = try await teams.send("crm")
    let open = ["handoff", "open", file, "--admin", "self", "--from", teams.key]
    // Opened by someone else: neither the sender nor a third identity opens what is not theirs.
    expectFailure(try await place.run(Programs.relatch, open), 77, "is not sealed to")
    // A signer other than the expected one.
    let wrong = try await teams.theirs("handoff", "open", file, "--admin", "self", "--from", teams.card)
    expectFailure(wrong, 65, "was expected")
    // Altered or cut off anywhere.
    let text = try String(contentsOfFile: file, encoding: .utf8)
    let lines = text.split(separator: "\n").map(String.init)
    let altered = teams.path("altered")
    for (number, line) in lines.enumerated() where number % 5 == 0 || number + 2 >= lines.count {
      var changed = lines
      changed[number] = (line.first == "A" ? "B" : "A") + line.dropFirst()
      try Data((changed.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: altered))
      let refused = try await teams.theirs("handoff", "open", altered, "--admin", "self")
      #expect([65, 77].contains(refused.code), "line \(number): \(refused.errorText)")
      try Data(text.utf8.prefix(text.utf8.count * number / lines.count)).write(to: URL(fileURLWithPath: altered))
      expectFailure(try await teams.theirs("handoff", "open", altered, "--admin", "self"), 65)
    }
    // Not a handoff at all, though sealed to the right recipient.
    if let age = Programs.age {
      let recipient = try #require(
        JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: teams.card))) as? [String: String])[
          "age"]
      let made = try await place.run(age, ["-r", recipient ?? "", "-o", teams.path("other.age")], stdin: "{}")
      #expect(made.code == 0)
      expectFailure(try await teams.theirs("handoff", "open", teams.path("other.age")), 65, "not a handoff")
    }
    expectFailure(try await teams.theirs("handoff", "open", "/nonexistent"), 66)
    #expect(try await teams.events(teams.theirs).isEmpty)

    let expired = try await teams.send("crm", ["--expires", "1s"])
    try await Task.sleep(for: .milliseconds(1100))
    expectFailure(try await teams.theirs("handoff", "open", expired, "--admin", "self"), 77, "expired at")

    #expect(try await teams.theirs("handoff", "open", file, "--admin", "self").code == 0)
    expectFailure(try await teams.theirs("handoff", "open", file, "--admin", "self"), 77, "was opened in this vault")
    let again = try await teams.theirs("handoff", "open", file, "--admin", "self", "--as", "crm2")
    expectFailure(again, 77, "was opened in this vault")
    // Nor after the credential was removed.
    #expect(try await teams.theirs("remove", "crm").code == 0)
    expectFailure(try await teams.theirs("handoff", "open", file, "--admin", "self"), 77, "was opened in this vault")
    #expect(try await teams.events(teams.theirs) == ["handoff.opened"])
    try await teams.expectIntact()
  }

  @Test("is refused while another credential there has the pair: 64; and can be opened once none has")
  func pairTaken() async throws {
    let teams = try await TwoTeams()
    try await teams.place.add("crm")
    try await teams.place.add("sales/crm", environment: teams.theirs)
    let file = try await teams.send("crm")
    let open = ["handoff", "open", file, "--admin", "admin", "--from", teams.key]
    let taken = try await teams.place.run(Programs.relatch, open, environment: teams.theirs)
    expectFailure(taken, 64, "its pair is that of sales/crm, as version 1, already")
    #expect(try await teams.theirs("remove", "sales/crm", "--yes").code == 0)
    #expect(try await teams.place.run(Programs.relatch, open, environment: teams.theirs).code == 0)
    try await teams.expectIntact()
  }

  @Test("is sent by members who can open it, imported by owners, and overwrites nothing: 64, 66, 75, 77")
  func permitted() async throws {
    let teams = try await TwoTeams(["--apps", "2"])
    let place = teams.place
    try await place.add("crm")
    let cron = try await place.addMember("cron", "operator", grants: ["crm"])
    func send(_ more: [String], _ environment: [String: String] = [:]) async throws -> Outcome {
      try await place.run(Programs.relatch, ["handoff", "send"] + more, environment: environment)
    }
    let file = teams.path("f")
    expectFailure(try await send(["admin", "--to", teams.card, "-o", file], cron), 77, "no grant")
    expectFailure(try await send(["crm", "--to", teams.card, "--transfer", "-o", file], cron), 77, "is not an owner")
    expectFailure(try await send(["nope", "--to", teams.card, "-o", file]), 66, "nope")
    expectFailure(try await send(["crm", "--to", teams.card, "--stage", "staged", "-o", file]), 66)
    expectFailure(try await send(["crm", "--to", teams.card, "--stage", "retired", "-o", file]), 64)
    expectFailure(try await send(["crm", "--to", teams.card, "--stage", "previous", "--transfer", "-o", file]), 64)
    expectFailure(try await send(["crm", "--to", teams.card, "--expires", "0s", "-o", file]), 64)
    expectFailure(try await send(["crm", "--to", teams.card, "--note", "a\nb", "-o", file]), 64)
    expectFailure(try await send(["crm", "--to", "age1nonsense", "-o", file]), 64)
    expectFailure(try await send(["crm", "--to", "ssh-rsa AAAA", "-o", file]), 64, "expected an ssh-ed25519 key")
    let nobody = try await send(["crm", "--to", "bo", "-o", file])
    expectFailure(nobody, 66, "--to \"bo\": there is no such file")
    #expect(nobody.errorText.contains("relatch identity show") && !nobody.errorText.contains("member list"))
    expectFailure(try await place.relatch("handoff", "confirm", teams.card), 65, "is not a receipt")
    expectFailure(try await place.relatch("handoff", "open", teams.card, "--show"), 65, "is not a handoff")
    expectFailure(try await send(["crm", "--to", teams.card, "-o", teams.card]), 64, "it already exists")
    expectFailure(try await send(["crm", "--to", teams.card, "-o", "/nonexistent/f"]), 74)
    expectFailure(try await send(["admin", "--to", teams.card, "--transfer", "-o", file]), 78, "no app")
    #expect(try await teams.events().isEmpty && !FileManager.default.fileExists(atPath: file))

    let made = try await send(["crm", "--to", teams.card, "--json"], cron)
    #expect(made.code == 0 && made.outputText.hasPrefix("-----BEGIN AGE"), "\(made.errorText)")
    // An operator of the receiving team cannot import what is sealed to the team.
    let operatorCard = try await place.card(of: "ops")
    let ops = place.folder.path + "/identity-ops"
    #expect(try await teams.theirs("member", "add", "-", "--role", "operator", stdin: operatorCard).code == 0)
    try Data(operatorCard.utf8).write(to: URL(fileURLWithPath: teams.path("ops.card")))
    let forOps = try await teams.send("crm", to: teams.path("ops.card"))
    let opened = try await teams.theirs("handoff", "open", forOps, "--admin", "self", identity: ops)
    expectFailure(opened, 77, "is not an owner")
    // The name is taken.
    try await place.add("crm", app: 2, environment: teams.theirs)
    let cronKey = try #require(
      try await place.relatch("identity", "show", environment: cron).objects().first?["signing"] as? String)
    let received = try await teams.theirs(
      "handoff", "open", "-", "--admin", "self", "--from", cronKey, stdin: made.outputText)
    expectFailure(received, 64, "has a credential")
    expectFailure(try await teams.theirs("handoff", "open", forOps, "--admin", "nope"), 77)
    let named = try await teams.theirs(
      "handoff", "open", "-", "--admin", "self", "--as", "crm2", "--from", cronKey, stdin: made.outputText)
    #expect(named.code == 0, "\(named.errorText)")
    // Standard output has nothing but the receipt.
    let confirmed = try await place.relatch("handoff", "confirm", "-", stdin: named.outputText)
    #expect(confirmed.code == 0, "\(confirmed.errorText)")
    try await teams.expectIntact()
  }

  @Test("has a receipt that nobody else can make, alter or use for another handoff")
  func receipts() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    let first = try await teams.send("crm")
    let second = try await teams.send("crm")
    var receipts: [String] = []
    for (name, file) in [("one", first), ("two", second)] {
      // Without an app, because only one credential may have the pair with it.
      let opened = try await teams.theirs(
        "handoff", "open", file, "--admin", "self", "--as", name, "--set", "app=")
      #expect(opened.code == 0, "\(opened.errorText)")
      receipts.append(opened.outputText)
      #expect(try await teams.theirs("handoff", "receipt", file).outputText == opened.outputText)
    }
    func confirm(_ text: String) async throws -> Outcome {
      try await place.relatch("handoff", "confirm", "-", stdin: text)
    }
    let receipt = try #require(receipts.first)
    for (old, new) in [
      (#""version":1"#, #""version":2"#), (#""name":"owner""#, #""name":"eve""#), ("}\n", "}"), ("{", " {"),
      (#""opened":"2"#, #""opened":"3"#),
    ] {
      try #require(receipt.contains(old), "\(old) in \(receipt)")
      expectFailure(try await confirm(receipt.replacingOccurrences(of: old, with: new)), 65)
    }
    let fields = try receipts.map { text in
      try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }
    let signatures = try fields.map { try #require($0["signature"] as? String) }
    expectFailure(
      try await confirm(receipt.replacingOccurrences(of: signatures[0], with: signatures[1])), 65, "not signed")
    expectFailure(try await confirm(String(receipt.prefix(100))), 65)
    expectFailure(try await confirm(""), 65)
    // A receipt for another vault.
    let elsewhere = try await teams.theirs("handoff", "confirm", "-", stdin: receipt)
    expectFailure(elsewhere, 66, "this one is")
    #expect(try await teams.events() == ["handoff.sent", "handoff.sent"])
    for text in receipts { #expect(try await confirm(text).code == 0) }
    #expect(try await teams.events().count == 4)

    // The same file, opened by the same identity in a vault in another folder: allowed there, and reported here.
    let other = ["RELATCH_VAULT": teams.path("vault-c"), "XDG_STATE_HOME": teams.path("state-c")]
    let environment = teams.theirs.merging(other) { $1 }
    #expect(try await place.relatch("init", environment: environment).code == 0)
    let opened = try await place.relatch(
      "handoff", "open", first, "--admin", "self", "--from", teams.key, environment: environment)
    #expect(opened.code == 0, "\(opened.errorText)")
    let told = try await confirm(opened.outputText)
    #expect(told.code == 0 && told.errorText.contains("opened in other vaults"), "\(told.errorText)")
    try await teams.expectIntact()
  }

  @Test("is imported only if the sender's key was given or confirmed: 64 without a terminal, 77 without a yes")
  func senderConfirmed() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    let file = try await teams.send("crm")
    let open = ["handoff", "open", file, "--admin", "admin", "-o", teams.path("receipt")]
    let blind = try await place.run(Programs.relatch, open, environment: teams.theirs)
    expectFailure(blind, 64, "the sender was not confirmed")
    #expect(blind.errorText.contains("--show") && blind.errorText.contains("--from"))
    for (answer, code) in [("", 77), ("n", 77), ("yes please", 77), ("y", 0)] as [(String, Int32)] {
      let terminal = try PseudoTerminal()
      // Pasted together with the command; it is no answer to a question that was not asked yet.
      terminal.type("y\ny\n")
      let run = Conversation(
        running: try Running(
          Programs.relatch, open, stdin: nil, environment: place.environment(teams.theirs), in: place.folder,
          terminal: terminal.path), terminal: terminal)
      try run.answer("[y/N]", answer)
      let outcome = try await run.end()
      #expect(outcome.code == code, "\(answer): \(run.shown)\(outcome.errorText)")
      #expect(run.shown.contains(teams.key))
      #expect(try await teams.events(teams.theirs) == (code == 0 ? ["handoff.opened"] : []))
    }
  }

  @Test("is not printed on a terminal: 64", .enabled(if: Programs.python != nil, "python3 is not installed"))
  func terminal() async throws {
    let teams = try await TwoTeams()
    try await teams.place.add("crm")
    let program = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    let run = try await teams.place.run(
      try #require(Programs.python),
      ["-c", program, Programs.relatch, "handoff", "send", "crm", "--to", teams.card])
    #expect(run.code == 64 && run.outputText.contains("not text for a terminal"), "\(run.outputText)\(run.errorText)")
    #expect(try await teams.events().isEmpty)
  }

  @Test(
    "is verified by a program that was written from the page only, which refuses altered ones",
    .enabled(if: Intruder.isAvailable, "needs age, and python3 with PyNaCl"))
  func otherReader() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    let file = try await teams.send("crm", ["--note", "a note: é \"quoted\""])
    let receipt = teams.path("receipt")
    #expect(try await teams.theirs("handoff", "open", file, "--admin", "self", "-o", receipt).code == 0)
    let program = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../Reader/relatch_handoff.py").standardized.path
    let python = try #require(Programs.python)
    let read = try await place.run(
      python, [program, file, "--identity", teams.path("identity-b"), "--receipt", receipt])
    #expect(read.code == 0 && read.outputText.contains(#""credential":"crm""#), "\(read.errorText)")
    let strange = try await place.run(python, [program, file, "--identity", place.identity.path])
    #expect(strange.code == 65)
    let text = try String(contentsOfFile: receipt, encoding: .utf8)
    try Data(text.replacingOccurrences(of: #""version":1"#, with: #""version":2"#).utf8)
      .write(to: URL(fileURLWithPath: receipt))
    let altered = try await place.run(
      python, [program, file, "--identity", teams.path("identity-b"), "--receipt", receipt])
    #expect(altered.code == 65, "\(altered.outputText)")

    let unsendable = try await place.relatch(
      "add", "registered", "--provider", "oauth-registration", "--set", "token-url=https://login.example/token",
      stdin: #"{"client_id":"a","client_secret":"b","registration_access_token":"é"}"#)
    expectFailure(unsendable, 65, "a header cannot contain")
    // A client that is managed with its own token takes that token along.
    let added = try await place.relatch(
      "add", "registered", "--provider", "oauth-registration", "--set", "token-url=https://login.example/token",
      stdin: #"{"client_id":"a","client_secret":"b","registration_access_token":"c"}"#)
    #expect(added.code == 0, "\(added.errorText)")
    let managed = try await place.run(
      python, [program, try await teams.send("registered"), "--identity", teams.path("identity-b")])
    #expect(managed.code == 0 && managed.outputText.contains(#""credential":"registered""#), "\(managed.errorText)")
  }

  @Test(
    "opens with the age program, for an age key and for an SSH key",
    .enabled(if: Programs.age != nil, "age is not installed"))
  func age() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    let age = try #require(Programs.age)
    let file = try await teams.send("crm")
    let key = teams.path("id_ed25519")
    try Data(SSHKey.secret.utf8).write(to: URL(fileURLWithPath: key))
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: key)
    let sealed = try await teams.send("crm", to: SSHKey.text)
    try Data((SSHKey.text + " somebody@host\n").utf8).write(to: URL(fileURLWithPath: key + ".pub"))
    let sealedToFile = try await teams.send("crm", to: key + ".pub")
    for (file, identity) in [(file, teams.path("identity-b")), (sealed, key), (sealedToFile, key)] {
      let opened = try await place.run(age, ["-d", "-i", identity, file])
      #expect(opened.code == 0, "\(opened.errorText)")
      let document = try #require(JSONSerialization.jsonObject(with: opened.output) as? [String: Any])
      let pair = try #require(document["pair"] as? [String: String])
      let primary = try await place.org.primary()
      #expect(pair == ["client_id": primary.key, "client_secret": primary.secret])
      let terms = try #require(document["handoff"] as? [String: Any])
      #expect(terms["credential"] as? String == "crm" && terms["settings"] is [String: String])
    }
    #expect(try await teams.events() == ["handoff.sent", "handoff.sent", "handoff.sent"])
    expectFailure(try await teams.theirs("handoff", "open", sealed), 77)
    let transfer = try await place.relatch("handoff", "send", "crm", "--to", SSHKey.text, "--transfer")
    expectFailure(transfer, 64, "SSH key")
    try await teams.expectIntact()
  }
}

private enum SSHKey {
  static let text = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDmMNVvp20+08BwSMTI2zLeDS83d3l0zjRQmpwR6QYh3"
  static let secret = """
    -----BEGIN OPENSSH PRIVATE KEY-----
    b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
    QyNTUxOQAAACA5jDVb6dtPtPAcEjEyNsy3g0vN3d5dM40UJqcEekGIdwAAAIhdJDntXSQ5
    7QAAAAtzc2gtZWQyNTUxOQAAACA5jDVb6dtPtPAcEjEyNsy3g0vN3d5dM40UJqcEekGIdw
    AAAEDbgaO66o6Ippa7iYQVYDV8ZyUhdxNkA2oNeRuOR0FtbzmMNVvp20+08BwSMTI2zLeD
    S83d3l0zjRQmpwR6QYh3AAAAAAECAwQF
    -----END OPENSSH PRIVATE KEY-----

    """
}
