import Foundation
import Testing

@Suite("Without Relatch")
struct RecoveryTests {
  @Test(
    "The vault key opens with the age program and the identity file",
    .enabled(if: Programs.age != nil, "age is not installed"))
  func vaultKey() async throws {
    let place = try await Workplace()
    let age = try #require(Programs.age)
    let keys = place.vault.path + "/keys"
    let names = try FileManager.default.contentsOfDirectory(atPath: keys)
    #expect(names.count == 1 && names.allSatisfy { $0.hasSuffix(".age") })
    for name in names {
      let opened = try await place.run(age, ["-d", "-i", place.identity.path, keys + "/" + name])
      #expect(opened.code == 0 && opened.output.count == 32, "\(opened.errorText)")
    }
    let stranger = ["RELATCH_VAULT": place.folder.path + "/x", "RELATCH_IDENTITY": place.folder.path + "/stranger"]
    #expect(try await place.relatch("init", "--no-passphrase", environment: stranger).code == 0)
    let refused = try await place.run(age, ["-d", "-i", stranger["RELATCH_IDENTITY"] ?? "", keys + "/" + names[0]])
    #expect(refused.code != 0 && refused.output.isEmpty)
  }

  @Test(
    "An identity made by age-keygen makes a vault and opens it",
    .enabled(if: Programs.age != nil, "age is not installed"))
  func ageIdentity() async throws {
    let place = try await Workplace(addsAdmin: false)
    let age = try #require(Programs.age)
    let identity = place.folder.path + "/made-by-age"
    #expect(try await place.run(age + "-keygen", ["-o", identity]).code == 0)
    let environment = ["RELATCH_VAULT": place.folder.path + "/other", "RELATCH_IDENTITY": identity]
    let made = try await place.relatch("init", environment: environment)
    #expect(made.code == 0, "\(made.errorText)")
    let pair = try await place.org.primary(ofApp: 0).document
    let added = try await place.relatch(
      "add", "admin", "--provider", "salesforce", "--set", "url=\(place.org.url)", stdin: pair,
      environment: environment)
    #expect(added.code == 0, "\(added.errorText)")
    #expect(try await place.relatch("read", "admin", environment: environment).line == pair)
  }
}
