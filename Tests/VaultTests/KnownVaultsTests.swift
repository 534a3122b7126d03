import Age
import Audit
import Contracts
import Foundation
import Sodium
import Storage
import Synchronization
import Testing

@testable import Vault

/// What is remembered outside the vault says what an older copy would deny. Anything that is not exactly as it was
/// written says nothing.
@Suite struct KnownVaultsTests {
  private static let vault = Identifier(drawnFrom: .seeded("remembered"))
  private static let place = "/srv/vault"

  /// Reads the folder with one file in it, which `path` names from the vault's identifier and the place.
  private func read(_ name: String, _ text: String) throws -> (log: SeenLog?, vault: Identifier?) {
    let temporary = try TemporaryFolder()
    let folder = temporary.path + "/remembered"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try PrivateFile.createFolder(folder + "/at")
    try PrivateFile.replace("\(folder)/\(name)", Array(text.utf8).span.bytes)
    let known = KnownVaults(in: folder)
    return (try known.log(of: Self.vault), try known.vault(at: Self.place))
  }

  @Test func whichVaultStoodSomewhereIsReadFromItsOneText() throws {
    let name = "at/" + Array(SHA256.hash(Array(Self.place.utf8)).bytes.prefix(16)).hex
    #expect(try read(name, "\(Self.vault) \(Self.place)\n").vault == Self.vault)
    #expect(try read(name, "").vault == nil)
    for text in [
      // Found by fuzzing: the right beginning, the right end, and something in between.
      "\(Self.vault) /other\(Self.vault) \(Self.place)\n", "\(Self.vault)  \(Self.place)\n",
      "\(Self.vault)\(Self.place)\n", "\(Self.vault) \(Self.place)", "\(Self.vault) \(Self.place)\n\n",
      "\(Self.vault) \(Self.place)x\n", "\n",
    ] {
      #expect(throws: VaultError(.rolledBack, ""), "\(text)") { try read(name, text) }
    }
  }

  @Test func whatWasTakenBackFromManyCredentialsIsRemembered() async throws {
    let fixture = try await Fixture()
    let seen = try await fixture.vault.read { $0.seenLog }
    let names = Dictionary(uniqueKeysWithValues: (1...10_000).map { ("crm/app-\($0)", UInt64($0)) })
    let membership = Membership(
      vault: seen.membership.vault, keyID: seen.membership.keyID, standings: seen.membership.standings,
      bounds: CredentialBounds(renewal: 7, rekeyed: names, removed: names, unbound: Set(names.keys)))
    let large = SeenLog(checkpoint: seen.checkpoint, actor: seen.actor, membership: membership)
    let temporary = try TemporaryFolder()
    let folder = temporary.path + "/remembered"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let known = KnownVaults(in: folder)
    #expect(try known.remember(large, of: fixture.vault.header.id, at: Self.place, extending: nil))
    #expect(try known.log(of: fixture.vault.header.id) == large)
  }

  /// Two runs began from the same log, and went on with different ones: a vault was put back in between.
  @Test func whatAnotherRunRememberedMeanwhileIsNotReplacedByALogThatNobodyComparedWithIt() async throws {
    let fixture = try await Fixture()
    let known = try await fixture.vault.read { $0.seenLog }
    let copy = try await fixture.opened(in: MemoryStore(copying: fixture.store))
    try await fixture.add()
    let theirs = try await fixture.vault.read { $0.seenLog }
    for second in 1...3 { try await copy.change(now: Fixture.at(second)) { _ = try $0.log(EventName("log.read")) } }
    let ours = try await copy.read { $0.seenLog }
    #expect(ours.size > theirs.size)
    let temporary = try TemporaryFolder()
    let folder = temporary.path + "/remembered"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let (remembered, vault) = (KnownVaults(in: folder), fixture.vault.header.id)
    #expect(try remembered.remember(known, of: vault, at: Self.place, extending: nil))
    #expect(try remembered.remember(theirs, of: vault, at: Self.place, extending: known))
    #expect(try !remembered.remember(ours, of: vault, at: Self.place, extending: known))
    #expect(try remembered.log(of: vault) == theirs)
    #expect(try remembered.remember(ours, of: vault, at: Self.place, extending: known, isAccepted: true))
    #expect(try remembered.log(of: vault) == ours)
  }

