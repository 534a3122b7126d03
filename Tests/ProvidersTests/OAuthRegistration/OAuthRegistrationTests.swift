import Foundation
import Loopback
import OAuth
import Providers
import Rotation
import Sodium
import Synchronization
import Testing
import Transport
import Vault

@Suite("Clients registered by RFC 7591 and managed by RFC 7592", .serialized)
struct OAuthRegistrationTests {
  @Test("an administrator must be at the same server as the credential", arguments: ["registration-url", "token-url"])
  func stranger(key: String) {
    let settings = ["token-url": "https://a.example/token", "registration-url": "https://a.example/register"]
    func provider(_ admin: [String: String], isSelf: Bool = false) throws {
      let access = AdminAccess(name: "registrar", settings: admin, isSelf: isSelf) {
        throw ProviderError(.configuration, "nobody needs it")
      }
      _ = try OAuthRegistrationProvider(
        settings: settings, admin: access, transport: RoutedTransport(always: RoutedTransport.token))
    }
    #expect(throws: Never.self) { try provider([key: "https://a.example/x"]) }
    #expect(throws: Never.self) { try provider([:], isSelf: true) }
    for url in ["https://b.example/x", "http://127.0.0.1:1/x"] {
      #expect { try provider([key: url]) } throws: { ($0 as? ProviderError)?.code == .configuration }
    }
  }

  @Test("keep the contract of all providers", arguments: ["overlap", "cut-over"])
  func contract(_ mode: String) async throws {
    let server = try RegistrationServer(mode: mode)
    defer { server.server.stop() }
    try await ProviderContract(house: server).check()
  }

  @Test("rotate and survive losses if registering needs an administrator's token") func registrar() async throws {
    var ways = RegistrationServer.Ways()
    ways.registrar = "registrar"
    let server = try RegistrationServer(mode: "overlap", ways)
    defer { server.server.stop() }
    let contract = ProviderContract(house: server)
    try await contract.rotates()
    try await contract.survivesLosses(onlyChanges: true)
  }

