import Foundation
import Rotation
import Testing

@Suite("OpenBao AppRole, simulated from its documentation", .serialized)
struct AppRoleAnswerTests {
  private let revocation = RotationRunner.Goal.revoke(Revocation(incident: "i", reason: "r"))
  private let containment = RotationRunner.Goal.revoke(
    Revocation(incident: "i", reason: "r", isContainment: true))

  @Test("keeps the contract of all providers") func contract() async throws {
    let house = try AppRoleServer()
    defer { house.server.stop() }
    try await ProviderContract(house: house).check()
  }

  @Test("a list too long to be answered stops no rotation or revocation; after a lost answer nothing more is made")
  func endless() async throws {
    let house = try AppRoleServer()
    defer { house.server.stop() }
    let bench = try await ProviderBench(house.tenancy())
    house.change { $0.crowd = 27_000 }
    var active: UInt64 = 1
    for goal in [revocation, containment, RotationRunner.Goal.rotate] {
      house.server.forget()
      let old = try await bench.active()
      active += 1
      #expect(try await bench.run(goal) == .settled(active: active))
      #expect(try await !house.accepts(old))
    }
    // The secret-id of a lost answer may be among them: nothing else is made before that is known.
    let before = house.count
    let isMaking = { (request: LoopbackServer.Request) in
      request.method == "POST" && request.path.hasSuffix("/secret-id")
    }
    let made = try #require(house.server.requests.firstIndex(where: isMaking)) + 1
    house.server.forget()
    for number in made...made + 60 { house.server.lose(number, number == made ? .after : .before) }
    _ = await rotationFailure { _ = try await bench.run() }
    house.server.forget()
    #expect(try await bench.state() == .staging)
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.configuration) && found.text.contains("too many"), "\(found.text)")
    #expect(house.count - before == 1)
    await bench.stop()
  }

  @Test("after a lost answer, a list that is too long stops the run before it asks for another secret-id")
  func endlessStaging() async throws {
    let house = try AppRoleServer()
    defer { house.server.stop() }
    let bench = try await ProviderBench(house.tenancy())
    house.change { $0.crowd = 27_000 }
    let provider = try await bench.provider()
    _ = try await provider.observe(known: bench.known())
    let found = await failure { _ = try await provider.observe(known: bench.known(isStaging: true)) }
    #expect(found?.code == .configuration && found?.description.contains("too many") == true)
    await bench.stop()
  }

  @Test("a revocation looks up no other secret-id if there are too many") func unasked() async throws {
    let house = try AppRoleServer()
    defer { house.server.stop() }
    let bench = try await ProviderBench(house.tenancy())
    house.change { $0.crowd = 201 }
    #expect(try await bench.run(revocation) == .settled(active: 2))
    #expect(!house.server.requests.contains { $0.path.hasSuffix("secret-id-accessor/lookup") })
    await bench.stop()
  }

  @Test(
    "a listed secret-id that is gone is ignored; one that may not be looked up stops a rotation, but no revocation"
  )
  func strange() async throws {
    let house = try AppRoleServer()
    defer { house.server.stop() }
    let bench = try await ProviderBench(house.tenancy())
    house.change { $0.strange = ["gone": .empty(204)] }
    #expect(try await bench.run() == .settled(active: 2))
    house.change { $0.strange = ["theirs": .json(403, ["errors": ["permission denied"]])] }
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.notPermitted), "\(found.text)")
    let leaked = try await bench.active()
    #expect(try await bench.run(revocation) == .settled(active: 3))
    #expect(try await !house.accepts(leaked))
    await bench.stop()
  }

  @Test("a truncated answer is not taken to mean that there is no such secret-id") func cut() async throws {
    let house = try AppRoleServer()
    defer { house.server.stop() }
    let bench = try await ProviderBench(house.tenancy())
    house.change { $0.lookup = LoopbackServer.Answer(status: 200) }
    let found = try #require(await rotationFailure { _ = try await bench.run() })
    #expect(found.code == .provider(.malformed), "\(found.text)")
    house.change { $0.lookup = nil }
    #expect(try await bench.run() == .settled(active: 2))
    await bench.stop()
  }
}
