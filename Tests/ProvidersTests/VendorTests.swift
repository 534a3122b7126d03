import Foundation
import Providers
import Rotation
import Testing
import Vault

@Suite("Vendors, simulated from their documentation", .serialized)
struct VendorTests {
  @Test("Auth0 keeps the contract of all providers") func auth0() async throws {
    let server = try VendorServer.auth0()
    defer { server.server.stop() }
    try await ProviderContract(house: server).check()
  }

  @Test(
    "a change that acted before its connection broke is found, even if the next handshake fails",
    arguments: ["auth0", "keycloak", "okta", "entra"])
  func actedBeforeHandshake(_ kind: String) async throws {
    let server = try VendorServer.named(kind)
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy()) { LateHandshake(over: $0) }
    #expect(try await bench.run() == .settled(active: 2))
    #expect(try await server.accepts(bench.active()))
    #expect(server.secrets.count == 1)
    await bench.stop()
  }

  @Test("Auth0 is refused before any change if the administrator may not see the secret") func hidden() async throws {
    let server = try VendorServer.auth0()
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    server.change { $0.showsSecret = false }
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.configuration) && found.text.contains("would be lost"), "\(found.text)")
    #expect(try await server.accepts(bench.active()))
    #expect(!server.server.requests.contains { $0.path.hasSuffix("/rotate-secret") })
    await bench.stop()
  }

  @Test(
    "Auth0's 403 is an audience that the client may not use, and no reason to replace its secret",
    arguments: [("client-id", "may get no tokens"), ("admin", "as admin: ")])
  func auth0Audience(_ client: String, _ words: String) async throws {
    let server = try VendorServer.auth0()
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    server.change { $0.withheld[client] = .json(403, ["error": "access_denied"]) }
    do {
      _ = try await bench.run()
      Issue.record("rotated")
    } catch let error as RotationError {
      #expect(error.code == .provider(.configuration) && "\(error)".contains(words), "\(error)")
      #expect("\(error)".contains("\(server.server.url)/api/v2/\" (HTTP 403)"), "\(error)")
      #expect(error.hint?.contains("custom") == true && error.hint?.contains("set audience") == (client != "admin"))
    }
    #expect(!server.server.requests.contains { $0.path.hasSuffix("/rotate-secret") })
    // Of a replaced pair it would prove nothing; only the answer to a wrong secret does.
    let provider = try await bench.provider()
    let active = try await bench.active()
    let found = await failure { _ = try await provider.grant(active) }
    #expect(client == "admin" ? found == nil : found?.code == .configuration && found?.step?.word == "flow")
    let wrong = try pair("client-id", "wrong")
    let refused = await failure { _ = try await provider.grant(wrong) }
    #expect(refused?.code == .refused && refused?.status == 401, "\(String(describing: refused))")
    await bench.stop()
  }

  @Test("Keycloak keeps the contract, with and without the realm's rotation policy", arguments: [true, false])
  func keycloak(_ policy: Bool) async throws {
    let server = try VendorServer.keycloak(policy: policy)
    defer { server.server.stop() }
    try await ProviderContract(house: server).check()
  }

  @Test("Keycloak's rotated secret is accepted until it is retired, and then deleted") func rotated() async throws {
    let server = try VendorServer.keycloak(policy: true)
    defer { server.server.stop() }
    let tenancy = try await server.tenancy()
    let bench = try await ProviderBench(tenancy, policy: ["grace": "1h"])
    guard case .promoted(active: 2, previous: [1], _) = try await bench.run() else {
      Issue.record("not promoted")
      return
    }
    #expect(try await server.accepts(tenancy.pair))
    #expect(try await bench.run(.retire) == .settled(active: 2))
    #expect(try await !server.accepts(tenancy.pair))
    await bench.stop()
  }

  @Test("Keycloak's rotated secret is not deleted if it is a new one by now") func rotatedMeanwhile() async throws {
    let server = try VendorServer.keycloak(policy: true)
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy(), policy: ["grace": "1h"])
    _ = try await bench.run()
    let provider = try await bench.provider()
    let seen = try await provider.observe(known: bench.known())
    // Somebody rotates between the look and the request: the rotated secret is now the vault's active one.
    server.change { $0.secrets = [$0.secrets[1], .init(id: "0000000a-9", text: "somebody's")] }
    let found = await failure { try await provider.delete(handle: "rotated", seen) }
    #expect(found?.code == .notFound, "\(String(describing: found))")
    #expect(try await server.accepts(bench.active()))
    await bench.stop()
  }

  @Test("a truncated answer from Keycloak does not mean that there is no rotated secret") func cutOff() async throws {
    let server = try VendorServer.keycloak(policy: true)
    defer { server.server.stop() }
    let tenancy = try await server.tenancy()
    let bench = try await ProviderBench(tenancy, policy: ["grace": "1h"])
    _ = try await bench.run()
    server.change { $0.cutsRotated = true }
    let found = try #require(await rotationFailure { _ = try await bench.run(.retire) })
    #expect(found.code == .provider(.malformed), "\(found.text)")
    #expect(try await server.accepts(tenancy.pair))
    server.change { $0.cutsRotated = false }
    #expect(try await bench.run(.retire) == .settled(active: 2))
    await bench.stop()
  }

  @Test("Entra is asked for tokens of the cloud that graph-url names, and not of another") func cloud() async throws {
    let server = try VendorServer.entra()
    defer { server.server.stop() }
    let tenancy = try await server.tenancy()
    let slash = Tenancy(
      provider: tenancy.provider, settings: tenancy.settings.merging(["graph-url": server.server.url + "/"]) { $1 },
      pair: tenancy.pair, admin: tenancy.admin)
    for tenancy in [tenancy, slash] {
      let bench = try await ProviderBench(tenancy)
      let provider = try await bench.provider()
      _ = try await provider.observe(known: bench.known())
      _ = try await provider.grant(tenancy.pair)
      await bench.stop()
    }
    let scopes = server.server.requests.filter { $0.path.hasSuffix("/token") }.map { $0.form["scope"] }
    #expect(scopes.count == 4 && scopes.allSatisfy { $0 == server.server.url + "/.default" }, "\(scopes)")
  }

  @Test("Okta keeps the contract of all providers") func okta() async throws {
    let server = try VendorServer.okta()
    defer { server.server.stop() }
    try await ProviderContract(house: server).check()
  }

  @Test("Okta rotates even if the org never shows a secret again, and leaves an unknown secret to a person")
  func oktaHidden() async throws {
    let server = try VendorServer.okta()
    defer { server.server.stop() }
    server.change { $0.showsSecret = false }
    try await ProviderContract(house: server).rotates()
    let bench = try await ProviderBench(server.tenancy())
    server.change { $0.secrets.append(.init(id: "00000009-9", text: "somebody's")) }
    let doubtful = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(doubtful.code == .provider(.configuration), "\(doubtful.text)")
    #expect(server.secrets.count == 2)
    await bench.stop()
  }

  @Test("an unknown secret at Okta is neither taken for a deleted one nor deleted") func oktaReplaced()
    async throws
  {
    let server = try VendorServer.okta()
    defer { server.server.stop() }
    server.change { $0.showsSecret = false }
    let bench = try await ProviderBench(server.tenancy())
    server.change { $0.secrets = [.init(id: "00000009-9", text: "somebody's")] }
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.configuration), "\(found.text)")
    #expect(server.secrets.map(\.text) == ["somebody's"])
    await bench.stop()

    // Nor for an owed one that has gone meanwhile.
    let owing = try await ProviderBench(server.tenancy(), policy: ["grace": "1h"])
    guard case .promoted(active: 2, previous: [1], _) = try await owing.run() else {
      Issue.record("not promoted")
      return
    }
    server.change { state in
      state.secrets.removeFirst()
      state.secrets.append(.init(id: "00000009-9", text: "somebody's"))
    }
    #expect(try await owing.run(.retire) == .settled(active: 2))
    #expect(server.secrets.count == 2 && server.secrets.contains { $0.text == "somebody's" && $0.isActive })
    await owing.stop()
  }

  @Test("a secret at Okta that was deactivated but not deleted is deleted by the same run")
  func oktaAsleep() async throws {
    let server = try VendorServer.okta()
    defer { server.server.stop() }
    server.change { state in
      state.showsSecret = false
      state.troubles = 1
    }
    let tenancy = try await server.tenancy()
    let bench = try await ProviderBench(tenancy)
    #expect(try await bench.run() == .settled(active: 2))
    #expect(server.secrets.count == 1)
    #expect(try await !server.accepts(tenancy.pair))
    await bench.stop()
  }

  @Test("an inactive secret at Okta that may be the replaced pair's is not taken for deleted, but left to a person")
  func oktaStillAsleep() async throws {
    let server = try VendorServer.okta()
    defer { server.server.stop() }
    server.change { state in
      state.showsSecret = false
      state.troubles = 1000
    }
    let bench = try await ProviderBench(server.tenancy())
    _ = await rotationFailure { _ = try await bench.run() }
    server.change { $0.troubles = 0 }
    for _ in 1...2 {
      let found = try #require(await rotationFailure { _ = try await bench.run(.resume) })
      #expect(found.text.contains("inactive secret"), "\(found.text)")
      #expect(try await bench.credential().debts.map(\.number) == [1])
      #expect(server.secrets.count == 2)
    }
    server.change { $0.secrets.removeAll { !$0.isActive } }
    #expect(try await bench.run(.resume) == .settled(active: 2))
    await bench.stop()
  }

  @Test(
    "secrets in another client's application at Okta are not taken for the pair's own", arguments: [true, false])
  func oktaAnother(_ isContainment: Bool) async throws {
    let server = try VendorServer.okta()
    defer { server.server.stop() }
    let tenancy = try await server.tenancy()
    server.change { state in
      state.showsSecret = false
      state.ofAnother = state.secrets
      state.appClientID = "theirs"
      state.secrets = [.init(id: "0000000b-1", text: "theirs")]
    }
    let bench = try await ProviderBench(tenancy)
    let revocation = Revocation(incident: "2026-01-01-0f0f0f", reason: "a test", isContainment: isContainment)
    let found = try #require(await rotationFailure { _ = try await bench.run(.revoke(revocation)) })
    #expect(found.code == .provider(.configuration), "\(found.text)")
    #expect(server.secrets.map(\.text) == ["theirs"] && server.secrets.allSatisfy(\.isActive))
    await bench.stop()
  }

  @Test("Entra keeps the contract of all providers") func entra() async throws {
    let server = try VendorServer.entra()
    defer { server.server.stop() }
    try await ProviderContract(house: server).check()
  }

  @Test("a pair stays owed while one of two servers at an address still accepts it") func halfLate()
    async throws
  {
    let server = try VendorServer.entra(keepsConnections: true)
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    server.change { $0.isOneNodeLate = true }
    #expect(try await bench.run() == .stillAccepted(active: 2, previous: [1]))
    #expect(server.secrets.count == 1)
    server.change { $0.isOneNodeLate = false }
    #expect(try await bench.run(.resume) == .settled(active: 2))
    // Requests that end nothing use an open connection: new ones are made for three grants that verify, and for each
    // refusal.
    #expect(Set(server.server.requests.map(\.connection)).count <= 8)
    await bench.stop()
  }

  @Test(
    "a pair stays owed if it is refused only on connections that refuse everybody, whichever those are",
    arguments: [1, 2])
  func refusesEverybody(_ healthyOf: Int) async throws {
    let server = try VendorServer.entra(keepsConnections: true)
    defer { server.server.stop() }
    let tenancy = try await server.tenancy()
    let bench = try await ProviderBench(tenancy)
    server.change { state in
      state.keepsDeleted = true
      // Only the first connection works as before; or every second one does not.
      state.isOut = { $0 > 1 && $0.isMultiple(of: healthyOf) }
    }
    for goal in [RotationRunner.Goal.rotate, .resume, .resume, .resume] {
      let ended = try? await bench.run(goal)
      #expect(ended != .settled(active: 2))
      #expect(try await bench.credential().debts.map(\.number) == [1])
      #expect(try await server.accepts(tenancy.pair))
    }
    server.change { state in
      state.keepsDeleted = false
      state.isOut = { _ in false }
    }
    #expect(try await bench.run(.resume) == .settled(active: 2))
    #expect(try await !server.accepts(tenancy.pair))
    await bench.stop()
  }

  @Test("Entra's other passwords neither block a rotation nor are touched; no guess is made if two begin alike")
  func entraOthers() async throws {
    let server = try VendorServer.entra()
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    server.change { $0.secrets.append(.init(id: "0000000b-1", text: "zzz-another-team's", name: "theirs")) }
    #expect(try await bench.run() == .settled(active: 2))
    #expect(server.secrets.contains { $0.name == "theirs" } && server.secrets.count == 2)
    await bench.stop()

    let doubtful = try await ProviderBench(server.tenancy())
    let hint = String(try #require(server.secrets.first).text.prefix(3))
    server.change { $0.secrets.append(.init(id: "0000000c-1", text: hint + "other", name: nil)) }
    let found = try #require(await rotationFailure { _ = try await doubtful.run() })
    #expect(found.code == .provider(.configuration), "\(found.text)")
    #expect(server.secrets.count == 2)
    await doubtful.stop()
  }

  @Test("a new Entra password with a malformed identifier is refused and not saved") func entraIdentifier()
    async throws
  {
    let server = try VendorServer.entra()
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    server.change { $0.identifier = "{x}" }
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.malformed), "\(found.text)")
    #expect(try await bench.saved().count == 1)
    await bench.stop()
  }

  @Test(
    "a pair that ends when its successor is made cannot administer itself",
    arguments: ["auth0", "keycloak"])
  func itself(_ kind: String) async throws {
    let server = kind == "auth0" ? try VendorServer.auth0() : try VendorServer.keycloak(policy: false)
    defer { server.server.stop() }
    let tenancy = try await server.tenancy()
    let bench = try await ProviderBench(Tenancy(provider: kind, settings: tenancy.settings, pair: tenancy.pair))
    let found = await failure { _ = try await bench.provider() }
    #expect(found?.code == .configuration && found?.description.contains("administers itself") == true)
    #expect(server.server.requests.isEmpty)
    await bench.stop()
  }

  @Test("an application that is not the pair's own is not rotated", arguments: ["auth0", "entra", "okta"])
  func another(_ kind: String) async throws {
    let server =
      switch kind {
      case "auth0": try VendorServer.auth0()
      case "entra": try VendorServer.entra()
      default: try VendorServer.okta()
      }
    defer { server.server.stop() }
    let tenancy = try await server.tenancy()
    let other = Tenancy(
      provider: kind, settings: tenancy.settings, pair: try pair("another", secretText(tenancy.pair.clientSecret)),
      admin: tenancy.admin)
    let bench = try await ProviderBench(other)
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(
      found.code == .provider(.configuration) && found.text.contains("this pair does not belong to"), "\(found.text)")
    #expect(server.secrets.count == 1)
    await bench.stop()
  }
}
