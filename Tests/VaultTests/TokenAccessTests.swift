import Audit
import Contracts
import Sodium
import Testing

@testable import Vault

/// When a token may be kept.
@Suite struct TokenAccessTests {
  @Test func `a kept token of the leaked version itself is not replaced before it has ended`() throws {
    var credential = Credential(
      id: Identifier(drawnFrom: .seeded("c")), name: "crm", provider: "p", settings: [:], policy: Policy(),
      admin: "crm", keyID: "k", created: Fixture.start)
    credential.noteLeak(incident: "2026-01-01-0f0f0f", version: 1, now: Fixture.at(1))
    let key = SharedSecret(try Randomness.seeded("key").secret(32))
    func access(_ version: UInt64) throws -> TokenAccess {
      TokenAccess(
        credential, version: version, try Fixture.pair(Fixture.first), key: key,
        vault: Identifier(drawnFrom: .seeded("v")))
    }
    let token = try Randomness.seeded("token").secret(16)
    for (version, isReplaced) in [(UInt64(1), false), (2, true)] {
      let access = try access(version)
      let record = try access.seal(token, end: Fixture.at(60), randomness: .seeded("seal"))
      #expect(access.mayReplace(record, now: Fixture.at(59)) == isReplaced)
      #expect(access.mayReplace(record, now: Fixture.at(60)))
    }
  }
}
