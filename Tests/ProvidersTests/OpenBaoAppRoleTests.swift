import Foundation
import Loopback
import Providers
import Rotation
import Testing
import Vault

private struct OpenBaoHouse: ProviderHouse {
  let server: LoopbackServer
  let real: OpenBaoServer
  let role: String

  func tenancy() async throws -> Tenancy {
    let own = try await real.pair(of: role)
    let admin = try await real.pair(of: "rotator")
    return Tenancy(
      provider: "openbao-approle", settings: ["url": server.url, "role": role], pair: try pair(own.id, own.secret),
      admin: .init(settings: ["url": server.url], pair: try pair(admin.id, admin.secret)))
  }

  func accepts(_ pair: Pair) async throws -> Bool {
    let body = ["role_id": secretText(pair.clientID), "secret_id": secretText(pair.clientSecret)]
    let answer = try await LoopbackClient(real.url).send(
      "POST", "/v1/auth/approle/login", body: JSONSerialization.data(withJSONObject: body))
    return answer.status == 200
  }
}

@Suite("OpenBao AppRole, at a real server", .serialized)
struct OpenBaoAppRoleTests {
  @Test(
    "rotates, survives lost changes, and leaves no secret-id behind that nobody has",
    .enabled(if: OpenBaoServer.isInstalled, "OpenBao is not installed: .ci/install --test"))
  func contract() async throws {
    let real = try await OpenBaoServer()
    let server = try LoopbackServer(before: real.url)
    defer { server.stop() }
    let contract = ProviderContract(house: OpenBaoHouse(server: server, real: real, role: "crm"))
    try await contract.rotates()
    try await contract.refusesWrongSecrets()
    try await contract.survivesLosses(onlyChanges: true)

    // Somebody else's secret-ids of the same role neither block it nor are touched.
    let house = OpenBaoHouse(server: server, real: real, role: "shared")
    let theirs = try await real.pair(of: "shared")
    try await ProviderContract(house: house).rotates()
    #expect(try await house.accepts(pair(theirs.id, theirs.secret)))

    // The secret-id of a lost answer is destroyed: only theirs and ours are left.
    let lossy = OpenBaoHouse(server: server, real: real, role: "lossy")
    let bench = try await ProviderBench(lossy.tenancy())
    server.forget()
    for number in 1...30 where number > 4 { server.lose(number, .after) }
    _ = await rotationFailure { _ = try await bench.run() }
    server.forget()
    _ = await rotationFailure { _ = try await bench.run() }
    #expect(try await bench.state() == .settled)
    #expect(try await real.count(of: "lossy") == 1)
    await bench.stop()
  }

