import OAuth
import Sodium
import Testing
import Transport

@Suite("A token request")
struct TokenRequestTests {
  /// The request as it would be sent.
  private func sent(
    _ id: String, _ clientSecret: String, by authentication: ClientAuthentication
  ) async throws -> HTTPRequest {
    let transport = ScriptedTransport(#"{"access_token":"t","token_type":"Bearer"}"#)
    let endpoint = try Endpoint("https://example.my.salesforce.com/services/oauth2/token")
    let request = try TokenRequest(clientID: secret(id), clientSecret: secret(clientSecret), by: authentication)
    _ = try await TokenEndpoint(endpoint, over: transport).grant(request)
    let all = transport.requests
    try #require(all.count == 1)
    return all[0]
  }

  private func body(of request: HTTPRequest) throws -> (text: String, type: String) {
    switch request.body {
    case .none: ("", "")
    case .bytes(let bytes, let type): (String(decoding: bytes, as: UTF8.self), type)
    case .secret(let secret, let type): (text(secret), type)
    }
  }

  static let pairs: [(id: String, secret: String, form: String, basic: String, raw: String)] = [
    (
      "3MVG9abc_def.x", "0123ABCD",
      "client_id=3MVG9abc_def.x&client_secret=0123ABCD", "M01WRzlhYmNfZGVmLng6MDEyM0FCQ0Q=",
      "M01WRzlhYmNfZGVmLng6MDEyM0FCQ0Q="
    ),
    (
      "a b", "p+q&r=s%t:u/v?w#x",
      "client_id=a%20b&client_secret=p%2Bq%26r%3Ds%25t%3Au%2Fv%3Fw%23x",
      "YSUyMGI6cCUyQnElMjZyJTNEcyUyNXQlM0F1JTJGdiUzRnclMjN4", "YSBiOnArcSZyPXMldDp1L3Y/dyN4"
    ),
    (
      "é", "\"\\'~-._*()", "client_id=%C3%A9&client_secret=%22%5C%27~-._%2A%28%29",
      "JUMzJUE5OiUyMiU1QyUyN34tLl8lMkElMjglMjk=", "w6k6Ilwnfi0uXyooKQ=="
    ),
  ]

  @Test("carries the pair in its form, in guarded memory", arguments: pairs.indices)
  func inBody(index: Int) async throws {
    let pair = Self.pairs[index]
    let request = try await sent(pair.id, pair.secret, by: .body)
    let (text, type) = try body(of: request)
    #expect(text == "grant_type=client_credentials&" + pair.form)
    #expect(type == "application/x-www-form-urlencoded")
    guard case .secret = request.body else {
      Issue.record("the form is not in guarded memory")
      return
    }
    #expect(request.method == .post && request.secretHeaders.isEmpty && !request.isMutating)
    #expect(!request.endpoint.url.contains("client"))
  }

  @Test("carries the pair in a header, percent-encoded or raw", arguments: pairs.indices)
  func inHeader(index: Int) async throws {
    let pair = Self.pairs[index]
    for (authentication, expected) in [(ClientAuthentication.basic, pair.basic), (.basicRaw, pair.raw)] {
      let request = try await sent(pair.id, pair.secret, by: authentication)
      #expect(try body(of: request).text == "grant_type=client_credentials")
      let header = try #require(request.secretHeaders.first)
      #expect(header.name == "Authorization" && header.prefix == "Basic ")
      #expect(text(header.value) == expected, "\(authentication)")
      #expect(request.headers.allSatisfy { !$0.value.contains(pair.secret) })
    }
  }

  @Test("percent-encodes every byte except the unreserved ones")
  func everyByte() throws {
    for byte in UInt8.min...UInt8.max {
      let input = [byte]
      let encoded = try SecretBytes(capacity: FormEncoding.capacity(of: 1)) {
        FormEncoding.append(input.span.bytes, to: &$0)
      }
      let text = encoded.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
      let isUnreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8.contains(byte)
      let hex = String(byte, radix: 16, uppercase: true)
      let plain = String(UnicodeScalar(byte))
      #expect(text == (isUnreserved ? plain : "%" + (byte < 16 ? "0" : "") + hex))
    }
  }
}
