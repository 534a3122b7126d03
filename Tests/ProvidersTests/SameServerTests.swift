import Rotation
import Testing
import Transport

@testable import Providers

@Suite("An administrator's token goes only to the server that granted it")
struct SameServerTests {
  private func isRefused(_ body: () throws -> Void) -> Bool {
    do { try body() } catch { return (error as? ProviderError)?.code == .configuration }
    return false
  }

  @Test("which its host and its encryption tell, and neither capitals nor a path")
  func endpoints() throws {
    let own = try Endpoint("https://127.0.0.1:1/a")
    #expect(!isRefused { try own.requireSameServer(as: Endpoint("https://127.0.0.1:1/b"), "admin") })
    let named = try Endpoint("https://a.example/a")
    #expect(!isRefused { try named.requireSameServer(as: Endpoint("https://A.Example/a"), "admin") })
    for other in ["http://127.0.0.1:1/a", "https://127.0.0.1:2/a", "https://a.example/a"] {
      #expect(isRefused { try own.requireSameServer(as: Endpoint(other), "admin") }, "\(other)")
    }
  }

  @Test("also that of a Salesforce org, which is not even asked for it")
  func salesforce() async throws {
    func called(_ url: String, administeredAt other: String) async throws -> [String] {
      let transport = RoutedTransport(always: RoutedTransport.token)
      let own = ["url": url, "app": "0xI000000000001"]
      let admin = AdminAccess(name: "admin", settings: ["url": other]) { try pair("admin-id") }
      let provider = try SalesforceProvider(settings: own, admin: admin, transport: transport)
      let error = await failure { _ = try await provider.observe(known: known("primary")) }
      #expect((error?.code == .configuration) == (url != other), "\(String(describing: error))")
      return transport.calls
    }
    let own = "https://127.0.0.1:1"
    #expect(try await called(own, administeredAt: own).contains { $0.hasPrefix("POST") })
    for other in ["http://127.0.0.1:1", "https://127.0.0.1:2"] {
      #expect(try await called(own, administeredAt: other) == ["GET https://127.0.0.1:1/services/data"])
    }
  }

  @Test("also that of an OpenBao role")
  func openBao() {
    func provider(_ url: String, administeredAt other: String) throws {
      let admin = AdminAccess(name: "admin", settings: ["url": other, "role": "admin"]) {
        throw ProviderError(.configuration, "nobody needs it")
      }
      _ = try OpenBaoAppRoleProvider(
        settings: ["url": url, "role": "crm"], admin: admin, transport: RoutedTransport(always: RoutedTransport.token))
    }
    #expect(!isRefused { try provider("https://a.example", administeredAt: "https://A.example") })
    #expect(isRefused { try provider("https://a.example", administeredAt: "https://b.example") })
    #expect(isRefused { try provider("https://127.0.0.1:1", administeredAt: "http://127.0.0.1:1") })
    #expect(
      throws: ProviderError(
        .configuration, "a.example is not the server of the administrator admin, which is b.example",
        hint: "give both the same url, the administrator first (`relatch settings`): a credential and its"
          + " administrator must be on one server", step: .admin)
    ) { try provider("https://a.example", administeredAt: "https://b.example") }
  }
}
