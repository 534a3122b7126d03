import Foundation
import Testing

/// Two teams that share an org and nothing else: each with a vault, an identity, and a memory of its own.
struct TwoTeams {
  let place: Workplace
  /// What the receiving team's commands run with; the sending team's are the workplace's own.
  let theirs: [String: String]
  /// The receiving team's card, in a file.
  let card: String
  /// The teams' signing keys, as each was told the other's.
  let (key, theirKey): (String, String)

  init(_ arguments: [String] = []) async throws {
    place = try await Workplace(arguments)
    let folder = place.folder.path
    theirs = [
      "RELATCH_VAULT": folder + "/vault-b", "RELATCH_IDENTITY": folder + "/identity-b",
      "XDG_STATE_HOME": folder + "/state-b",
    ]
    #expect(try await place.relatch("init", "--no-passphrase", environment: theirs).code == 0)
    try await place.add("admin", app: nil, environment: theirs)
    card = folder + "/b.card"
    let shown = try await place.relatch("identity", "show", "--name", "bo", environment: theirs)
    try shown.output.write(to: URL(fileURLWithPath: card))
    let own = try await place.relatch("identity", "show")
    theirKey = try #require(try shown.objects().first?["signing"] as? String)
    key = try #require(try own.objects().first?["signing"] as? String)
  }

  func path(_ name: String) -> String { place.folder.path + "/" + name }

  /// Sends `name` and returns the file's path.
  func send(_ name: String, to recipient: String? = nil, _ more: [String] = []) async throws -> String {
    let file = path("handoff-\(UUID().uuidString).age")
    let sent = try await place.run(
      Programs.relatch, ["handoff", "send", name, "--to", recipient ?? card, "-o", file] + more)
    #expect(sent.code == 0, "\(sent.errorText)")
    return file
  }

  /// Runs a command of the receiving team, which was told the sender's key.
  func theirs(_ arguments: String..., stdin: String? = nil, identity: String? = nil) async throws -> Outcome {
    let knows = arguments.starts(with: ["handoff", "open"]) && Set(arguments).isDisjoint(with: ["--from", "--show"])
    return try await place.run(
      Programs.relatch, arguments + (knows ? ["--from", key] : []), stdin: stdin,
      environment: theirs.merging(identity.map { ["RELATCH_IDENTITY": $0] } ?? [:]) { $1 })
  }

  /// The events of a team's log about handoffs, in order.
  func events(_ environment: [String: String] = [:]) async throws -> [String] {
    try await place.relatch("log", "list", "--json", environment: environment.merging(Workplace.outsider) { $1 })
      .objects()
      .compactMap { $0["event"] as? String }.filter { $0.hasPrefix("handoff.") }
  }

  /// Both logs verify, and nobody's log or terminal has the pair.
  func expectWhole(sourceLocation: SourceLocation = #_sourceLocation) async throws {
    for environment in [[:], theirs] {
      let verified = try await place.relatch("log", "verify", environment: environment)
      #expect(verified.code == 0, "\(verified.errorText)", sourceLocation: sourceLocation)
      guard Intruder.isAvailable else { continue }
      let read = try await place.run(
        try #require(Programs.python),
        [
          Self.reader, environment["RELATCH_VAULT"] ?? place.vault.path, "--identity",
          environment["RELATCH_IDENTITY"] ?? place.identity.path,
        ])
      #expect(read.code == 0, "\(read.errorText)", sourceLocation: sourceLocation)
    }
  }

  private static let reader = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../Reader/relatch_reader.py").standardized.path
}

