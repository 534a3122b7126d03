import Audit
import Rotation
import Testing

@testable import Providers

@Suite("Salesforce's settings")
struct SalesforceSettingsTests {
  private func code(_ more: [String: String]) -> ProviderError.Code? {
    do {
      try SalesforceProvider.check(settings.merging(more) { $1 })
      return nil
    } catch { return error.code }
  }

  @Test(
    "accept a My Domain, a sandbox's and an address of this machine",
    arguments: [
      "https://example.my.salesforce.com", "https://example.my.salesforce.com/",
      "https://example--dev.sandbox.my.salesforce.com", "https://EXAMPLE.my.salesforce.com", "http://127.0.0.1:8080",
      "http://localhost:1", "https://example.my.salesforce.com:8443", "HTTPS://example.my.salesforce.com",
      "http://[::1]:8080",
    ])
  func goodURL(url: String) { #expect(code(["url": url]) == nil) }

  @Test(
    "refuse hosts that grant no tokens, and URLs that are no My Domain",
    arguments: [
      "https://login.salesforce.com", "https://test.salesforce.com", "https://LOGIN.salesforce.com",
      "https://login.salesforce.com:443", "https://login.salesforce.com.", "https://login.salesforce.com.:443",
      "https://example.lightning.force.com", "https://example.my.salesforce-setup.com",
      "http://example.my.salesforce.com", "http://127.0.0.1.example.com", "https://example.my.salesforce.com/path",
      "https://example.my.salesforce.com?a=b", "https://example.my.salesforce.com//", "https://user@example.com",
      "https://example.my.salesforce.com#f", "example.my.salesforce.com", "", "ftp://example.com", "https://",
    ])
  func badURL(url: String) { #expect(code(["url": url]) == .configuration, "\(url)") }

  @Test("require a url, refuse an unknown key, and require an app to rotate")
  func keys() throws {
    #expect(throws: ProviderError.self) { try SalesforceProvider.check(["app": "0xI000000000001"]) }
    #expect(code(["secret": "x"]) == .configuration)
    try SalesforceProvider.check(["url": "https://example.my.salesforce.com"])
    #expect(throws: ProviderError.self) {
      _ = try SalesforceProvider(
        settings: ["url": "https://example.my.salesforce.com"],
        admin: AdminAccess(name: "admin", settings: settings) { try pair("a") },
        transport: RoutedTransport(always: .init()))
    }
  }

  @Test("accept identifiers of 15 or 18 letters and digits; an app's begins with 0x")
  func identifiers() {
    for app in ["0xI000000000001", "0xI000000000001AAA"] { #expect(code(["app": app]) == nil) }
    for app in ["0xI00000000000", "0xI0000000000001", "888000000000001", "0xI00000000000/", "0xI0000000000é", ""] {
      #expect(code(["app": app]) == .configuration, "\(app)")
    }
    for consumer in ["888000000000001", "888000000000001AAA"] { #expect(code(["consumer": consumer]) == nil) }
    for consumer in ["888", "888000000000/01", "../../../etc/pwd"] {
      #expect(code(["consumer": consumer]) == .configuration, "\(consumer)")
    }
    #expect(SalesforceSettings.isSame("888000000000001", "888000000000001AAA"))
    #expect(!SalesforceSettings.isSame("888000000000001", "888000000000002"))
  }

  @Test("accept API versions from 65.0 on")
  func versions() throws {
    for (text, expected) in [("65.0", "65.0"), ("v65.0", "65.0"), ("67", "67.0"), ("v100.0", "100.0")] {
      #expect(try SalesforceSettings(settings.merging(["api-version": text]) { $1 }).apiVersion == expected)
    }
    for text in ["64.0", "0", "65.1", "65.0.0", "65.", ".0", "", "v", "vv65.0", "-65.0", "65,0", "1000.0", " 65.0"] {
      #expect(code(["api-version": text]) == .configuration, "\(text)")
    }
  }

  @Test("read dates in the known forms only")
  func dates() {
    let expected = Timestamp("2026-12-21T09:20:00.000Z")
    for text in [
      "2026-12-21T09:20:00.000Z", "2026-12-21T09:20:00Z", "2026-12-21T09:20:00.000+0000", "2026-12-21T09:20:00+00:00",
    ] {
      #expect(Timestamp(salesforce: text) == expected, "\(text)")
    }
    for text in [
      "", "Z", "2026-12-21", "2026-12-21T09:20:00", "2026-12-21T09:20:00.000+0200", "2026-12-21T09:20:00.0Z",
      "1795000000000", "2026-13-21T09:20:00Z", "2026-12-21T09:20:00ZZ", "Mon Dec 21 09:20:00 UTC 2026",
    ] {
      #expect(Timestamp(salesforce: text) == nil, "\(text)")
    }
  }
}
