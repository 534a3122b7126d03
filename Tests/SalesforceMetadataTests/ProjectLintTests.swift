import Foundation
import Glibc
import Testing

@testable import SalesforceMetadata

private let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")
private let projects =
  ((try? FileManager.default.contentsOfDirectory(atPath: fixtures.path)) ?? []).filter { !$0.hasPrefix(".") }.sorted()

extension LintFinding {
  /// The finding as `findings.txt` of a fixture has it.
  fileprivate var line0: String { "\(file):\(line): \(level.rawValue): \(check.rawValue)" }
}

/// A folder that is deleted after the test.
private final class TemporaryProject {
  let path = FileManager.default.temporaryDirectory.appendingPathComponent("project-\(UUID().uuidString)").path

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func write(_ name: String, _ bytes: [UInt8]) throws {
    let file = URL(fileURLWithPath: path).appendingPathComponent(name)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: file)
  }

  func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }

  func findings() throws -> [LintFinding] { ProjectLint.findings(in: try MetadataProject(reading: path)) }
}

@Suite("What lint reports about a project")
struct ProjectLintTests {
  @Test func `there are projects of every kind to check`() {
    #expect(projects.count >= 20 && projects.count { $0.hasPrefix("good-") } >= 3)
  }

  @Test(arguments: projects) func `each fault is named with its file and line, and nothing else is`(name: String) throws
  {
    let folder = fixtures.appendingPathComponent(name)
    let expected = try String(contentsOf: folder.appendingPathComponent("findings.txt"), encoding: .utf8)
      .split(separator: "\n").map(String.init)
    let findings = ProjectLint.findings(in: try MetadataProject(reading: folder.path))
    #expect(findings.map(\.line0) == expected, "\(findings)")
    #expect(["good-without-global", "older-placement"].contains(name) || name.hasPrefix("good-") == expected.isEmpty)
    for finding in findings {
      #expect(!finding.hint.isEmpty && !finding.text.contains("PLANTED") && !finding.hint.contains("PLANTED"))
      let lines = try String(contentsOf: folder.appendingPathComponent(finding.file), encoding: .utf8)
        .split(separator: "\n", omittingEmptySubsequences: false)
      #expect((1...lines.count).contains(finding.line))
    }
  }

  @Test func `every check is shown by a project`() throws {
    var shown: Set<String> = []
    for name in projects {
      let text = try String(contentsOf: fixtures.appendingPathComponent("\(name)/findings.txt"), encoding: .utf8)
      for line in text.split(separator: "\n") { shown.insert(String(line.split(separator: " ").last ?? "")) }
    }
    #expect(shown == Set(LintFinding.Check.allCases.map(\.rawValue)))
  }

  @Test func `a folder without an app, and one that is not there, are errors`() throws {
    let project = TemporaryProject()
    #expect { try project.findings() } throws: { ($0 as? MetadataError)?.code == .notFound }
    try project.write("classes/A.cls-meta.xml", "<ApexClass/>")
    try project.write("settings/Account.settings-meta.xml", "<AccountSettings/>")
    try project.write("package.xml", "<Package/>")
    #expect { try project.findings() } throws: { ($0 as? MetadataError)?.code == .notFound }
  }

  @Test func `links are not followed, and folders of tools are left alone`() throws {
    let project = TemporaryProject()
    let good = try AppMetadata(.externalClientApp, name: "A", runAs: "a@b.c", contact: "a@b.c")
    for file in good.files(.source) { try project.write(file.path, file.text) }
    for place in [".sfdx", "node_modules/x", ".git"] {
      try project.write("\(place)/B.eca-meta.xml", "<ExternalClientApplication/>")
    }
    try project.write("elsewhere.txt", "<ConnectedApp/>")
    #expect(symlink("\(project.path)/force-app", "\(project.path)/again") == 0)
    #expect(symlink("..", "\(project.path)/force-app/up") == 0)
    #expect(try project.findings() == [])
    #expect(symlink("/dev/zero", "\(project.path)/C.connectedApp") == 0)
    #expect(mkfifo("\(project.path)/D.connectedApp", 0o600) == 0)
    #expect(try project.findings().map(\.line0) == ["C.connectedApp:1: fault: xml", "D.connectedApp:1: fault: xml"])
  }

  @Test func `a file beyond the limit is not read`() throws {
    let project = TemporaryProject()
    let root = "<ConnectedApp xmlns=\"\(XMLElement.metadataNamespace)\">"
    try project.write("connectedApps/A.connectedApp", root + String(repeating: " ", count: 1 << 20) + "</ConnectedApp>")
    #expect(try project.findings().map(\.line0) == ["connectedApps/A.connectedApp:1: fault: xml"])
  }

