import Contracts
import Foundation
import Glibc
import Testing

/// No API rotates a connected app: a person makes the clicks. Here they sit at a pseudo-terminal and at the simulated
/// page.
@Suite("A rotation of a connected app by hand")
struct ConnectedAppTests {
  private typealias Prompt = Conversation

  @Test(
    "reads the staged pair without showing it, waits for Apply, and sees the old pair refused",
    arguments: ["stagedPairGrants=true", "stagedPairGrants=false"])
  func rotation(_ reading: String) async throws {
    let app = try await ConnectedApp(reading, "replacedPairLivesOn=false")
    let old = try await app.place.org.primary()
    let run = try app.start("rotate", "crm")
    try run.wait(Prompt.staged)
    #expect(run.shown.contains("Apply will end the old pair at once"))
    let new = try await app.staged()
    run.terminal.type("yes\n")
    try run.paste(new)
    if reading.hasSuffix("false") { try run.answer(Prompt.unproved, "yes") }
    try run.wait(Prompt.apply)
    // Nothing becomes active before it was applied and accepted.
    #expect(try await app.place.pair("crm") == old)
    try await app.click("apply")
    run.terminal.type("yes\n")
    let ended = try await run.end(hiding: [old, new])
    #expect(ended.code == 0, "\(ended.errorText)")
    #expect(try await app.isRotated(from: old))
    #expect(try await app.place.pair("crm") == new)
    let log = try await app.place.relatch("log", "list", "--json").outputText
    #expect(log.contains(#""unproved":true"#) == reading.hasSuffix("false"))
  }

  @Test(
    "that is interrupted at any prompt, by ^C or a kill, is finished by another member",
    arguments: ["stagedPairGrants=true", "stagedPairGrants=false"])
  func interrupted(_ reading: String) async throws {
    let app = try await ConnectedApp(reading, "replacedPairLivesOn=false")
    let other = try await app.place.addMember("olga", "operator", grants: ["crm"])
    let isUnproved = reading.hasSuffix("false")
    let prompts = [Prompt.staged, Prompt.key, Prompt.secret] + (isUnproved ? [Prompt.unproved] : []) + [Prompt.apply]
    for (number, prompt) in prompts.enumerated() {
      let old = try await app.place.org.primary()
      let new = try await app.staged()
      let first = try app.start("rotate", "crm")
      for before in prompts[..<number] {
        if before == Prompt.key || before == Prompt.secret {
          try first.wait(before)
          first.terminal.waitForQuiet()
          first.terminal.type((before == Prompt.key ? new.key : new.secret) + "\n")
        } else {
          try first.answer(before, "yes")
        }
      }
      try first.wait(prompt)
      // At the last prompt the details are already applied, but the answer was not given.
      if prompt == Prompt.apply { try await app.click("apply") }
      let isKilled = number % 2 == 0
      if prompt == Prompt.key || prompt == Prompt.secret { first.terminal.waitForQuiet() }
      if isKilled { first.running.send(SIGKILL) } else { first.terminal.type("\u{3}") }
      #expect(try await first.end(hiding: [old, new]).code == (isKilled ? -SIGKILL : -SIGINT), "\(prompt)")

      let second = try app.start("resume", "crm", environment: other)
      if [Prompt.staged, Prompt.key, Prompt.secret].contains(prompt) {
        try second.answer(Prompt.staged, "yes")
        try second.paste(new)
      }
      if prompt != Prompt.apply {
        if isUnproved { try second.answer(Prompt.unproved, "yes") }
        try second.wait(Prompt.apply)
        try await app.click("apply")
        second.terminal.type("yes\n")
      }
      let ended = try await second.end(hiding: [old, new])
      #expect(ended.code == 0, "\(prompt): \(ended.errorText)")
      #expect(try await app.isRotated(from: old), "\(prompt)")
    }
  }

