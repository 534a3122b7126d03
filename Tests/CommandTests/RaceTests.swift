import Foundation
import Testing

@Suite("Two runs of one credential that begin at the same moment")
struct RaceTests {
  private static let races = 200
  /// How many races run at once, each with its own vault and org.
  private static let lanes = 4

  @Test("make one rotation each time, and the other run ends with 75 and names the holder")
  func race() async throws {
    let late = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 1...Self.lanes { group.addTask { try await Lane().run(Self.races / Self.lanes) } }
      return try await group.reduce(0, +)
    }
    print("races of two processes: \(Self.races), and \(late) in which the second began after the first had ended")
  }
}

/// Races for the same credential, one after another.
private struct Lane {
  private let place: Workplace

  init() async throws {
    place = try await Workplace()
    try await place.add("crm")
    // The round trip to a nearby data centre, so that the first run is busy for a while.
    try await place.org.fault("slow", nil, "*", ["seconds": 0.01])
  }

  /// Runs until `wanted` rounds were races. Returns how many were not, because one run had ended before the other
  /// began.
  func run(_ wanted: Int) async throws -> Int {
    var rounds = 0
    var races = 0
    while races < wanted, rounds < 2 * wanted {
      rounds += 1
      if try await race(rounds) { races += 1 }
    }
    #expect(races == wanted, "in \(rounds) rounds")
    try await checkLog(rounds)
    return rounds - races
  }

  /// One round; false if it was not a race.
  private func race(_ round: Int) async throws -> Bool {
    try await place.org.forgetRequests()
    let runs = try [1, 2].map { _ in try place.start(arguments: ["rotate", "crm"]) }
    let ends = [try await runs[0].outcome(), try await runs[1].outcome()]
    let winner = ends[0].code == 0 ? 0 : 1
    let (won, lost) = (ends[winner], ends[1 - winner])
    #expect(won.code == 0 && lost.code == 75, "round \(round): \(ends.map(\.errorText))")
    #expect(won.outputText.hasPrefix("crm: version \(round + 1) is active;"), "round \(round): \(won.outputText)")
    #expect(lost.output.isEmpty, "round \(round)")
    let requests = try await place.org.requests()
    for method in ["POST", "PATCH"] {
      let acts = requests.filter { $0.method == method && $0.path.contains("/staged") }
      #expect(acts.count == 1 && acts[0].acted, "round \(round): \(method) \(acts.count) times")
    }
    #expect(!requests.contains { $0.method == "DELETE" }, "round \(round)")
    #expect(try await place.relatch("retire", "crm", "--quiet").code == 0, "round \(round)")
    // It found the rotation done and the new pair too young to be replaced.
    if lost.errorText.contains("is left alone until") { return false }
    expectFailure(lost, 75, "is held by another run (pid \(runs[winner].pid) on ")
    return true
  }

  /// The vault knows of one rotation in each round, with every step once.
  private func checkLog(_ rounds: Int) async throws {
    let events = try await place.relatch("log", "list", "--json", environment: Workplace.outsider).objects().compactMap
    { $0["event"] as? String }
    for event in [
      "begun", "stage.intended", "staged", "validated", "promote.intended", "promoted", "verified", "refused",
    ] {
      #expect(events.count { $0 == "rotation.\(event)" } == rounds, "\(event)")
    }
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await place.org.grants(place.org.primary()))
    #expect(try await place.logIsIntact())
  }
}
