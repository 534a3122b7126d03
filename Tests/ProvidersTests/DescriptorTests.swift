import Foundation
import JSON
import Providers
import Rotation
import Testing

@Suite("The descriptor of each kind of provider")
struct DescriptorTests {
  private static let pages = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../docs/providers").standardized
  private static let isRecording = ProcessInfo.processInfo.environment["RELATCH_RECORD_VECTORS"] == "1"
  private static let start = "<!-- made from the descriptor -->\n"
  private static let end = "<!-- end -->\n"

  @Test("is what the provider's page begins with", arguments: providerDescriptors.map(\.id))
  func page(_ id: String) throws {
    let found = Self.start + (try providerKind(id).descriptor.page) + Self.end
    let file = Self.pages.appending(path: "\(id).md")
    let page = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    if Self.isRecording {
      let rest = page.range(of: Self.end).map { String(page[$0.upperBound...]) } ?? ""
      try FileManager.default.createDirectory(at: Self.pages, withIntermediateDirectories: true)
      try (found + rest).write(to: file, atomically: true, encoding: .utf8)
      Issue.record("docs/providers/\(id).md was recorded: run again without RELATCH_RECORD_VECTORS")
    } else {
      #expect(page.hasPrefix(found), "docs/providers/\(id).md: RELATCH_RECORD_VECTORS=1 writes what was found")
    }
  }

  @Test("has a row in the list of providers, and no other provider has a page") func list() throws {
    let ids = providerDescriptors.map(\.id)
    #expect(Set(ids).count == ids.count)
    let readme = try String(contentsOf: Self.pages.appending(path: "README.md"), encoding: .utf8)
    for descriptor in providerDescriptors {
      #expect(readme.contains("| [\(descriptor.id)](\(descriptor.id).md) | \(descriptor.summary) |"))
      #expect(!descriptor.settingsText.isEmpty)
    }
    let files = try FileManager.default.contentsOfDirectory(atPath: Self.pages.path)
    let generated = try files.filter { name in
      try String(contentsOf: Self.pages.appending(path: name), encoding: .utf8).hasPrefix(Self.start)
    }
    #expect(Set(generated) == Set(ids.map { "\($0).md" }))
  }

  @Test("names the settings that say where its pairs are") func places() {
    let found = Dictionary(uniqueKeysWithValues: providerKinds.map { ($0.descriptor.id, $0.placeSettings.sorted()) })
    #expect(
      found == [
        "auth0": ["client", "url"], "cloudaware": ["app", "url"], "command": ["arguments", "program"],
        "entra": ["graph-url", "object", "tenant"], "keycloak": ["base-path", "client", "realm", "url"],
        "oauth-registration": ["registration-url"], "okta": ["app", "url"],
        "openbao-approle": ["mount", "namespace", "role", "url"], "salesforce": ["app", "url"],
        "salesforce-connected-app": ["app", "url"],
      ])
  }

  @Test("names the settings that say which client has its pair, and a server or itself as the place") func clients() {
    let found = Dictionary(uniqueKeysWithValues: providerKinds.map { ($0.descriptor.id, $0.clientSettings) })
    #expect(
      found == [
        "auth0": ["client"], "cloudaware": ["app", "consumer"], "command": ["program", "arguments"],
        "entra": ["object"], "keycloak": ["realm", "client", "base-path"], "oauth-registration": [], "okta": ["app"],
        "openbao-approle": ["role", "mount", "namespace"], "salesforce": ["app", "consumer"],
        "salesforce-connected-app": ["app"],
      ])
    for kind in providerKinds { #expect(Set(kind.clientSettings).isSubset(of: kind.descriptor.settings.map(\.key))) }
  }

  @Test("is complete", arguments: providerDescriptors.map(\.id)) func complete(_ id: String) throws {
    let descriptor = try providerKind(id).descriptor
    let life = descriptor.life
    #expect(!life.replacements.isEmpty && !life.oldPair.isEmpty && !life.lostAnswer.isEmpty)
    #expect(!descriptor.documents.isEmpty && descriptor.documents.allSatisfy { $0.address.hasPrefix("https://") })
    #expect(life.secretsAtOnce.map { $0 > 1 || life.replacements == [.cutOver] } ?? true)
    #expect(Set(descriptor.settings.map(\.key)).count == descriptor.settings.count)
    // Sentences without a full stop, so that they fit in a table and in an error.
    let texts = [descriptor.summary, life.oldPair, life.lostAnswer, descriptor.administrator]
    for text in texts + [descriptor.byHand].compactMap(\.self) + descriptor.settings.map(\.help) {
      #expect(!text.hasSuffix(".") && !text.contains("\n") && !text.contains("|") && !text.isEmpty, "\(text)")
    }
    #expect(!descriptor.canRotate([:]))
    #expect(throws: ProviderError.self) { try providerKind(id).check(["no-such-setting": "1"]) }
    guard case .object(let members) = descriptor.json else { return }
    #expect(members["type"] == "provider" && members["provider"] == .string(id))
  }

  @Test("says whether a new pair has another client identifier only where no setting decides") func clientID() {
    let found = providerDescriptors.map { descriptor in
      guard case .object(let members) = descriptor.json else { return "\(descriptor.id)" }
      return "\(descriptor.id) \(members["changes_client_id"].map { "\($0)" } ?? "depends")"
    }
    #expect(
      Set(found.filter { !$0.hasSuffix("bool(false)") }) == [
        "cloudaware bool(true)", "command depends", "oauth-registration depends", "salesforce bool(true)",
        "salesforce-connected-app bool(true)",
      ])
  }
}