@Suite("A handoff from one vault to another")
struct HandoffTests {
  @Test("is imported with all it takes to rotate, and its receipt is recorded where it came from")
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
    // Nobody else's business: both rotate it, and the policy came along.
    #expect(try await teams.theirs("show", "sales/crm", "--json").outputText.contains(#""max-age":"90d""#))
    #expect(try await teams.theirs("rotate", "sales/crm").code == 0)
    #expect(try await place.relatch("status", "crm", "--json").outputText.contains("transfer") == false)
    try await teams.expectWhole()
  }

  @Test(
    "is refused a second time, after it expired, by another, altered, cut off, and unless its sender is the one expected"
  )
  func refused() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    let file = try await teams.send("crm")
    let open = ["handoff", "open", file, "--admin", "self", "--from", teams.key]
    // By another: neither the sender nor a third opens what is not theirs.
    expectFailure(try await place.run(Programs.relatch, open), 77, "is not sealed to")
    // Another signer than expected.
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
    // Not a handoff at all, though sealed to the right one.
    if let age = Programs.age {
      let recipient = try #require(
        JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: teams.card))) as? [String: String])[
          "age"]
      let made = try await place.run(age, ["-r", recipient ?? "", "-o", teams.path("other.age")], stdin: "{}")
      #expect(made.code == 0)
      expectFailure(try await teams.theirs("handoff", "open", teams.path("other.age")), 65, "no handoff")
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
    // Nor after it was removed.
    #expect(try await teams.theirs("remove", "crm").code == 0)
    expectFailure(try await teams.theirs("handoff", "open", file, "--admin", "self"), 77, "was opened in this vault")
    #expect(try await teams.events(teams.theirs) == ["handoff.opened"])
    try await teams.expectWhole()
  }

  @Test("is sent by who can open it, imported by owners, and neither goes over what is there: 64, 66, 75, 77")
  func permitted() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    let cron = try await place.addMember("cron", "operator", grants: ["crm"])
    func send(_ more: [String], _ environment: [String: String] = [:]) async throws -> Outcome {
      try await place.run(Programs.relatch, ["handoff", "send"] + more, environment: environment)
    }
    let file = teams.path("f")
    expectFailure(try await send(["admin", "--to", teams.card, "-o", file], cron), 77, "no grant")
    expectFailure(try await send(["crm", "--to", teams.card, "--transfer", "-o", file], cron), 77, "no owner")
    expectFailure(try await send(["nope", "--to", teams.card, "-o", file]), 66, "nope")
    expectFailure(try await send(["crm", "--to", teams.card, "--stage", "staged", "-o", file]), 66)
    expectFailure(try await send(["crm", "--to", teams.card, "--stage", "retired", "-o", file]), 64)
    expectFailure(try await send(["crm", "--to", teams.card, "--stage", "previous", "--transfer", "-o", file]), 64)
    expectFailure(try await send(["crm", "--to", teams.card, "--expires", "0s", "-o", file]), 64)
    expectFailure(try await send(["crm", "--to", teams.card, "--note", "a\nb", "-o", file]), 64)
    expectFailure(try await send(["crm", "--to", "age1nonsense", "-o", file]), 64)
    expectFailure(try await send(["crm", "--to", "ssh-rsa AAAA", "-o", file]), 64, "only keys of ssh-ed25519")
    let nobody = try await send(["crm", "--to", "bo", "-o", file])
    expectFailure(nobody, 66, "--to \"bo\": there is no such file")
    #expect(nobody.errorText.contains("relatch identity show") && !nobody.errorText.contains("member list"))
    expectFailure(try await place.relatch("handoff", "confirm", teams.card), 65, "is no receipt")
    expectFailure(try await place.relatch("handoff", "open", teams.card, "--show"), 65, "is no handoff")
    expectFailure(try await send(["crm", "--to", teams.card, "-o", teams.card]), 64, "something already")
    expectFailure(try await send(["crm", "--to", teams.card, "-o", "/nonexistent/f"]), 74)
    expectFailure(try await send(["admin", "--to", teams.card, "--transfer", "-o", file]), 78, "no app")
    #expect(try await teams.events().isEmpty && !FileManager.default.fileExists(atPath: file))

    let made = try await send(["crm", "--to", teams.card, "--json"], cron)
    #expect(made.code == 0 && made.outputText.hasPrefix("-----BEGIN AGE"), "\(made.errorText)")
    // An operator of the receiving team cannot import what is for them.
    let operatorCard = try await place.card(of: "ops")
    let ops = place.folder.path + "/identity-ops"
    #expect(try await teams.theirs("member", "add", "-", "--role", "operator", stdin: operatorCard).code == 0)
    try Data(operatorCard.utf8).write(to: URL(fileURLWithPath: teams.path("ops.card")))
    let forOps = try await teams.send("crm", to: teams.path("ops.card"))
    expectFailure(try await teams.theirs("handoff", "open", forOps, "--admin", "self", identity: ops), 77, "no owner")
    // The name is taken.
    try await place.add("crm", environment: teams.theirs)
    let cronKey = try #require(
      try await place.relatch("identity", "show", environment: cron).objects().first?["signing"] as? String)
    let received = try await teams.theirs(
      "handoff", "open", "-", "--admin", "self", "--from", cronKey, stdin: made.outputText)
    expectFailure(received, 64, "has a credential")
    expectFailure(try await teams.theirs("handoff", "open", forOps, "--admin", "nope"), 77)
    let named = try await teams.theirs(
      "handoff", "open", "-", "--admin", "self", "--as", "crm2", "--from", cronKey, stdin: made.outputText)
    #expect(named.code == 0, "\(named.errorText)")
    // The receipt is all there is on standard output.
    let confirmed = try await place.relatch("handoff", "confirm", "-", stdin: named.outputText)
    #expect(confirmed.code == 0, "\(confirmed.errorText)")
    try await teams.expectWhole()
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
      let opened = try await teams.theirs("handoff", "open", file, "--admin", "self", "--as", name)
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
    // Of another vault.
    let elsewhere = try await teams.theirs("handoff", "confirm", "-", stdin: receipt)
    expectFailure(elsewhere, 66, "this one is")
    #expect(try await teams.events() == ["handoff.sent", "handoff.sent"])
    for text in receipts { #expect(try await confirm(text).code == 0) }
    #expect(try await teams.events().count == 4)

    // The same file, opened by the same identity in a vault of another folder: allowed there, and told here.
    let other = ["RELATCH_VAULT": teams.path("vault-c"), "XDG_STATE_HOME": teams.path("state-c")]
    let environment = teams.theirs.merging(other) { $1 }
    #expect(try await place.relatch("init", environment: environment).code == 0)
    let opened = try await place.relatch(
      "handoff", "open", first, "--admin", "self", "--from", teams.key, environment: environment)
    #expect(opened.code == 0, "\(opened.errorText)")
    let told = try await confirm(opened.outputText)
    #expect(told.code == 0 && told.errorText.contains("opened in other vaults"), "\(told.errorText)")
    try await teams.expectWhole()
  }

  @Test("is imported only if its sender's key was given or confirmed: 64 without a terminal, 77 for anything but yes")
  func senderConfirmed() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    let file = try await teams.send("crm")
    let open = ["handoff", "open", file, "--admin", "admin", "-o", teams.path("receipt")]
    let blind = try await place.run(Programs.relatch, open, environment: teams.theirs)
    expectFailure(blind, 64, "who sent it was not confirmed")
    #expect(blind.errorText.contains("--show") && blind.errorText.contains("--from"))
    for (answer, code) in [("", 77), ("n", 77), ("yes please", 77), ("y", 0)] as [(String, Int32)] {
      let terminal = try PseudoTerminal()
      // Pasted with the command, and no answer to what was not asked yet.
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

  @Test("is no text for a terminal: 64", .enabled(if: Programs.python != nil, "python3 is not installed"))
  func terminal() async throws {
    let teams = try await TwoTeams()
    try await teams.place.add("crm")
    let program = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    let run = try await teams.place.run(
      try #require(Programs.python),
      ["-c", program, Programs.relatch, "handoff", "send", "crm", "--to", teams.card])
    #expect(run.code == 64 && run.outputText.contains("no text for a terminal"), "\(run.outputText)\(run.errorText)")
    #expect(try await teams.events().isEmpty)
  }

  @Test(
    "is verified by a program written from the page alone, and what was altered is not",
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

    // A client that is managed by a token of its own takes that along.
    let added = try await place.relatch(
      "add", "registered", "--provider", "oauth-registration", "--set", "token-url=https://login.example/token",
      stdin: #"{"client_id":"a","client_secret":"b","registration_access_token":"c"}"#)
    #expect(added.code == 0, "\(added.errorText)")
    let managed = try await place.run(
      python, [program, try await teams.send("registered"), "--identity", teams.path("identity-b")])
    #expect(managed.code == 0 && managed.outputText.contains(#""credential":"registered""#), "\(managed.errorText)")
  }

  @Test(
    "opens by age alone, for an age key and for an SSH key", .enabled(if: Programs.age != nil, "age is not installed"))
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
    try await teams.expectWhole()
  }
}

