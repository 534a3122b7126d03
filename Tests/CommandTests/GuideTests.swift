import Foundation
import Testing

/// The set-up guides of docs/providers/salesforce-guides.md, as far as a simulated org can follow them.
@Suite("A set-up guide followed to the letter")
struct GuideTests {
  private let pair = #"{"client_id":"3MVG9","client_secret":"secret"}"#

  @Test("names each missing step for Cloudaware's External Client App, and then rotates the app")
  func cloudaware() async throws {
    let place = try await Workplace()
    let app = try await place.org.apps()[1].identifier
    func condition(_ values: [String: Any]) async throws {
      try await place.org.set("conditions", values.merging(["app": app]) { $1 })
    }
    for url in [
      "https://login.salesforce.com", "https://cloudaware-0000.lightning.force.com", "https://cmdb.example.com",
      "https://example.my.salesforce.com",
    ] {
      let added = try await place.relatch(
        "add", "wrong", "--provider", "cloudaware", "--set", "url=\(url)", stdin: pair)
      expectFailure(added, 78, "Setup, My Domain")
    }
    let original = try await place.org.primary()
    let added = try await place.relatch(
      "add", "cmdb", "--provider", "cloudaware", "--set", "url=\(place.org.url)", "--set", "app=\(app)", "--set",
      "probe=CA10__CaAwsInstance__c", "--set", "analytics=yes", "--admin", "admin", "--policy", "propagation=0s",
      stdin: original.document)
    #expect(added.code == 0, "\(added.errorText)")

    // The state of the org's pages before each step, and what is reported then.
    let steps: [([String: Any], String)] = [
      (["clientCredentialsFlow": false], "the client credentials flow is off"),
      (["clientCredentialsFlow": true, "runAsUser": "missing"], "no Run As user is set"),
      (["runAsUser": "inactive"], "the Run As user is inactive"),
      (["runAsUser": "active", "adminApproved": false], "is not approved to use the app"),
      (["adminApproved": true, "scopes": "refresh_token"], "lacks the scope api"),
      (["scopes": "api refresh_token"], "lacks the scope wave_api"),
      (["scopes": "api wave_api", "readsObjects": false], "cannot see that object"),
      (["readsObjects": true], "does not name the scope refresh_token"),
    ]
    for (values, words) in steps {
      try await condition(values)
      let plan = try await place.relatch("plan", "cmdb")
      #expect(plan.code == 0 && plan.outputText.contains(words), "\(plan.outputText)")
    }
    try await condition(["scopes": "api refresh_token wave_api"])
    let ready = try await place.relatch("plan", "cmdb").outputText
    #expect(!ready.contains("obstacle") && !ready.contains("warning") && ready.contains("probe"), "\(ready)")

    // What the guide does not require.
    try await place.org.set("conditions", ["restSecretAccess": false])
    let switchedOff = try await place.relatch("rotate", "cmdb")
    expectFailure(switchedOff, 78, "consumer secrets")
    #expect(switchedOff.errorText.contains("account manager"), "\(switchedOff.errorText)")
    try await place.org.set("conditions", ["restSecretAccess": true])
    try await condition(["readsObjects": false])
    expectFailure(try await place.relatch("rotate", "cmdb"), 77, "CA10__CaAwsInstance__c")
    #expect(try await place.pair("cmdb") == original)
    #expect(try await place.org.primary() == original)
    try await condition(["readsObjects": true])
    let rotated = try await place.relatch("rotate", "cmdb")
    #expect(rotated.code == 0, "\(rotated.errorText)")
    #expect(try await place.holdsPrimary("cmdb"))
    #expect(try await place.logIsIntact())
    #expect(try await place.relatch("log", "list", "--json").outputText.contains(#""probe":200"#))
    // A leak is ended, whatever the probe is refused for.
    try await condition(["readsObjects": false])
    let revoked = try await place.relatch("revoke", "cmdb", "--reason", "a drill")
    #expect(revoked.code == 0, "\(revoked.errorText)")
  }

  @Test("tells an app of Cloudaware's that administers itself which permissions it lacks and who grants them")
  func permissions() async throws {
    let place = try await Workplace()
    let app = try await place.org.apps()[1].identifier
    let pair = try await place.org.primary()
    let added = try await place.relatch(
      "add", "cmdb", "--provider", "cloudaware", "--set", "url=\(place.org.url)", "--set", "app=\(app)",
      stdin: pair.document)
    #expect(added.code == 0, "\(added.errorText)")
    let rotated = try await place.relatch("rotate", "cmdb")
    expectFailure(rotated, 77)
    for words in ["External Client App Developer", "View Client Secret", "account manager"] {
      #expect(rotated.errorText.contains(words), "\(rotated.errorText)")
    }
  }

  @Test("writes Salesforce's metadata files without a secret or a fault, and rotates the app that they make")
  func metadata() async throws {
    let place = try await Workplace()
    let folder = place.folder.path + "/CRM"
    let written = try await place.relatch(
      "salesforce", "metadata", "--app", "CRM", "--run-as", "crm@example.com", "-o", folder)
    #expect(written.code == 0, "\(written.errorText)")
    let lint = try await place.relatch("salesforce", "lint", folder)
    #expect(lint.code == 0 && lint.outputText.isEmpty, "\(lint.outputText)")
    let policies = folder + "/force-app/main/default/extlClntAppOauthPolicies/CRM_oauthPlcy.ecaOauthPlcy-meta.xml"
    let text = try String(contentsOfFile: policies, encoding: .utf8)
    try text.replacing("crm@example.com", with: "").write(toFile: policies, atomically: true, encoding: .utf8)
    #expect(try await place.relatch("salesforce", "lint", folder).code == 78)
    try await place.add("crm")
    #expect(try await place.relatch("rotate", "crm").code == 0)
    #expect(try await place.holdsPrimary("crm"))
  }

  @Test("names the providers and verbs of the guides, and leaves no cell of its tables empty")
  func page() async throws {
    let path = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../docs/providers/salesforce-guides.md").standardized
    let text = try String(contentsOf: path, encoding: .utf8)
    let place = try await Workplace(addsAdmin: false)
    for provider in ["cloudaware", "salesforce-connected-app"] {
      #expect(text.contains("--provider \(provider)"))
      let shown = try await place.relatch("provider", "show", provider, "--json")
      #expect(shown.code == 0)
      #expect(shown.outputText.contains("by_hand") == (provider == "salesforce-connected-app"))
    }
    for verb in ["rotate", "plan", "add"] { #expect(text.contains("relatch \(verb)")) }
    // A row says what the guide says and what is done about it.
    let rows = text.split(separator: "\n").filter { $0.hasPrefix("| ") && !$0.hasPrefix("| the guide's") }
    #expect(rows.count > 35)
    for row in rows { #expect(row.split(separator: "|").count >= 2 && !row.contains("|  |"), "\(row)") }
  }
}
