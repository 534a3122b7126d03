import Foundation
import Testing

@testable import OrgSimulator

@Suite struct TokenTests {
  @Test func `a grant by form body has every documented field`() async throws {
    try await withOrg { bench in
      let answer = try await bench.client.token(bench.now?.primary)
      #expect(answer.status == 200)
      #expect(answer.text("access_token").hasPrefix("00D"))
      #expect(answer.text("access_token").contains("!"))
      #expect(answer.text("token_type") == "Bearer")
      #expect(answer.text("token_format") == "opaque")
      #expect(answer.text("scope") == "api")
      #expect(answer.text("instance_url") == bench.client.base)
      #expect(answer.text("api_instance_url") == bench.client.base)
      #expect(answer.text("id").hasPrefix("https://login.salesforce.com/id/00D"))
      #expect(Int64(answer.text("issued_at")) ?? 0 > 1_700_000_000_000)
    }
  }

  @Test(arguments: [false, true])
  func `a grant by Basic takes raw and percent-encoded pairs`(encoded: Bool) async throws {
    try await withOrg(readings: { $0.secretAlphabet = .reserved }) { bench in
      let pair = try #require(bench.now?.primary)
      // The first pair got its secret when the org started, so it already holds reserved characters.
      let secret =
        encoded ? try #require(pair.secret.addingPercentEncoding(withAllowedCharacters: .alphanumerics)) : pair.secret
      let header = "Basic " + Data("\(pair.key):\(secret)".utf8).base64EncodedString()
      let answer = try await bench.client.send(
        "POST", "/services/oauth2/token", body: "grant_type=client_credentials", headers: ["Authorization": header])
      #expect(answer.status == 200)
    }
  }

  // Expected values from Python's hmac and hashlib.
  @Test(arguments: [
    (String(repeating: "0123456789ABCDEF", count: 4), "/AY3fNakJor8uoqK/hHF21sRtBsf263EEz16tp1TCJM="),
    (String(repeating: "k", count: 100), "cmJizMDEx3G/DL17ucBO9HPnF/fhhCqyOAEv5e1hpaI="),
  ])
  func `the signature is HMAC-SHA-256 of the identity and the time`(secret: String, expected: String) {
    let signature = TokenSignature.make(
      identityURL: "https://login.salesforce.com/id/00D000000000001EAA/005000000000001AAA",
      issuedAt: "1767225600000", secret: secret)
    #expect(signature == expected)
  }

  @Test(arguments: ["ownSecret", "primarySecret", "wrong"])
  func `a staged pair's token is signed as the org reads it`(reading: String) async throws {
    try await withOrg(readings: { try? $0.set("signatureKey=\(reading)") }) { bench in
      _ = try await bench.stage()
      let consumer = try #require(bench.now)
      let answer = try await bench.client.token(consumer.slot?.pair)
      func signature(_ secret: String?) -> String {
        TokenSignature.make(identityURL: answer.text("id"), issuedAt: answer.text("issued_at"), secret: secret ?? "")
      }
      let own = signature(consumer.slot?.pair.secret)
      let primary = signature(consumer.primary?.secret)
      #expect((answer.text("signature") == own) == (reading == "ownSecret"))
      #expect((answer.text("signature") == primary) == (reading == "primarySecret"))
    }
  }

  @Test func `refusals have the documented codes`() async throws {
    try await withOrg { bench in
      let pair = try #require(bench.now?.primary)
      let unknown = try await bench.client.token("3MVG9nobody", pair.secret)
      #expect(unknown.status == 400 && unknown.errorCode == "invalid_client_id")
      let wrong = try await bench.client.token(pair.key, "wrong")
      #expect(wrong.status == 400 && wrong.errorCode == "invalid_client")
      let grant = try await bench.client.send("POST", "/services/oauth2/token", body: "grant_type=password")
      #expect(grant.errorCode == "unsupported_grant_type")
      bench.server.changeReadings {
        $0.wrongSecretStatus = 401
        $0.unknownKeyError = .invalidClient
      }
      #expect(try await bench.client.token(pair.key, "wrong").status == 401)
      #expect(try await bench.client.token("3MVG9nobody", "x").errorCode == "invalid_client")
    }
  }

  @Test func `conditions of the org and the app refuse a good pair`() async throws {
    try await withOrg { bench in
      let pair = bench.now?.primary
      func refusal() async throws -> String? { try await bench.client.token(pair).errorCode }
      func code(_ change: @Sendable (inout AppConditions) -> Void) async throws -> String? {
        bench.server.changeConditions(ofApp: bench.app.identifier, change)
        defer { bench.server.changeConditions(ofApp: bench.app.identifier) { $0 = AppConditions() } }
        return try await refusal()
      }
      #expect(try await code { $0.clientCredentialsFlow = false } == "invalid_grant")
      #expect(try await code { $0.runAsUser = .missing } == "invalid_grant")
      #expect(try await code { $0.runAsUser = .inactive } == "inactive_user")
      #expect(try await code { $0.ipRestricted = true } == "invalid_grant")
      #expect(try await code { $0.adminApproved = false } == "invalid_app_access")
      #expect(try await code { _ in } == nil)
      bench.server.changeConditions { $0.loginRateExceeded = true }
      let limited = try await refusal()
      #expect(limited == "rate_limit_exceeded")
      bench.server.changeConditions { $0.isLocked = true }
      #expect(try await refusal() == "inactive_org")
    }
  }

  @Test func `introspection names the pair, and revocation ends the session`() async throws {
    try await withOrg { bench in
      let pair = try #require(bench.now?.primary)
      let token = try await bench.client.token(pair).text("access_token")
      let form = "token=\(token)&client_id=\(pair.key)&client_secret=\(pair.secret)"
      func introspect() async throws -> OrgClient.Answer {
        try await bench.client.send("POST", "/services/oauth2/introspect", body: form)
      }
      #expect(try await introspect().object["active"] as? Bool == true)
      #expect(try await introspect().text("client_id") == pair.key)
      let bearer = ["Authorization": "Bearer \(token)"]
      #expect(try await bench.client.send("GET", "/services/oauth2/userinfo", headers: bearer).status == 200)
      #expect(try await bench.client.send("POST", "/services/oauth2/revoke", body: "token=\(token)").status == 200)
      #expect(try await introspect().object["active"] as? Bool == false)
      #expect(try await bench.client.send("GET", "/services/oauth2/userinfo", headers: bearer).status == 403)
      #expect(try await bench.client.send("POST", "/services/oauth2/revoke", body: "token=\(token)").status == 400)
    }
  }
}