  @Test("asks again for a pair that cannot be the new one: the old pair, a swapped one, or none")
  func notTaken() async throws {
    let app = try await ConnectedApp("replacedPairLivesOn=false")
    let old = try await app.place.org.primary()
    let run = try app.start("rotate", "crm")
    try run.answer(Prompt.staged, "what?")
    try run.answer(Prompt.staged, "yes")
    let new = try await app.staged()
    for (pair, words) in [
      (old, "key of the active pair"), (.init(key: new.key, secret: old.secret), "secret of the active pair"),
      (.init(key: new.secret, secret: new.key), "swapped"),
      (.init(key: "CMDB", secret: new.secret), "not a consumer key"),
    ] {
      try run.paste(pair)
      try run.wait(words)
    }
    try run.paste(.init(key: "  \(new.key) ", secret: new.secret + " "))
    try run.wait(Prompt.apply)
    try await app.click("apply")
    run.terminal.type("y\n")
    #expect(try await run.end(hiding: [old, new]).code == 0)
    #expect(try await app.isRotated(from: old))

    // The questions end, and nothing was changed.
    let again = try app.start("rotate", "crm")
    try again.answer(Prompt.staged, "yes")
    for _ in 1...5 { try again.paste(new) }
    expectFailure(try await again.end(hiding: [new]), 77, "could be the pair")
    #expect(try await app.place.pair("crm") == new)
  }

  @Test("refuses a wrong pair before Apply, gives it up, and takes the right one")
  func wrongPair() async throws {
    let app = try await ConnectedApp("replacedPairLivesOn=false")
    let old = try await app.place.org.primary()
    let new = try await app.staged()
    let wrong = SimulatedOrg.IssuedPair(key: new.key, secret: String(new.secret.reversed()))
    let run = try app.start("rotate", "crm")
    try run.answer(Prompt.staged, "yes")
    try run.paste(wrong)
    try run.answer(Prompt.unproved, "no")
    expectFailure(try await run.end(hiding: [wrong]), 77, "refused")
    #expect(try await app.place.pair("crm") == old)
    let abort = try app.start("abort", "crm")
    try abort.wait(Prompt.cancel)
    try await app.click("cancel")
    abort.terminal.type("yes\n")
    #expect(try await abort.end().code == 0)
    let fresh = try await app.staged()
    let second = try app.start("rotate", "crm")
    try second.answer(Prompt.staged, "yes")
    try second.paste(fresh)
    try second.wait(Prompt.apply)
    try await app.click("apply")
    second.terminal.type("yes\n")
    #expect(try await second.end().code == 0)
    #expect(try await app.isRotated(from: old))
  }

  @Test("notices a wrong pair that was applied unproved, gives it up, and adopts the current one")
  func wrongPairApplied() async throws {
    let app = try await ConnectedApp("stagedPairGrants=false", "replacedPairLivesOn=false")
    let old = try await app.place.org.primary()
    let new = try await app.staged()
    let wrong = SimulatedOrg.IssuedPair(key: new.key, secret: String(new.secret.reversed()))
    let run = try app.start("rotate", "crm")
    try run.answer(Prompt.staged, "yes")
    try run.paste(wrong)
    try run.answer(Prompt.unproved, "yes")
    try run.wait(Prompt.apply)
    try await app.click("apply")
    run.terminal.type("yes\n")
    expectFailure(try await run.end(hiding: [wrong]), 12, "neither")
    // A pair that was never accepted is not active here.
    #expect(try await app.place.pair("crm") == old)
    let resumed = try app.start("resume", "crm")
    try resumed.paste(new, as: "current")
    try resumed.wait("relatch adopt")
    #expect(try await resumed.end(hiding: [new, wrong]).code == 10)
    let adopted = try await app.place.relatch("adopt", "crm", "--stdin", stdin: new.document)
    #expect(adopted.code == 0, "\(adopted.errorText)")
    #expect(try await app.isRotated(from: old))
  }