  /// A vault of mallory's with the identifier of another one, `entries` long.
  private static func forged(_ header: VaultHeader, entries: Int) async throws -> any Store {
    let mallory = try Identity(AgeIdentity(generating: .seeded("mallory")))
    let store = MemoryStore(tables: vaultTables)
    let (made, keyFile) = try VaultCreation.prepare(
      for: mallory.age.recipient, now: Fixture.start, randomness: .seeded("forged"))
    let forged = VaultHeader(id: header.id, created: made.created, keyID: made.keyID)
    try await VaultCreation.create(forged, in: store, owner: mallory, named: "alice", now: Fixture.start)
    let vault = try await UnlockedVault(
      store, identity: mallory, keyFile: { _ in keyFile }, randomness: .seeded("opened"))
    for _ in 1..<entries { try await vault.change(now: Fixture.at(1)) { _ = try $0.log(EventName("log.read")) } }
    return store
  }

  private static func refusal(of store: any Store, after seen: SeenLog) async -> String {
    do {
      try await LockedVault(store, after: seen).read { _ in }
      return "none"
    } catch { return "\(error)" }
  }

  @Test func aVaultThatAnotherFoundedIsNoOlderCopyOfTheOneThatWasSeen() async throws {
    let fixture = try await Fixture()
    try await fixture.add()
    let older = try await Snapshot(of: fixture.store, vaultTables)
    _ = try await fixture.vault.texts()
    let seen = try await fixture.vault.read { $0.seenLog }
    #expect(await Self.refusal(of: older, after: seen).contains("an older copy"))
    for entries in [1, 2, 3, 9] {
      let store = try await Self.forged(fixture.vault.header, entries: entries)
      let refusal = await Self.refusal(of: store, after: seen)
      #expect(refusal.contains("founded by another"), "\(entries): \(refusal)")
    }
  }

  @Test func whoFoundedTheVaultIsRememberedWhenTheyAreGone() async throws {
    let fixture = try await Fixture()
    let bob = try Identity(AgeIdentity(generating: .seeded("bob")))
    let keys = Mutex<[String: [UInt8]]>([fixture.vault.header.keyID: fixture.keyFile])
    let keep: @Sendable (VaultHeader, [UInt8]) -> Void = { header, file in keys.withLock { $0[header.keyID] = file } }
    try await fixture.vault.addMember(bob.card(named: "bob", role: .owner), now: Fixture.at(2), keeping: keep)
    let vault = try await UnlockedVault(
      fixture.store, identity: bob, keyFile: { header in keys.withLock { $0[header.keyID] ?? [] } },
      randomness: .seeded("opened"))
    _ = try await vault.removeMember("alice", now: Fixture.at(3), keeping: keep)
    let seen = try await LockedVault(fixture.store).read { $0.seenLog }
    #expect(seen.membership.members.map(\.name) == ["bob"])
    let again = try SeenLog(decoding: seen.bytes)
    #expect(again == seen)
    let forged = try await Self.forged(fixture.vault.header, entries: 2)
    #expect(await Self.refusal(of: forged, after: again).contains("founded by another"))
    // Remembered by a program that did not keep the founder, who is learned at the next opening.
    let membership = Membership(
      vault: seen.membership.vault, keyID: seen.membership.keyID, standings: seen.membership.standings,
      bounds: seen.membership.bounds)
    let older = SeenLog(checkpoint: seen.checkpoint, actor: seen.actor, membership: membership)
    #expect(try SeenLog(decoding: older.bytes) == older && older != seen)
    let learned = try await LockedVault(fixture.store, after: older).read { $0.seenLog }
    #expect(learned == seen)
  }

  @Test func aLogThatIsNoneIsNoLicenceToGoOn() throws {
    for text in ["\n", "relatch/\(Self.vault)\n1\n", "x"] {
      #expect(throws: VaultError(.rolledBack, ""), "\(text)") { try read("\(Self.vault)", text) }
    }
  }
}
