import Audit
import JSON
import Sodium
import Storage
import Synchronization
import Testing

@testable import Rotation
@testable import Vault

@Suite("Beside a pair of another credential in the vault")
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

  private func system(tellsBySecret: Bool = false) -> FakeSystem {
    let system = FakeSystem(.overlap, accepting: ["id-1", "id-9"])
    system.state.withLock { state in
      state.listed = ["id-9"]
      state.tellsBySecret = tellsBySecret
    }
    return system
  }

  private static func credential(_ name: String, _ settings: [String: String]) -> Credential {
    Credential(
      id: Identifier(drawnFrom: .system), name: name, provider: "fake", settings: settings, policy: Policy(),
      admin: name, keyID: "", created: Timestamp(milliseconds: 0))
  }

  /// Saves the pair `id` as another version of `crm2`.
  private static func save(_ id: String, as stage: Stage, in bench: Bench) async throws {
    let now = bench.now.withLock { $0 }
    let number = try await bench.store.read { try VaultView($0).credential("crm2").newestNumber + 1 }
    let sealed = try await bench.vault.seal(try FakeProvider.pair(id), of: "crm2", version: number)
    _ = try await bench.vault.change(now: now) { change in
      var credential = try change.view.credential("crm2")
      _ = try credential.addStaged(handle: "handle-\(id)", expires: nil, now: now)
      if stage == .previous { try credential.oweStaged(now: now) }
      try change.storePair(sealed, of: credential)
      return try change.save(credential, EventName("credential.policy"))
    }
  }

  private let leak = RotationRunner.Goal.revoke(Revocation(incident: "2026-01-01-0f0f0f", reason: "a test"))

  private func failure(_ body: () async throws -> Void) async -> RotationError? {
    do {
      try await body()
      return nil
    } catch { return error as? RotationError }
  }

  @Test("a rotation stops, and names the other credential", arguments: [false, true])
  func named(_ tellsBySecret: Bool) async throws {
    let (bench, system) = (try await bench(), system(tellsBySecret: tellsBySecret))
    for goal in [RotationRunner.Goal.rotate, .rotateReplacingPrevious] {
      let found = await failure { _ = try await bench.run(goal, at: system) }
      #expect(
        found?.code == .foreignStagedPair && found?.description.contains("crm2") == true, "\(String(describing: found))"
      )
      #expect(found?.hint?.contains("crm2") == true)
    }
    #expect(system.state.withLock(\.accepted) == ["id-1", "id-9"])
  }

  @Test(
    "a leak ends and that pair is left alone, even if a request got no answer",
    arguments: [false, true])
  func leaked(_ tellsBySecret: Bool) async throws {
    for isLost in [false, true] {
      let (bench, system) = (try await bench(), system(tellsBySecret: tellsBySecret))
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
      let steps = try await bench.journal(1)
      #expect(steps.allSatisfy { $0.details["found"] == nil && $0.details["cut_off"] == nil })
      #expect(steps.contains { $0.details["left"] == .array([.string("crm2")]) })
    }
  }

  @Test(
    "a leak ends no pair that the other has staged or owes: it may be in use", arguments: [Stage.staged, .previous])
  func stagedOrOwed(_ stage: Stage) async throws {
    let (bench, system) = (try await bench(), system())
    try await Self.save("id-8", as: stage, in: bench)
    system.state.withLock { state in
      state.accepted = ["id-1", "id-7", "id-8", "id-9"]
      state.listed = ["id-7", "id-8", "id-9"]
    }
    #expect(try await bench.run(leak, at: system) == .settled(active: 2))
    #expect(system.state.withLock(\.accepted) == ["id-8", "id-9", "id-2"], "id-7 is a stranger's")
  }

  @Test("a leak does not end what the other has saved since the look", arguments: [false, true])
  func savedMeanwhile(_ tellsBySecret: Bool) async throws {
    let (bench, system) = (try await bench(), system(tellsBySecret: tellsBySecret))
    system.state.withLock { state in
      state.accepted = ["id-1", "id-6", "id-8", "id-9"]
      state.listed = ["id-6", "id-8", "id-9"]
      state.meanwhile = { [unowned bench] call in
        guard call == "delete handle-id-6" else { return }
        do { try await Self.save("id-8", as: .staged, in: bench) } catch { Issue.record(error) }
      }
    }
    #expect(try await bench.run(leak, at: system) == .settled(active: 2))
    #expect(system.state.withLock(\.accepted) == ["id-8", "id-9", "id-2"])
  }

  @Test("a leak is ended in one run, however many strangers' pairs there are besides")
  func manyStrangers() async throws {
    let (bench, system) = (try await bench(), system(tellsBySecret: true))
    let strangers = (100...230).map { "id-\($0)" }
    system.state.withLock { state in
      state.accepted += strangers
      state.listed.formUnion(strangers)
    }
    #expect(try await bench.run(leak, at: system) == .settled(active: 2))
    #expect(system.state.withLock(\.accepted) == ["id-9", "id-2"])
  }

  @Test("a pair that no credential has, or that one of another provider has, still counts as a stranger's")
  func strangers() async throws {
    for (provider, settings) in [("other", [:]), ("fake", ["url": "https://elsewhere.example"])] {
      let (bench, system) = (try await bench(provider: provider, settings: settings), system())
      #expect(try await bench.run(leak, at: system) == .settled(active: 2))
      #expect(system.calls.contains("delete handle-id-9"))
    }
  }

  @Test("the same place may be written differently: with other capitals, or with a slash at the end")
  func place() {
    let credential = Self.credential
    let own = credential("crm", ["url": "https://login.example/", "app": "one"])
    for url in [
      "https://login.example/", "HTTPS://Login.Example", "https://login.example//", "https://login.example:443",
    ] {
      let other = credential("crm2", ["url": url, "app": "one", "scope": "api"])
      #expect(other.isBeside(own, by: ["url", "app"]) && !other.isBeside(own, by: nil), "\(url)")
    }
    for settings in [["url": "https://login.example"], ["url": "https://login.example/a", "app": "one"]] {
      #expect(!credential("crm2", settings).isBeside(own, by: ["url", "app"]), "\(settings)")
    }
  }

  @Test("a run does not adopt that pair")
  func adopted() async throws {
    let (bench, system) = (try await bench(), system())
    let offer = RotationRunner.Goal.adopt(OfferedPair(try FakeProvider.pair("id-9")))
    let found = await failure { _ = try await bench.run(offer, at: system) }
    #expect(found?.code == .held && found?.description.contains("crm2") == true, "\(String(describing: found))")
    #expect(try await bench.credential().versions.map(\.number) == [1])
  }

  @Test("a pair that the member cannot open is not protected just because a record names it")
  func opened() async throws {
    let (bench, system) = (try await bench(), system())
    let operators = try await bench.vault(ofOperatorOf: "crm")
    #expect(try await bench.run(leak, at: system, by: operators) == .settled(active: 2))
    #expect(system.calls.contains("delete handle-id-9"))
  }

  @Test("a pair that is active in the other as well is not retired, unless it leaked")
  func shared() async throws {
    let bench = try await Bench(policy: ["grace": "0s"])
    let now = bench.now.withLock { $0 }
    _ = try await bench.vault.add(
      name: "crm2", provider: "fake", settings: [:], policy: Policy(), admin: "crm2", pair: FakeProvider.pair("id-1"),
      now: now)
    for goal in [RotationRunner.Goal.rotate, .retire, .rotateReplacingPrevious] {
      let found = await failure { _ = try await bench.run(goal) }
      #expect(found?.code == .outstanding, "\(String(describing: found))")
      #expect(found?.description.contains("version 1, replaced, is the active pair of crm2, too") == true)
    }
    #expect(!bench.provider.calls.contains { $0.hasPrefix("delete") })
    #expect(try await bench.credential().debts.map(\.number) == [1])
    #expect(try await bench.run(leak) == .settled(active: 3))
    #expect(bench.provider.state.withLock(\.refused) == ["id-1", "id-2"])
  }

  @Test("a pair is retired if the other has another, was handed over, or is not open to the member")
  func notShared() async throws {
    for (pair, isOpen) in [("id-9", true), ("id-1", false)] {
      let bench = try await Bench(policy: ["grace": "0s"])
      _ = try await bench.vault.add(
        name: "crm2", provider: "fake", settings: [:], policy: Policy(), admin: "crm2", pair: FakeProvider.pair(pair),
        now: bench.now.withLock { $0 })
      let operators = isOpen ? nil : try await bench.vault(ofOperatorOf: "crm")
      #expect(try await bench.run(by: operators) == .settled(active: 2))
    }
  }

  @Test("a pair is not added under a second name in the same place, and only what is there is opened")
  func added() async throws {
    let bench = try await bench()
    func check(_ all: [(name: String, id: String, settings: [String: String])], _ vault: UnlockedVault) async throws {
      let new = try all.map { one in
        NewCredential(
          name: one.name, provider: "fake", settings: one.settings, policy: Policy(), admin: one.name,
          pair: try FakeProvider.pair(one.id), made: nil)
      }
      try await vault.requireNoneHas(new, by: { _ in nil }, now: bench.now.withLock { $0 })
    }
    await #expect(throws: VaultError(.invalidInput, "")) { try await check([("x", "id-9", [:])], bench.vault) }
    await #expect(throws: VaultError(.invalidInput, "")) {
      try await check([("x", "id-7", [:]), ("y", "id-7", [:])], bench.vault)
    }
    try await check([("x", "id-7", [:]), ("y", "id-9", ["url": "elsewhere"]), ("crm2", "id-9", [:])], bench.vault)
    let operators = try await bench.vault(ofOperatorOf: "crm")
    try await check([("x", "id-9", [:])], operators)
    let compared = try await bench.store.read { transaction in
      let view = try VaultView(transaction)
      return try (0..<view.logSize).map { try view.authenticatedEntry(at: $0) }.filter {
        $0.details["purpose"] == "comparison"
      }.count
    }
    #expect(compared == 3, "two for the first, and one where crm2 is to be added itself")
  }

  @Test("a pair shown without its secret is recognised by its client and the provider's name for it, and nothing less")
  func hidden() throws {
    func pair(_ id: String) throws -> Pair { try FakeProvider.pair(id) }
    func seen(_ id: String, _ handle: String, secret: SharedSecret? = nil) throws -> ObservedPair {
      ObservedPair(
        place: .staged, handle: handle, clientID: SharedSecret(try pair(id).clientID.clone()), clientSecret: secret,
        expires: nil, sharesClientID: true)
    }
    let start = RotationMachineTests.start
    let version = Version(number: 1, stage: .active, created: start, since: start, handle: "k3")
    let theirs = NeighboursPair(credential: Self.credential("crm2", [:]), version: version, pair: try pair("id-9"))
    #expect(theirs.isSeen(as: try seen("id-9", "k3")))
    #expect(!theirs.isSeen(as: try seen("id-1", "k3")))
    #expect(!theirs.isSeen(as: try seen("id-9", "k4")))
    #expect(!theirs.isSeen(as: try seen("id-9", "k3", secret: SharedSecret(try pair("id-8").clientSecret.clone()))))
    #expect(theirs.isSeen(as: try seen("id-9", "k4", secret: SharedSecret(try pair("id-9").clientSecret.clone()))))
  }
}
