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
  }
}
