import Age
import Audit
import Rotation
import Storage
import Synchronization
import Testing
import Vault

@Suite("Beside the pairs of another credential of the vault")
struct NeighbourTests {
  /// `crm2`, which has the pair `id-9` at the same provider.
  private func bench(
    policy: [String: String] = ["grace": "0s"], provider: String = "fake", settings: [String: String] = [:]
  ) async throws -> Bench {
    let bench = try await Bench(policy: policy)
    _ = try await bench.vault.add(
      name: "crm2", provider: provider, settings: settings, policy: Policy(), admin: "crm2",
      pair: FakeProvider.pair("id-9"), now: bench.now.withLock { $0 })
    return bench
  }

  private func system() -> FakeSystem {
    let system = FakeSystem(.overlap, accepting: ["id-1", "id-9"])
    system.state.withLock { $0.listed = ["id-9"] }
    return system
  }

  private let leak = RotationRunner.Goal.revoke(Revocation(incident: "2026-01-01-0f0f0f", reason: "a test"))

  private func failure(_ body: () async throws -> Void) async -> RotationError? {
    do {
      try await body()
      return nil
    } catch { return error as? RotationError }
  }

  @Test("a rotation stops for one, and says whose it is")
  func named() async throws {
    let (bench, system) = (try await bench(), system())
    for goal in [RotationRunner.Goal.rotate, .rotateReplacingPrevious] {
      let found = await failure { _ = try await bench.run(goal, at: system) }
      #expect(
        found?.code == .foreignStagedPair && found?.description.contains("crm2") == true, "\(String(describing: found))"
      )
      #expect(found?.hint?.contains("crm2") == true)
    }
    #expect(system.state.withLock(\.accepted) == ["id-1", "id-9"])
  }

  @Test("a leak of ours is ended beside one, which is left alone, also where what was asked for was not answered")
  func leaked() async throws {
    for isLost in [false, true] {
      let (bench, system) = (try await bench(), system())
      let lost = Counter()
      system.state.withLock { state in
        state.trouble = { call throws(ProviderError) in
          guard isLost, call == "stage", lost.next() == 1 else { return }
          throw ProviderError(.unreachable, "lost", mayHaveActed: true)
        }
      }
      #expect(try await bench.run(leak, at: system) == .settled(active: 2))
      #expect(system.state.withLock(\.accepted) == ["id-9", "id-2"])
      #expect(!system.calls.contains("delete handle-id-9"))
      #expect(try await bench.journal(1).allSatisfy { $0.details["found"] == nil && $0.details["cut_off"] == nil })
    }
  }

  @Test("what no credential of the vault has is a stranger's still, and so is what another provider's credential has")
  func strangers() async throws {
    for (provider, settings) in [("other", [:]), ("fake", ["url": "https://elsewhere.example"])] {
      let (bench, system) = (try await bench(provider: provider, settings: settings), system())
      #expect(try await bench.run(leak, at: system) == .settled(active: 2))
      #expect(system.calls.contains("delete handle-id-9"))
    }
  }

  @Test(
    "in the one slot there is, none is deleted, whoever asks for it",
    arguments: [ObservedPair.Place.staged, .replaced])
  func slot(_ place: ObservedPair.Place) async throws {
    let bench = try await bench()
    bench.provider.state.withLock { $0.slot = ("id-9", place) }
    for goal in [RotationRunner.Goal.rotate, .rotateReplacingPrevious, leak] {
      let found = await failure { _ = try await bench.run(goal) }
      #expect(
        found?.code == .foreignStagedPair && found?.description.contains("crm2") == true, "\(String(describing: found))"
      )
    }
    #expect(!bench.provider.calls.contains { $0.hasPrefix("delete") || $0 == "stage" })
  }

  @Test("none is adopted, primary or beside the active one")
  func adopted() async throws {
    let bench = try await bench()
    bench.provider.state.withLock { $0.primary = "id-9" }
    let offer = RotationRunner.Goal.adopt(OfferedPair(try FakeProvider.pair("id-9")))
    let found = await failure { _ = try await bench.run(offer) }
    #expect(found?.code == .held && found?.description.contains("crm2") == true, "\(String(describing: found))")
    let rotated = await failure { _ = try await bench.run() }
    #expect(rotated?.code == .held && rotated?.description.contains("crm2") == true, "\(String(describing: rotated))")

    let system = system()
    let beside = await failure { _ = try await bench.run(offer, at: system) }
    #expect(beside?.code == .held && beside?.description.contains("crm2") == true, "\(String(describing: beside))")
    #expect(try await bench.credential().versions.map(\.number) == [1])
  }

  @Test("one that only others may open is known by the name that the provider has for it")
  func handles() async throws {
    let (bench, system) = (try await bench(), FakeSystem(.overlap, accepting: ["id-9"]))
    guard case .promoted(active: 2, _, _) = try await bench.run(of: "crm2", at: system) else {
      Issue.record("not promoted")
      return
    }
    system.state.withLock { state in
      state.accepted = ["id-1", "id-2"]
      state.listed = ["id-2"]
    }
    let operators = try await bench.vault(ofOperatorOf: "crm")
    let found = await failure { _ = try await bench.run(at: system, by: operators) }
    #expect(found?.description.contains("crm2") == true, "\(String(describing: found))")
    #expect(try await bench.run(leak, at: system, by: operators) == .settled(active: 2))
    #expect(system.state.withLock(\.accepted) == ["id-2", "id-3"])
  }
}
