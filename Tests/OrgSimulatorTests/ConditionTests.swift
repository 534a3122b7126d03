import Foundation
import Testing

@testable import OrgSimulator

@Suite("What an administrator may have changed in the org, or not yet set up") struct ConditionTests {
  @Test("a published token error without a switch of its own is given as it is set, and only to a good pair")
  func tokenError() async throws {
    try await withOrg { bench in
      let pair = try #require(bench.now?.primary)
      bench.server.changeConditions(ofApp: bench.app.identifier) {
        $0.tokenError = "invalid_grant: request not supported on this domain"
      }
      let refused = try await bench.client.token(pair)
      #expect(refused.status == 400 && refused.text("error") == "invalid_grant")
      #expect(refused.text("error_description") == "request not supported on this domain")
      #expect(try await bench.client.token(pair.key, "wrong").errorCode == "invalid_client")
      bench.server.changeConditions(ofApp: bench.app.identifier) { $0.tokenError = "slow_down" }
      #expect(try await bench.client.token(pair).text("error") == "slow_down")
      #expect(try await bench.client.token(bench.server.adminApp.consumers[0].primary).status == 200)
    }
  }

  @Test("a token can be for another host, and hide the user it acts as") func answers() async throws {
    try await withOrg { bench in
      bench.server.changeConditions { $0.instanceURL = "https://elsewhere.my.salesforce.com" }
      bench.server.changeConditions(ofApp: bench.app.identifier) { $0.showsUser = false }
      let answer = try await bench.client.token(bench.now?.primary)
      #expect(answer.text("instance_url") == "https://elsewhere.my.salesforce.com")
      let token = answer.text("access_token")
      let user = try await bench.client.send(
        "GET", "/services/oauth2/userinfo", headers: ["Authorization": "Bearer \(token)"])
      #expect(user.status == 403)
    }
  }

  @Test("a permission can be taken away, and the whole API switched off") func permissions() async throws {
    try await withOrg { bench in
      bench.server.changeConditions(ofApp: bench.server.adminApp.identifier) { $0.isPermitted = false }
      let refused = try await bench.call("GET", bench.path)
      #expect(refused.status == 403 && refused.errorCode == "INSUFFICIENT_ACCESS")
      bench.server.changeConditions { $0.apiEnabled = false }
      let disabled = try await bench.call("GET", bench.path)
      #expect(disabled.status == 403 && disabled.errorCode == "API_DISABLED_FOR_ORG")
      #expect(try await bench.client.send("GET", "/services/data").status == 200)
    }
  }

  @Test(
    "each answer has the org's time in its Date header",
    arguments: [
      (784_111_777.0, "Sun, 06 Nov 1994 08:49:37 GMT"), (1_767_225_600, "Thu, 01 Jan 2026 00:00:00 GMT"),
      (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
    ])
  func date(seconds: Double, text: String) async throws {
    try await withOrg(clock: .fixed(Date(timeIntervalSince1970: seconds))) { bench in
      let answer = try await bench.client.send("GET", "/services/data")
      #expect(answer.headers["date"] == text)
    }
  }
}
