import Audit
import Providers
import Rotation
import Testing
import Vault

@Suite("Entra, where its answers mean something of their own", .serialized)
struct EntraTests {
  private func tenancy(_ server: VendorServer, _ settings: [String: String] = [:]) async throws -> Tenancy {
    let made = try await server.tenancy()
    return Tenancy(
      provider: made.provider, settings: made.settings.merging(settings) { $1 }, pair: made.pair, admin: made.admin)
  }

  private func stop(_ bench: ProviderBench, _ goal: RotationRunner.Goal = .rotate) async throws -> RotationError {
    do { _ = try await bench.run(goal) } catch let error as RotationError { return error }
    return try #require(nil, "it did not stop")
  }

  // MARK: - Lifetime

  /// A policy of 180 days at most, by a clock that is not this machine's.
  private static func limit(_ state: inout VendorServer.State) {
    state.date = "Tue, 01 Jan 2030 00:00:00 GMT"
    state.refusesPassword = { end in
      end.map { $0 <= "2030-06-30T00:00:00.000Z" } == true ? nil : "CredentialInvalidLifetimeAsPerAppPolicy"
    }
  }

  @Test(
    "a tenant's limit to the life of secrets is named, with the setting that keeps to it", arguments: [nil, "181d"])
  func limited(_ lifetime: String?) async throws {
    let server = try VendorServer.entra()
    defer { server.server.stop() }
    let bench = try await ProviderBench(tenancy(server, lifetime.map { ["lifetime": $0] } ?? [:]))
    server.change { Self.limit(&$0) }
    let found = try await stop(bench)
    #expect(found.code == .provider(.configuration), "\(found)")
    #expect(found.description.contains("policy limits how long") && !found.description.contains("f00"), "\(found)")
    #expect(found.description.contains(lifetime ?? "two years"), "\(found)")
    #expect(found.hint?.contains("lifetime=") == true, "\(found.hint ?? "")")
    #expect(server.secrets.count == 1)
    await bench.stop()
  }

  @Test("a secret lives as long as setting lifetime says, by the server's clock") func lifetime() async throws {
    let server = try VendorServer.entra()
    defer { server.server.stop() }
    let bench = try await ProviderBench(tenancy(server, ["lifetime": "180d"]))
    server.change { Self.limit(&$0) }
    #expect(try await bench.run() == .settled(active: 2))
    let active = try await bench.credential().version(in: .active)
    #expect(active?.expires == Timestamp("2030-06-30T00:00:00.000Z"))
    #expect(server.secrets.map(\.end) == ["2030-06-30T00:00:00.000Z"])
    await bench.stop()
  }

  @Test("no secret with a lifetime is made at a server that does not say its time") func noClock() async throws {
    let server = try VendorServer.entra()
    defer { server.server.stop() }
    let bench = try await ProviderBench(tenancy(server, ["lifetime": "180d"]))
    let found = try await stop(bench)
    #expect(found.code == .provider(.malformed) && found.description.contains("lifetime"), "\(found)")
    #expect(!server.server.requests.contains { $0.path.hasSuffix("/addPassword") })
    await bench.stop()
  }

  @Test(
    "a lifetime is whole days, at least one",
    arguments: [
      ("1d", true), ("180d", true), ("48h", true), ("3650d", true), ("0d", false), ("23h", false), ("36h", false),
      ("3651d", false), ("180", false), ("P180D", false), ("-1d", false), ("", false),
    ])
  func form(_ text: String, _ isGood: Bool) async {
    let found = await failure { try EntraProvider.check(["tenant": "contoso", "lifetime": text]) }
    #expect((found == nil) == isGood && found?.description.hasPrefix("setting lifetime") != false, "\(text)")
  }

  @Test(
    "a refused secret is explained by known codes only",
    arguments: [
      ("CredentialTypeNotAllowedAsPerAppPolicy", ProviderError.Code.configuration, "allows no new secrets"),
      ("TooManyAppPasswords", .occupied, "does not make another secret"),
      ("SomethingElse", .configuration, "does not accept the request"),
      ("'f00'", .configuration, "does not accept the request"),
    ])
  func refused(_ word: String, _ code: ProviderError.Code, _ text: String) async throws {
    let server = try VendorServer.entra()
    defer { server.server.stop() }
    let bench = try await ProviderBench(tenancy(server))
    server.change { $0.refusesPassword = { _ in word } }
    let found = try await stop(bench)
    #expect(found.code == .provider(code) && found.description.contains(text), "\(found)")
    #expect(code != .occupied || found.hint?.contains("at most two") == true, "\(found.hint ?? "")")
    #expect(!found.description.contains(word) && !found.description.contains("f00"), "\(found)")
    #expect(server.secrets.count == 1)
    await bench.stop()
  }

  // MARK: - Deleting

  @Test("a password that is already gone is reported as gone") func gone() async throws {
    let server = try VendorServer.entra()
    defer { server.server.stop() }
    let bench = try await ProviderBench(tenancy(server))
    let provider = try await bench.provider()
    let seen = try await provider.observe(known: bench.known())
    let found = await failure { try await provider.delete(handle: "0000000b-1", seen) }
    #expect(found?.code == .notFound && found?.status == 400, "\(String(describing: found))")
    #expect(server.secrets.count == 1)
    await bench.stop()
  }

