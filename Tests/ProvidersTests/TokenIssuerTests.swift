import Providers
import Rotation
import Sodium
import Testing
import Transport
import Vault

@Suite("Tokens for others", .serialized)
struct TokenIssuerTests {
  @Test("every kind of provider except OpenBao AppRole gives out tokens") func kinds() {
    let without = providerKinds.filter { !($0 is any TokenIssuer.Type) }.map { $0.descriptor.id }
    #expect(without == ["openbao-approle"])
  }

  @Test(
    "a pair and its settings are enough for a token and its lifetime; a wrong pair is refused",
    arguments: ["auth0", "keycloak", "okta", "entra", "oauth-registration", "command"])
  func issued(_ id: String) async throws {
    let house: any ProviderHouse =
      switch id {
      case "auth0": try VendorServer.auth0()
      case "keycloak": try VendorServer.keycloak(policy: false)
      case "okta": try VendorServer.okta()
      case "entra": try VendorServer.entra()
      case "oauth-registration": try RegistrationServer(mode: "overlap")
      default: try AcmeServer(.overlap, .within, provesByToken: true)
      }
    defer { house.server.stop() }
    let tenancy = try await house.tenancy()
    let issuer = try #require(try providerKind(id) as? any TokenIssuer.Type)
    let transport = CurlTransport()
    let token = try await issuer.token(for: tenancy.pair, settings: tenancy.settings, over: transport)
    #expect(secretText(token.token.secret) == "t")
    let seconds: [String: Int64] = ["oauth-registration": 60]
    #expect(token.lifetime == (id == "command" ? nil : .seconds(seconds[id] ?? 3600)))
    let wrong = try pair(secretText(tenancy.pair.clientID), "wrong")
    let found = await failure { _ = try await issuer.token(for: wrong, settings: tenancy.settings, over: transport) }
    #expect(found?.code == .refused)
    #expect(house.server.requests.count == 2)
    await transport.shutdown()
  }

  @Test("a program that proves its pairs itself gives out no token") func program() async throws {
    let house = try AcmeServer(.overlap, .within)
    defer { house.server.stop() }
    let tenancy = try await house.tenancy()
    let transport = CurlTransport()
    let found = await failure {
      _ = try await CommandProvider.token(for: tenancy.pair, settings: tenancy.settings, over: transport)
    }
    #expect(found?.code == .configuration && found?.description.contains("token-url") == true)
    #expect(house.server.requests.isEmpty)
    await transport.shutdown()
  }
}
