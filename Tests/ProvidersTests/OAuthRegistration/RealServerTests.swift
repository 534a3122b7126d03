import Foundation
import Loopback
import OAuth
import Providers
import Rotation
import Testing
import Vault

/// A client registered at a real server, whose requests go through one that can lose them.
private struct RealHouse: ProviderHouse {
  let server: LoopbackServer
  let upstream: String
  /// Paths below the base: the token endpoint, and the registration endpoint.
  let paths: (token: String, registration: String)
  let mode: String
  let authentication: ClientAuthentication
  let scope: String?
  let register: @Sendable (_ method: String) async throws -> [String: Any]

  func tenancy() async throws -> Tenancy {
    let method = authentication == .body ? "client_secret_post" : "client_secret_basic"
    let made = try await register(method)
    var settings = [
      "token-url": server.url + paths.token, "registration-url": server.url + paths.registration, "mode": mode,
      "authentication": authentication.rawValue,
    ]
    settings["scope"] = scope
    if mode == "cut-over" { settings["keeps-token"] = "yes" }
    return Tenancy(
      provider: "oauth-registration", settings: settings,
      pair: try pair(
        #require(made["client_id"] as? String), #require(made["client_secret"] as? String),
        token: #require(made["registration_access_token"] as? String)))
  }

  func accepts(_ pair: Pair) async throws -> Bool {
    let (id, secret) = (secretText(pair.clientID), secretText(pair.clientSecret))
    var form = "grant_type=client_credentials" + (scope.map { "&scope=\($0)" } ?? "")
    var headers = ["Content-Type": "application/x-www-form-urlencoded"]
    if authentication == .body {
      form += "&client_id=\(id)&client_secret=\(secret)"
    } else {
      headers["Authorization"] = "Basic " + Data("\(id):\(secret)".utf8).base64EncodedString()
    }
    let answer = try await LoopbackClient(upstream).send(
      "POST", paths.token, body: Data(form.utf8), headers: headers)
    return answer.status == 200 && String(decoding: answer.body, as: UTF8.self).contains("access_token")
  }
}

@Suite("Real servers", .serialized)
struct RealServerTests {
  @Test(
    "glewlwyd rotates, and with cut-over survives the loss of any change; it refuses with 403",
    .enabled(if: GlewlwydServer.isInstalled, "glewlwyd is not installed: .ci/install --test"))
  func glewlwyd() async throws {
    let real = try await GlewlwydServer()
    let server = try LoopbackServer(before: real.url)
    defer { server.stop() }
    for (mode, authentication) in [("cut-over", ClientAuthentication.basic), ("overlap", .body)] {
      let house = RealHouse(
        server: server, upstream: real.url, paths: ("/api/oidc/token", "/api/oidc/register"), mode: mode,
        authentication: authentication, scope: "api", register: { try await real.register($0) })
      let contract = ProviderContract(house: house)
      try await contract.rotates()
      try await contract.refusesWrongSecrets()
      if mode == "cut-over" { try await contract.survivesLosses(onlyChanges: true) }
      let status = try await house.statusOfWrongSecret()
      #expect(status == 403)
    }
  }

  @Test(
    "nanoidp rotates with overlap only and survives the loss of any change; it refuses with 401, or 400 for a form",
    .enabled(if: NanoidpServer.isInstalled, "nanoidp is not installed: .ci/install --test"))
  func nanoidp() async throws {
    let real = try await NanoidpServer()
    let server = try LoopbackServer(before: real.url)
    defer { server.stop() }
    for (authentication, expected) in [(ClientAuthentication.basicRaw, 401), (.body, 400)] {
      let house = RealHouse(
        server: server, upstream: real.url, paths: ("/token", "/register"), mode: "overlap",
        authentication: authentication, scope: nil, register: { try await real.register($0) })
      let contract = ProviderContract(house: house)
      try await contract.refusesWrongSecrets()
      if authentication == .body { try await contract.survivesLosses(onlyChanges: true) }
      let status = try await house.statusOfWrongSecret()
      #expect(status == expected)
    }
    // It has no PUT: this is reported before anything is changed.
    let house = RealHouse(
      server: server, upstream: real.url, paths: ("/token", "/register"), mode: "cut-over", authentication: .body,
      scope: nil, register: { try await real.register($0) })
    let tenancy = try await house.tenancy()
    let bench = try await ProviderBench(tenancy)
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.configuration), "\(found.text)")
    #expect(try await house.accepts(tenancy.pair))
    await bench.stop()
  }
}

extension RealHouse {
  /// The token endpoint's status for a wrong secret.
  fileprivate func statusOfWrongSecret() async throws -> Int? {
    let tenancy = try await tenancy()
    let bench = try await ProviderBench(tenancy)
    let provider = try await bench.provider()
    let wrong = try pair(secretText(tenancy.pair.clientID), "wrong")
    let found = await failure { _ = try await provider.grant(wrong) }
    await bench.stop()
    #expect(found?.code == .refused)
    return found?.status
  }
}
