import Foundation
import Testing

/// What was tried as an error or a line of `doctor` says.
@Suite("A hint leads out")
struct WayOutTests {
  private static let policy = ["propagation=0s", "grace=0s"]

  /// Somebody else's vault, with the same credentials.
  private func stranger(_ place: Workplace, admin: [String] = []) async throws -> [String: String] {
    let other = [
      "RELATCH_VAULT": place.folder.path + "/other", "RELATCH_IDENTITY": place.folder.path + "/other-identity",
      "XDG_STATE_HOME": place.folder.path + "/other-state",
    ]
    #expect(try await place.relatch("init", "--no-passphrase", environment: other).code == 0)
    try await place.add("admin", app: nil, environment: other)
    try await place.add("crm", policy: Self.policy, environment: other)
    return other
  }

  /// A vault whose `crm` somebody else has rotated, which ended its pair.
  private func rotatedByStranger() async throws -> Workplace {
    let place = try await Workplace()
    try await place.add("crm", policy: Self.policy)
    let other = try await stranger(place)
    #expect(try await place.relatch("rotate", "crm", environment: other).code == 0)
    return place
  }

  @Test("where somebody has rotated it elsewhere and ended the old pair: adopt takes an app's only consumer")
  func rotatedElsewhere() async throws {
    let place = try await rotatedByStranger()
    let rotated = try await place.relatch("rotate", "crm")
    let consumer = String(try await place.org.consumer().id.prefix(15))
    expectFailure(rotated, 78, "the only consumer of app")
    #expect(rotated.errorText.contains(consumer), "\(rotated.errorText)")
    for command in ["`relatch adopt crm`", "`relatch adopt crm --stdin`", "`relatch show crm`"] {
      #expect(rotated.errorText.contains(command), "\(rotated.errorText)")
    }
    let doctor = try await place.relatch("doctor", "crm").outputText
    #expect(doctor.contains("`relatch adopt crm` takes over the one that is primary there"), "\(doctor)")
    let adopted = try await place.relatch("adopt", "crm")
    #expect(adopted.code == 0, "\(adopted.errorText)")
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await place.relatch("rotate", "crm").code == 0)
    #expect(try await place.logIsIntact())
  }

  @Test("of the same while a leak is noted, which adopt then ends")
  func leakedAndRotatedElsewhere() async throws {
    let place = try await rotatedByStranger()
    let theirs = try await place.org.primary()
    let revoked = try await place.relatch("revoke", "crm", "--reason", "a test")
    #expect(revoked.code == 78 && revoked.errorText.contains("`relatch adopt crm`"), "\(revoked.errorText)")
    let adopted = try await place.relatch("adopt", "crm")
    #expect(adopted.code == 0, "\(adopted.errorText)")
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await !place.org.accepts(theirs))
  }

  @Test("of the same where the app has several consumers, which the error names: a person says which")
  func severalConsumers() async throws {
    let place = try await Workplace(["--consumers-per-app", "2"])
    try await place.add("crm", policy: Self.policy)
    let other = try await stranger(place)
    #expect(try await place.relatch("rotate", "crm", environment: other).code == 0)
    let consumers = try await place.org.apps()[1].consumers.map { String($0.id.prefix(15)) }
    for verb in ["rotate", "adopt"] {
      let stopped = try await place.relatch(verb, "crm")
      expectFailure(stopped, 78, "none of the 2 consumers of app")
      for words in consumers + ["`relatch settings crm consumer=", "`relatch adopt crm --stdin`"] {
        #expect(stopped.errorText.contains(words), "\(stopped.errorText)")
      }
    }
    #expect(try await place.relatch("settings", "crm", "consumer=\(consumers[0])").code == 0)
    let adopted = try await place.relatch("adopt", "crm")
    #expect(adopted.code == 0, "\(adopted.errorText)")
    #expect(try await place.holdsPrimary("crm"))
  }

  @Test("where the identity's file is not there, but the vault is")
  func missingIdentity() async throws {
    let place = try await Workplace()
    let kept = place.folder.appendingPathComponent("kept")
    try FileManager.default.moveItem(at: place.identity, to: kept)
    for arguments in [["read", "admin"], ["policy", "admin", "grace=1h"]] {
      let outcome = try await place.run(Programs.relatch, arguments)
      expectFailure(outcome, 66, "there is no identity")
      #expect(outcome.errorText.contains("put its copy back"), "\(outcome.errorText)")
      #expect(!outcome.errorText.contains("`relatch init`"), "\(outcome.errorText)")
    }
    #expect(try await place.relatch("read", "admin", "--identity", kept.path).code == 0)
    let none = try await place.relatch("identity", "show", "--vault", place.folder.path + "/none")
    expectFailure(none, 66, "there is no identity")
    #expect(none.errorText.contains("`relatch init`"), "\(none.errorText)")
  }

  @Test("where the provider refuses every new pair: the one that a person makes there is adopted")
  func refusedPair() async throws {
    let place = try await Workplace()
    try await place.add("crm", policy: Self.policy)
    try await place.org.set("conditions", ["poisonsNextStagedPair": true])
    let refused = try await place.relatch("rotate", "crm")
    expectFailure(refused, 10, "version 1 is still active")
    #expect(refused.errorText.contains("`relatch adopt crm --stdin`"), "\(refused.errorText)")
    let other = try await stranger(place)
    #expect(try await place.relatch("rotate", "crm", environment: other).code == 0)
    let adopted = try await place.relatch("adopt", "crm", "--stdin", stdin: try await place.org.primary().document)
    #expect(adopted.code == 0, "\(adopted.errorText)")
  }

  @Test("where a setting is wrong: settings takes it as the hint writes it")
  func setting() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let refused = try await place.relatch("settings", "crm", "url=")
    expectFailure(refused, 78)
    #expect(!refused.errorText.contains("--set "), "\(refused.errorText)")
    #expect(refused.errorText.contains(" url=https://"), "\(refused.errorText)")
  }

  @Test("where an auditor asks: no grant would help")
  func auditor() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let auditor = try await place.addMember("au", "auditor")
    let doctor = try await place.relatch("doctor", "crm", environment: auditor)
    #expect(doctor.code == 77 && !doctor.outputText.contains("relatch grant crm au"), "\(doctor.outputText)")
    #expect(doctor.outputText.contains("an owner or an operator"), "\(doctor.outputText)")
  }

  @Test("where a provider's program is not there: nobody is sent to allow it")
  func missingProgram() async throws {
    let place = try await Workplace(addsAdmin: false)
    let system = try ProgrammedSystem(place)
    try await system.add()
    try FileManager.default.removeItem(atPath: system.program)
    let doctor = try await place.relatch("doctor", "crm")
    #expect(doctor.code == 78 && doctor.outputText.contains("cannot be found"), "\(doctor.outputText)")
    #expect(!doctor.outputText.contains("relatch provider allow"), "\(doctor.outputText)")
  }

  @Test("where the descriptor has the passphrase in use and not the new one")
  func newPassphrase() async throws {
    let place = try await Workplace()
    func protect(_ lines: String) async throws -> Outcome {
      try await place.run(
        "/bin/sh",
        ["-c", #"exec 3<<X\#(lines)X"# + "\nexec \"$0\" identity protect --passphrase-fd 3", Programs.relatch])
    }
    #expect(try await protect("\nfirst passphrase\n").code == 0)
    let half = try await protect("\nfirst passphrase\n")
    expectFailure(half, 77, "no new passphrase")
    #expect(half.errorText.contains("on a line of its own"), "\(half.errorText)")
    #expect(try await protect("\nfirst passphrase\nsecond passphrase\n").code == 0)
  }

  @Test("where nothing can be rotated: the error names the credential")
  func unrotatable() async throws {
    let place = try await Workplace()
    try await place.add("used", app: nil, policy: ["max-age=1d"], ["--created", "2020-01-01T00:00:00Z"])
    for arguments in [["--due"], ["used"]] {
      let outcome = try await place.run(Programs.relatch, ["rotate", "--quiet"] + arguments)
      expectFailure(outcome, 78, "error: used: setting app is missing")
    }
  }
}
