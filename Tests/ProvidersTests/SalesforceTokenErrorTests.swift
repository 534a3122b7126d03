import Providers
import Rotation
import Testing

@Suite("An error answer of Salesforce's token endpoint")
struct SalesforceTokenErrorTests {
  struct Row: CustomTestStringConvertible {
    let error: String
    let words: String
    var status = 400
    let code: ProviderError.Code
    var testDescription: String { "\(status) \(error): \(words)" }
  }

  /// The published list, what working clients recorded, and both readings where these disagree.
  static let rows: [Row] = [
    Row(error: "invalid_client_id", words: "client identifier invalid", code: .refused),
    Row(error: "invalid_client", words: "invalid client credentials", code: .refused),
    Row(error: "invalid_client", words: "invalid client credentials", status: 401, code: .refused),
    Row(error: "invalid_client", words: "client identifier invalid", code: .refused),
    Row(error: "invalid_grant", words: "no client credentials user enabled", code: .configuration),
    Row(error: "invalid_grant", words: "request not supported on this domain", code: .configuration),
    Row(error: "invalid_request", words: "request not supported on this domain", code: .configuration),
    Row(error: "invalid_grant", words: "client credentials flow not enabled", code: .configuration),
    Row(error: "unsupported_grant_type", words: "client credentials flow not enabled", code: .configuration),
    Row(error: "unauthorized_client", words: "client credentials flow not enabled", code: .configuration),
    Row(error: "unsupported_grant_type", words: "grant type not supported", code: .configuration),
    Row(error: "unauthorized_client", words: "", code: .configuration),
    Row(error: "invalid_app_access", words: "user is not admin approved to access this app", code: .configuration),
    Row(error: "invalid_grant", words: "user hasn't approved this consumer", code: .configuration),
    Row(error: "invalid_grant", words: "ip restricted", code: .principal),
    Row(error: "invalid_grant", words: "IP restricted or invalid login hours", code: .principal),
    Row(error: "invalid_grant", words: "invalid login hours", code: .principal),
    Row(error: "inactive_user", words: "user is inactive", code: .principal),
    Row(error: "inactive_org", words: "org locked, closed or suspended", code: .principal),
    Row(error: "rate_limit_exceeded", words: "number of logins exceeded", code: .limited),
    Row(error: "invalid_grant", words: "login rate exceeded", code: .limited),
    Row(error: "unknown", words: "Maximum Logins Exceeded", code: .limited),
    Row(error: "invalid_scope", words: "the requested scope is invalid", code: .configuration),
    Row(error: "invalid_scope", words: "too many scopes requested", code: .configuration),
    Row(error: "invalid_client", words: "External client app is not installed in this org", code: .configuration),
    Row(error: "", words: "External client app is not installed in this org", code: .configuration),
    Row(error: "server_error", words: "", code: .unreachable),
    Row(error: "temporarily_unavailable", words: "", status: 503, code: .unreachable),
    Row(error: "unknown_error", words: "retry your request", code: .unreachable),
    // Only an answer that says so, and reports no trouble of the server, refuses a pair.
    Row(error: "invalid_client", words: "invalid client credentials", status: 500, code: .unreachable),
    Row(error: "invalid_client", words: "invalid client credentials", status: 429, code: .limited),
    Row(error: "inactive_org", words: "", status: 503, code: .unreachable),
    Row(error: "invalid_grant", words: "authentication failure", code: .malformed),
    Row(error: "invalid_request", words: "HTTPS required", code: .malformed),
    Row(error: "NO_ACCESS", words: "", status: 403, code: .malformed),
    Row(error: "invalid_clients", words: "", code: .malformed),
  ]

  @Test("is classified by what can be done about it", arguments: rows)
  func sorted(row: Row) async throws {
    let body = #"{"error":"\#(row.error)","error_description":"\#(row.words)"}"#
    let transport = RoutedTransport(always: .init(status: row.status, body: body))
    let error = try #require(await failure { _ = try await provider(transport).grant(pair("id")) })
    #expect(error.code == row.code, "\(error)")
    #expect(error.status == row.status && !error.mayHaveActed)
    #expect(error.isTransient == [.limited, .unreachable].contains(row.code))
    if row.code == .configuration { #expect(error.hint != nil) }
    #expect(transport.calls.count == 1, "a grant was asked for twice")
  }

  @Test("is not taken for a refusal of the pair if it says anything else")
  func others() async throws {
    let answers: [(RoutedTransport.Answer, ProviderError.Code)] = [
      (.init(status: 503, body: "<html>We are down for maintenance</html>"), .unreachable),
      (.init(status: 503, body: "", headers: ["retry-after": "7"]), .unreachable),
      (.init(status: 500, body: "invalid_client"), .unreachable), (.init(status: 502), .unreachable),
      (.init(status: 429, headers: ["retry-after": "7"]), .limited), (.init(status: 403), .malformed),
      (.init(status: 403, body: "<html>invalid_client</html>"), .malformed), (.init(status: 404), .malformed),
      (.init(status: 401), .malformed), (.init(status: 302), .malformed), (.init(status: 204), .malformed),
      (.init(status: 200), .malformed), (.init(status: 200, body: "<html>Login</html>"), .malformed),
      (.init(status: 200, body: #"{"error":"invalid_client"}"#), .malformed),
      (.init(status: 200, body: String(repeating: "{\"a\":", count: 5000)), .malformed),
    ]
    for (answer, code) in answers {
      let error = try #require(
        await failure { _ = try await provider(RoutedTransport(always: answer)).grant(pair("id")) })
      #expect(error.code == code, "\(answer.status) \(answer.body.prefix(40)): \(error)")
      if answer.headers["retry-after"] != nil { #expect(error.retryAfter == .seconds(7)) }
    }
  }

  @Test("is never repeated in an error")
  func echoes() async throws {
    for status in [200, 302, 400, 401, 403, 404, 409, 429, 500, 503] {
      for body in [
        #"{"error":"\#(echo)","error_description":"\#(echo)"}"#, #"{"error":"marker_of_the_server"}"#,
        #"[{"errorCode":"\#(echo)","message":"\#(echo) not currently enabled marker"}]"#, "<html>\(echo) marker</html>",
        #"{"\#(echo)":"marker","\#(echo)":2}"#,
      ] {
        let transport = RoutedTransport { _, path in
          path.hasSuffix("/token") ? RoutedTransport.token : .init(status: status, body: body)
        }
        let provider = try provider(transport)
        let observing = await failure { _ = try await provider.observe(known: known("id")) }
        let refusing = try ProvidersTests.provider(RoutedTransport(always: .init(status: status, body: body)))
        let granting = await failure { _ = try await refusing.grant(pair("id")) }
        let administering = await failure { _ = try await refusing.observe(known: known("id")) }
        for error in [observing, granting, administering] {
          let texts = [try #require(error).description, try #require(error).hint ?? ""]
          for text in texts { #expect(!text.contains(echo) && !text.contains("marker"), "\(status): \(text)") }
        }
      }
    }
  }
}