@Suite("A credential that is handed over")
struct TransferTests {
  @Test("is rotated where it came to; the sender's pair is refused by the org, and its debt settled by the next run")
  func transfer() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm", policy: ["propagation=0s", "max-age=1d"])
    let old = try await place.org.primary()
    let file = try await teams.send("crm", ["--transfer"])
    // Here it is rotated no more.
    expectFailure(try await place.relatch("rotate", "crm"), 64, "handed over")
    expectFailure(try await place.relatch("abort", "crm"), 64, "handed over")
    expectFailure(try await place.relatch("adopt", "crm"), 64, "handed over")
    expectFailure(
      try await place.relatch("handoff", "send", "crm", "--to", teams.card, "--transfer", "-o", teams.path("x")), 75)
    expectFailure(try await place.relatch("remove", "crm"), 64)
    let plan = try await place.relatch("plan", "crm")
    #expect(plan.code == 0 && plan.outputText.contains("rotated here no more"), "\(plan.outputText)")
    #expect(try await place.relatch("status", "crm").outputText.contains("debt: version 1, which was handed over"))
    #expect(try await place.relatch("rotate", "--all").code == 0)
    #expect(try await place.holdsPrimary("crm"), "and nothing was rotated")
    expectFailure(try await place.relatch("resume", "crm"), 12, "still accepted")