  @Test(
    "an administrator without the permission is reported as such, and nothing is changed",
    .enabled(if: OpenBaoServer.isInstalled, "OpenBao is not installed: .ci/install --test"))
  func notPermitted() async throws {
    let real = try await OpenBaoServer()
    let own = try await real.pair(of: "crm")
    let bench = try await ProviderBench(
      Tenancy(
        provider: "openbao-approle", settings: ["url": real.url, "role": "crm"], pair: try pair(own.id, own.secret)))
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.notPermitted), "\(found.text)")
    #expect(try await real.count(of: "crm") == 1)
    await bench.stop()
  }

  @Test(
    "too many secret-ids of others stop no rotation, only the search for one whose answer was lost",
    .enabled(if: OpenBaoServer.isInstalled, "OpenBao is not installed: .ci/install --test"))
  func crowded() async throws {
    let real = try await OpenBaoServer()
    let server = try LoopbackServer(before: real.url)
    defer { server.stop() }
    let house = OpenBaoHouse(server: server, real: real, role: "crowded")
    let tenancy = try await house.tenancy()
    let bench = try await ProviderBench(tenancy)
    let ours = try await real.accessors(of: "crowded")
    for _ in 1...201 { _ = try await real.pair(of: "crowded") }
    let theirs = try await real.accessors(of: "crowded").subtracting(ours)
    server.forget()
    #expect(try await bench.run() == .settled(active: 2))
    #expect(try await !house.accepts(tenancy.pair))
    #expect(try await real.accessors(of: "crowded").isSuperset(of: theirs))

    let made = try #require(server.requests.firstIndex { $0.method == "POST" && $0.path.hasSuffix("/secret-id") }) + 1
    server.forget()
    for number in made...made + 600 { server.lose(number, number == made ? .after : .before) }
    _ = await rotationFailure { _ = try await bench.run() }
    server.forget()
    #expect(try await bench.state() == .staging)
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.configuration) && found.text.contains("too many"), "\(found.text)")
    // What leaked is ended nevertheless.
    let leaked = try await bench.active()
    #expect(try await bench.run(.revoke(Revocation(incident: "i", reason: "r"))) == .settled(active: 3))
    #expect(try await !house.accepts(leaked))
    for accessor in theirs {
      _ = try await real.call(
        "POST", "/v1/auth/approle/role/crowded/secret-id-accessor/destroy", ["secret_id_accessor": accessor])
    }
    #expect(try await bench.run() == .settled(active: 4))
    #expect(try await real.count(of: "crowded") == 1)
    await bench.stop()
  }

  @Test(
    "rotating a secret-id with limited uses fails without using it up, and an unlimited one can be adopted",
    .enabled(if: OpenBaoServer.isInstalled, "OpenBao is not installed: .ci/install --test"))
  func numbered() async throws {
    let real = try await OpenBaoServer()
    let server = try LoopbackServer(before: real.url)
    defer { server.stop() }
    let house = OpenBaoHouse(server: server, real: real, role: "numbered")
    _ = try await real.call("POST", "/v1/auth/approle/role/numbered", ["secret_id_num_uses": 3])
    let tenancy = try await house.tenancy()
    let bench = try await ProviderBench(tenancy)
    for _ in 1...4 {
      let found = try #require(await rotationFailure { _ = try await bench.run() })
      #expect(found.code == .provider(.configuration) && found.text.contains("secret_id_num_uses"), "\(found.text)")
    }
    #expect(try await house.accepts(tenancy.pair))
    #expect(try await real.count(of: "numbered") == 1)
    // The way out that the error names.
    _ = try await real.call("POST", "/v1/auth/approle/role/numbered", ["secret_id_num_uses": 0])
    let other = try await real.pair(of: "numbered")
    #expect(try await bench.run(.adopt(OfferedPair(pair(other.id, other.secret)))) == .settled(active: 2))
    #expect(try await house.accepts(bench.active()))
    #expect(try await bench.run() == .settled(active: 3))
    await bench.stop()
  }

  @Test(
    "a secret-id with limited uses is rotated or revoked once its role makes unlimited ones",
    .enabled(if: OpenBaoServer.isInstalled, "OpenBao is not installed: .ci/install --test"),
    arguments: [RotationRunner.Goal.rotate, .revoke(Revocation(incident: "i", reason: "r"))])
  func numberedBefore(_ goal: RotationRunner.Goal) async throws {
    let real = try await OpenBaoServer()
    let server = try LoopbackServer(before: real.url)
    defer { server.stop() }
    let house = OpenBaoHouse(server: server, real: real, role: "before")
    _ = try await real.call("POST", "/v1/auth/approle/role/before", ["secret_id_num_uses": 3])
    let tenancy = try await house.tenancy()
    _ = try await real.call("POST", "/v1/auth/approle/role/before", ["secret_id_num_uses": 0])
    let bench = try await ProviderBench(tenancy)
    #expect(try await bench.run(goal) == .settled(active: 2))
    #expect(try await !house.accepts(tenancy.pair))
    #expect(try await house.accepts(bench.active()))
    await bench.stop()
  }

  @Test(
    "an owed secret-id is destroyed even if the active one has limited uses",
    .enabled(if: OpenBaoServer.isInstalled, "OpenBao is not installed: .ci/install --test"))
  func numberedActive() async throws {
    let real = try await OpenBaoServer()
    let server = try LoopbackServer(before: real.url)
    defer { server.stop() }
    let house = OpenBaoHouse(server: server, real: real, role: "owed")
    let tenancy = try await house.tenancy()
    let bench = try await ProviderBench(tenancy, policy: ["grace": "1h"])
    _ = try await real.call("POST", "/v1/auth/approle/role/owed", ["secret_id_num_uses": 30])
    let other = try await real.pair(of: "owed")
    guard
      case .promoted(active: 2, previous: [1], _) = try await bench.run(
        .adopt(OfferedPair(pair(other.id, other.secret))))
    else {
      Issue.record("not adopted")
      return
    }
    #expect(try await bench.run(.retire) == .settled(active: 2))
    #expect(try await !house.accepts(tenancy.pair))
    #expect(try await house.accepts(bench.active()))
    // That a role makes secret-ids with many uses left is no reason not to end one that leaked.
    let leaked = try await bench.active()
    #expect(
      try await bench.run(.revoke(Revocation(incident: "i", reason: "r"))) == .settled(active: 3))
    #expect(try await !house.accepts(leaked))
    #expect(try await house.accepts(bench.active()))
    await bench.stop()
  }

  @Test(
    "containment ends what leaked even if its successor has limited uses; an ordinary revocation does not",
    .enabled(if: OpenBaoServer.isInstalled, "OpenBao is not installed: .ci/install --test"))
  func numberedContained() async throws {
    let real = try await OpenBaoServer()
    let server = try LoopbackServer(before: real.url)
    defer { server.stop() }
    let house = OpenBaoHouse(server: server, real: real, role: "contained")
    let tenancy = try await house.tenancy()
    _ = try await real.call("POST", "/v1/auth/approle/role/contained", ["secret_id_num_uses": 5])
    let bench = try await ProviderBench(tenancy)
    let revocation = Revocation(incident: "i", reason: "r")
    let found = try #require(await rotationFailure { _ = try await bench.run(.revoke(revocation)) })
    #expect(found.code == .provider(.configuration) && found.text.contains("secret_id_num_uses"), "\(found.text)")
    #expect(try await house.accepts(tenancy.pair))
    let contained = Revocation(incident: "i", reason: "r", isContainment: true)
    #expect(try await bench.run(.revoke(contained)) == .settled(active: 2))
    #expect(try await !house.accepts(tenancy.pair))
    await bench.stop()
  }

  @Test(
    "a new secret-id with limited uses is destroyed, and the old one stays in use",
    .enabled(if: OpenBaoServer.isInstalled, "OpenBao is not installed: .ci/install --test"))
  func newlyNumbered() async throws {
    let real = try await OpenBaoServer()
    let server = try LoopbackServer(before: real.url)
    defer { server.stop() }
    let house = OpenBaoHouse(server: server, real: real, role: "later")
    let tenancy = try await house.tenancy()
    _ = try await real.call("POST", "/v1/auth/approle/role/later", ["secret_id_num_uses": 3])
    let bench = try await ProviderBench(tenancy)
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.configuration) && found.text.contains("secret_id_num_uses"), "\(found.text)")
    #expect(try await house.accepts(tenancy.pair))
    #expect(try await real.count(of: "later") == 1)
    await bench.stop()
  }
}
