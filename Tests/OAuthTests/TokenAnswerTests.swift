import OAuth
import Sodium
import Testing
import Transport

@Suite("A token endpoint's answer")
struct TokenAnswerTests {
  private static let echo = "5ECRET0123456789abcdef0123456789abcdef0123456789abcdef0123456789"

  private func grant(
    _ body: String, status: Int = 200, headers: [String: String] = [:]
  ) async throws(OAuthError) -> TokenAnswer {
    let endpoint: Endpoint
    let request: TokenRequest
    do {
      endpoint = try Endpoint("https://example.my.salesforce.com/services/oauth2/token")
      request = try TokenRequest(clientID: secret("id"), clientSecret: secret(Self.echo), by: .body)
    } catch {
      fatalError("\(error)")
    }
    let transport = ScriptedTransport(body, status: status, headers: headers)
    return try await TokenEndpoint(endpoint, over: transport).grant(request)
  }

  private func failure(
    _ body: String, status: Int = 200, headers: [String: String] = [:]
  ) async -> OAuthError? {
    do {
      _ = try await grant(body, status: status, headers: headers)
      return nil
    } catch { return error }
  }

  @Test("is read if it grants a token, whatever else it contains")
  func good() async throws {
    for (body, token) in [
      (#"{"access_token":"00D!AQ.x","token_type":"Bearer"}"#, "00D!AQ.x"),
      (#" {"token_type":"bearer","issued_at":"1","access_token":"a\u0062c","x":[{}]} "#, "abc"),
      (#"{"access_token":"t","token_type":"BEARER","expires_in":7200,"scope":null}"#, "t"),
    ] {
      let answer = try await grant(body)
      #expect(text(answer.accessToken) == token)
      #expect(answer.status == 200)
    }
    let answer = try await grant(#"{"access_token":"t","token_type":"Bearer","id":"me","n":1}"#)
    #expect(answer.text("id") == "me" && answer.text("n") == nil && answer.text("none") == nil)
  }

  @Test("is refused within seconds even if its words would take long to compare")
  func marks() async {
    let type = "b" + String(repeating: "\u{301}\u{323}", count: 100_000)
    var found: OAuthError?
    let time = await ContinuousClock().measure {
      found = await failure(#"{"access_token":"t","token_type":"\#(type)"}"#)
    }
    #expect(found != nil && time < .seconds(10), "\(time)")
  }

  @Test(
    "is refused if it is anything else",
    arguments: [
      "", "null", "[]", "\"token\"", "<!DOCTYPE html><html></html>", "{", #"{"access_token":"t"}"#,
      #"{"token_type":"Bearer"}"#, #"{"access_token":"","token_type":"Bearer"}"#,
      #"{"access_token":7,"token_type":"Bearer"}"#, #"{"access_token":null,"token_type":"Bearer"}"#,
      #"{"access_token":"t","token_type":"mac"}"#, #"{"access_token":"t","token_type":["Bearer"]}"#,
      #"{"access_token":"a b","token_type":"Bearer"}"#, #"{"access_token":"a\nb","token_type":"Bearer"}"#,
      #"{"access_token":"é","token_type":"Bearer"}"#, #"{"access_token":"t","token_type":"Bearer"} x"#,
      #"{"access_token":"t","access_token":"u","token_type":"Bearer"}"#,
      #"[{"access_token":"t","token_type":"Bearer"}]"#,
      #"{"access_token":"\#(String(repeating: "x", count: 16_385))","token_type":"Bearer"}"#,
      #"{"error":"invalid_client","error_description":"invalid client credentials"}"#,
      String(repeating: "[", count: 10_000),
    ])
  func bad(body: String) async throws {
    let error = try #require(await failure(body))
    #expect(error.code == .malformed && error.status == 200)
    #expect(error.description.utf8.count < 200)
  }

  @Test("that refuses gives an error with its code, its description, its status and Retry-After")
  func refusals() async throws {
    let refused = try #require(
      await failure(#"{"error":"invalid_client","error_description":"Invalid Client Credentials"}"#, status: 401))
    #expect(refused.code == .answered && refused.status == 401 && refused.error == "invalid_client")
    #expect(refused.errorDescription == "invalid client credentials")
    #expect(refused.description == "token grant refused with HTTP 401 invalid_client")
    let page = try #require(await failure("<html>down</html>", status: 503, headers: ["retry-after": "120"]))
    #expect(page.code == .answered && page.error == nil && page.retryAfter == .seconds(120))
    for (value, expected) in [("0", Duration.zero), ("-5", .zero), ("9223372036854775807", .seconds(31_536_000))] {
      #expect(await failure("", status: 429, headers: ["retry-after": value])?.retryAfter == expected)
    }
    for value in ["soon", "", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", "99999999999999999999"] {
      #expect(await failure("", status: 429, headers: ["retry-after": value])?.retryAfter == nil)
    }
    for body in [#"{"error":7}"#, #"{"error":"two words"}"#, #"{"error":""}"#, "[]", "", #"{"error":"a\nb"}"#] {
      #expect(await failure(body, status: 400)?.error == nil)
    }
  }

  @Test("never puts the server's words or an echoed secret into an error")
  func echoes() async throws {
    let echo = Self.echo
    for body in [
      #"{"error":"\#(echo)"}"#, #"{"error":"invalid_client","error_description":"\#(echo)"}"#, echo,
      #"{"\#(echo)":1}"#, #"{"\#(echo)":1,"\#(echo)":2}"#, #"{"access_token":"\#(echo) ","token_type":"Bearer"}"#,
      #"{"access_token":"t","token_type":"\#(echo)"}"#, "<html>\(echo)</html>", #"{"error":"marker_of_the_server"}"#,
    ] {
      for status in [200, 400, 401, 403, 503] {
        guard let error = await failure(body, status: status) else { continue }
        for text in ["\(error)", error.description, String(describing: error)] {
          #expect(!text.contains(echo) && !text.contains("marker"), "\(text)")
        }
      }
    }
  }
}