    expectFailure(try await teams.theirs("handoff", "open", file, "--admin", "admin"), 64, "at once")
    let receipt = teams.path("receipt")
    let opened = try await teams.theirs("handoff", "open", file, "--admin", "admin", "-o", receipt)
    #expect(opened.code == 0, "\(opened.errorText)")
    #expect(try await !place.org.accepts(old))
    #expect(try await !place.org.grants(old))
    let new = try await place.org.primary()
    #expect(try await place.pair("crm", environment: teams.theirs) == new && new != old)
    #expect(try await !teams.theirs("status", "crm").outputText.contains("exposed"))

    // Refused, and nothing shows yet that another vault has it.
    expectFailure(try await place.relatch("resume", "crm"), 12, "no receipt was confirmed")
    #expect(try await place.pair("crm") == old)
    #expect(try await place.relatch("handoff", "confirm", receipt).code == 0)
    #expect(try await place.relatch("status", "crm").outputText.contains("its recipient confirmed"))
    let run = try await place.relatch("rotate", "--due")
    #expect(run.code == 0 && run.outputText.contains("nothing is owed"), "\(run.outputText)\(run.errorText)")
    #expect(
      try await teams.events()
        == ["handoff.sent", "handoff.tried", "handoff.tried", "handoff.confirmed", "handoff.settled"])
    let status = try await place.relatch("status", "crm", "--json")
    let debts = try status.objects().first?["debts"] as? [Any]
    #expect(status.code == 0 && debts?.isEmpty == true)
    #expect(try await place.relatch("plan", "--due").output.isEmpty)
    #expect(try await place.relatch("resume", "crm").code == 0)
    expectFailure(try await place.relatch("read", "crm"), 66, "no active version")
    expectFailure(try await place.relatch("handoff", "withdraw", "crm"), 75)
    for verb in [["list"], ["show", "crm"], ["metrics"], ["status"]] {
      let told = try await place.run(Programs.relatch, verb)
      #expect(told.code == 0, "\(verb): \(told.errorText)")
    }
    try await teams.expectWhole()
    #expect(try await place.relatch("remove", "crm").code == 0)
    try await teams.expectWhole()
  }

  @Test("lacks its pair at no sink here: nothing tells to deliver it, and nothing counts it")
  func withSink() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    #expect(try await place.relatch("sink", "add", "crm", teams.path("missing/pair")).code == 0)
    let failed = try await place.relatch("deliver", "crm")
    #expect(failed.code == 11, "\(failed.errorText)")
    #expect(try await place.relatch("status", "crm").code == 11)
    _ = try await teams.send("crm", ["--transfer"])
    let status = try await place.relatch("status", "crm")
    #expect(status.code == 0 && !status.outputText.contains("deliver"), "\(status.outputText)")
    #expect(try await place.relatch("status", "crm", "--json").objects().first?["undelivered"] == nil)
    let metrics = try await place.relatch("metrics").outputText
    #expect(metrics.contains(#"relatch_delivery_outstanding{credential="crm",provider="salesforce"} 0"#), "\(metrics)")
    for verb in ["plan", "doctor"] {
      let told = try await place.relatch(verb, "crm")
      #expect(!told.outputText.contains("deliver") && !told.outputText.contains("cannot work"), "\(told.outputText)")
    }
    #expect(try await place.relatch("handoff", "withdraw", "crm").code == 0)
    #expect(try await place.relatch("status", "crm").code == 11, "it lacks it again")
  }

  @Test("and administers itself, is handed over as well, and back again")
  func selfAdministered() async throws {
    let teams = try await TwoTeams(["--every-app-is-admin"])
    let place = teams.place
    try await place.add("crm", admin: "self")
    let old = try await place.org.primary()
    let file = try await teams.send("crm", ["--transfer"])
    let receipt = teams.path("receipt")
    let opened = try await teams.theirs("handoff", "open", file, "-o", receipt)
    #expect(opened.code == 0, "\(opened.errorText)")
    #expect(try await !place.org.accepts(old))
    #expect(try await place.relatch("handoff", "confirm", receipt).code == 0)
    // Nothing tells an outage from a refusal here but time.
    expectFailure(try await place.relatch("resume"), 12, "settles it from")
    expectFailure(try await place.relatch("handoff", "withdraw", "crm"), 75, "receipt was confirmed")
    #expect(try await place.relatch("remove", "crm", "--forget-debts").code == 0)

    let own = teams.path("a.card")
    try (try await place.relatch("identity", "show").output).write(to: URL(fileURLWithPath: own))
    let back = teams.path("back.age")
    let sent = try await teams.theirs("handoff", "send", "crm", "--to", own, "--transfer", "-o", back)
    #expect(sent.code == 0, "\(sent.errorText)")
    let returned = try await place.relatch(
      "handoff", "open", back, "--from", teams.theirKey, "-o", teams.path("receipt-2"))
    #expect(returned.code == 0, "\(returned.errorText)")
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await teams.theirs("handoff", "confirm", teams.path("receipt-2")).code == 0)
    expectFailure(try await teams.theirs("retire", "crm"), 12, "an outage")
    try await teams.expectWhole()
  }

  @Test("administers no other: 75, and which it administers")
  func administrator() async throws {
    let teams = try await TwoTeams(["--every-app-is-admin"])
    let place = teams.place
    try await place.add("crm", admin: "self")
    try await place.add("erp", admin: "crm")
    let send = ["handoff", "send", "crm", "--to", teams.card, "--transfer", "-o", teams.path("x")]
    expectFailure(try await place.run(Programs.relatch, send), 75, "administers erp")
    #expect(try await teams.events().isEmpty)
    #expect(try await place.relatch("remove", "erp").code == 0)
    #expect(try await place.run(Programs.relatch, send).code == 0)
    // Nor does it administer what is added later.
    let app = try await place.org.apps()[1].identifier
    let added = try await place.run(
      Programs.relatch,
      [
        "add", "erp", "--provider", "salesforce", "--set", "url=\(place.org.url)", "--set", "app=\(app)", "--admin",
        "crm",
      ], stdin: try await place.org.primary().document)
    expectFailure(added, 64, "was handed over")
    try await teams.expectWhole()
  }

  @Test("is revoked by whoever holds it: 64; and nothing that leaked is sent or handed over: 75")
  func leaked() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    _ = try await teams.send("crm", ["--transfer"])
    let revoke = ["revoke", "crm", "--reason", "in a ticket"]
    let revoked = try await place.run(Programs.relatch, revoke)
    expectFailure(revoked, 64, "revoked by whoever holds it")
    #expect(revoked.errorText.contains("handoff withdraw"))
    let all = try await place.relatch("revoke", "--all", "--reason", "the vault was taken", "--json")
    let failures = try all.objects().filter { $0["type"] as? String == "error" }.map {
      "\($0["credential"] ?? "") \($0["code"] ?? "")"
    }
    #expect(all.code == 13 && Set(failures) == ["admin 78", "crm 64"], "\(all.outputText)")
    #expect(try await place.relatch("status", "crm", "--json").objects().first?["leak"] == nil)
    #expect(try await place.relatch("handoff", "withdraw", "crm").code == 0)
    // The leak cannot be ended now, and stays noted.
    try await place.org.fault("unavailable", "POST", "*/staged")
    #expect(try await place.run(Programs.relatch, revoke).code != 0)
    for more in [[], ["--transfer"]] {
      let sent = try await place.run(
        Programs.relatch, ["handoff", "send", "crm", "--to", teams.card, "-o", teams.path("x")] + more)
      expectFailure(sent, 75)
    }
    let plain = try await place.relatch("handoff", "send", "crm", "--to", teams.card, "-o", teams.path("x"))
    #expect(plain.errorText.contains("leaked"), "\(plain.errorText)")
    #expect(try await teams.events() == ["handoff.sent", "handoff.withdrawn"])
    try await teams.expectWhole()
  }

  @Test("is told to be owed by its receipt; one that was taken back before that, or is gone, is not")
  func confirmedLate() async throws {
    let teams = try await TwoTeams(["--apps", "3"])
    let place = teams.place
    for (number, name) in ["crm", "erp", "hr"].enumerated() {
      try await place.add(name, app: number + 1)
      let file = try await teams.send(name, ["--transfer"])
      let receipt = teams.path("receipt-\(name)")
      let opened = try await teams.theirs("handoff", "open", file, "--admin", "admin", "--as", name, "-o", receipt)
      #expect(opened.code == 0, "\(opened.errorText)")
      if name == "erp" { #expect(try await place.relatch("handoff", "withdraw", name).code == 0) }
      if name == "hr" { #expect(try await place.relatch("remove", name, "--yes", "--forget-debts").code == 0) }
      let confirmed = try await place.relatch("handoff", "confirm", receipt)
      #expect(confirmed.code == 0, "\(confirmed.errorText)")
      #expect(
        confirmed.errorText.contains("`relatch resume crm` settles it") == (name == "crm"), "\(confirmed.errorText)")
      #expect(confirmed.errorText.contains("has the pair") == (name != "crm"), "\(confirmed.errorText)")
    }
    // What was handed over is nobody's here to rotate, or to ask a token of for long.
    try await place.addMember("bob", "operator", grants: ["crm"])
    let taken = try await place.relatch("ungrant", "crm", "bob")
    #expect(taken.code == 0, "\(taken.errorText)")
    let status = try await place.relatch("status", "crm").outputText
    #expect(status.contains("bob") && !status.contains("relatch rotate crm"), "\(status)")
    let rotated = try await place.relatch("rotate", "--exposed-to", "bob")
    #expect(rotated.code == 0 && rotated.errorText.contains("log exposure --member bob"), "\(rotated.errorText)")
  }

  @Test("is taken back while nobody opened it, and what was in the file is refused after the next rotation")
  func withdrawn() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    let old = try await place.org.primary()
    expectFailure(try await place.relatch("handoff", "withdraw", "crm"), 66, "was not handed over")
    _ = try await teams.send("crm", ["--transfer"])
    #expect(try await place.relatch("handoff", "withdraw", "crm").code == 0)
    #expect(try await place.relatch("rotate", "crm").code == 0)
    #expect(try await place.relatch("retire", "crm").code == 0)
    #expect(try await !place.org.accepts(old))
    #expect(try await teams.events() == ["handoff.sent", "handoff.withdrawn"])
    // While a pair is owed, or a rotation under way, it is not handed over.
    #expect(try await place.relatch("rotate", "crm").code == 0)
    let early = try await place.relatch(
      "handoff", "send", "crm", "--to", teams.card, "--transfer", "-o", teams.path("x"))
    expectFailure(early, 75, "owed")
    try await teams.expectWhole()
  }

  @Test("and whose rotation there is interrupted, is told how that goes on: not by the same command again")
  func interrupted() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    let old = try await place.org.primary()
    let file = try await teams.send("crm", ["--transfer"])
    try await place.org.fault("slow", "POST", "*/staged", ["seconds": 60])
    let open = ["handoff", "open", file, "--admin", "admin", "--as", "theirs", "--from", teams.key]
    let running = try place.start(arguments: open + ["-o", teams.path("receipt")], environment: teams.theirs)
    try await running.wait("the rotation to have asked") { _, errors in errors.contains("asking for a new pair") }
    running.send(SIGINT)
    let ended = try await running.outcome()
    #expect(ended.code == -SIGINT && !ended.errorText.contains("same command"), "\(ended.errorText)")
    for words in ["`relatch rotate NAME` goes on", "`relatch retire NAME` ends"] {
      #expect(ended.errorText.contains(words), "\(ended.errorText)")
    }
    let again = try await place.run(Programs.relatch, open + ["-o", teams.path("other")], environment: teams.theirs)
    expectFailure(again, 77, "was opened in this vault")
    #expect(again.errorText.contains("`relatch rotate theirs`") && again.errorText.contains("`relatch retire theirs`"))
    try await place.org.clearFaults()
    #expect(try await teams.theirs("rotate", "theirs").code == 0)
    #expect(try await teams.theirs("retire", "theirs").code == 0)
    #expect(try await !place.org.accepts(old))
  }

  @Test("is rotated there also where nobody can be told that it was imported")
  func unheard() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    let old = try await place.org.primary()
    let file = try await teams.send("crm", ["--transfer"])
    let open = [Programs.relatch, "handoff", "open", file, "--admin", "admin", "--from", teams.key]
    let opened = try await place.run(
      "/bin/sh", ["-c", "exec \"$0\" \"$@\" > /dev/full"] + open + ["-o", teams.path("receipt")],
      environment: teams.theirs)
    expectFailure(opened, 74, "cannot write standard output")
    #expect(try await !place.org.accepts(old))
  }

  @Test("and could not be rotated at once, is exposed there until it is, and loses nothing")
  func rotationFails() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    let old = try await place.org.primary()
    let file = try await teams.send("crm", ["--transfer"])
    try await place.org.fault("unavailable", "POST", "*/staged")
    let receipt = teams.path("receipt")
    let opened = try await teams.theirs("handoff", "open", file, "--admin", "admin", "-o", receipt)
    #expect(opened.code == 69, "\(opened.code) \(opened.errorText)")
    #expect(try await teams.theirs("status", "crm").outputText.contains("exposed to vault/"))
    #expect(try await place.relatch("handoff", "confirm", receipt).code == 0)
    let due = try await place.relatch("rotate", "--due")
    #expect(due.code == 12, "\(due.errorText)")
    #expect(try await place.org.accepts(old))
    try await place.org.clearFaults()
    let resumed = try await teams.theirs("rotate", "crm")
    #expect(resumed.code == 0, "\(resumed.errorText)")
    #expect(try await teams.theirs("retire", "crm").code == 0)
    #expect(try await place.relatch("resume", "crm").code == 0)
    #expect(try await teams.events().last == "handoff.settled")
    try await teams.expectWhole()
  }
}

