import Audit
import JSON
import Storage
import Testing

@testable import Vault

/// Which versions a leak counts as refused. The steps are only words here: that a record agrees is for verification.
@Suite struct IncidentHistoryTests {
  private let fixture: Fixture

  init() async throws {
    fixture = try await Fixture()
    try await fixture.add()
  }

  private func note(_ event: String, _ details: [String: JSONValue]) async throws {
    var details = details
    if event.hasPrefix("rotation.") { details.merge(["rotation": 1, "step": 0]) { $1 } }
    details["record"] = "digest"
    let noted = details
    _ = try await fixture.vault.change(now: Fixture.at(2)) {
      _ = try $0.log(EventName(event), about: Fixture.name, noted)
    }
  }

  private func stage(_ version: Int) async throws { try await note("rotation.staged", ["version": .integer(version)]) }

  private func refuse(_ versions: Int...) async throws {
    let refused = versions.map { JSONValue.object(["version": .integer($0)]) }
    try await note("rotation.refused", ["refused": .array(refused)])
  }

  private func takeOver(_ version: Int) async throws {
    try await note("rotation.discarded", ["reason": "adopted", "version": .integer(version)])
  }

  /// What is owed of a leak of `version` that is reported now.
  private func owed(afterLeakOf version: Int) async throws -> [UInt64] {
    try await note("credential.leaked", ["incident": "i", "version": .integer(version)])
    let part = try await fixture.vault.read { try #require(try IncidentHistory($0).parts.last) }
    return part.wasRefusedBefore ? [] : part.owed
  }

  @Test func `a version that there is not yet is not refused`() async throws {
    try await stage(2)
    // Whoever means to leak version 3 can write this before there is one.
    try await refuse(1, 3)
    try await note("rotation.discarded", ["version": 3])
    try await note("rotation.refused", ["elsewhere": .array([3]), "refused": .array([])])
    try await stage(3)
    #expect(try await owed(afterLeakOf: 3) == [2, 3])
  }

  @Test func `a pair that was taken over is refused when its newest version is`() async throws {
    try await stage(2)
    try await takeOver(2)
    try await stage(3)
    // There is one pair, and this entry says of it what the record does not.
    try await refuse(1, 2)
    #expect(try await owed(afterLeakOf: 3) == [2, 3])
    try await refuse(3)
    #expect(try await owed(afterLeakOf: 3) == [])
  }

  /// To Swift, K and U+212A, KELVIN SIGN, are the same text. Verification compares bytes, and such an entry with no
  /// record.
  @Test func `what is said of a name that only looks the same counts for nothing`() async throws {
    try await fixture.add("K")
    for (name, version) in [("\u{212A}", 1), ("K", 2)] {
      _ = try await fixture.vault.change(now: Fixture.at(2)) {
        let step: [String: JSONValue] = ["credential": .string(name), "record": "digest", "rotation": 1, "step": 0]
        let refused: JSONValue = .array([.object(["version": 1])])
        _ = try $0.log(
          EventName(version == 1 ? "rotation.refused" : "rotation.staged"),
          step.merging(version == 1 ? ["refused": refused] : ["version": 2]) { $1 })
      }
    }
    _ = try await fixture.vault.change(now: Fixture.at(3)) {
      _ = try $0.log(
        .credentialLeaked, ["credential": "K", "incident": "i", "record": "digest", "version": 2])
    }
    #expect(try await fixture.vault.read { try IncidentHistory($0).parts.map(\.owed) } == [[1, 2]])
  }

  @Test func `it does not matter which of the two is said first`() async throws {
    for version in 2...4 { try await stage(version) }
    try await refuse(1, 4)
    try await takeOver(3)
    try await takeOver(2)
    #expect(try await owed(afterLeakOf: 4) == [])
  }
}
