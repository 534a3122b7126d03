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

  @Test("a primary pair that is active in another credential is not adopted, though no rotation made it for either")
  func adoptedPrimary() async throws {
    let bench = try await Bench()
    let now = bench.now.withLock { $0 }
    _ = try await bench.vault.add(try new("crm2", "id-9", ["used": ""]), now: now)
    bench.provider.state.withLock { $0.primary = "id-9" }
    let offer = RotationRunner.Goal.adopt(OfferedPair(try FakeProvider.pair("id-9")))
    let found = await failure { _ = try await bench.run(offer, comparing: neighbours()) }
    #expect(
      found?.code == .held && found?.description.contains("active pair of crm2") == true, "\(String(describing: found))"
    )
    #expect(try await bench.credential().versions.map(\.number) == [1])
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

  /// Where the credentials of these tests are: `place` names the server, `client` the client, and `used` says that
  /// nothing rotates it.
  private func neighbours() -> Neighbours {
    Neighbours(randomness: .system) { provider, settings in
      PairPlace(
        servers: [settings["place"] ?? "here"], family: provider,
        client: [settings["client"], settings["part"]].prefix { $0 != nil }.compactMap(\.self),
        isWhole: settings["client"] != nil, isRotated: settings["used"] == nil, isCrowded: settings["crowd"] != nil)
    }
  }

  private func new(_ name: String, _ id: String, _ settings: [String: String] = [:]) throws -> NewCredential {
    NewCredential(
      name: name, provider: settings["kind"] ?? "fake", settings: settings, policy: Policy(), admin: name,
      pair: try FakeProvider.pair(id), made: nil)
  }

  /// How many entries say that pairs of `name`, or of any, were opened for a comparison.
  private func comparisons(in bench: Bench, of name: String? = nil) async throws -> Int {
    try await bench.store.read { transaction in
      let view = try VaultView(transaction)
      return try (0..<view.logSize).map { try view.authenticatedEntry(at: $0) }.filter { entry in
        entry.details["purpose"] == "comparison"
          && (name == nil || entry.details["credential"] == name.map { .string($0) })
      }.count
    }
  }

  @Test("a pair is not added under a second name where it may be accepted, and only what may be there is opened")
  func added() async throws {
    let bench = try await bench()
    let now = bench.now.withLock { $0 }
    func check(_ all: [NewCredential], _ vault: UnlockedVault, _ neighbours: Neighbours? = nil) async throws {
      _ = try await (neighbours ?? self.neighbours()).requireNoneHas(all, in: vault, now: now)
    }
    let refused = try [
      [new("x", "id-9")], [new("x", "id-9", ["used": ""])], [new("x", "id-9", ["client": "one"])],
      [new("x", "id-9", ["kind": "other"])], [new("x", "id-7"), new("y", "id-7", ["kind": "other"])],
    ]
    for all in refused {
      await #expect(throws: VaultError(.invalidInput, "")) { try await check(all, bench.vault) }
    }
    let before = try await comparisons(in: bench)
    #expect(before == 8, "both for each but the last, whose two are told apart without a look")
    try await check([new("y", "id-9", ["place": "elsewhere"])], bench.vault)
    try await check([new("x", "id-7", ["used": "", "kind": "a"]), new("y", "id-7", ["used": ""])], bench.vault)
    #expect(try await comparisons(in: bench) == before + 2)
    let once = neighbours()
    for _ in 1...3 { try await check([new("x", "id-7")], bench.vault, once) }
    #expect(try await comparisons(in: bench) == before + 4, "each is opened once a process")
    let operators = try await bench.vault(ofOperatorOf: "crm")
    try await check([new("x", "id-9")], operators)
  }

  @Test("one client is told from another by as much as both name, and thousands of one place are not opened to add one")
  func clients() async throws {
    let bench = try await Bench()
    let now = bench.now.withLock { $0 }
    func add(_ name: String, _ settings: [String: String]) async throws {
      _ = try await bench.vault.add(try new(name, "id-\(name)", settings), now: now)
    }
    let (one, crowd) = (["place": "there", "client": "one"], ["place": "crowd", "crowd": ""])
    try await add("one", one)
    try await add("part", one.merging(["part": "1"]) { $1 })
    try await add("used", ["place": "there", "used": ""])
    for number in 1...3 { try await add("crowd\(number)", crowd) }
    for (settings, opened) in [
      (one, ["one", "part", "used"]), (one.merging(["part": "2"]) { $1 }, ["one", "used"]),
      (["place": "there", "client": "two"], ["used"]), (["place": "there", "used": ""], ["one", "part"]),
      (crowd, []), (["place": "crowd", "used": ""], ["crowd1", "crowd2", "crowd3"]),
    ] {
      var before: [String: Int] = [:]
      let names = ["one", "part", "used", "crowd1", "crowd2", "crowd3"]
      for name in names { before[name] = try await comparisons(in: bench, of: name) }
      _ = try await neighbours().requireNoneHas([new("x", "id-7", settings)], in: bench.vault, now: now)
      var found: [String] = []
      for name in names where try await comparisons(in: bench, of: name) > before[name, default: 0] {
        found.append(name)
      }
      #expect(found == opened, "\(settings)")
    }
  }

  @Test("a comparison does not hold once another was added, moved or taken back, and is made again")
  func meanwhile() async throws {
    let bench = try await Bench()
    let now = bench.now.withLock { $0 }
    let neighbours = neighbours()
    let rounds = Counter()
    func add(_ name: String, _ id: String, after others: @Sendable (Int) async throws -> Void) async throws {
      try await Neighbours.again {
        let one = try new(name, id)
        let requireStill = try await neighbours.requireNoneHas([one], in: bench.vault, now: now)
        try await others(rounds.next())
        _ = try await bench.vault.add(one, now: now) { try requireStill($0.view) }
      }
    }
    // What is elsewhere, and any other entry, does not matter.
    try await add("a", "id-5") { _ in
      _ = try await bench.vault.add(try new("far", "id-5", ["place": "far"]), now: now)
      _ = try await bench.vault.setPolicy(of: "crm", now: now) { try $0.set("grace", to: "1h") }
    }
    #expect(rounds.next() == 2)
    await #expect(throws: VaultError(.invalidInput, "")) {
      try await add("b", "id-6") { round in
        if round == 3 { _ = try await bench.vault.add(try new("c", "id-6"), now: now) }
      }
    }
    try await add("d", "id-5x") { round in
      guard round == 4 else { return }
      _ = try await bench.vault.setTerms(of: "far", now: now) { $0.settings = ["place": "here", "client": "far"] }
    }
    #expect(rounds.next() == 6)
    #expect(try await bench.store.read { try VaultView($0).names() } == ["a", "c", "crm", "d", "far"])
  }

  @Test("new settings that lead to another's pair are refused, and what could not repeat it is not opened")
  func moved() async throws {
    let bench = try await bench(settings: ["place": "far"])
    let now = bench.now.withLock { $0 }
    _ = try await bench.vault.add(try new("crm3", "id-1", ["place": "far"]), now: now)
    func move(_ name: String, _ settings: [String: String]) async throws {
      _ = try await neighbours().requireNoneHas(pairsOf: name, with: settings, in: bench.vault, now: now)
    }
    try await move("crm2", [:])
    await #expect(throws: VaultError(.invalidInput, "")) { try await move("crm3", [:]) }
    await #expect(throws: VaultError(.invalidInput, "")) { try await move("crm3", ["used": ""]) }
    let before = try await comparisons(in: bench)
    try await move("crm3", ["place": "far", "note": "same place"])
    // What a rotation made since crm2 was added is no copy of its pair.
    bench.now.withLock { $0 = $0 + .seconds(60) }
    _ = try await bench.run(comparing: neighbours())
    try await move("crm2", [:])
    #expect(try await comparisons(in: bench) == before)
  }

  @Test(
    "a pair in use under another name does not end by a rotation, however the provider replaces it",
    arguments: [Replacement.overlap, .cutOver])
  func inUse(_ replacement: Replacement) async throws {
    for used in [[:], ["used": ""]] {
      let bench = try await Bench(policy: ["grace": "0s"])
      let system = FakeSystem(replacement, accepting: ["id-1"])
      _ = try await bench.vault.add(try new("crm2", "id-1", used), now: bench.now.withLock { $0 })
      for goal in [RotationRunner.Goal.rotate, .retire, .rotateReplacingPrevious, .scheduled] {
        let found = await failure { _ = try await bench.run(goal, at: system, comparing: neighbours()) }
        #expect(system.state.withLock(\.accepted).contains("id-1"), "\(goal)")
        guard goal == .rotate else { continue }
        #expect(
          found?.code == (replacement == .cutOver ? .foreignStagedPair : .outstanding), "\(String(describing: found))")
        #expect(found?.description.contains("the active pair of crm2, too") == true)
      }
      #expect(!system.calls.contains { $0.hasPrefix("delete") })
      if replacement == .cutOver { #expect(!system.calls.contains("stage")) }
      _ = try await bench.vault.remove("crm2", forgettingDebts: false, now: bench.now.withLock { $0 })
      _ = try await bench.run(.rotateReplacingPrevious, at: system, comparing: neighbours())
      #expect(!system.state.withLock(\.accepted).contains("id-1"))
    }
  }

  @Test(
    "a member who may not open the other keeps from ending what names the same client, unless it cannot be the same")
  func unseen() async throws {
    for (settings, isKept) in [(["client": "one"], true), (["client": "two"], false), ([:], false)] {
      let bench = try await Bench(policy: ["grace": "0s"])
      let now = bench.now.withLock { $0 }
      for (name, settings) in [("own", ["client": "one"]), ("other", settings)] {
        _ = try await bench.vault.add(try new(name, "id-1", settings), now: now)
      }
      _ = try await bench.vault.setPolicy(of: "own", now: now) { policy in
        for key in ["grace", "propagation"] { try policy.set(key, to: "0s") }
      }
      _ = try await bench.vault.setTerms(of: "crm", now: now) { $0.settings["place"] = "far" }
      let operators = try await bench.vault(ofOperatorOf: "own")
      let found = await failure { _ = try await bench.run(of: "own", by: operators, comparing: neighbours()) }
      #expect(found?.code == (isKept ? .outstanding : nil), "\(String(describing: found))")
      #expect(bench.provider.calls.contains { $0.hasPrefix("delete") } != isKept)
      if isKept { #expect(found?.description.contains("may be the active pair of other") == true) }
    }
  }

  @Test("many of one place are opened once in all when all of them are rotated, and not again for the next rotation")
  func linear() async throws {
    let bench = try await Bench(policy: ["grace": "0s"])
    var systems: [String: FakeSystem] = ["crm": FakeSystem(.overlap, accepting: ["id-1"])]
    for number in 10..<20 {
      _ = try await bench.vault.add(try new("crm\(number)", "id-\(number)"), now: bench.now.withLock { $0 })
      systems["crm\(number)"] = FakeSystem(.overlap, accepting: ["id-\(number)"])
    }
    bench.now.withLock { $0 = $0 + .seconds(60) }
    for round in [1, 2] {
      let process = neighbours()
      for (name, system) in systems.sorted(by: { $0.key < $1.key }) {
        _ = try await bench.run(.rotateReplacingPrevious, of: name, at: system, comparing: process)
        _ = try? await bench.run(.retire, of: name, at: system, comparing: process)
      }
      #expect(try await comparisons(in: bench) == 10, "round \(round): all but the first, which opens them")
    }
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
