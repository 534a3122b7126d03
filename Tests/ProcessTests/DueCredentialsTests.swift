import Audit
import Testing
import Vault

@testable import Rotation
@testable import relatch

@Suite("What a schedule finds due")
struct DueCredentialsTests {
  @Test func `a credential whose journal is damaged is told, and keeps no other from being due`() async throws {
    let vault = try await vault(adding: ["billing", "crm", "erp"])
    for (name, event) in [("billing", "rotation.begun"), ("crm", "rotation.promoted"), ("erp", "rotation.begun")] {
      _ = try await vault.change(now: vaultMoment) { change in
        var credential = try change.view.credential(name)
        credential.rotation += 1
        return try change.saveStep(credential, step: 0, EventName(event), [:])
      }
    }
    let due = try await DueCredentials(in: vault.locked, now: vaultMoment)
    #expect(due.errands.map(\.name) == ["billing", "erp"])
    let failure = try #require(due.failures.first)
    #expect(due.failures.count == 1 && failure.credential == "crm" && failure.failure.code == .corruptData)
    #expect(failure.failure.message.contains("crm") && failure.failure.message.contains("damaged"))
  }

  @Test func `of two that must not rotate together the one that has been due for longer goes first`() async throws {
    let vault = try await vault(adding: ["alpha", "zed"])
    for (name, rules) in [("alpha", ["max-age": "12h", "not-together-with": "zed"]), ("zed", ["max-age": "10h"])] {
      _ = try await vault.setPolicy(of: name, now: vaultMoment) { policy in
        for (key, value) in rules { try policy.set(key, to: value) }
      }
    }
    for (hours, names) in [(9, []), (11, ["zed"]), (12, ["zed"]), (40, ["zed"])] as [(Int, [String])] {
      let due = try await DueCredentials(in: vault.locked, now: vaultMoment + .seconds(hours * 3600))
      #expect(due.errands.map(\.name) == names, "after \(hours) h")
    }
  }

  @Test func `what is due and cannot be rotated by anybody is told, and what was never to be rotated is not`()
    async throws
  {
    let vault = try await vault(adding: ["crm"])
    for (name, provider, age) in [
      ("newer", "unheard-of", "1h"), ("noapp", "salesforce", "1h"), ("used", "salesforce", "none"),
    ] {
      var policy = Policy()
      try policy.set("max-age", to: age)
      _ = try await vault.add(
        name: name, provider: provider, settings: ["url": "https://crm.example"], policy: policy, admin: name,
        pair: pair(of: name), now: vaultMoment)
    }
    #expect(try await DueCredentials(in: vault.locked, now: vaultMoment).failures.isEmpty)
    let due = try await DueCredentials(in: vault.locked, now: vaultMoment + .seconds(7200))
    #expect(due.errands.isEmpty && due.failures.map(\.credential) == ["newer", "noapp"])
    #expect(due.failures.allSatisfy { $0.failure.code == .configuration })
    #expect(due.failures.first?.failure.message.contains("unheard-of") == true)
    #expect(due.failures.last?.failure.hint.contains("`relatch settings noapp app=…`") == true)
  }

  @Test func `a date that is ahead is told, with what sets it right, because no schedule finds it`() async throws {
    let vault = try await vault(adding: ["crm"])
    _ = try await vault.setPolicy(of: "crm", now: vaultMoment) { try $0.set("max-age", to: "90d") }
    let now = vaultMoment + .seconds(-365 * 86_400)
    #expect(try await DueCredentials(in: vault.locked, now: now).errands.isEmpty)
    try await vault.read { view in
      let credential = try view.credential("crm")
      func text(_ credential: Credential, _ now: Timestamp) throws -> String {
        try RotationSchedule.system.standing(of: credential, in: view, now: now).text(of: credential, at: now) ?? ""
      }
      #expect(try text(credential, now).contains("its date is ahead"))
      #expect(try text(credential, now).contains("`relatch rotate crm`"))
      #expect(try !text(credential, vaultMoment + .seconds(90 * 86_400)).contains("ahead"))
      let grace = RotationSchedule.Standing.waiting(until: vaultMoment + .seconds(86_400), .debt)
      #expect(grace.text(of: credential, at: now)?.contains("`relatch retire crm`") == true)
      #expect(grace.text(of: credential, at: vaultMoment)?.contains("ahead") == false)
    }
  }

  @Test func `a delivery that a clock which was ahead has tried is due now, and told with what sets it right`()
    async throws
  {
    let vault = try await vault(adding: ["crm"])
    let settings = DeliverySettings(
      name: "reload",
      kind: .hook(HookSettings(occasion: .promoted, arguments: ["/bin/true"], timeLimit: .seconds(90))))
    _ = try await vault.addDelivery(settings, to: "crm", now: vaultMoment)
    let ahead = vaultMoment + .seconds(40 * 86_400)
    _ = try await vault.change(now: vaultMoment) { change in
      var credential = try change.view.credential("crm")
      _ = credential.noteAttempt(at: credential.deliveries[0], now: ahead)
      return try change.save(credential, .deliveryFailed)
    }
    try await vault.read { view in
      let credential = try view.credential("crm")
      func standing(_ now: Timestamp) throws -> RotationSchedule.Standing {
        try RotationSchedule.system.standing(of: credential, in: view, now: now)
      }
      let found = try standing(vaultMoment)
      #expect(found == .due(.delivery))
      #expect(found.text(of: credential, at: vaultMoment)?.contains("`relatch deliver crm`") == true)
      #expect(try standing(ahead) == .waiting(until: ahead + .seconds(60), .delivery))
      let right = ahead + .seconds(60)
      #expect(try standing(right).text(of: credential, at: right)?.contains("ahead") == false)
    }
  }

