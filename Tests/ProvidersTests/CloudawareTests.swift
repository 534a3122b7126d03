import Rotation
import Testing
import Vault

@testable import Providers

@Suite("Cloudaware's domain, scopes and probe")
struct CloudawareTests {
  private static let url = "https://cloudaware-0000.my.salesforce.com"

  private func error(_ settings: [String: String]) -> ProviderError? {
    do {
      try CloudawareProvider.check(settings)
      return nil
    } catch { return error }
  }

  private func provider(
    _ more: [String: String] = [:], scopes: String? = "api refresh_token",
    _ answer: RoutedTransport.Answer = .init(body: #"{"totalSize":0}"#)
  ) throws -> (CloudawareProvider, RoutedTransport) {
    let scope = scopes.map { #","scope":"\#($0)""# } ?? ""
    let token = RoutedTransport.Answer(body: #"{"access_token":"t","token_type":"Bearer"\#(scope)}"#)
    let transport = RoutedTransport { _, path in path.hasSuffix("/token") ? token : answer }
    let settings = ["url": Self.url, "app": "0xI000000000001"].merging(more) { $1 }
    let admin = AdminAccess(name: "admin", settings: settings) { try pair("admin-id", "admin-secret") }
    return (try CloudawareProvider(settings: settings, admin: admin, transport: transport), transport)
  }

  @Test(
    "a Cloudaware domain, its sandbox's and an address of this machine are accepted",
    arguments: [
      url, url + "/", "https://CLOUDAWARE-0000.my.salesforce.com", url + ":443", "http://127.0.0.1:8080",
      "https://cloudaware-0000--dev.sandbox.my.salesforce.com",
    ])
  func goodURL(_ url: String) { #expect(error(["url": url]) == nil) }

  @Test(
    "any other host is refused, and the error says what it is and where to find the right one",
    arguments: [
      ("https://login.salesforce.com", "grant"), ("https://test.salesforce.com:443", "grant"),
      ("https://cloudaware-0000.lightning.force.com", "grant"),
      ("https://cloudaware-0000.my.salesforce-setup.com", "grant"),
      ("https://cloudaware-0000.my.site.force.com", "a site"), ("https://cmdb.example.com", "custom domain"),
      ("https://example.my.salesforce.com", "not a Cloudaware domain"),
      ("https://cloudaware-.my.salesforce.com", "not a Cloudaware domain"),
      ("https://cloudaware-0000.my.salesforce.com.example.com", "custom domain"),
      ("https://cloudaware-0.example.my.salesforce.com", "not a Cloudaware domain"), ("cloudaware-0000", "url"),
      (url + "/services", "path"),
    ])
  func badURL(_ url: String, _ words: String) {
    let error = error(["url": url])
    #expect(error?.code == .configuration && error?.description.contains(words) == true, "\(error as Any)")
    #expect(error?.hint?.contains("Setup, My Domain") == true)
  }

  @Test("analytics is yes or no, a probe is an object's name, and any other setting is refused")
  func settings() {
    for good in ["CA10__CaAwsInstance__c", "Account", "A1"] {
      #expect(error(["url": Self.url, "probe": good, "analytics": "no"]) == nil)
    }
    for bad in ["", "1A", "A B", "Account LIMIT 1", "A+B", "A&q=", "é", String(repeating: "a", count: 81)] {
      #expect(error(["url": Self.url, "probe": bad])?.code == .configuration, "\(bad)")
    }
    #expect(error(["url": Self.url, "analytics": "true"])?.code == .configuration)
    #expect(error(["url": Self.url, "secret": "x"])?.code == .configuration)
    #expect(error([:])?.hint?.contains("cloudaware-0000") == true)
  }

  @Test("a token without the scope api, or without wave_api if Analytics is used, is no proof")
  func scopes() async throws {
    for (scopes, analytics, missing) in [
      ("refresh_token", "no", "api"), ("", "no", "api"), ("api refresh_token", "yes", "wave_api"),
      ("apix", "no", "api"),
    ] {
      let (provider, _) = try provider(["analytics": analytics], scopes: scopes)
      let error = await failure { _ = try await provider.validate(try pair("a")) }
      #expect(error?.code == .configuration && error?.description.hasSuffix("scope \(missing)") == true)
      // The pair itself is accepted nevertheless: a caller that asks whether it is refused learns that.
      #expect(try await provider.grant(pair("a")).status == 200)
    }
    for (scopes, remarks) in [
      ("api refresh_token", 0), ("wave_api offline_access api", 0), ("full", 0), ("api", 1), (nil, 1),
    ] {
      let (provider, _) = try provider(["analytics": scopes?.contains("api") == true ? "no" : "yes"], scopes: scopes)
      let evidence = try await provider.validate(try pair("a"))
      #expect(evidence.remarks.count == remarks && evidence.probe == nil, "\(scopes ?? "none")")
    }
  }

  @Test("the probe asks the host that granted the token for the identifier of one record")
  func probe() async throws {
    let (provider, transport) = try provider(["probe": "CA10__CaAwsInstance__c"])
    #expect(try await provider.validate(pair("a")).probe == 200)
    #expect(
      transport.calls == [
        "POST \(Self.url)/services/oauth2/token",
        "GET \(Self.url)/services/data/v65.0/query?q=SELECT+Id+FROM+CA10__CaAwsInstance__c+LIMIT+1",
      ])
  }

  @Test(
    "a refused probe is reported as what is missing, and never as the pair's fault",
    arguments: [
      (400, "INVALID_TYPE", ProviderError.Code.notPermitted, "Read on CA10__A__c"),
      (403, "INSUFFICIENT_ACCESS", .notPermitted, "Read on CA10__A__c"),
      (403, "API_CURRENTLY_DISABLED", .notPermitted, "API Enabled"), (401, "INVALID_SESSION_ID", .notPermitted, "api"),
      (403, "REQUEST_LIMIT_EXCEEDED", .limited, ""), (429, "", .limited, ""), (503, "", .unreachable, ""),
      (400, "MALFORMED_QUERY", .configuration, "probe"), (404, "NOT_FOUND", .configuration, "probe"),
    ])
  func refusedProbe(_ status: Int, _ word: String, _ code: ProviderError.Code, _ hint: String) async throws {
    let body = #"[{"errorCode":"\#(word)","message":"\#(echo)"}]"#
    let (provider, _) = try provider(["probe": "CA10__A__c"], .init(status: status, body: body))
    let error = await failure { _ = try await provider.validate(try pair("a")) }
    #expect(error?.code == code && error?.status == status && error?.mayHaveActed == false)
    #expect(hint.isEmpty || error?.hint?.contains(hint) == true, "\(error?.hint ?? "")")
    #expect(error?.description.contains(echo) == false && error?.hint?.contains(echo) != true)
  }

  @Test("an administrator may be of either provider, and a permission that it lacks must come from Cloudaware")
  func administrator() async throws {
    let refused = RoutedTransport.Answer(status: 403, body: #"[{"errorCode":"INSUFFICIENT_ACCESS"}]"#)
    let (provider, _) = try provider(["probe": "Account"], refused)
    let error = await failure { _ = try await provider.observe(known: try known("a")) }
    #expect(error?.code == .notPermitted)
    #expect(error?.hint?.contains("View Client Secret") == true && error?.hint?.contains("account manager") == true)
    let settings = ["url": Self.url, "app": "0xI000000000001"]
    let admin = AdminAccess(name: "admin", settings: settings.merging(["probe": "Account"]) { $1 }) { try pair("b") }
    _ = try SalesforceProvider(settings: settings, admin: admin, transport: RoutedTransport(always: refused))
  }
}
