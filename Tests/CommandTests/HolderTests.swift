import Foundation
import Testing

@Suite("One hand at a time")
struct HolderTests {
  @Test("A second run ends with 75 and names the holder; once that is killed, the next run takes over at once")
  func takeOver() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    try await place.org.fault("slow", "POST", "*/staged", count: 1, ["seconds": 60])
    let first = try place.start(arguments: ["rotate", "crm"])
    try await first.wait("the first run asks for a pair") { _, errors in errors.contains("asking for a new pair") }

    let second = try await place.relatch("rotate", "crm")
    expectFailure(second, 75, "pid \(first.pid) on ")
    expectFailure(try await place.relatch("retire", "crm"), 75, "pid \(first.pid) on ")
    #expect(try await place.relatch("read", "crm").code == 0, "reading needs no turn")

    first.send(SIGKILL)
    #expect(try await first.outcome().code == -SIGKILL)
    let clock = ContinuousClock()
    let start = clock.now
    let third = try await place.relatch("rotate", "crm")
    #expect(third.code == 0, "\(third.errorText)")
    #expect(clock.now - start < .seconds(20), "the lease of a dead run is not waited for")
    #expect(try await place.holdsPrimary("crm"))
    #expect(try await place.relatch("show", "crm").outputText.contains("version   2 active"))
    #expect(try await place.logIsIntact())
  }

  @Test("Runs of different credentials of one vault do not stop each other")
  func sideBySide() async throws {
    let place = try await Workplace(["--apps", "4"])
    for number in 1...4 { try await place.add("app\(number)", app: number) }
    let runs = try (1...4).map { try place.start(arguments: ["rotate", "app\($0)"]) }
    for (index, run) in runs.enumerated() {
      let outcome = try await run.outcome()
      #expect(outcome.code == 0, "\(outcome.errorText)")
      #expect(try await place.holdsPrimary("app\(index + 1)", ofApp: index + 1))
    }
    #expect(try await place.logIsIntact())
  }

  @Test("Ten simultaneous runs of one credential make one rotation")
  func oneOfMany() async throws {
    let place = try await Workplace()
    try await place.add("crm")
    let runs = try (1...10).map { _ in try place.start(arguments: ["rotate", "crm", "--quiet"]) }
    var codes: [Int32] = []
    for run in runs { codes.append(try await run.outcome().code) }
    #expect(codes.count { $0 == 0 } == 1 && codes.count { $0 == 75 } == 9, "\(codes)")
    #expect(try await place.relatch("show", "crm").outputText.contains("version   2 active"))
    #expect(try await place.holdsPrimary("crm"))
  }
}
