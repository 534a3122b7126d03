import Age
import Audit
import Contracts
import JSON
import Sodium
import Storage
import Synchronization
import Testing

@testable import Vault

/// A handoff in the vault of the one it is for.
@Suite struct HandoffImportTests {
  /// What a sender hands over to the owner of `recipient`, for a minute from second 5 on.
  private func handedOver(to recipient: Fixture) async throws -> OpenedHandoff {
    let sender = try await Fixture(seed: "sender")
    try await sender.add()
    let card = try recipient.owner.card(named: "bob", role: .owner)
    let (_, file) = try await sender.vault.sendHandoff(
      of: Fixture.name, stage: .active, to: HandoffRecipient(card), expires: Fixture.at(65), note: nil,
      isTransfer: true, now: Fixture.at(5))
    return try Self.opened(file, in: recipient.vault)
  }

  private static func opened(_ file: [UInt8], in vault: UnlockedVault) throws -> OpenedHandoff {
    try vault.openHandoff(file.span.bytes, from: nil)
  }

  private func code(_ body: () async throws -> Void) async -> HandoffError.Code? {
    do { try await body() } catch { return (error as? HandoffError)?.code }
    return nil
  }

  @Test func `it is imported once, even by two runs at the same moment and under two names`() async throws {
    let recipient = try await Fixture(seed: "recipient")
    let handoff = try await handedOver(to: recipient)
    let first = recipient.vault
    let isFirst = Mutex(false)
    let store = WatchedStore(
      recipient.store,
      before: {
        guard isFirst.withLock({ exchange(&$0, with: false) }) else { return }
        _ = try await first.importHandoff(handoff, as: "one", admin: "one", now: Fixture.at(6))
      })
    let vault = try await recipient.opened(in: store)
    isFirst.withLock { $0 = true }
    #expect(
      await code { _ = try await vault.importHandoff(handoff, as: "two", admin: "two", now: Fixture.at(6)) }
        == .replayed)
    #expect(try await recipient.store.read { try VaultView($0).names() } == ["one"])
  }

  @Test func `it can be imported until the moment that it expires, and is exposed to the sender's vault`() async throws
  {
    let recipient = try await Fixture(seed: "recipient")
    let handoff = try await handedOver(to: recipient)
    #expect(
      await code { _ = try await recipient.vault.importHandoff(handoff, as: "crm", admin: "crm", now: Fixture.at(65)) }
        == .expired)
    let (credential, _) = try await recipient.vault.importHandoff(
      handoff, as: "crm", admin: "crm", now: Fixture.at(64))
    #expect(credential.exposure?.to == ["vault/\(handoff.handoff.vault)"])
  }

  @Test func `its receipt takes what only the file tells, and not just what the log does`() async throws {
    let (sender, recipient) = (try await Fixture(seed: "sender"), try await Fixture(seed: "recipient"))
    try await sender.add()
    // Nobody knows whose signature to expect.
    let (_, file) = try await sender.vault.sendHandoff(
      of: Fixture.name, stage: .active, to: HandoffRecipient(recipient.owner.age.recipient), expires: Fixture.at(65),
      note: nil, isTransfer: false, now: Fixture.at(5))
    let handoff = try Self.opened(file, in: recipient.vault)
    let (_, honest) = try await recipient.vault.importHandoff(handoff, as: "crm", admin: "crm", now: Fixture.at(6))
    var members = try JSONMembers(of: JSONValue(readingCanonical: Array(honest.dropLast())), "the receipt")
    guard case .object(var object) = try members.value("receipt") else {
      Issue.record("a receipt of another form")
      return
    }
    object["answer"] = .string(Randomness.seeded("forger").bytes(Handoff.answerSize).base64)
    let statement = HandoffStatement.bytes(
      HandoffStatement.receipt, SHA256.hash(JSONValue.object(object).canonicalBytes))
    let forged = JSONValue.object([
      "receipt": .object(object), "signature": .string(recipient.owner.signingKey.sign(statement).base64),
    ])
    let receipt = try HandoffReceipt(reading: forged.canonicalBytes + [0x0A])
    #expect(await code { _ = try await sender.vault.confirmHandoff(receipt, now: Fixture.at(7)) } == .corrupt)
    let other = try HandoffReceipt(reading: honest)
    #expect(try await sender.vault.confirmHandoff(other, now: Fixture.at(7)).isNew)
  }

  @Test func `what others know, or what is being rotated, is not handed over`() throws {
    let plain = Credential(
      id: Identifier(drawnFrom: .seeded("c")), name: "crm", provider: "p", settings: [:], policy: Policy(),
      admin: "crm", keyID: "k", created: Fixture.start)
    try plain.requireTransferable()
    var exposed = plain
    exposed.expose(to: "carol", now: Fixture.at(1))
    var begun = plain
    begun.rotation = 1
    for credential in [exposed, begun] {
      #expect { try credential.requireTransferable() } throws: { ($0 as? HandoffError)?.code == .wrongState }
    }
  }
}
