import Foundation
import Testing

@Suite("A credential that is transferred to another vault")
struct TransferTests {
  @Test("is rotated there: the org refuses the sender's pair, and the next run settles the sender's debt")
  func transfer() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm", policy: ["propagation=0s", "max-age=1d"])
    let old = try await place.org.primary()
    let file = try await teams.send("crm", ["--transfer"])
    // It is no longer rotated here.
    expectFailure(try await place.relatch("rotate", "crm"), 64, "handed over")
    expectFailure(try await place.relatch("abort", "crm"), 64, "handed over")
    expectFailure(try await place.relatch("adopt", "crm"), 64, "handed over")
    expectFailure(
      try await place.relatch("handoff", "send", "crm", "--to", teams.card, "--transfer", "-o", teams.path("x")), 75)
    expectFailure(try await place.relatch("remove", "crm"), 64)
    let plan = try await place.relatch("plan", "crm")
    #expect(plan.code == 0 && plan.outputText.contains("no longer rotated here"), "\(plan.outputText)")
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

    // Refused, but nothing shows yet that another vault has it.
    expectFailure(try await place.relatch("resume", "crm"), 12, "no receipt was confirmed")
    #expect(try await place.pair("crm") == old)
    for handed in [["read", "crm"], ["exec", "crm", "--", "/bin/true"]] {
      let run = try await place.run(Programs.relatch, handed)
      #expect(run.code == 0 && run.errorText.contains("its pair has been refused since"), "\(run.errorText)")
    }
    let resent = try await place.relatch("handoff", "send", "crm", "--to", teams.card, "-o", teams.path("again.age"))
    #expect(resent.code == 0 && resent.errorText.contains("its pair has been refused since"), "\(resent.errorText)")
    #expect(try await place.relatch("handoff", "confirm", receipt).code == 0)
    #expect(try await place.relatch("status", "crm").outputText.contains("its recipient confirmed"))
    let run = try await place.relatch("rotate", "--due")
    #expect(run.code == 0 && run.outputText.contains("nothing is owed"), "\(run.outputText)\(run.errorText)")
    #expect(
      try await teams.events()
        == ["handoff.sent", "handoff.tried", "handoff.tried", "handoff.sent", "handoff.confirmed", "handoff.settled"])
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
    try await teams.expectIntact()
    #expect(try await place.relatch("remove", "crm").code == 0)
    try await teams.expectIntact()
  }

  @Test("says when it is taken back that somebody opened the very pair, sent before")
  func openedBefore() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    let first = try await teams.send("crm", ["--transfer"])
    let unopened = try await place.relatch("handoff", "withdraw", "crm")
    #expect(unopened.code == 0 && !unopened.errorText.contains("warning"), "\(unopened.errorText)")
    _ = try await teams.send("crm", ["--transfer"])
    let receipt = teams.path("receipt")
    #expect(try await teams.theirs("handoff", "open", first, "--admin", "admin", "-o", receipt).code == 0)
    #expect(try await place.relatch("handoff", "confirm", receipt).code == 0)
    let withdrawn = try await place.relatch("handoff", "withdraw", "crm")
    #expect(withdrawn.code == 0)
    #expect(withdrawn.errorText.contains("confirmed to have opened version 1"), "\(withdrawn.errorText)")
  }

  @Test("lacks its pair at no sink of the sender: no command says to deliver it or counts it")
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

  @Test("can administer itself, and can be transferred back")
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
    // Here only time tells an outage from a refusal.
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
    try await teams.expectIntact()
  }

  @Test("must not administer another: the error has 75 and names it")
  func administrator() async throws {
    let teams = try await TwoTeams(["--every-app-is-admin", "--apps", "2"])
    let place = teams.place
    try await place.add("crm", admin: "self")
    try await place.add("erp", app: 2, admin: "crm")
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
    try await teams.expectIntact()
  }

  @Test("is revoked by its holder: 64; and a leaked credential is neither sent nor transferred: 75")
  func leaked() async throws {
    let teams = try await TwoTeams()
    let place = teams.place
    try await place.add("crm")
    _ = try await teams.send("crm", ["--transfer"])
    let revoke = ["revoke", "crm", "--reason", "in a ticket"]
    let revoked = try await place.run(Programs.relatch, revoke)
    expectFailure(revoked, 64, "only its holder can revoke it")
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
    try await teams.expectIntact()
  }

  @Test("is reported as owed when its receipt is confirmed, unless it was taken back or removed before")
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
    // Nobody here can rotate what was handed over, or use it for tokens for long.
    try await place.addMember("bob", "operator", grants: ["crm"])
    let taken = try await place.relatch("ungrant", "crm", "bob")
    #expect(taken.code == 0, "\(taken.errorText)")
    let status = try await place.relatch("status", "crm").outputText
    #expect(status.contains("bob") && !status.contains("relatch rotate crm"), "\(status)")
    let rotated = try await place.relatch("rotate", "--exposed-to", "bob")
    #expect(rotated.code == 0 && rotated.errorText.contains("log exposure --member bob"), "\(rotated.errorText)")
  }

  @Test("can be taken back while nobody has opened it, and the next rotation makes the sent pair refused")
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
    // While a pair is owed, or a rotation is under way, it is not handed over.
    #expect(try await place.relatch("rotate", "crm").code == 0)
    let early = try await place.relatch(
      "handoff", "send", "crm", "--to", teams.card, "--transfer", "-o", teams.path("x"))
    expectFailure(early, 75, "owed")
    try await teams.expectIntact()
  }

  @Test("whose rotation there is interrupted says how to continue, which is not the same command again")
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
    for words in ["`relatch rotate NAME` continues", "`relatch retire NAME` ends"] {
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

  @Test("is rotated there even if the import cannot be reported")
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

  @Test("but could not be rotated at once is exposed there until it is, and loses nothing")
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
    try await teams.expectIntact()
  }
}

/// A key of `ssh-keygen -t ed25519`, made for these tests and never used elsewhere.