/// A key of `ssh-keygen -t ed25519`, made for these tests and never used elsewhere.
enum SSHKey {
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

@Suite(
  "A handoff on a machine that fails", .serialized, .enabled(if: Programs.strace != nil, "strace is not installed"))
struct HandoffFaultTests {
  /// The system calls that write the database and the file, make them durable and name them.
  private static let calls = ["pwrite64", "fdatasync,fsync,link,linkat,rename"]

  /// Runs `body` with strace's options to kill at each third write, and at each of the others, until it says that the
  /// command came to its end before.
  private func eachPoint(_ body: (_ point: String, _ options: [String]) async throws -> Bool) async throws {
    for (set, step) in zip(Self.calls, [3, 1]) {
      for number in stride(from: 1, to: 100, by: step) {
        let options = ["-f", "-o", "/dev/null", "-e", "trace=\(set)", "-e", "inject=\(set):signal=KILL:when=\(number)"]
        guard try await body("\(set.prefix(6))-\(number)", options) else { break }
      }
    }
  }

  private func isTraceable(_ teams: TwoTeams) async throws -> Bool {
    let probe = try await teams.place.run(Programs.strace ?? "", ["-f", "-o", "/dev/null", "/bin/true"])
    if probe.code != 0 { print("skipped: processes cannot be traced here: \(probe.errorText)") }
    return probe.code == 0
  }

