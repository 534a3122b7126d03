import Age
import Audit
import JSON
import Sodium
import Testing
import Vault

@testable import relatch

@Suite("What the log says that somebody could open")
struct MemberExposureTests {
  private static func exposures(_ vault: UnlockedVault, _ name: String) async throws -> [MemberExposure] {
    try await vault.read { try $0.exposures(to: name) }
  }

  /// A clock that was ahead when the credential was added and bob was granted it.
  @Test func `is decided by the order of the log, and not by clocks`() async throws {
    let vault = try await vault(adding: [])
    let (ahead, right) = (vaultMoment + .seconds(3600), vaultMoment)
    let bob = try Identity(AgeIdentity(generating: .system)).card(named: "bob", role: .operator)
    try await vault.addMember(bob, now: right) { _, _ in }
    func add(_ name: String, admin: String) async throws {
      _ = try await vault.add(
        name: name, provider: "salesforce", settings: [:], policy: Policy(), admin: admin,
        pair: try pair(of: name), now: ahead)
    }
    try await add("crm", admin: "crm")
    try await add("erp", admin: "crm")
    try await vault.grant("crm", to: "bob", now: ahead)
    _ = try await vault.removeMember("bob", now: right) { _, _ in }
    let found = try await Self.exposures(vault, "bob")
    #expect(found.map(\.credential) == ["crm", "erp"])
    #expect(found.map(\.standing) == [.exposed, .exposed])
    // Another credential of the same name, added by a clock that is behind.
    _ = try await vault.remove("erp", forgettingDebts: true, now: right)
    _ = try await vault.remove("crm", forgettingDebts: true, now: right)
    _ = try await vault.add(
      name: "crm", provider: "salesforce", settings: [:], policy: Policy(), admin: "crm", pair: try pair(of: "crm"),
      now: vaultMoment + .seconds(-60))
    #expect(try await Self.exposures(vault, "bob").map(\.standing) == [.removed, .removed])
  }

  @Test func `is found by each name of an identity, and by its key`() async throws {
    let vault = try await vault(adding: ["crm"])
    let identity = try Identity(AgeIdentity(generating: .system))
    try await vault.addMember(identity.card(named: "bob", role: .operator), now: vaultMoment) { _, _ in }
    try await vault.grant("crm", to: "bob", now: vaultMoment)
    _ = try await vault.removeMember("bob", now: vaultMoment) { _, _ in }
    try await vault.addMember(identity.card(named: "robert", role: .operator), now: vaultMoment) { _, _ in }
    for name in ["bob", "robert", identity.age.recipient.description] {
      #expect(try await Self.exposures(vault, name).map(\.standing) == [.exposed], "\(name)")
    }
    try await vault.grant("crm", to: "robert", now: vaultMoment)
    #expect(try await Self.exposures(vault, "bob").map(\.holder) == ["robert"])
    let other = try Identity(AgeIdentity(generating: .system))
    try await vault.addMember(other.card(named: "dora", role: .operator), now: vaultMoment) { _, _ in }
    #expect(try await Self.exposures(vault, other.age.recipient.description).isEmpty)
  }

  @Test func `is not made another's by what a member calls a recipient`() async throws {
    let vault = try await vault(adding: ["crm", "erp"])
    let owner = try #require(try await vault.read { $0.members.first { $0.card.role == .owner } })
    let age = owner.card.age
    try await vault.change(now: vaultMoment) { change in
      _ = try change.log(
        EventName("handoff.sent"), about: "crm",
        ["recipient": .string(age), "recipient_name": "dora", "versions": .array([.integer(1)])])
    }
    #expect(
      try await Self.exposures(vault, "dora").map(\.credential) == ["crm"], "what was sent, and not all that is open")
  }

  @Test func `includes what an owner's entry says is exposed to them`() async throws {
    let vault = try await vault(adding: [])
    _ = try await vault.add(
      name: "crm", provider: "salesforce", settings: [:], policy: Policy(), admin: "crm", pair: try pair(of: "crm"),
      exposedTo: "sender", now: vaultMoment)
    #expect(try await Self.exposures(vault, "sender").map(\.standing) == [.exposed])
  }
}
