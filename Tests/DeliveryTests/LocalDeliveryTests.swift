import Foundation
import Rotation
import Sodium
import Testing

@testable import Delivery
@testable import Vault

@Suite("A delivery on this machine")
struct LocalDeliveryTests {
  private struct Lost: Error {}

  private let occasion = DeliveryOccasion(credential: "crm", version: 2, previous: 1)
  private let delivery = LocalDelivery(
    hooks: HookRunner(
      environment: ["PATH": "/usr/bin:/bin"], mask: 0o022, sleep: HookRunnerTests.Time().sleep),
    randomness: .system)

  private func hook(_ script: String, on occasion: HookSettings.Occasion) -> DeliveryRecord {
    let settings = HookSettings(occasion: occasion, arguments: [script])
    return DeliveryRecord(DeliverySettings(name: "hook", kind: .hook(settings)), entry: 1)
  }

  private func said(_ body: () async throws -> Void) async throws -> String {
    do { try await body() } catch let error as DeliveryError { return error.said }
    Issue.record("expected the hook to fail")
    return ""
  }

  @Test func `puts a file in its place only once the lease was seen to be held`() async throws {
    let folder = try Folder()
    try folder.write("pair.json", "old", mode: 0o600)
    let settings = FileSettings(path: folder.path + "/pair.json", format: .json)
    let file = DeliveryRecord(DeliverySettings(name: "file", kind: .file(settings)), entry: 1)
    await #expect(throws: Lost.self) {
      try await delivery.hand(pair(), to: file, occasion, known: []) {
        // The new file is there, and is not the one that is read.
        #expect(try folder.names().count == 2)
        throw Lost()
      }
    }
    #expect(try folder.text("pair.json") == "old")
    #expect(try folder.names() == ["pair.json"])
    try await delivery.hand(pair(), to: file, occasion, known: []) {
      let content = try folder.text("pair.json")
      #expect(content == "old")
    }
    let document = try pair().document()
    #expect(try folder.text("pair.json") == text(document) + "\n")
  }

  @Test func `masks the pair that is delivered, and every other that is known, in what a hook says`() async throws {
    let folder = try Folder()
    let (new, old) = (try pair("client-two", "word-of-two"), try pair("client-one", "word-of-one"))
    let script = try folder.script("cat; echo; echo client-one word-of-one; exit 1")
    #expect(
      try await said { try await delivery.hand(new, to: hook(script, on: .promoted), occasion, known: [old]) {} }
        == #"{"client_id":"[masked]","client_secret":"[masked]"} [masked] [masked]"#)
    #expect(
      try await said { try await delivery.run(hook(script, on: .before), occasion, known: [old]) {} }
        == "[masked] [masked]")
  }

  @Test func `shows nothing that a hook says if no pair is open to be masked`() async throws {
    let folder = try Folder()
    let script = try folder.script("cat; echo word-of-one; exit 1")
    #expect(
      try await said {
        try await delivery.tell(hook(script, on: .failed), occasion, code: 9, error: "word-of-two")
      } == "")
  }
}