  @Test func `one that waits a day because its partner was rotated keeps no third from beginning`() async throws {
    let vault = try await vault(adding: ["alpha", "beta", "gamma"])
    _ = try await vault.setPolicy(of: "alpha", now: vaultMoment) { try $0.set("not-together-with", to: "beta,gamma") }
    _ = try await vault.setPolicy(of: "gamma", now: vaultMoment) { try $0.set("max-age", to: "1h") }
    let began = vaultMoment + .seconds(3600)
    for (step, event) in ["begun", "stage.postponed"].enumerated() {
      _ = try await vault.change(now: began) { change in
        var credential = try change.view.credential("alpha")
        credential.rotation = 1
        return try change.saveStep(credential, step: UInt32(step), EventName("rotation." + event), [:])
      }
    }
    func gamma(_ now: Timestamp) async throws -> RotationSchedule.Standing {
      try await vault.read { try RotationSchedule.system.standing(of: $0.credential("gamma"), in: $0, now: now) }
    }
    let later = began + .seconds(7200)
    #expect(try await gamma(later) == .held(until: nil, .together(with: "alpha")))
    _ = try await vault.change(now: began) { change in
      var credential = try change.view.credential("beta")
      _ = try credential.addStaged(handle: nil, expires: nil, now: began)
      try credential.promoteStaged(now: began)
      return try change.save(credential, EventName("rotation.promoted"))
    }
    #expect(try await gamma(later) == .due(.age))
    #expect(try await gamma(began + .seconds(86_401)) == .held(until: nil, .together(with: "alpha")))
    // A leak is ended at once, whatever its partners did.
    _ = try await vault.change(now: began) { change in
      var credential = try change.view.credential("alpha")
      credential.noteLeak(incident: "x", version: 1, now: began)
      return try change.save(credential, .credentialLeaked)
    }
    #expect(try await gamma(later) == .held(until: nil, .together(with: "alpha")))
  }

  @Test func `a rotation whose attempts have asked for nothing is not said to be continued by another`() async throws {
    let credential = try await vault(adding: ["crm"]).read { try $0.credential("crm") }
    var journal = RotationJournal(beginning: 1, at: vaultMoment)
    func text() -> String {
      CredentialStatus(
        credential: credential, journal: journal, holder: nil, isReconciled: true, schedule: .due(.unfinished)
      )
      .text(vaultMoment)
    }
    #expect(text().contains("`relatch rotate crm` continues it"))
    try journal.append(.postponed(.stage), at: vaultMoment, graceEnds: nil)
    #expect(!text().contains("continues it") && text().contains("`relatch plan crm` says what stands in its way"))
  }

  @Test func `a pair that was gone is not called refused, and an old one that leaked is called that`() throws {
    func told(isGone: Bool, isLeaked: Bool) throws -> Failure {
      try #require(RotationOutcome.rejected(active: 1, isGone: isGone, isLeaked: isLeaked).shortfall(of: "crm"))
    }
    let gone = try told(isGone: true, isLeaked: false)
    #expect(gone.message.contains("gone") && !gone.message.contains("refused") && !gone.message.contains("leaked"))
    #expect(gone.code == .validationFailed && !gone.hint.contains("propagation"))
    let leaked = try told(isGone: true, isLeaked: true)
    #expect(leaked.message.contains("leaked") && leaked.hint.contains("`relatch resume crm`"))
    let refused = try told(isGone: false, isLeaked: true).message
    #expect(refused.contains("refused and is removed; version 1, which leaked,"))
  }

  @Test func `what a rotation that came to nothing has left owed is overdue once its grace is over`() async throws {
    let vault = try await vault(adding: ["crm"])
    let later = vaultMoment + .seconds(3600)
    for (rotation, events) in [
      ["begun", "stage.intended", "staged", "promote.intended", "promoted"], ["begun", "abandoned"],
    ]
    .enumerated() {
      for (step, event) in events.enumerated() {
        _ = try await vault.change(now: later) { change in
          var credential = try change.view.credential("crm")
          credential.rotation = UInt64(rotation + 1)
          if event == "staged" { _ = try credential.addStaged(handle: nil, expires: nil, now: later) }
          if event == "promoted" { try credential.promoteStaged(now: later) }
          credential.noteRotation(hasEnded: event == "abandoned", graceEnds: nil)
          return try change.saveStep(credential, step: UInt32(step), EventName("rotation." + event), [:])
        }
      }
    }
    try await vault.read { view in
      let credential = try view.credential("crm")
      let journal = try RotationJournal(view, of: credential)
      let standing = CredentialStatus(
        credential: credential, journal: journal, holder: nil, isReconciled: true, schedule: .unscheduled)
      let due = later + credential.policy.grace
      #expect(credential.debts.map(\.number) == [1] && journal?.machine.state == .failed)
      #expect(standing.hasOverdueDebt(due))
      #expect(!standing.hasOverdueDebt(Timestamp(milliseconds: due.milliseconds - 1)))
      #expect(CredentialFigures(credential, journal: journal, now: due, appointment: nil).debtsDue == due)
    }
  }
}
