import Audit
import Contracts
import Foundation
import Sodium
import Testing

@testable import Vault

/// What is remembered apart from the vault says what an older copy would deny: whatever is not exactly as it was written
/// says nothing.
@Suite struct KnownVaultsTests {
  private static let vault = Identifier(drawnFrom: .seeded("remembered"))
  private static let place = "/srv/vault"

  /// The folder with one file in it, which `path` names from the vault's identifier and the place.
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
      // Found by fuzzing: the right beginning and the right end, and something between them.
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

  @Test func aLogThatIsNoneIsNoLicenceToGoOn() throws {
    for text in ["\n", "relatch/\(Self.vault)\n1\n", "x"] {
      #expect(throws: VaultError(.rolledBack, ""), "\(text)") { try read("\(Self.vault)", text) }
    }
  }
}