  /// The receiving team's place as it was, copied for one trial.
  private func copy(_ teams: TwoTeams, _ number: String) throws -> [String: String] {
    let folder = teams.place.folder.path
    let vault = folder + "/vault-b-\(number)"
    try FileManager.default.copyItem(atPath: folder + "/vault-b", toPath: vault)
    return teams.theirs.merging(["RELATCH_VAULT": vault, "XDG_STATE_HOME": folder + "/state-b-\(number)"]) { $1 }
  }

  @Test(
    "Killed at any point of opening it is imported or not; once it is, its receipt can be had, and it loses nothing")
  func killed() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    guard try await isTraceable(teams) else { return }
    try await place.add("crm")
    let pair = try await place.org.primary()
    let file = try await teams.send("crm")
    var found: [String] = []
    try await eachPoint { point, options in
      let own = try copy(teams, point)
      let receipt = teams.path("receipt-\(point)")
      let killed = try await place.run(
        Programs.strace ?? "",
        options + [
          Programs.relatch, "handoff", "open", file, "--admin", "admin", "--from", teams.key, "-o", receipt,
        ], environment: own)
      if killed.code != -SIGKILL {
        #expect(killed.code == 0, "point \(point): \(killed.errorText)")
        return false
      }
      func relatch(_ arguments: String...) async throws -> Outcome {
        try await place.run(Programs.relatch, arguments, environment: own)
      }
      #expect(try await relatch("log", "verify").code == 0, "point \(point)")
      let isImported = try await teams.events(own) == ["handoff.opened"]
      let isWritten = FileManager.default.fileExists(atPath: receipt)
      #expect(isImported || !isWritten, "point \(point)")
      let again = try await relatch(
        "handoff", "open", file, "--admin", "admin", "--from", teams.key, "-o", receipt + ".2")
      #expect(again.code == (isImported ? 77 : 0), "point \(point): \(again.errorText)")
      let receipts = try await relatch("handoff", "receipt", file)
      #expect(receipts.code == 0, "point \(point): \(receipts.errorText)")
      if isWritten { #expect(try String(contentsOfFile: receipt, encoding: .utf8) == receipts.outputText) }
      #expect(try await place.relatch("handoff", "confirm", "-", stdin: receipts.outputText).code == 0)
      #expect(try await place.pair("crm", environment: own) == pair, "point \(point)")
      found.append(isWritten ? "written" : isImported ? "imported" : "nothing")
      return true
    }
    print("kill points of handoff open: \(found)")
    #expect(Set(found).isSuperset(of: ["nothing", "imported"]), "\(found)")
  }

