import Age
import Audit
import Contracts
import JSON
import Sodium
import Storage
import Testing

@testable import Vault

@Suite("Sinks and hooks in a credential's record")
struct DeliveryRecordTests {
  static let file = DeliverySettings(
    name: "app", kind: .file(FileSettings(path: "/etc/app/crm.json", format: .json, mode: 0o640)))
  static let hook = DeliverySettings(
    name: "reload",
    kind: .hook(
      HookSettings(occasion: .promoted, arguments: ["/usr/bin/systemctl", "reload", "crm"], timeLimit: .seconds(90))))

  private func addCredential(_ fixture: Fixture) async throws { try await fixture.add("crm") }

  @Test func `are read back as they were written, and leave no trace when all are removed`() async throws {
    let fixture = try await Fixture()
    try await addCredential(fixture)
    let before = try await fixture.store.read { try VaultView($0).credential("crm") }
    #expect(!String(decoding: before.bytes, as: UTF8.self).contains("deliveries"))
    for settings in [Self.file, Self.hook] {
      _ = try await fixture.vault.addDelivery(settings, to: "crm", now: Fixture.at(2))
    }
    var credential = try await fixture.store.read { try VaultView($0).credential("crm") }
    #expect(credential.deliveries.map(\.settings) == [Self.file, Self.hook])
    #expect(credential.deliveries.map(\.entry) == [2, 3])
    #expect(credential.undelivered.map(\.name) == ["app", "reload"])
    let app = credential.deliveries[0]
    let reload = credential.deliveries[1]
    let areNoted = [
      credential.noteDelivered(1, to: app), credential.noteAttempt(at: reload, now: Fixture.at(3)),
      credential.noteAttempt(at: reload, now: Fixture.at(4)),
    ]
    #expect(areNoted == [true, true, true])
    #expect(credential.deliveries[1].attempts == 2 && credential.deliveries[1].tried == Fixture.at(4))
    #expect(credential.undelivered.map(\.name) == ["reload"])
    #expect(try Credential(decoding: credential.bytes, name: "crm") == credential)
    let hasArrived = credential.noteDelivered(1, to: reload)
    #expect(hasArrived && credential.deliveries[1].tried == nil)
    for name in ["app", "reload"] { _ = try await fixture.vault.removeDelivery(name, from: "crm", now: Fixture.at(5)) }
    let after = try await fixture.store.read { try VaultView($0).credential("crm") }
    #expect(after.deliveries.isEmpty && !String(decoding: after.bytes, as: UTF8.self).contains("deliveries"))
    try await fixture.store.read { _ = try VaultView.verify($0) }
  }

  @Test func `files come before hooks, and what takes no pair lacks none`() throws {
    let hooks = HookSettings.Occasion.allCases.map { occasion in
      DeliverySettings(
        name: occasion.rawValue, kind: .hook(HookSettings(occasion: occasion, arguments: ["/bin/true"])))
    }
    var credential = Credential(
      id: Identifier(drawnFrom: .seeded("c")), name: "crm", provider: "p", settings: [:], policy: Policy(),
      admin: "crm", keyID: "k", created: Fixture.start)
    for (index, settings) in (hooks + [Self.file]).enumerated() {
      try credential.addDelivery(settings, entry: UInt64(index))
    }
    #expect(credential.undelivered.map(\.name) == ["app", "promoted"])
    #expect(credential.hooks(on: .before).map(\.name) == ["before"])
    #expect(credential.hooks(on: .failed).map(\.name) == ["failed"])
  }