  @Test("asks the person whether the new pair was applied if both are accepted after an interruption")
  func bothAccepted() async throws {
    let app = try await ConnectedApp()
    let old = try await app.place.org.primary()
    let new = try await app.staged()
    let run = try app.start("rotate", "crm")
    try run.answer(Prompt.staged, "yes")
    try run.paste(new)
    try run.wait(Prompt.apply)
    run.running.send(SIGKILL)
    #expect(try await run.end().code == -SIGKILL)
    let early = try app.start("resume", "crm")
    try early.answer("Does the page show the new key", "no")
    try early.wait(Prompt.apply)
    try await app.click("apply")
    early.running.send(SIGKILL)
    #expect(try await early.end().code == -SIGKILL)
    let resumed = try app.start("resume", "crm")
    try resumed.answer("Does the page show the new key", "yes")
    // The old pair is a debt for as long as it is accepted.
    #expect(try await resumed.end().code == 12)
    #expect(try await app.place.pair("crm") == new)
    #expect(try await app.place.org.accepts(old))
  }

  @Test(
    "is also how a leaked pair is replaced and seen to be refused",
    arguments: [[], ["--contain"]] as [[String]])
  func leaked(_ flags: [String]) async throws {
    let app = try await ConnectedApp("stagedPairGrants=false", "replacedPairLivesOn=false")
    let old = try await app.place.org.primary()
    // Nobody is at a terminal: the leak is noted nevertheless, and every later command says so.
    let setsid = try #require(Programs.setsid)
    let unattended = try await app.place.run(
      setsid, ["-w", Programs.relatch, "revoke", "crm", "--reason", "found in a ticket"] + flags)
    #expect(unattended.code == 77 && unattended.errorText.contains("a person is needed at a terminal"))
    #expect(unattended.outputText.contains("a person must end it: `relatch resume crm`"), "\(unattended.outputText)")
    #expect(try await app.place.relatch("status", "crm").outputText.contains("leak"))

    let run = try app.start("revoke", "crm", "--reason", "found in a ticket", flags: flags)
    try run.wait(Prompt.staged)
    let new = try await app.staged()
    run.terminal.type("yes\n")
    try run.paste(new)
    // Containment accepts an outage, so nobody is asked whether to risk one.
    if flags.isEmpty { try run.answer(Prompt.unproved, "yes") }
    try run.wait(Prompt.apply)
    try await app.click("apply")
    run.terminal.type("yes\n")
    let ended = try await run.end(hiding: [old, new])
    #expect(ended.code == 0, "\(ended.errorText)")
    #expect(try await app.isRotated(from: old))
    let incident = try await app.place.relatch("incident", "crm", "--json").outputText
    #expect(incident.contains("found in a ticket") && incident.contains("refused"), "\(incident)")
  }

  @Test("changes nothing if the person declines, and can then be given up without a person")
  func declined() async throws {
    let app = try await ConnectedApp()
    let old = try await app.place.org.primary()
    let run = try app.start("rotate", "crm")
    try run.answer(Prompt.staged, "no")
    expectFailure(try await run.end(), 77, "no details were staged")
    #expect(try await app.place.pair("crm") == old)
    #expect(try await app.place.relatch("abort", "crm").code == 0)
    #expect(try await app.place.logIsIntact())
  }

  @Test("asks nobody without a terminal: the error says who is needed, and a schedule begins nothing")
  func noTerminal() async throws {
    let setsid = try #require(Programs.setsid)
    let app = try await ConnectedApp(policy: ["max-age=30d"])
    try await app.place.org.forgetRequests()
    let due = try await app.place.run(setsid, ["-w", Programs.relatch, "rotate", "--due"])
    #expect(due.code == 0)
    #expect(due.errorText.isEmpty, "\(due.errorText)")
    #expect(try await app.place.org.newRequests() == 0)
    let plan = try await app.place.run(setsid, ["-w", Programs.relatch, "plan", "--due"])
    #expect(plan.outputText.contains("due now") && plan.outputText.contains("a person"), "\(plan.outputText)")
    let rotated = try await app.place.run(setsid, ["-w", Programs.relatch, "rotate", "crm"])
    expectFailure(rotated, 77, "a person is needed at a terminal")
    #expect(rotated.errorText.contains("relatch resume"))
  }
}
