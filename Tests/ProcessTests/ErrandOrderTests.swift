import Audit
import Rotation
import Sodium
import Testing
import Vault

@testable import relatch

@Suite("Errands of one command")
struct ErrandOrderTests {
  private static let leak = RotationRunner.Goal.revoke(Revocation(incident: "one", reason: "found"))

  /// A vault with these credentials of `provider`, each by its name, what administers it, and its settings.
  private func made(
    _ all: [(name: String, admin: String, settings: [String: String])], provider: String = "salesforce"
  ) async throws -> UnlockedVault {
    let vault = try await vault(adding: [])
    for (name, admin, settings) in all {
      _ = try await vault.add(
        name: name, provider: provider, settings: settings, policy: Policy(), admin: admin, pair: pair(of: name),
        now: vaultMoment)
    }
    return vault
  }

  private func app(_ number: Int) -> [String: String] { ["url": "https://crm.example", "app": "0xI\(number)"] }

  private func note(_ names: [String], in vault: UnlockedVault) async throws -> Set<String> {
    let timing = RotationTiming(now: { vaultMoment }, sleep: { _ in }, randomness: .system)
    let runner = RotationRunner(
      vault: vault, timing: timing, holder: "test", isGone: { _ in false }, progress: { _ in })
    return try await runner.note(
      Dictionary(uniqueKeysWithValues: names.map { ($0, Revocation(incident: "one", reason: "found")) }))
  }

  /// The names in order, each with those that it waits for.
  private func order(
    _ names: [String], _ goal: RotationRunner.Goal, in vault: UnlockedVault, exposed: Set<String> = []
  ) async throws -> [String] {
    try await vault.read { view in
      Errand.each(names, goal).ordered(in: view, exposed: exposed).map { errand in
        errand.after.isEmpty ? errand.name : "\(errand.name) after \(errand.after.sorted().joined(separator: ", "))"
      }
    }
  }

  @Test func `administrators come before what they administer if they leaked or are exposed, and otherwise not`()
    async throws
  {
    let vault = try await made([
      ("top", "top", app(1)), ("ops", "top", app(2)), ("crm", "ops", app(3)), ("erp", "erp", app(4)),
    ])
    let names = ["crm", "erp", "ops", "top"]
    let all = ["top", "erp", "ops after top", "crm after ops, top"]
    #expect(try await order(names, Self.leak, in: vault) == all)
    #expect(try await order(names, .rotate, in: vault, exposed: Set(names)) == all)
    #expect(try await order(names, .rotate, in: vault) == names)
    #expect(try await note(["ops"], in: vault) == ["ops"])
    for goal in [RotationRunner.Goal.rotate, .resume, .scheduled] {
      #expect(try await order(names, goal, in: vault) == ["ops", "erp", "top", "crm after ops"], "\(goal)")
    }
  }

  @Test func `those in one place follow each other if one of them leaked`() async throws {
    let vault = try await made([
      ("one", "one", app(1)), ("two", "two", app(1)), ("three", "one", app(1)), ("far", "far", app(2)),
    ])
    let names = ["one", "two", "three", "far"]
    #expect(try await order(names, .rotate, in: vault) == names)
    #expect(try await order(names, Self.leak, in: vault) == ["one", "two after one", "far", "three after one, two"])
    #expect(try await note(["two"], in: vault) == ["two"])
    for goal in [RotationRunner.Goal.rotate, .resume, .scheduled] {
      #expect(
        try await order(names, goal, in: vault) == ["one", "two after one", "three after two", "far"], "\(goal)")
    }
    // There a run sees no pair but its own.
    let clients = try await made(
      ["one", "two"].map { ($0, $0, ["registration-url": "https://id.example/register"]) },
      provider: "oauth-registration")
    #expect(try await order(["one", "two"], Self.leak, in: clients) == ["one", "two"])
  }

  @Test func `begin when those that they wait for have ended, and even if they wait for each other`() {
    var errands = Errand.each(["a", "b", "c", "d"], .resume)
    (errands[1].after, errands[2].after) = (["a"], ["a", "b"])
    var queue = ErrandQueue(errands)
    func ready() -> [String] {
      var names: [String] = []
      while let next = queue.next() { names.append(next.name) }
      return names
    }
    #expect(ready() == ["a", "d"] && queue.running == 2)
    queue.end("d")
    #expect(ready() == [])
    queue.end("a")
    #expect(ready() == ["b"] && queue.running == 1)
    queue.end("b")
    #expect(ready() == ["c"])
    queue.end("c")
    #expect(ready() == [] && queue.running == 0)

    var tangled = Errand.each(["a", "b", "c"], .resume)
    (tangled[0].after, tangled[1].after) = (["b"], ["a"])
    queue = ErrandQueue(tangled)
    #expect(ready() == ["c"])
    queue.end("c")
    #expect(ready() == ["a", "b"])
  }
}
