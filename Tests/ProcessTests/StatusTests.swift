import Audit
import Testing
import Vault

@testable import relatch

@Suite("The status of a credential")
struct StatusTests {
  @Test("says of a pair that is owed whether it was replaced or given up") func ends() throws {
    let times = (1...3).map { Timestamp(milliseconds: $0 * 1000) }
    var credential = Credential(
      id: try #require(Identifier(String(repeating: "07", count: 16))), name: "crm", provider: "salesforce",
      settings: [:], policy: Policy(), admin: "admin",
      keyID: "key", created: times[0])
    func ends() -> [String] { credential.debts.map { "\($0.number) \(credential.end(of: $0))" } }

    _ = try credential.addStaged(handle: nil, expires: nil, now: times[1])
    try credential.oweStaged(now: times[1])
    #expect(ends() == ["2 was given up at \(times[1])"])

    _ = try credential.addStaged(handle: nil, expires: nil, now: times[2])
    try credential.promoteStaged(now: times[2])
    #expect(ends() == ["1 was replaced at \(times[2])", "2 was replaced or given up at \(times[1])"])
  }
}