  @Test("Killed at any point of handing over it is rotated here or there, and the file or a new one opens")
  func killedSender() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    guard try await isTraceable(teams) else { return }
    var found: Set<Bool> = []
    try await place.add("crm")
    try await eachPoint { point, options in
      let file = teams.path("sent-\(point)")
      let killed = try await place.run(
        Programs.strace ?? "",
        options + [
          Programs.relatch, "handoff", "send", "crm", "--to", teams.card, "--transfer", "-o", file,
        ])
      let isHandedOver = try await place.relatch("status", "crm").outputText.contains("rotated here no more")
      if isHandedOver { #expect(try await place.relatch("handoff", "withdraw", "crm").code == 0, "point \(point)") }
      if FileManager.default.fileExists(atPath: file) {
        let text = try String(contentsOfFile: file, encoding: .utf8)
        #expect(isHandedOver && text.hasSuffix("AGE ENCRYPTED FILE-----\n"))
      }
      #expect(try await place.logIsWhole())
      if killed.code == -SIGKILL { found.insert(isHandedOver) }
      return killed.code == -SIGKILL
    }
    #expect(found == [true, false])
    #expect(try await place.relatch("rotate", "crm").code == 0)
  }

  @Test("No room for the log: nothing is sent or imported, 74; no room for the receipt: it is had later")
  func full() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    guard try await isTraceable(teams) else { return }
    try await place.add("crm")
    let file = try await teams.send("crm")
    func fail(_ call: String, _ path: String, _ arguments: [String], _ environment: [String: String]) async throws
      -> Outcome
    {
      try await place.run(
        Programs.strace ?? "",
        [
          "-f", "-o", "/dev/null", "-P", path, "-e", "trace=\(call)", "-e", "inject=\(call):error=ENOSPC",
          Programs.relatch,
        ]
          + arguments, environment: environment)
    }
    let log = "pwrite64"
    let unsent = try await fail(
      log, place.vault.path + "/vault.db-wal", ["handoff", "send", "crm", "--to", teams.card, "-o", teams.path("x")],
      [:])
    expectFailure(unsent, 74)
    #expect(!FileManager.default.fileExists(atPath: teams.path("x")))
    let unopened = try await fail(
      log, teams.path("vault-b/vault.db-wal"),
      ["handoff", "open", file, "--admin", "admin", "--from", teams.key, "-o", teams.path("r")],
      teams.theirs)
    expectFailure(unopened, 74)
    #expect(try await teams.events(teams.theirs).isEmpty && !FileManager.default.fileExists(atPath: teams.path("r")))
    // The receipt's folder, and not the vault's.
    let folder = teams.path("receipts")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let lost = try await place.run(
      Programs.strace ?? "",
      [
        "-f", "-o", "/dev/null", "-e", "trace=linkat,link", "-e", "inject=linkat,link:error=ENOSPC", Programs.relatch,
        "handoff",
        "open", file, "--admin", "admin", "--from", teams.key, "-o", folder + "/r",
      ], environment: teams.theirs)
    #expect(lost.code == 74 && lost.errorText.contains("is imported, and its receipt not written"), "\(lost.errorText)")
    #expect(try await teams.theirs("handoff", "receipt", file, "-o", folder + "/r").code == 0)
    #expect(try await place.relatch("handoff", "confirm", folder + "/r").code == 0)
    try await teams.expectWhole()
  }
}

@Suite("Several who open one handoff at once")
struct HandoffRaceTests {
  @Test("One imports it; the others are told so, whatever name they give it")
  func race() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    for round in 1...4 {
      let file = try await teams.send("crm")
      let runs = try (1...6).map { number in
        try place.start(
          arguments: [
            "handoff", "open", file, "--admin", "admin", "--from", teams.key, "--as",
            number % 2 == 0 ? "c\(round)" : "c\(round)-\(number)",
          ],
          environment: teams.theirs)
      }
      var codes: [Int32] = []
      for run in runs { codes.append(try await run.outcome().code) }
      #expect(codes.filter { $0 == 0 }.count == 1 && codes.allSatisfy { [0, 77].contains($0) }, "\(codes)")
    }
    #expect(try await teams.events(teams.theirs).count == 4)
    try await teams.expectWhole()
  }
}