  @Test(
    "a wrong secret counts as refused, however the server says so",
    arguments: [
      (400, #"{"error":"invalid_client"}"#), (401, ""), (403, ""), (404, ""),
      (401, #"{"error":"unauthorized_client"}"#),
      (401, #"{"error":"access_denied","error_description":"Unauthorized"}"#), (403, "<html>"),
      (400, #"{"error":"invalid_grant"}"#),
    ])
  func refusals(_ status: Int, _ body: String) async throws {
    var ways = RegistrationServer.Ways()
    ways.refusal = (status, body)
    let server = try RegistrationServer(mode: "overlap", ways)
    defer { server.server.stop() }
    let contract = ProviderContract(house: server)
    try await contract.refusesWrongSecrets()
    try await contract.rotates()
  }

  @Test(
    "any other error of a token endpoint is not taken for a refusal",
    arguments: [
      (429, "", ProviderError.Code.limited), (503, "", .unreachable), (400, "", .configuration),
      (400, #"{"error":"invalid_scope"}"#, .configuration), (400, #"{"error":"unauthorized_client"}"#, .configuration),
      (400, #"{"error":"unsupported_grant_type"}"#, .configuration), (301, "", .malformed),
      (400, #"{"error":"temporarily_unavailable"}"#, .unreachable),
      (400, #"{"error":"invalid_dpop_proof"}"#, .configuration), (401, #"{"error":"use_dpop_nonce"}"#, .configuration),
    ])
  func trouble(_ status: Int, _ body: String, _ code: ProviderError.Code) async throws {
    var ways = RegistrationServer.Ways()
    ways.refusal = (status, body)
    let server = try RegistrationServer(mode: "overlap", ways)
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    let provider = try await bench.provider()
    let wrong = try pair("client/1", "another")
    let found = await failure { _ = try await provider.grant(wrong) }
    #expect(found?.code == code, "\(String(describing: found))")
    #expect(body.contains("dpop") == (found?.description.contains("DPoP") == true), "\(String(describing: found))")
    await bench.stop()
  }

  // MARK: - What could never be recovered

  @Test(
    "a server whose lost answer could never be recovered is refused before anything is changed",
    arguments: [
      ("cut-over", false, false, "does not show a client's secret"),
      ("cut-over", true, true, "another registration_access_token"),
      ("overlap", true, true, "another registration_access_token"),
    ])
  func unrecoverable(_ mode: String, _ showsSecret: Bool, _ changesToken: Bool, _ words: String) async throws {
    var ways = RegistrationServer.Ways()
    ways.showsSecret = showsSecret
    ways.changesToken = changesToken
    let server = try RegistrationServer(mode: mode, ways)
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    let old = try await bench.active()
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.configuration), "\(found.text)")
    #expect(found.text.contains(words), "\(found.text)")
    #expect(server.server.requests.allSatisfy { $0.method == "GET" || $0.path == "/token" })
    #expect(try await server.accepts(old))
    #expect(server.count == 1)
    #expect(try await bench.state() == .ready)
    await bench.stop()
  }

  @Test("a look that may have ended the vault's token says so, and how to go on", arguments: ["overlap", "cut-over"])
  func tokenEnded(_ mode: String) async throws {
    var ways = RegistrationServer.Ways()
    ways.changesToken = true
    let server = try RegistrationServer(mode: mode, ways)
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    let active = try await bench.active()
    for (code, words) in [
      (RotationError.Code.provider(.configuration), "may have ended"), (.provider(.notPermitted), "registration"),
    ] {
      do {
        _ = try await bench.run()
        Issue.record("rotated")
      } catch let error as RotationError {
        #expect(error.code == code && "\(error)".contains(words), "\(error)")
        #expect(error.hint?.contains("under another name") == true, "\(String(describing: error.hint))")
      }
    }
    #expect(!server.isManaged(by: active))
    #expect(try await server.accepts(active))
    await bench.stop()
  }

  @Test("with overlap a server that gives out another token at a look and keeps the vault's is rotated with that one")
  func tokenKept() async throws {
    var ways = RegistrationServer.Ways()
    ways.signsAnew = true
    let server = try RegistrationServer(mode: "overlap", ways)
    defer { server.server.stop() }
    let tenancy = try await server.tenancy()
    let bench = try await ProviderBench(tenancy)
    // The second look is the one that tries the vault's token: trouble says nothing about that.
    server.server.lose(2, .trouble)
    for number: UInt64 in 2...3 { #expect(try await bench.run() == .settled(active: number)) }
    #expect(server.count == 1)
    let active = try await bench.active()
    #expect(server.isManaged(by: active))
    #expect(try await server.accepts(active))
    #expect(try await !server.accepts(tenancy.pair))
    await bench.stop()

    // With cut-over the lost answer would be that to the PUT.
    let one = try RegistrationServer(mode: "cut-over", ways)
    defer { one.server.stop() }
    let refused = try await ProviderBench(one.tenancy())
    let found = try #require(await rotationFailure { _ = try await refused.run() })
    #expect(found.text.contains("another registration_access_token"), "\(found.text)")
    #expect(one.server.requests.allSatisfy { $0.method == "GET" || $0.path == "/token" })
    await refused.stop()
  }

  @Test("cut-over is refused before any change unless the settings say that the server keeps a client's token")
  func unvouched() async throws {
    let urls = ["token-url": "https://a.example/t", "registration-url": "https://a.example/r"]
    #expect(throws: Never.self) { try OAuthRegistrationProvider.check(urls) }
    let cutOver = urls.merging(["mode": "cut-over"]) { $1 }
    #expect { try OAuthRegistrationProvider.check(cutOver) } throws: {
      "\($0)".contains("another registration_access_token")
    }
    #expect(throws: Never.self) { try OAuthRegistrationProvider.check(cutOver.merging(["keeps-token": "yes"]) { $1 }) }
    // A credential that was added before this was required.
    var ways = RegistrationServer.Ways()
    ways.isVouchedFor = false
    let server = try RegistrationServer(mode: "cut-over", ways)
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.configuration) && found.text.contains("another registration_access_token"))
    #expect(server.server.requests.allSatisfy { $0.method == "GET" || $0.path == "/token" })
    #expect(try await server.accepts(bench.active()))
    await bench.stop()
  }

  @Test("a server that changes the token at a PUT after all is found out by the first, and gets no second one")
  func changedAtPut() async throws {
    var ways = RegistrationServer.Ways()
    ways.changesTokenAtPut = true
    let server = try RegistrationServer(mode: "cut-over", ways)
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    #expect(try await bench.run() == .settled(active: 2))
    #expect(try await server.accepts(bench.active()))
    server.server.forget()
    for _ in 1...2 {
      let found = try #require(await rotationFailure { _ = try await bench.run() })
      #expect(found.code == .provider(.configuration) && found.text.contains("on an earlier PUT"), "\(found.text)")
    }
    #expect(server.server.requests.allSatisfy { $0.method == "GET" || $0.path == "/token" })
    #expect(try await server.accepts(bench.active()))
    #expect(try await bench.state() == .ready)
    await bench.stop()
  }

  @Test("with overlap the server need not show a secret again, and may show stars instead", arguments: [false, true])
  func hidden(_ masks: Bool) async throws {
    var ways = RegistrationServer.Ways()
    (ways.showsSecret, ways.masksSecret) = (false, masks)
    let server = try RegistrationServer(mode: "overlap", ways)
    defer { server.server.stop() }
    let contract = ProviderContract(house: server)
    try await contract.rotates()
    try await contract.survivesLosses(onlyChanges: true)
  }

  @Test("a server that keeps the secret at a PUT is refused, and the pair still works") func kept() async throws {
    var ways = RegistrationServer.Ways()
    ways.changesSecret = false
    let server = try RegistrationServer(mode: "cut-over", ways)
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.configuration) && found.text.contains("does not replace"), "\(found.text)")
    #expect(try await server.accepts(bench.active()))
    await bench.stop()
  }

  @Test("a server that keeps the secret at a PUT and changes the token is refused, and the new token is saved")
  func keptWithAnotherToken() async throws {
    var ways = RegistrationServer.Ways()
    ways.changesSecret = false
    ways.changesTokenAtPut = true
    let server = try RegistrationServer(mode: "cut-over", ways)
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    for _ in 1...2 {
      do {
        _ = try await bench.run()
        Issue.record("rotated")
      } catch let error as RotationError {
        #expect(error.code == .provider(.configuration), "\(error)")
        #expect(
          "\(error)".contains("does not replace a client's secret") && !"\(error)".contains("nothing was changed"))
        #expect(error.hint?.contains("mode=overlap") == true)
      }
    }
    #expect(server.server.requests.count { $0.method == "PUT" } == 1)
    #expect(try await server.accepts(bench.active()))
    let newest = try #require(try await bench.saved().last)
    #expect(server.isManaged(by: newest.pair))
    await bench.stop()
  }

  @Test("a pair without a registration token is refused before anything is changed") func unmanaged() async throws {
    let server = try RegistrationServer(mode: "overlap")
    defer { server.server.stop() }
    let tenancy = try await server.tenancy()
    let bare = Tenancy(
      provider: tenancy.provider, settings: tenancy.settings,
      pair: try pair(secretText(tenancy.pair.clientID), secretText(tenancy.pair.clientSecret)))
    let bench = try await ProviderBench(bare)
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.configuration) && found.text.contains("registration_access_token"))
    #expect(server.count == 1)
    await bench.stop()
  }

  @Test("a new client without a secret is deleted again") func useless() async throws {
    var ways = RegistrationServer.Ways()
    (ways.givesSecret, ways.showsSecret) = (false, false)
    let server = try RegistrationServer(mode: "overlap", ways)
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.configuration) && found.text.contains("it was deleted"), "\(found.text)")
    #expect(server.count == 1)
    await bench.stop()
  }

  @Test(
    "a PUT that answers with the old secret, or with another client, is judged by what the server has afterwards",
    arguments: [true, false])
  func staleAtPut(_ isOld: Bool) async throws {
    var ways = RegistrationServer.Ways()
    (ways.showsOldAtPut, ways.showsAnotherAtPut) = (isOld, !isOld)
    let server = try RegistrationServer(mode: "cut-over", ways)
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    #expect(try await bench.run() == .settled(active: 2))
    #expect(server.server.requests.count { $0.method == "PUT" } == 1)
    #expect(try await server.accepts(bench.active()))
    await bench.stop()
  }

  @Test(
    "a server that registers no second client is reported, and the first is not taken for its own successor")
  func registersOnce() async throws {
    var ways = RegistrationServer.Ways()
    ways.registersOnce = true
    let server = try RegistrationServer(mode: "overlap", ways)
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    for goal in [RotationRunner.Goal.rotate, .revoke(Revocation(incident: "i", reason: "r"))] {
      let found = try #require(await rotationFailure { _ = try await bench.run(goal) })
      #expect(found.code == .provider(.configuration) && found.text.contains("version 1"), "\(found.text)")
    }
    #expect(server.server.requests.count { $0.method == "POST" && $0.path == "/register" } == 2)
    #expect(try await bench.credential().versions.map(\.number) == [1])
    #expect(try await server.accepts(bench.active()))
    await bench.stop()
  }

  @Test(
    "a new client that cannot be saved or managed is deleted if possible, and the error says what is wrong",
    arguments: [(String(repeating: "x", count: 5000), "it was deleted", 1), ("é", "it stays there unused", 2)])
  func unfit(_ end: String, _ became: String, _ left: Int) async throws {
    let server = try RegistrationServer(mode: "overlap")
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    server.setWays { $0.tokenEnd = end }
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(
      found.code == .provider(.configuration) && found.text.contains("registration_access_token")
        && found.text.contains(became), "\(found.text)")
    #expect(server.count == left)
    #expect(server.server.requests.count { $0.method == "POST" && $0.path == "/register" } == 1)
    #expect(try await server.accepts(bench.active()))
    await bench.stop()
  }

  @Test("a registration token that no header can contain is reported as such") func unsendable() async throws {
    var ways = RegistrationServer.Ways()
    ways.tokenEnd = "é"
    let server = try RegistrationServer(mode: "overlap", ways)
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    do {
      _ = try await bench.run()
      Issue.record("rotated")
    } catch let error as RotationError {
      #expect(error.code == .provider(.configuration) && error.hint?.contains("no header can have") == true, "\(error)")
    }
    await bench.stop()
  }

  @Test("a server that changes the secret whenever a client is read is refused before another is registered")
  func secretAtGet() async throws {
    let server = try RegistrationServer(mode: "overlap")
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    server.setWays { $0.changesSecretAtGet = (true, true) }
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.configuration) && found.text.contains("another secret"), "\(found.text)")
    #expect(server.count == 1)
    await bench.stop()
  }

  @Test("a new client whose secret has changed before it is checked is not promoted, and can be given up")
  func secretChanged() async throws {
    let server = try RegistrationServer(mode: "overlap")
    defer { server.server.stop() }
    let tenancy = try await server.tenancy()
    let bench = try await ProviderBench(tenancy)
    server.setWays { $0.changesSecretAtGet = (true, false) }
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.configuration) && found.text.contains("another secret"), "\(found.text)")
    #expect(try await bench.credential().version(in: .active)?.number == 1)
    #expect(try await server.accepts(tenancy.pair))
    #expect(try await bench.run(.abort) == .abandoned(active: 1))
    #expect(server.count == 1)
    // Containment ends what leaked, whatever is wrong with the new pair.
    let contained = Revocation(incident: "i", reason: "r", isContainment: true)
    _ = await rotationFailure { _ = try await bench.run(.revoke(contained)) }
    #expect(try await !server.accepts(tenancy.pair))
    await bench.stop()
  }

  @Test("a secret that somebody has changed by hand is replaced by the next rotation") func changedByHand() async throws
  {
    let server = try RegistrationServer(mode: "overlap")
    defer { server.server.stop() }
    let tenancy = try await server.tenancy()
    let bench = try await ProviderBench(tenancy)
    server.changeSecret(of: tenancy.pair)
    #expect(try await bench.run() == .settled(active: 2))
    #expect(try await server.accepts(bench.active()))
    #expect(server.count == 1)
    await bench.stop()
  }

  // MARK: - Clients that may no longer be managed

  @Test(
    "a client that can no longer be managed and is still accepted is not taken for deleted", arguments: [401, 403])
  func unmanageable(_ status: Int) async throws {
    let server = try RegistrationServer(mode: "overlap")
    defer { server.server.stop() }
    let tenancy = try await server.tenancy()
    let bench = try await ProviderBench(tenancy, policy: ["grace": "1h"])
    guard case .promoted(active: 2, previous: [1], _) = try await bench.run() else {
      Issue.record("not promoted")
      return
    }
    server.forbid(tenancy.pair, status)
    for _ in 1...2 {
      do {
        _ = try await bench.run(.retire)
        Issue.record("retired")
      } catch let error as RotationError {
        #expect(error.code == .provider(.notPermitted) && error.hint?.contains("by hand") == true, "\(error)")
      }
      #expect(try await bench.state() == .owed)
      #expect(try await bench.credential().debts.map(\.number) == [1])
      #expect(try await server.accepts(tenancy.pair))
    }
    server.remove(tenancy.pair)
    #expect(try await bench.run(.retire) == .settled(active: 2))
    await bench.stop()
  }

  @Test("a page that forbids everything is not taken to mean that a client is gone") func page() async throws {
    var ways = RegistrationServer.Ways()
    ways.refusal = (403, "<html>")
    let server = try RegistrationServer(mode: "overlap", ways)
    defer { server.server.stop() }
    let tenancy = try await server.tenancy()
    let bench = try await ProviderBench(tenancy, policy: ["grace": "1h"])
    _ = try await bench.run()
    server.forbid(tenancy.pair, 403)
    server.changeSecret(of: tenancy.pair)
    let found = try #require(await rotationFailure { _ = try await bench.run(.retire) })
    #expect(found.code == .provider(.notPermitted), "\(found.text)")
    #expect(try await bench.state() == .owed)
    await bench.stop()
  }

  @Test("an ended registration token does not keep the new pair from being promoted") func endedToken() async throws {
    let server = try RegistrationServer(mode: "overlap")
    defer { server.server.stop() }
    let tenancy = try await server.tenancy()
    let bench = try await ProviderBench(tenancy)
    // The registration, the registration again, the POST, and then the token endpoint is down.
    for number in 4...100 { server.server.lose(number, .trouble) }
    _ = await rotationFailure { _ = try await bench.run() }
    #expect(try await bench.state() == .staged)
    server.server.forget()
    server.forbid(tenancy.pair, 401)
    let found = try #require(await rotationFailure { _ = try await bench.run(.resume) })
    #expect(found.code == .outstanding && found.text.contains("managed any more"), "\(found.text)")
    #expect(try await bench.credential().version(in: .active)?.number == 2)
    #expect(try await bench.credential().debts.map(\.number) == [1])
    server.remove(tenancy.pair)
    #expect(try await bench.run(.resume) == .settled(active: 2))
    await bench.stop()
  }

  @Test("a run waits while the token endpoint still accepts what was deleted") func lingering() async throws {
    var ways = RegistrationServer.Ways()
    ways.lingers = 3
    let server = try RegistrationServer(mode: "overlap", ways)
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy(), policy: ["propagation": "1m"])
    #expect(try await bench.run() == .settled(active: 2))
    #expect(server.server.requests.count { $0.method == "DELETE" } == 1)
    await bench.stop()
  }

  @Test("a pair that is given for the one in use, without the token that manages it, is refused with the three members")
  func givenWithoutToken() async throws {
    let server = try RegistrationServer(mode: "overlap")
    defer { server.server.stop() }
    let (tenancy, other) = (try await server.tenancy(), try await server.tenancy().pair)
    let bench = try await ProviderBench(tenancy)
    let bare = Pair(clientID: try other.clientID.clone(), clientSecret: try other.clientSecret.clone())
    for isGone in [false, true] {
      if isGone { server.remove(tenancy.pair) }
      let found = try #require(await rotationFailure { _ = try await bench.run(.adopt(OfferedPair(bare))) })
      #expect(found.code == .provider(.configuration), "\(found.text)")
      #expect(found.text.contains("the pair given has no registration_access_token"), "\(found.text)")
    }
    #expect(try await bench.run(.adopt(OfferedPair(other))) == .settled(active: 2))
    await bench.stop()
  }

  // MARK: - Cut-over

  @Test("with cut-over a new pair cannot be given up once it is made, and a later run proves it")
  func forwards() async throws {
    let server = try RegistrationServer(mode: "cut-over")
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    // Registration, a token for the old pair, the registration again, the PUT, and then the token endpoint is down.
    for number in 5...100 { server.server.lose(number, .trouble) }
    _ = await rotationFailure { _ = try await bench.run() }
    #expect(try await bench.state() == .staged)
    server.server.forget()
    let given = try #require(await rotationFailure { _ = try await bench.run(.abort) })
    #expect(given.code == .promotedAlready, "\(given.text)")
    #expect(try await bench.run(.resume) == .settled(active: 2))
    #expect(try await server.accepts(bench.active()))
    await bench.stop()
  }

  @Test("with cut-over a secret that someone else made is not taken for ours, and can be adopted")
  func elsewhere() async throws {
    let server = try RegistrationServer(mode: "cut-over")
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    server.changeSecrets()
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .foreignPrimary, "\(found.text)")
    #expect(try await bench.run(.adopt(nil)) == .settled(active: 2))
    #expect(try await server.accepts(bench.active()))
    await bench.stop()
  }

  @Test("with cut-over a secret made elsewhere during a run can be adopted afterwards") func overtaken() async throws {
    let server = try RegistrationServer(mode: "cut-over")
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    for number in 5...100 { server.server.lose(number, .trouble) }
    _ = await rotationFailure { _ = try await bench.run() }
    server.server.forget()
    server.changeSecrets()
    // The new pair is refused: each run tries it again, and none gives it up.
    let refused = try #require(await rotationFailure { _ = try await bench.run(.resume) })
    #expect(refused.code == .provider(.refused), "\(refused.text)")
    #expect(try await bench.state() == .staged)
    #expect(try await bench.run(.abort) == .abandoned(active: 1))
    #expect(try await bench.run(.adopt(nil)) == .settled(active: 3))
    #expect(try await server.accepts(bench.active()))
    await bench.stop()
  }

  @Test(
    "an old secret of the active client is not taken for a client of its own, and retiring it deletes nothing",
    arguments: [true, false])
  func oneClientOfTwoVersions(_ showsSecret: Bool) async throws {
    let server = try RegistrationServer(mode: "cut-over")
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy(), policy: ["grace": "1h"])
    guard case .promoted(active: 2, previous: [1], _) = try await bench.run() else {
      Issue.record("not promoted")
      return
    }
    server.setShowsSecret(showsSecret)
    _ = try await bench.vault.setTerms(of: "crm", now: bench.now.withLock { $0 }) {
      $0.settings["mode"] = "overlap"
      $0.settings["keeps-token"] = nil
    }
    #expect(try await bench.run(.retire) == .settled(active: 2))
    #expect(server.server.requests.count { $0.method == "DELETE" } == 0)
    #expect(try await server.accepts(bench.active()))
    // The next rotation uses overlap, as set: it makes a separate client.
    guard case .promoted(active: 3, previous: [2], _) = try await bench.run() else {
      Issue.record("not promoted")
      return
    }
    #expect(server.count == 2)
    await bench.stop()
  }

  @Test("the active client is not deleted, whatever handle is given") func activeClient() async throws {
    let server = try RegistrationServer(mode: "overlap")
    defer { server.server.stop() }
    let bench = try await ProviderBench(server.tenancy())
    let provider = try await bench.provider()
    let active = try await bench.active()
    func seen(_ place: ObservedPair.Place, _ handle: String) throws -> ObservedPair {
      ObservedPair(
        place: place, handle: handle, clientID: try SharedSecret(active.clientID.clone()),
        clientSecret: try SharedSecret(active.clientSecret.clone()), expires: nil,
        registrationToken: active.registrationToken)
    }
    let observation = Observation(
      consumer: "one", primary: try seen(.primary, ""), others: [try seen(.replaced, "1"), try seen(.staged, "2")])
    for handle in ["1", "2"] {
      let found = await failure { try await provider.delete(handle: handle, observation) }
      #expect(found?.code == .configuration, "\(String(describing: found))")
    }
    #expect(try await server.accepts(active))
    await bench.stop()
  }

  @Test(
    "a missing or invalid setting is refused and named",
    arguments: [
      ([:], "token-url"), (["token-url": "http://example.com/token"], "token-url"),
      (["token-url": "https://a.example/t", "mode": "sometimes"], "mode"),
      (["token-url": "https://a.example/t", "authentication": "none"], "authentication"),
      (
        [
          "token-url": "https://a.example/t", "registration-url": "https://a.example/r",
          "client-url": "https://a.example/x",
        ], "client-url"
      ),
      (
        [
          "token-url": "https://a.example/t", "registration-url": "https://a.example/r",
          "client-url": "https://b.example/{client_id}",
        ], "client-url"
      ),
    ] as [([String: String], String)])
  func settings(_ settings: [String: String], _ word: String) {
    let found = #expect(throws: ProviderError.self) { try OAuthRegistrationProvider.check(settings) }
    #expect(found?.code == .configuration && found?.description.contains(word) == true)
  }
}