  @Test(
    "a deleted password that is listed and accepted for a while longer is looked for again, until it is refused",
    arguments: [2, 3])
  func late(_ lists: Int) async throws {
    let server = try VendorServer.entra()
    defer { server.server.stop() }
    let tenancy = try await tenancy(server)
    let bench = try await ProviderBench(tenancy)
    server.change { $0.lateLists = lists }
    #expect(try await bench.run() == .settled(active: 2))
    #expect(server.server.requests.count { $0.path.hasSuffix("/removePassword") } == 2)
    #expect(try await !server.accepts(tenancy.pair))
    await bench.stop()
  }

  @Test("a password that cannot be deleted stays owed, whatever the answer says") func lateForLong() async throws {
    let server = try VendorServer.entra()
    defer { server.server.stop() }
    let tenancy = try await tenancy(server)
    let bench = try await ProviderBench(tenancy)
    server.change { $0.lateLists = 1000 }
    _ = try await stop(bench)
    #expect(try await bench.credential().debts.map(\.number) == [1])
    #expect(try await server.accepts(tenancy.pair))
    server.change { $0.lateLists = 1 }
    #expect(try await bench.run(.resume) == .settled(active: 2))
    await bench.stop()
  }

  @Test("a lost password that cannot be deleted yet is left to the next rotation, and holds up none")
  func unheardOf() async throws {
    let server = try VendorServer.entra()
    defer { server.server.stop() }
    let bench = try await ProviderBench(tenancy(server), policy: ["grace": "1h"])
    let mark = try await bench.known().mark
    server.change { state in
      state.late = [.init(id: "0000000b-1", text: "zzz-lost", name: mark)]
      state.lateLists = 1000
    }
    guard case .promoted(active: 2, previous: [1], _) = try await bench.run() else {
      Issue.record("not promoted")
      return
    }
    server.change { state in
      state.secrets += state.late
      state.late = []
      state.lateLists = 0
    }
    #expect(try await bench.run(.retire) == .settled(active: 2))
    _ = try await bench.run()
    #expect(server.secrets.map(\.name) == [mark, mark] && !server.secrets.contains { $0.id == "0000000b-1" })
    await bench.stop()
  }

  @Test("a leak ends although a replaced password is listed for a while after it was deleted") func leak() async throws
  {
    let server = try VendorServer.entra()
    defer { server.server.stop() }
    let tenancy = try await tenancy(server)
    let bench = try await ProviderBench(tenancy, policy: ["grace": "1h"])
    _ = try await bench.run()
    server.change { $0.lateLists = 4 }
    let leak = Revocation(incident: "2026-01-01-0f0f0f", reason: "a test")
    #expect(try await bench.run(.revoke(leak)) == .settled(active: 3))
    #expect(try await bench.credential().leak == nil)
    #expect(try await !server.accepts(tenancy.pair))
    await bench.stop()
  }

  // MARK: - What is not there

  @Test("a pair that is no password of the application is not said to be dead") func servicePrincipal() async throws {
    let server = try VendorServer.entra()
    defer { server.server.stop() }
    let tenancy = try await tenancy(server)
    let bench = try await ProviderBench(tenancy)
    server.change { state in
      state.ofAnother = state.secrets
      state.secrets = []
    }
    let found = try await stop(bench)
    #expect(found.code == .provider(.configuration) && found.description.contains("none of this"), "\(found)")
    #expect(found.hint?.contains("service principal") == true, "\(found.hint ?? "")")
    #expect(try await server.accepts(tenancy.pair))
    await bench.stop()
  }

  @Test(
    "a directory that does not know the client, or is none, is named; nobody is told to allow a grant",
    arguments: [
      (
        "unauthorized_client", "AADSTS700016: Application 'f00' was not found in the directory 'f00'.",
        "contoso does not"
      ), ("invalid_request", "AADSTS90002: Tenant 'f00' not found.", "no directory contoso"),
    ])
  func unknown(_ word: String, _ description: String, _ text: String) async throws {
    let server = try LoopbackServer { _ in .json(400, ["error": word, "error_description": description]) }
    defer { server.stop() }
    let settings = ["tenant": "contoso", "object": "0a1b", "login-url": server.url, "graph-url": server.url]
    let bench = try await ProviderBench(
      Tenancy(
        provider: "entra", settings: settings, pair: try pair("client-id"),
        admin: .init(settings: settings, pair: try pair("admin", "admin-secret"))))
    let provider = try await bench.provider()
    let (known, active) = (try await bench.known(), try await bench.active())
    for found in [
      await failure { _ = try await provider.grant(active) },
      await failure { _ = try await provider.observe(known: known) },
    ] {
      let found = try #require(found)
      #expect(found.code == .configuration && found.step?.word == "settings" && found.status == 400, "\(found)")
      #expect(found.description.contains(text) && !found.description.contains("f00"), "\(found)")
      #expect(found.hint?.contains("tenant") == true && found.hint?.contains("grant") == false, "\(found.hint ?? "")")
    }
    await bench.stop()
  }
}
