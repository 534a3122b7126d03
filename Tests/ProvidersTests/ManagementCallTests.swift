import Rotation
import Synchronization
import Testing

@testable import Providers
@testable import Transport

@Suite("A request to a provider")
struct ManagementCallTests {
  /// Notes whether each request asks for a new connection.
  private final class Noting: HTTPTransport {
    private let transport = RoutedTransport(always: RoutedTransport.token)
    let anew = Mutex<[Bool]>([])

    func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
      anew.withLock { $0.append(request.needsNewConnection) }
      return try await transport.send(request)
    }
  }

  @Test("that changes something may have been carried out if a gateway or nobody known answers, and otherwise not")
  func statuses() {
    for status in [302, 418, 500, 502, 503, 504, 599] {
      for isMutating in [true, false] {
        let error = ProviderError(status: status, host: "a.example", isMutating: isMutating, retryAfter: nil)
        #expect(error.mayHaveActed == isMutating, "\(status)")
      }
    }
    for status in [400, 401, 403, 404, 405, 409, 410, 422, 429, 501] {
      let error = ProviderError(status: status, host: "a.example", isMutating: true, retryAfter: nil)
      #expect(!error.mayHaveActed, "\(status)")
    }
  }

  @Test("is sent once more, with another token, if its token is refused")
  func renewedToken() async throws {
    let tokens = Mutex(0)
    let transport = RoutedTransport { _, path in
      guard path.hasSuffix("/token") else { return tokens.withLock { .init(status: $0 == 1 ? 401 : 200, body: "{}") } }
      return tokens.withLock { count in
        count += 1
        return .init(body: #"{"access_token":"t\#(count)","token_type":"Bearer"}"#)
      }
    }
    let server = try Endpoint("https://a.example")
    let call = AdministeredCall(
      admin: AdminAccess(name: "admin", settings: [:]) { try pair("admin-id") },
      credentials: try ClientCredentials(endpoint: server.at("/token"), settings: [:]),
      http: ManagementCall(transport: transport))
    for _ in 1...2 { #expect(try await call.ask(.get, server).status == 200) }
    #expect(
      transport.calls == [
        "POST https://a.example/token", "GET https://a.example", "POST https://a.example/token",
        "GET https://a.example", "GET https://a.example",
      ])
  }

  @Test("that tries a pair uses a new connection if that is asked for", arguments: [true, false])
  func newConnection(isAsked: Bool) async throws {
    let transport = Noting()
    func admin(_ settings: [String: String]) -> AdminAccess {
      AdminAccess(name: "admin", settings: settings) { throw ProviderError(.configuration, "nobody needs it") }
    }
    let bao = ["url": "https://a.example", "role": "crm"]
    let org = ["url": "https://example.my.salesforce.com", "app": "0xI000000000001"]
    let providers: [any CredentialProvider] = [
      try OpenBaoAppRoleProvider(settings: bao, admin: admin(bao), transport: transport),
      try SalesforceProvider(settings: org, admin: admin(org), transport: transport),
      try SalesforceConnectedAppProvider(settings: org, admin: admin(org), transport: transport),
    ]
    for provider in providers { _ = try? await provider.grant(pair("id-1"), overNewConnection: isAsked) }
    #expect(transport.anew.withLock { $0 } == [isAsked, isAsked, isAsked])
  }
}