  @Test func `names from files cannot steer a terminal`() throws {
    let project = TemporaryProject()
    try project.write(
      "extlClntAppPolicies/A.ecaPlcy",
      """
      <ExtlClntAppConfigurablePolicies xmlns="\(XMLElement.metadataNamespace)">
        <externalClientApplication>\u{9B}31m \u{202E}evil</externalClientApplication>
        <isEnabled>true</isEnabled>
        <é/>
      </ExtlClntAppConfigurablePolicies>
      """)
    try project.write(
      "externalClientApps/B.eca", "<ExternalClientApplication xmlns=\"\(XMLElement.metadataNamespace)\"/>")
    let findings = try project.findings()
    #expect(findings.contains { $0.check == .parts } && findings.contains { $0.check == .element })
    for finding in findings { #expect((finding.text + finding.hint).utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }) }
    for finding in findings { #expect(!finding.text.contains("evil") && !finding.text.contains("é")) }
  }

  @Test func `a secret under version control is told as such`() throws {
    let project = TemporaryProject()
    let text =
      "<ConnectedApp xmlns=\"\(XMLElement.metadataNamespace)\"><oauthConfig><consumerSecret>s</consumerSecret></oauthConfig></ConnectedApp>"
    try project.write("sub/connectedApps/A.connectedApp", text)
    func told() throws -> String? { try project.findings().first { $0.check == .secret }?.text }
    #expect(try told() == "a file of the project holds a consumer secret")
    try project.write(".git/HEAD", "ref")
    #expect(try told() == "a file under version control holds a consumer secret")
  }
}

@Suite("What metadata writes")
struct AppMetadataTests {
  private static func every() throws -> [(AppMetadata, AppMetadata.Format)] {
    var all: [(AppMetadata, AppMetadata.Format)] = []
    for kind in [AppMetadata.Kind.externalClientApp, .connectedApp] {
      for permissionSet in [nil, "Sync_Access"] {
        for older in [false, true] {
          let app = try AppMetadata(
            kind, name: "Sync_2", runAs: "o'neil&sons@example.com", contact: "a<b@example.com",
            scopes: ["api", "RefreshToken", "wave_api"], permissionSet: permissionSet,
            callback: "https://example.com/?a=b&c=d", usesOlderPlacement: older)
          all += AppMetadata.Format.allCases.map { (app, $0) }
        }
      }
    }
    return all
  }

  @Test func `every file passes lint and holds no key and no secret`() throws {
    for (app, format) in try Self.every() {
      let project = TemporaryProject()
      for file in app.files(format) {
        try project.write(file.path, file.text)
        for word in ["consumerKey", "consumerSecret", "certificate"] { #expect(!file.text.contains("<\(word)")) }
      }
      let findings = try project.findings()
      #expect(findings.allSatisfy { $0.check == .olderPlacement && $0.level == .note }, "\(findings)")
      #expect(findings.isEmpty == !(app.usesOlderPlacement && app.kind == .externalClientApp))
    }
  }

  @Test func `what was said comes back as it was`() throws {
    let app = try #require(try Self.every().first)
    let file = try #require(app.0.files(.source).first { $0.path.contains("ecaOauthPlcy") })
    let root = try Array(file.text.utf8).withUnsafeBytes { try XMLReader.read($0) }
    #expect(root.first("clientCredentialsFlowUser")?.text == "o'neil&sons@example.com")
    #expect(file.path == "force-app/main/default/extlClntAppOauthPolicies/Sync_2_oauthPlcy.ecaOauthPlcy-meta.xml")
    let settings = try #require(app.0.files(.metadata).first { $0.path.hasSuffix(".ecaOauth") })
    #expect(settings.text.contains("<commaSeparatedOauthScopes>Api, RefreshToken, Wave</commaSeparatedOauthScopes>"))
  }

  @Test(arguments: ["", "1A", "A_", "A__B", "A-B", "A/B", "..", "Ä", "A\n", String(repeating: "A", count: 81)])
  func `what is no API name is refused`(name: String) {
    #expect(throws: MetadataError.self) {
      try AppMetadata(.externalClientApp, name: name, runAs: "a@b.c", contact: "a@b.c")
    }
    #expect(throws: MetadataError.self) {
      try AppMetadata(.externalClientApp, name: "A", runAs: "a@b.c", contact: "a@b.c", permissionSet: name)
    }
  }

  @Test(arguments: ["", "a", "a@b", "@b.c", "a@b.c@d.e", "a b@c.d", "a@.c", "a@b.", "a\u{7}@b.c"])
  func `what is no user name is refused`(user: String) {
    #expect(throws: MetadataError.self) {
      try AppMetadata(.connectedApp, name: "A", runAs: user, contact: "a@b.c")
    }
  }

  @Test func `scopes are known ones, and let something be asked`() {
    for scopes in [["apis"], ["wave_api"], []] {
      #expect(throws: MetadataError.self) {
        try AppMetadata(.externalClientApp, name: "A", runAs: "a@b.c", contact: "a@b.c", scopes: scopes)
      }
    }
  }
}
