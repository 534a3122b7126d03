import Audit
import Foundation
import Providers
import Rotation
import Sodium
import Testing
import Transport
import Vault

/// What the kinds without a checklist of their own report about a set-up; Salesforce's is tested in ScenarioTests.
@Suite("The checklist of each kind of provider", .serialized)
struct ChecklistTests {
  private static let vendors: [String] = ["auth0", "keycloak", "okta", "entra"]

  private static func server(_ vendor: String) throws -> VendorServer {
    switch vendor {
    case "auth0": try .auth0()
    case "keycloak": try .keycloak(policy: true)
    case "okta": try .okta()
    default: try .entra()
    }
  }

  private func lines(
    _ tenancy: Tenancy, pair: Pair? = nil, admin: Pair? = nil, settings: [String: String] = [:]
  ) async throws -> [ChecklistLine] {
    let transport = CurlTransport()
    let now: @Sendable () -> Timestamp = { Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) }
    let credential = Credential(
      id: Identifier(drawnFrom: .system), name: "crm", provider: tenancy.provider,
      settings: tenancy.settings.merging(settings) { $1 }, policy: Policy(),
      admin: tenancy.admin == nil ? "crm" : "admin", keyID: "", created: now())
    let administering = admin ?? tenancy.admin?.pair ?? tenancy.pair
    let access = AdminAccess(
      name: credential.admin, settings: tenancy.admin?.settings ?? tenancy.settings, isSelf: tenancy.admin == nil
    ) { administering }
    let list = try await providerKind(tenancy.provider).examine(
      ChecklistSubject(
        credential: credential,
        preflight: RotationPreflight(credential: credential, journal: nil, pairs: [1: pair ?? tenancy.pair]),
        admin: access, withheld: nil, isOffline: false, transport: transport, now: now))
    await transport.shutdown()
    return list.lines
  }

  private func words(_ lines: [ChecklistLine], _ verdict: ChecklistLine.Verdict) -> [String] {
    lines.filter { $0.verdict == verdict }.map(\.step.word)
  }

  @Test("has nothing missing if the vendor is set up, and sends no request that changes anything", arguments: vendors)
  func healthy(_ vendor: String) async throws {
    let server = try Self.server(vendor)
    defer { server.server.stop() }
    let lines = try await lines(server.tenancy())
    #expect(words(lines, .missing).isEmpty, "\(lines)")
    // These servers send no date.
    #expect(words(lines, .cannotTell) == ["clock"], "\(lines)")
    let changes = server.server.requests.filter(\.isChange)
    #expect(changes.isEmpty, "\(changes)")
  }

  @Test(
    "has one missing line for a refused pair, a refused administrator, a wrong name or no server", arguments: vendors)
  func faults(_ vendor: String) async throws {
    let server = try Self.server(vendor)
    let tenancy = try await server.tenancy()
    // The vault's pair is none of those at the server.
    let wrong = try await lines(tenancy, pair: ProvidersTests.pair("client-id", "wrong"))
    #expect(words(wrong, .missing) == ["primary"], "\(wrong)")
    let admin = try await lines(tenancy, admin: ProvidersTests.pair("admin", "wrong"))
    #expect(words(admin, .missing) == ["admin"], "\(admin)")
    let setting = ["auth0": "client", "keycloak": "client", "okta": "app"][vendor] ?? "object"
    let named = try await lines(tenancy, settings: [setting: "nobodys"])
    #expect(words(named, .missing) == ["app"], "\(named)")
    server.server.stop()
    let gone = try await lines(tenancy)
    #expect(words(gone, .missing) == ["host"], "\(gone)")
    for line in wrong + admin + named + gone where line.verdict == .missing {
      #expect(line.fix?.isEmpty == false && !line.text.contains("wrong"), "\(line)")
    }
  }

  @Test(
    "has one missing line for a client with the right secret that is granted no token",
    arguments: [
      ("auth0", 403, "access_denied", "authorize the application"),
      ("okta", 400, "invalid_dpop_proof", "Proof of possession"),
      ("okta", 400, "use_dpop_nonce", "Proof of possession"),
    ])
  func withheld(_ vendor: String, _ status: Int, _ error: String, _ fix: String) async throws {
    let server = try Self.server(vendor)
    defer { server.server.stop() }
    let tenancy = try await server.tenancy()
    server.change { $0.withheld["client-id"] = .json(status, ["error": error]) }
    let found = try await lines(tenancy)
    #expect(words(found, .missing) == ["flow"], "\(found)")
    #expect(found.first { $0.verdict == .missing }?.fix?.contains(fix) == true, "\(found)")
  }

  @Test("of a registered client has nothing missing until its pair is refused", arguments: ["overlap", "cut-over"])
  func registered(_ mode: String) async throws {
    let server = try RegistrationServer(mode: mode)
    defer { server.server.stop() }
    let tenancy = try await server.tenancy()
    let fine = try await lines(tenancy)
    #expect(words(fine, .missing).isEmpty && words(fine, .cannotTell) == ["clock"], "\(fine)")
    let changes = server.server.requests.filter(\.isChange)
    #expect(changes.isEmpty, "\(changes)")
    server.changeSecrets()
    let replaced = try await lines(tenancy)
    #expect(words(replaced, .missing) == ["pair"], "\(replaced)")
  }

  @Test("names a setting that does not exist, and checks nothing else", arguments: providerDescriptors.map(\.id))
  func settings(_ id: String) async throws {
    let tenancy = Tenancy(provider: id, settings: ["no-such-setting": "1"], pair: try pair("id"))
    let lines = try await lines(tenancy)
    let missing = lines.filter { $0.verdict == .missing }
    #expect(missing.count == 1 && missing[0].text.contains("no-such-setting"), "\(lines)")
    #expect(lines.allSatisfy { $0.verdict == .missing || $0.because == missing[0].step })
  }

  @Test(
    "of OpenBao is all ok at a real server, and says when the pair is refused or a permission is missing",
    .enabled(if: OpenBaoServer.isInstalled, "OpenBao is not installed: .ci/install --test"))
  func openBao() async throws {
    let real = try await OpenBaoServer()
    let own = try await real.pair(of: "crm")
    let admin = try await real.pair(of: "rotator")
    let tenancy = Tenancy(
      provider: "openbao-approle", settings: ["url": real.url, "role": "crm"], pair: try pair(own.id, own.secret),
      admin: .init(settings: ["url": real.url], pair: try pair(admin.id, admin.secret)))
    let fine = try await lines(tenancy)
    #expect(fine.allSatisfy { $0.verdict == .ok }, "\(fine)")
    let wrong = try await lines(tenancy, pair: ProvidersTests.pair(own.id, "wrong"))
    #expect(words(wrong, .missing) == ["primary"], "\(wrong)")
    let powerless = try await lines(tenancy, admin: tenancy.pair)
    #expect(words(powerless, .missing) == ["permissions"], "\(powerless)")
  }
}
