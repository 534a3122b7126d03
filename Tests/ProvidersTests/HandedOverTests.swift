import Age
import Audit
import Providers
import Rotation
import Sodium
import Synchronization
import Testing

@testable import Vault

/// Pairs that were handed over, at their providers: who is asked whether they are refused, and with what.
@Suite("A pair that was handed over, at its provider", .serialized)
struct HandedOverTests {
  /// `crm` handed over, with a confirmed receipt.
  private func bench(_ tenancy: Tenancy) async throws -> ProviderBench {
    let bench = try await ProviderBench(tenancy)
    let now = bench.now.withLock { $0 }
    _ = try await bench.vault.sendHandoff(
      of: "crm", stage: .active, to: HandoffRecipient(try AgeIdentity(generating: .system).recipient),
      expires: now + .seconds(60), note: nil, isTransfer: true, now: now)
    _ = try await bench.vault.change(now: now) { change in
      var credential = try change.view.credential("crm")
      credential.transfer?.confirm(now: now)
      return try change.save(credential, .handoffConfirmed)
    }
    return bench
  }

  /// The settings of a credential whose pair goes to `theirs`, and those of its administrator at `ours`.
  private static func settings(
    _ kind: String, at theirs: String, _ ours: String
  ) -> (own: [String: String], admin: [String: String]) {
    switch kind {
    case "entra":
      let own = ["tenant": "contoso", "object": "0a1b", "login-url": theirs, "graph-url": ours]
      return (own, own.merging(["login-url": ours]) { $1 })
    case "oauth-registration":
      let own = ["token-url": theirs + "/token", "registration-url": ours + "/register", "authentication": "body"]
      return (own, own.merging(["token-url": ours + "/token"]) { $1 })
    case "salesforce-connected-app": return (["url": theirs, "app": "CMDB"], ["url": ours])
    default: return (["url": theirs, "app": "0xI000000000001"], ["url": ours])
    }
  }

  @Test(
    "is not settled by a server that only its own settings name, which never sees the administrator's pair",
    arguments: ["salesforce", "cloudaware", "salesforce-connected-app", "entra", "oauth-registration"])
  func elsewhere(_ kind: String) async throws {
    // It refuses whom it likes, and keeps what it is shown.
    let theirs = try LoopbackServer { _ in .json(401, ["error": "invalid_client"]) }
    let ours = try LoopbackServer { _ in .json(200, ["access_token": "t", "token_type": "Bearer"]) }
    defer {
      theirs.stop()
      ours.stop()
    }
    let settings = Self.settings(kind, at: theirs.url, ours.url)
    let bench = try await bench(
      Tenancy(
        provider: kind, settings: settings.own, pair: try pair("client-id"),
        admin: .init(settings: settings.admin, pair: try pair("admin", "admin-secret"))))
    let found = try #require(await rotationFailure { _ = try await bench.run(.resume) })
    #expect(
      found.code == .provider(.configuration) && found.text.contains("not the server of the administrator admin"),
      "\(found.text)")
    #expect(theirs.requests.contains { $0.text.contains("client-id") })
    for request in theirs.requests {
      #expect(!request.text.contains("admin") && !request.headers.values.contains { $0.contains("admin") })
    }
    #expect(try await bench.credential().version(in: .active)?.number == 1)
    await bench.stop()
  }

  @Test(
    "is settled once it is gone there, if its administrator is granted a token",
    arguments: ["auth0", "keycloak", "entra"])
  func settled(_ kind: String) async throws {
    let server = try VendorServer.named(kind)
    defer { server.server.stop() }
    let bench = try await bench(server.tenancy())
    #expect(try await bench.run(.resume) == .handedOver(version: 1, .accepted))
    server.change { state in
      _ = state.make()
      state.secrets.removeFirst()
    }
    #expect(try await bench.run(.resume) == .handedOver(version: 1, .settled))
    await bench.stop()
  }

  @Test("is not settled by a server that refuses everybody on new connections only")
  func refusesEverybody() async throws {
    let server = try VendorServer.entra(keepsConnections: true)
    defer { server.server.stop() }
    let bench = try await bench(server.tenancy())
    // No longer in any application that is asked about, but still accepted.
    server.change { state in
      state.ofAnother = state.secrets
      _ = state.make()
      state.secrets.removeFirst()
    }
    #expect(try await bench.run(.resume) == .handedOver(version: 1, .accepted))
    server.change { $0.isOut = { $0 > 1 } }
    let found = try #require(await rotationFailure { _ = try await bench.run(.resume) })
    #expect(found.text.contains("not seen to be accepted"), "\(found.text)")
    #expect(try await bench.credential().version(in: .active)?.number == 1)
    await bench.stop()
  }

  @Test("is settled by refusals an hour apart if its administrator is no client", arguments: [true, false])
  func noClient(_ showsSecret: Bool) async throws {
    let server = try VendorServer.okta()
    defer { server.server.stop() }
    let bench = try await bench(server.tenancy())
    server.change { state in
      _ = state.make()
      state.secrets.removeFirst()
      state.showsSecret = showsSecret
    }
    let until = bench.now.withLock { $0 } + .seconds(3600)
    #expect(try await bench.run(.resume) == .handedOver(version: 1, .refused(settledFrom: until)))
    bench.now.withLock { $0 = until }
    #expect(try await bench.run(.resume) == .handedOver(version: 1, .settled))
    #expect(!server.server.requests.contains { $0.form["client_secret"] == "admin-secret" })
    await bench.stop()
  }
}
