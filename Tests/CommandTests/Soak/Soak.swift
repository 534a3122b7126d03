import Contracts
import Foundation
import Synchronization
import Testing

/// Two vaults on one org, and everything that is done to them at once.
final class Soak: Sendable {
  /// Whose command it is.
  enum Actor: String, Sendable {
    case owner, member, bo
  }

  /// The owner's credentials that are rotated. The administrator `admin` has no app, and stays as it is.
  static let names = ["root", "crm", "erp", "web", contained, "solo"]
  /// Those that another credential administers, now this one and now that.
  static let administered = ["crm", "erp", "web"]
  /// The one whose leaks are contained, so that promises 2 and 3 do not hold for it.
  static let contained = "rash"
  /// An operator who opens now these and now those.
  static let member = "cron"
  /// Bo's credentials, which have their pairs in one place.
  static let neighbours = ["east", "west"]

  let teams: TwoTeams
  let record = SoakRecord()
  let seed: UInt64
  let solo: KeptSystem
  let shared: KeptSystem
  let transfer = Mutex(SoakTransfer())
  /// The pairs that were revoked, and of which the vault said that they are refused.
  let refused = Mutex<Set<SimulatedOrg.IssuedPair>>([])
  private let environments: [Actor: [String: String]]
  private let isOver = Mutex(false)

  var place: Workplace { teams.place }
  var org: SimulatedOrg { place.org }

  init(seed: UInt64) async throws {
    self.seed = seed
    var random = SeededGenerator(seed: seed)
    let readings = SoakReadings.any(using: &random)
    print("readings: \(readings.joined(separator: " "))")
    teams = try await TwoTeams(["--apps", "6", "--every-app-is-admin"] + readings.flatMap { ["--reading", $0] })
    let place = teams.place
    solo = try KeptSystem("solo", pairs: 1, in: place.folder)
    shared = try KeptSystem("shared", pairs: 2, in: place.folder)
    environments = [
      .owner: [:], .bo: teams.theirs, .member: try await place.addMember(Self.member, "operator", grants: ["admin"]),
    ]
    try await arrange()
  }

  /// Adds the credentials, with all that may hold their rotations up.
  private func arrange() async throws {
    for (index, name) in ["root", "crm", "erp", "web", Self.contained, "pass"].enumerated() {
      // Made long ago, where a policy asks for another.
      let more = ["crm", "erp"].contains(name) ? ["--created", "2020-01-01T00:00:00Z"] : []
      let admin = ["root": "self", "pass": "admin"][name] ?? "root"
      try await place.add(name, app: index + 1, admin: admin, policy: ["propagation=10s", "grace=0s"], more)
    }
    let (arguments, pair) = try solo.addition("solo", pair: 0)
    try await set(arguments, stdin: pair)
    try await set(["provider", "allow", "solo"])
    for (index, name) in Self.neighbours.enumerated() {
      let (arguments, pair) = try shared.addition(name, pair: index)
      try await set(arguments, as: .bo, stdin: pair)
      try await set(["provider", "allow", name], as: .bo)
    }
    try await set(["policy", "crm", "max-age=1h", "not-together-with=erp"])
    try await set(["policy", "erp", "max-age=1h"])
    for name in ["root", "crm"] { try await set(["grant", name, Self.member]) }
    for folder in ["sinks", "hooks"] {
      try FileManager.default.createDirectory(atPath: teams.path(folder), withIntermediateDirectories: true)
    }
    for name in ["crm", "web", "solo"] { try await set(["sink", "add", name, sink(name)]) }
    for name in ["erp", "web"] {
      let script = "cat > \(hook(name)).$$ && mv \(hook(name)).$$ \(hook(name))"
      try await set(["hook", "add", name, "--on", "promoted", "--", "/bin/sh", "-c", script])
    }
    try await set(["hook", "add", "erp", "--on", "before", "--", "/bin/true"])
  }

  private func set(_ arguments: [String], as actor: Actor = .owner, stdin: String? = nil) async throws {
    let outcome = try await run(arguments, as: actor, stdin: stdin)
    record.expect(outcome.code == 0, "\(arguments): \(outcome.errorText)")
  }

  func sink(_ name: String) -> String { teams.path("sinks/\(name).json") }
  func hook(_ name: String) -> String { teams.path("hooks/\(name).json") }

  // MARK: - At random