  @Test func `one of its name is refused, and one that took its place is not taken for it`() async throws {
    let fixture = try await Fixture()
    try await addCredential(fixture)
    var credential = try await fixture.vault.addDelivery(Self.file, to: "crm", now: Fixture.at(2))
    let old = credential.deliveries[0]
    await #expect(throws: VaultError(.alreadyExists, "")) {
      _ = try await fixture.vault.addDelivery(Self.file, to: "crm", now: Fixture.at(3))
    }
    _ = try await fixture.vault.removeDelivery("app", from: "crm", now: Fixture.at(4))
    await #expect(throws: VaultError(.notFound, "")) {
      _ = try await fixture.vault.removeDelivery("app", from: "crm", now: Fixture.at(5))
    }
    credential = try await fixture.vault.addDelivery(Self.file, to: "crm", now: Fixture.at(6))
    let isNoted = credential.noteDelivered(1, to: old)
    let isFailed = credential.noteAttempt(at: old, now: Fixture.at(7))
    #expect(!isNoted && !isFailed && credential.deliveries[0].delivered == nil)
  }

  static let unfit: [DeliverySettings.Kind] = [
    .file(FileSettings(path: "relative", format: .json)), .file(FileSettings(path: "/etc/", format: .json)),
    .file(FileSettings(path: "/", format: .json)), .file(FileSettings(path: "/etc/..", format: .json)),
    .file(FileSettings(path: "/etc/a\nb", format: .json)), .file(FileSettings(path: "", format: .json)),
    .file(FileSettings(path: "/a", format: .json, mode: 0o644)),
    .file(FileSettings(path: "/a", format: .json, mode: 0o700)),
    .file(FileSettings(path: "/a", format: .json, mode: 0o060)),
    .file(FileSettings(path: "/a", format: .json, mode: 0o4600)),
    .file(FileSettings(path: "/a", format: .dotenv(prefix: ""))),
    .file(FileSettings(path: "/a", format: .dotenv(prefix: "1A"))),
    .file(FileSettings(path: "/a", format: .dotenv(prefix: "A B"))),
    .file(FileSettings(path: "/a", format: .dotenv(prefix: "A;reboot"))),
    .file(FileSettings(path: "/a", format: .template(path: "t"))),
    .hook(HookSettings(occasion: .before, arguments: [])),
    .hook(HookSettings(occasion: .before, arguments: ["systemctl"])),
    .hook(HookSettings(occasion: .before, arguments: ["/bin/sh", "a\0b"])),
    .hook(HookSettings(occasion: .before, arguments: ["/bin/sh", String(repeating: "x", count: 17_000)])),
    .hook(HookSettings(occasion: .before, arguments: Array(repeating: "/bin/sh", count: 65))),
    .hook(HookSettings(occasion: .before, arguments: ["/bin/sh"], timeLimit: .zero)),
    .hook(HookSettings(occasion: .before, arguments: ["/bin/sh"], timeLimit: .seconds(3601))),
    .hook(HookSettings(occasion: .before, arguments: ["/bin/sh"], timeLimit: .milliseconds(1500))),
  ]

  @Test(arguments: unfit) func `what cannot be one is not added`(kind: DeliverySettings.Kind) async throws {
    let fixture = try await Fixture()
    try await addCredential(fixture)
    await #expect(throws: VaultError(.invalidInput, "")) {
      _ = try await fixture.vault.addDelivery(DeliverySettings(name: "x", kind: kind), to: "crm", now: Fixture.at(2))
    }
    #expect(throws: VaultError(.invalidInput, "")) { try DeliverySettings(name: "a b", kind: Self.hook.kind).check() }
  }

  @Test func `no more than there may be`() throws {
    var credential = Credential(
      id: Identifier(drawnFrom: .seeded("c")), name: "crm", provider: "p", settings: [:], policy: Policy(),
      admin: "crm", keyID: "k", created: Fixture.start)
    for number in 0..<DeliveryRecord.maximumCount {
      try credential.addDelivery(DeliverySettings(name: "n\(number)", kind: Self.file.kind), entry: 1)
    }
    #expect(throws: VaultError(.invalidInput, "")) { try credential.addDelivery(Self.hook, entry: 1) }
  }

  @Test(arguments: [
    (#""attempts":1,"#, ""), (#""attempts":1,"#, #""attempts":0,"#), (#""delivered":1"#, #""delivered":0"#),
    (#""mode":"640""#, #""mode":"0640""#), (#""mode":"640""#, #""mode":"644""#), (#""kind":"file""#, #""kind":"pipe""#),
    (#""format":"json""#, #""format":"xml""#), (#""format":"json""#, #""format":"json","more":1"#),
    (#""time_limit":"90s""#, #""time_limit":"090s""#), (#""on":"promoted""#, #""on":"never""#),
    (#""name":"reload""#, #""name":"app""#), (#""argv":["/usr/bin/systemctl","#, #""argv":[1,"#),
    (#""deliveries":["#, #""deliveries":[1,"#),
  ])
  func `a record with one that is none is refused`(_ change: (String, String)) throws {
    var credential = Credential(
      id: Identifier(drawnFrom: .seeded("c")), name: "crm", provider: "p", settings: [:], policy: Policy(),
      admin: "crm", keyID: "k", created: Fixture.start)
    try credential.addDelivery(Self.file, entry: 2)
    try credential.addDelivery(Self.hook, entry: 3)
    let app = credential.deliveries[0]
    let reload = credential.deliveries[1]
    _ = credential.noteDelivered(1, to: app)
    _ = credential.noteAttempt(at: reload, now: Fixture.at(4))
    let text = String(decoding: credential.bytes, as: UTF8.self)
    #expect(try Credential(decoding: credential.bytes, name: "crm") == credential)
    #expect(text.contains(change.0), "\(text)")
    let other = text.replacing(change.0, with: change.1, maxReplacements: 1)
    #expect(throws: VaultError.self, "\(other)") { try Credential(decoding: Array(other.utf8), name: "crm") }
  }

  @Test func `an empty list is not canonical`() throws {
    let credential = Credential(
      id: Identifier(drawnFrom: .seeded("c")), name: "crm", provider: "p", settings: [:], policy: Policy(),
      admin: "crm", keyID: "k", created: Fixture.start)
    let text = String(decoding: credential.bytes, as: UTF8.self)
    let other = text.replacing(#""entry""#, with: #""deliveries":[],"entry""#)
    #expect(throws: VaultError(.corrupt, "")) { try Credential(decoding: Array(other.utf8), name: "crm") }
  }
}

@Suite("Who may say where a pair goes")
struct DeliveryPermissionTests {
  @Test func `only what an owner added is used, exactly as it was added`() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    let good = try await fixture.vault.addDelivery(DeliveryRecordTests.hook, to: Fixture.name, now: Fixture.at(2))
    try await fixture.store.read { try VaultView($0).requireDeliveriesAddedByOwners(of: good) }
    // The record of any later entry can name another program, and the log vouches for that record.
    let planted = try await fixture.vault.change(now: Fixture.at(3)) { change in
      var credential = try change.view.credential(Fixture.name)
      let other = DeliverySettings(
        name: "reload", kind: .hook(HookSettings(occasion: .promoted, arguments: ["/tmp/evil"])))
      credential.deliveries = [DeliveryRecord(other, entry: credential.deliveries[0].entry)]
      return try change.save(credential, .credentialPolicy)
    }
    await #expect(throws: VaultError(.corrupt, "")) {
      try await fixture.store.read { try VaultView($0).requireDeliveriesAddedByOwners(of: planted) }
    }
    // Another entry does not help either.
    var moved = good
    moved.deliveries = [DeliveryRecord(DeliveryRecordTests.hook, entry: 1)]
    let elsewhere = moved
    await #expect(throws: VaultError(.corrupt, "")) {
      try await fixture.store.read { try VaultView($0).requireDeliveriesAddedByOwners(of: elsewhere) }
    }
  }

  @Test func `an operator adds and removes none, nor makes a log entry that says so`() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    _ = try await fixture.vault.addDelivery(DeliveryRecordTests.file, to: Fixture.name, now: Fixture.at(2))
    let bob = try await fixture.addOperator()
    let vault = try await fixture.opened(in: fixture.store, by: bob)
    await #expect(throws: VaultError(.notPermitted, "")) {
      _ = try await vault.addDelivery(DeliveryRecordTests.hook, to: Fixture.name, now: Fixture.at(6))
    }
    await #expect(throws: VaultError(.notPermitted, "")) {
      _ = try await vault.removeDelivery("app", from: Fixture.name, now: Fixture.at(6))
    }
    // With a program of their own they can, but then nobody can open the vault any more.
    try await fixture.store.write { transaction in
      let view = try VaultView(transaction)
      let index = try AuditLog.size(in: transaction)
      var credential = try view.credential(Fixture.name)
      credential.deliveries = [DeliveryRecord(DeliveryRecordTests.hook, entry: index)]
      credential.entry = index
      let entry = try LogEntry(
        time: Fixture.at(7), member: "bob", event: EventName.deliveryAdded.text,
        details: [
          "credential": .string(Fixture.name), "delivery": DeliveryRecordTests.hook.json,
          "record": .string(SHA256.hash(credential.bytes).bytes.base64),
        ])
      try transaction.set(credential.bytes, in: .credentials, for: Array(Fixture.name.utf8))
      _ = try AuditLog.append(
        [entry], by: LogSigner(member: "bob", origin: view.header.origin, key: bob.signingKey), in: transaction,
        knowing: view.verifyingKey)
    }
    await #expect(throws: AuditError(.notPermitted, "")) { try await fixture.store.read { try VaultView($0).members } }
  }

  /// Appends in anyone's name with the forger's own key, as a program that checks nothing can.
  private func forge(
    _ member: String, _ event: EventName, _ details: [String: JSONValue], by forger: Identity, in store: any Store
  ) async throws {
    let entry = try LogEntry(time: Fixture.at(8), member: member, event: event.text, details: details)
    try await store.write { transaction in
      let origin = try VaultView.unverified(in: transaction).description
      _ = try AuditLog.append(
        [entry], by: LogSigner(member: member, origin: "relatch/" + origin, key: forger.signingKey), in: transaction,
        knowing: { _ in forger.signingKey.verifyingKey })
    }
  }

  @Test(arguments: [true, false])
  func `an operator's entry in an owner's name is not taken for the owner's`(keepsCheckpoint: Bool) async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    let bob = try await fixture.addOperator()
    let origin = fixture.store
    let seen = try await fixture.vault.read { $0.seenLog }
    // First an entry by bob, so that the log ends with a signature of his.
    let credential = try await origin.read { try VaultView($0).credential(Fixture.name) }
    try await origin.write { transaction in
      let view = try VaultView(transaction)
      let entry = try LogEntry(time: Fixture.at(7), member: "bob", event: "pair.used", details: ["purpose": "test"])
      _ = try AuditLog.append(
        [entry], by: LogSigner(member: "bob", origin: view.header.origin, key: bob.signingKey), in: transaction,
        knowing: view.verifyingKey)
    }
    let index = try await origin.read { try AuditLog.size(in: $0) }
    let owner = try await origin.read { try VaultView($0).members.first { $0.card.role == .owner }?.name ?? "" }
    try await forge(
      owner, .deliveryAdded,
      ["credential": .string(Fixture.name), "delivery": DeliveryRecordTests.hook.json], by: bob, in: origin)
    var planted = credential
    planted.deliveries = [DeliveryRecord(DeliveryRecordTests.hook, entry: index)]
    planted.entry = index + 1
    let record = planted
    try await forge(
      "bob", .credentialPolicy,
      ["credential": .string(Fixture.name), "record": .string(SHA256.hash(record.bytes).bytes.base64)], by: bob,
      in: origin)
    try await origin.write { transaction in
      try transaction.set(record.bytes, in: .credentials, for: Array(Fixture.name.utf8))
      if !keepsCheckpoint { try transaction.remove((index + 1).bigEndianBytes, from: .checkpoints) }
    }
    // Opening the vault verifies what was appended, from the beginning or from where it was last seen.
    await #expect(throws: AuditError.self) {
      try await origin.read { try VaultView($0).requireDeliveriesAddedByOwners(of: record) }
    }
    await #expect(throws: AuditError.self) { try await LockedVault(origin, after: seen).read { _ in } }
  }

  @Test func `what an owner removed is not brought back by an older record`() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    let added = try await fixture.vault.addDelivery(DeliveryRecordTests.hook, to: Fixture.name, now: Fixture.at(2))
    let bob = try await fixture.addOperator()
    try await fixture.store.read { try VaultView($0).requireDeliveriesAddedByOwners(of: added) }
    _ = try await fixture.vault.removeDelivery("reload", from: Fixture.name, now: Fixture.at(6))
    await #expect(throws: VaultError(.corrupt, "")) {
      try await fixture.store.read { try VaultView($0).requireDeliveriesAddedByOwners(of: added) }
    }
    _ = bob
  }
}
