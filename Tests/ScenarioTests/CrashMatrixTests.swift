import Contracts
import OrgSimulator
import Rotation
import Testing
import Vault

@Suite("A run can die at any instant, at any kind of provider")
struct CrashMatrixTests {
  /// The defaults, each single deviation, and combinations drawn from a seed.
  static let readings: [[String]] = {
    var generator = SeededGenerator(seed: 3)
    return [[]] + OrgReadings.deviations.map { [$0] }
      + [2, 3, 4, 6, 8, 12].map { OrgReadings.combination(oneIn: $0, using: &generator) }
  }()

  /// The readings that matter to an app that administers itself with the pair it replaces.
  static let readingsOfTokens: [[String]] = [
    [], ["replacedPairLivesOn=false"], ["rotateEndsTokens=consumer"], ["rotateEndsTokens=caller"],
    ["deleteEndsTokens=true"], ["promotionPropagates=true", "propagationSeconds=30"], ["consumerIDChanges=true"],
    ["stagedIDNamesPrimary=true"], ["replacedPairLivesOn=false", "rotateEndsTokens=caller"],
    ["deleteDelay=60", "rotateOnRotated=swapsBack", "replacedID=keepsStagedID"],
  ]

  @Test("and the next one finishes with every law kept")
  func matrix() async throws {
    let lives =
      Self.readings.map { Life($0) } + Self.readingsOfTokens.map { Life($0, isSelfAdministered: true) }
    let found = try await withThrowingTaskGroup(of: Life.Found.self) { group in
      var found: [Life.Found] = []
      for (index, life) in lives.enumerated() {
        if index >= 6 { found.append(try await #require(group.next())) }
        group.addTask { try await life.dieEverywhere() }
      }
      for try await one in group { found.append(one) }
      return found
    }
    let points = found.map(\.points)
    let all = points.reduce(0, +)
    print(
      """
      crash matrix: \(points.min() ?? 0) to \(points.max() ?? 0) points × \(lives.count) sets of readings = \(all) points, \
      each survived; \(found.map(\.states).reduce(0, +)) different states gone on from
      """)
    #expect(points.allSatisfy { $0 >= 50 })
    try GeneratedPage("README.md").compare(Self.grouped(all), between: "<!-- crash points -->", and: " crash points")
  }

  /// Writes 7123 as 7,123.
  private static func grouped(_ number: Int) -> String {
    number < 1000 ? "\(number)" : "\(grouped(number / 1000)),\(String(String(1000 + number % 1000).dropFirst()))"
  }
}

/// The whole life of a rotation, cut off at each instant.
private struct Life {
  let readings: [String]
  let isSelfAdministered: Bool

  init(_ readings: [String], isSelfAdministered: Bool = false) {
    self.readings = readings
    self.isSelfAdministered = isSelfAdministered
  }

  private var isHopeless: Bool { readings.contains("stagedPairGrants=false") }

  /// How many instants there were, and how many different states of vault and org the process could leave.
  struct Found: Sendable {
    var points = 0
    var states = 0
  }

  func dieEverywhere() async throws -> Found {
    var found = Found()
    try await Scenario.with(
      readings, isSelfAdministered: isSelfAdministered, policy: ["grace": "0s", "propagation": "2m"]
    ) { scenario in
      let recorder = MomentRecorder(scenario)
      let what = "\(readings)\(isSelfAdministered ? " self-administered" : "")"
      try await finish(scenario, what, recorder)
      try await checkEnd(scenario, what)
      var last: Moment?
      for moment in recorder.moments {
        found.points += 1
        // States that look the same to a new process need not be tried twice.
        if let last, last.isLike(moment) { continue }
        last = moment
        found.states += 1
        try await goOn(from: moment, scenario)
      }
    }
    return found
  }

  /// Starts a new process where another died.
  private func goOn(from moment: Moment, _ scenario: Scenario) async throws {
    let what = "\(readings)\(isSelfAdministered ? " self-administered" : "") cut \(moment.words)"
    let fork = try await Scenario(scenario, at: moment)
    try await fork.checkLaws(what, died: true)
    if try await fork.state()?.isFinal != true { try await finish(fork, what) }
    try await checkEnd(fork, what)
  }

  /// Runs until nothing is left to do. If the provider is slow to forget, the debt is tried again later.
  private func finish(_ scenario: Scenario, _ what: String, _ recorder: MomentRecorder? = nil) async throws {
    for _ in 1...4 {
      // Owed pairs are retired: rotating would settle them too, but then begin a new rotation.
      let isOwed = try await !scenario.credential().debts.isEmpty
      let isUnverified = [.promoted, .verifying].contains(try await scenario.state())
      let result = await scenario.attempt(
        isOwed && !isUnverified ? .retire : .rotate, over: recorder?.store,
        watching: recorder.map { recorder in { recorder.watching($0) } })
      try await scenario.checkLaws("\(what): \(result)")
      switch result {
      case .success(.settled): return
      case .success(.rejected) where isHopeless: return
      case .success(.stillAccepted) where readings.contains("deleteDelay=60"):
        scenario.clock.advance(by: .seconds(120))
      default:
        Issue.record("\(what): \(result)")
        return
      }
    }
    Issue.record("\(what): no end")
  }

  /// One rotation, one pair made, one promotion, and nothing owed.
  private func checkEnd(_ scenario: Scenario, _ what: String) async throws {
    let credential = try await scenario.credential()
    #expect(credential.rotation == 1 && credential.debts.isEmpty, "\(what)")
    #expect(scenario.acted("POST", "/staged") == 1, "\(what): pairs made")
    #expect(scenario.acted("PATCH") == (isHopeless ? 0 : 1), "\(what): promotions")
    #expect(credential.version(in: .active)?.number == (isHopeless ? 1 : 2), "\(what)")
    try await scenario.checkPromoted(what)
  }
}