  /// Does everything at once until the time is over, then lets each finish what it has begun.
  func run(for time: Duration) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for lane: UInt64 in 1...3 { group.addTask { try await self.wander(self.lane(lane)) } }
      group.addTask { try await self.handOver(self.lane(4)) }
      group.addTask { try await self.share(self.lane(5)) }
      group.addTask { try await self.trouble(self.lane(6)) }
      group.addTask { try await self.watch() }
      group.addTask {
        try await Task.sleep(for: time)
        self.isOver.withLock { $0 = true }
      }
      try await group.waitForAll()
    }
  }

  private func lane(_ number: UInt64) -> SeededGenerator { SeededGenerator(seed: seed &* 1000 &+ number) }
  private var goesOn: Bool { isOver.withLock { !$0 } }

  /// Any step after any other.
  private func wander(_ random: consuming SeededGenerator) async throws {
    while goesOn {
      let step = SoakStep.any(using: &random)
      let strikes = (0..<5).map { _ in Strike.any(using: &random) }
      let actor: Actor = Int.random(in: 0..<10, using: &random) < 3 ? .member : .owner
      try await perform(step, as: actor, strikes)
    }
  }

  /// One credential goes from team to team.
  private func handOver(_ random: consuming SeededGenerator) async throws {
    while goesOn { try await handOverFurther(Strike.any(using: &random)) }
  }

  /// Two credentials with their pairs in one place. Never two runs at once, which threat-model.md says can end a pair
  /// in use: but each may be killed anywhere.
  private func share(_ random: consuming SeededGenerator) async throws {
    while goesOn {
      let name = random.pick(Self.neighbours)
      let arguments = random.pick([
        ["revoke", name, "--reason", "soak"], ["revoke"] + Self.neighbours + ["--reason", "soak", "--jobs", "2"],
        ["revoke"] + Self.neighbours + ["--reason", "soak"], ["resume"], ["rotate", "--due"], ["rotate", name],
        ["retire", name], ["abort", name],
      ])
      _ = try await run(arguments, as: .bo, Strike.any(using: &random, stops: false))
      for name in Self.neighbours { try await check(name, as: .bo) }
    }
  }

  /// Faults at the org and at the kept systems, until the end.
  private func trouble(_ random: consuming SeededGenerator) async throws {
    let kinds = [
      "dropBefore", "dropAfter", "truncated", "slow", "tooManyRequests", "sessionEnded", "serverError", "unavailable",
      "maintenancePage", "garbage", "htmlPage", "wrongTypes", "empty",
    ]
    while goesOn {
      let kind = random.pick(kinds)
      let method = random.pick([nil, nil, "GET", "POST", "PATCH", "DELETE"])
      let path = random.pick(["*", "*", "*", "*/token", "*staged*", "*credentials*"])
      let count = random.pick([1, 1, 1, 2, 5])
      let more: [String: Any] = [
        "skip": Int.random(in: 0...5, using: &random), "seconds": kind == "slow" ? random.pick([0.3, 1.0]) : 1.0,
      ]
      let chance = Int.random(in: 0..<10, using: &random)
      let acts = Bool.random(using: &random)
      let pause = Int.random(in: 50...1000, using: &random)
      switch chance {
      case 0: try await org.clearFaults()
      case 1: try solo.failNext(acts: acts)
      case 2: try shared.failNext(acts: acts)
      default: try await org.fault(kind, method, path, count: count, more)
      }
      try await Task.sleep(for: .milliseconds(pause))
    }
    try await org.clearFaults()
    for system in [solo, shared] { system.forgetFaults() }
  }

  /// Reads each active pair again and again, and asks whether it is accepted.
  private func watch() async throws {
    while goesOn {
      for name in Self.names where goesOn && name != Self.contained { try await check(name, as: .owner) }
    }
  }

  /// The active pair is accepted, and was proved, unless another was active by then.
  func check(_ name: String, as actor: Actor) async throws {
    guard let pair = try await active(name, as: actor) else { return }
    let isAccepted = try await accepts(pair, of: name)
    let isProved = try system(of: name)?.hasGranted(pair.secret) ?? true
    if !isProved { record.problem("\(name): a pair is active that was never granted a token") }
    guard !isAccepted, try await active(name, as: actor) == pair else { return }
    record.problem("\(name): the active pair is refused")
  }

  // MARK: - Asking

  /// Runs the program, and strikes it. Nothing is struck once the time is over.
  func run(
    _ arguments: [String], as actor: Actor = .owner, stdin: String? = nil, _ strike: Strike? = nil,
    environment: [String: String] = [:]
  ) async throws -> Outcome {
    let strike = goesOn ? strike : nil
    let own = environments[actor, default: [:]].merging(environment) { $1 }
    let running = try place.start(arguments: arguments, stdin: stdin, environment: own)
    let striking = strike.map { strike in
      Task {
        try await Task.sleep(for: strike.after)
        switch strike.kind {
        case .end(let signal): running.send(signal)
        case .stop(let pause):
          running.send(SIGSTOP)
          try? await Task.sleep(for: pause)
          running.send(SIGCONT)
        }
      }
    }
    // Longer than any command may take that is not stuck, with a grace for a slow machine: it would hold up all tests.
    let patience = Task {
      try await Task.sleep(for: .seconds(300))
      record.problem("\(arguments) hangs, after \(strike.map { "\($0)" } ?? "nothing")")
      running.send(SIGKILL)
    }
    let outcome = try await running.outcome()
    patience.cancel()
    striking?.cancel()
    record.note(arguments, actor.rawValue, strike, outcome)
    return outcome
  }

  /// The active pair as the vault has it; nil if it prints none.
  func active(_ name: String, as actor: Actor, _ strike: Strike? = nil) async throws -> SimulatedOrg.IssuedPair? {
    struct Document: Decodable {
      let client_id: String
      let client_secret: String
    }
    let read = try await run(["read", name], as: actor, strike)
    guard read.code == 0 else { return nil }
    let document = try JSONDecoder().decode(Document.self, from: read.output)
    return SimulatedOrg.IssuedPair(key: document.client_id, secret: document.client_secret)
  }

  /// The kept system that has the credential's pairs; nil if the org has them.
  func system(of name: String) -> KeptSystem? {
    name == "solo" ? solo : Self.neighbours.contains(name) ? shared : nil
  }

  func accepts(_ pair: SimulatedOrg.IssuedPair, of name: String) async throws -> Bool {
    if let system = system(of: name) { return try system.secrets().contains(pair.secret) }
    return try await org.accepts(pair)
  }
}
